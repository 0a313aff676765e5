package lldp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tlv is one of a PDU.
func tlv(kind int, value string) string {
	return string([]byte{byte(kind<<1 | len(value)>>8), byte(len(value))}) + value
}

func org(oui string, kind byte, value string) string {
	return tlv(tlvOrganization, oui+string([]byte{kind})+value)
}

const (
	q1 = "\x00\x80\xc2"
	q3 = "\x00\x12\x0f"
)

var (
	chassis  = tlv(tlvChassis, "\x04\x52\x54\x00\x00\x00\x99")
	port     = tlv(tlvPort, "\x05Ethernet1/7")
	ttl      = tlv(tlvTTL, "\x00\x78")
	end      = tlv(tlvEnd, "")
	required = chassis + port + ttl
)

// a switch that says everything.
var everything = required +
	tlv(tlvPortDescription, "to hv7") + tlv(tlvSystemName, "leaf3\x00") + tlv(tlvSystemText, "NOS 4.2\nof a maker") +
	tlv(tlvCapabilities, "\x00\x14\x00\x04") +
	tlv(tlvManagement, "\x05\x01\xc0\x00\x02\x07\x02\x00\x00\x00\x05\x00") +
	tlv(tlvManagement, "\x11\x02\x20\x01\x0d\xb8"+strings.Repeat("\x00", 11)+"\x07\x01\x00\x00\x00\x00\x00") +
	org(q1, q1PVID, "\x00\x0a") + org(q1, q1VLANName, "\x00\x0b\x04blue") + org(q1, q1VLANName, "\x0f\xfe\x00") +
	org(q1, q1Aggregation, "\x03\x00\x00\x00\x2a") + org(q3, q3MaxFrame, "\x24\x00") + org("\x00\x00\x0c", 1, "of nobody's concern") + end

func TestParse(t *testing.T) {
	got, err := Parse([]byte(everything + "\x00\x00padding"))
	want := Neighbour{
		Chassis: ID{"mac", "52:54:00:00:00:99"}, Port: ID{"interface-name", "Ethernet1/7"}, TTL: 2 * time.Minute,
		PortDescription: "to hv7", SystemName: "leaf3", SystemDescription: `NOS 4.2\nof a maker`,
		Capabilities: []string{"bridge", "router"}, Enabled: []string{"bridge"}, Management: []string{"192.0.2.7", "2001:db8::7"},
		PVID: new(10), VLANs: []VLAN{{11, "blue"}, {4094, ""}}, Aggregation: &Aggregation{Capable: true, Enabled: true, Port: 42}, MaxFrame: 9216,
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Neighbour{})); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if s := got.Summary(); s != "leaf3 Ethernet1/7" {
		t.Error(s)
	}
}

func TestParseIDs(t *testing.T) {
	for _, test := range []struct {
		chassis, port      string
		wantChassis, wantP ID
	}{
		{"\x05\x01\xc0\x00\x02\x07", "\x03\x52\x54\x00\x00\x00\x98", ID{"address", "192.0.2.7"}, ID{"mac", "52:54:00:00:00:98"}},
		{"\x05\x02" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07", "\x07\x07", ID{"address", "2001:db8::7"}, ID{"local", "07"}},
		{"\x07hv8", "\x01up\x1b[31m", ID{"local", "hv8"}, ID{"interface-alias", "75701b5b33316d"}},
		{"\x04\x01\x02", "\x04\x09abc", ID{"mac", "0102"}, ID{"address", "09616263"}},
		{"\xc8what", "\x06c7", ID{"reserved", "what"}, ID{"circuit", "c7"}},
	} {
		n, err := Parse([]byte(tlv(tlvChassis, test.chassis) + tlv(tlvPort, test.port) + ttl))
		if err != nil || n.Chassis != test.wantChassis || n.Port != test.wantP {
			t.Errorf("%q %q: %+v %+v, %v", test.chassis, test.port, n.Chassis, n.Port, err)
		}
	}
}

// What is wrong at its beginning says nothing; what is wrong behind that is left out by
// itself.
func TestParseWrong(t *testing.T) {
	for name, pdu := range map[string]string{
		"empty":                 "",
		"one byte":              "\x02",
		"no chassis":            port + ttl,
		"no port":               chassis + ttl,
		"no TTL":                chassis + port + end,
		"another order":         port + chassis + ttl,
		"a chassis twice":       required + chassis,
		"a port twice":          required + port + end,
		"a TTL twice":           required + ttl,
		"an end too early":      chassis + end + port + ttl,
		"an empty id":           tlv(tlvChassis, "\x04") + port + ttl,
		"a long id":             tlv(tlvChassis, "\x07"+strings.Repeat("x", 256)) + port + ttl,
		"half a TTL":            chassis + port + tlv(tlvTTL, "\x00"),
		"more than there is":    required + "\x08\x20name",
		"a TLV cut in the head": required + "\x0a",
	} {
		if n, err := Parse([]byte(pdu)); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	n, err := Parse([]byte(required + tlv(tlvCapabilities, "\x00") + tlv(tlvManagement, "\x05\x01\xc0") + tlv(tlvManagement, "\xff"+strings.Repeat("x", 40)) +
		org(q1, q1PVID, "\x00\x00") + org(q1, q1VLANName, "\x00\x0b\x09blue") + org(q3, q3MaxFrame, "\x24") + tlv(tlvOrganization, "\x00") +
		tlv(tlvSystemName, "first") + tlv(tlvSystemName, "second")))
	if err != nil || n.Capabilities != nil || n.Management != nil || n.PVID != nil || n.VLANs != nil || n.MaxFrame != 0 || n.SystemName != "first" {
		t.Errorf("%+v, %v", n, err)
	}
	gone, err := Parse([]byte(chassis + port + tlv(tlvTTL, "\x00\x00") + "\xff"))
	if err != nil || gone.TTL != 0 {
		t.Errorf("leave taken: %+v, %v", gone, err)
	}
}

// However much there is, little is kept.
func TestParseBounded(t *testing.T) {
	n, err := Parse([]byte(required + strings.Repeat(org(q1, q1VLANName, "\x00\x0b\x00"), 1000) + strings.Repeat(tlv(tlvManagement, "\x05\x01\xc0\x00\x02\x07\x02\x00\x00\x00\x05\x00"), 100)))
	if err != nil || len(n.VLANs) != mostVLANs || len(n.Management) != mostManagements {
		t.Errorf("%d VLANs, %d addresses, %v", len(n.VLANs), len(n.Management), err)
	}
}

// FuzzParse begins with frames of lldpd and of switches, and with those of the tests.
func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(required))
	files, err := filepath.Glob("testdata/*.pdu")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		pdu, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pdu)
	}
	f.Fuzz(func(t *testing.T, pdu []byte) {
		n, err := Parse(pdu)
		if err != nil {
			if d := cmp.Diff(Neighbour{}, n, cmpopts.IgnoreUnexported(Neighbour{})); d != "" {
				t.Errorf("an error, and all the same %s", d)
			}
			return
		}
		if n.Chassis.Kind == "" || n.Chassis.Value == "" || n.Port.Kind == "" || n.Port.Value == "" || n.TTL < 0 || n.TTL > 65535*time.Second {
			t.Errorf("%+v", n)
		}
		if len(n.VLANs) > mostVLANs || len(n.Management) > mostManagements || len(n.SystemName) > 4*255 {
			t.Errorf("not bounded: %+v", n)
		}
		for _, s := range []string{n.Chassis.Value, n.Port.Value, n.SystemName, n.SystemDescription, n.PortDescription} {
			if strings.ContainsAny(s, "\x1b\n\x00\r") {
				t.Errorf("not printable: %q", s)
			}
		}
	})
}
