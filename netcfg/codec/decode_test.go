package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

func ptr[T any](v T) *T { return &v }

// edits are the nulls and the parts that replace: what a rendering does not show.
func TestDecodeEdits(t *testing.T) {
	nic := func(unset ...string) netcfg.Document {
		return netcfg.Document{Nics: []netcfg.NicEdit{{HostNic: netcfg.HostNic{Name: "bond0"}, Unset: unset}}}
	}
	withBonding := func(b netcfg.Bonding, unset ...string) netcfg.Document {
		d := nic(unset...)
		d.Nics[0].Bonding = &b
		return d
	}
	for _, test := range []struct {
		name, text string
		want       netcfg.Document
	}{
		{"nothing", "", netcfg.Document{}},
		{"blanks", " \n\t\n", netcfg.Document{}},
		{"a byte order mark", "\ufeff{}", netcfg.Document{}},
		{"only a comment", "# nothing\n", netcfg.Document{}},
		{"a YAML document of nothing", "---\n", netcfg.Document{}},
		{"a null", "null", netcfg.Document{}},
		{"an empty object", "{}", netcfg.Document{}},
		{"empty lists", `{"host_nics": [], "removed": []}`, netcfg.Document{Nics: []netcfg.NicEdit{}, Removed: []string{}}},
		{"removed by name and by id", "removed: [bond4, {id: e8f02fdf-3d7b-4135-86e1-1bf185570cd8}]",
			netcfg.Document{Removed: []string{"bond4", "e8f02fdf-3d7b-4135-86e1-1bf185570cd8"}}},
		{"networks null", "networks: null", netcfg.Document{Networks: &[]netcfg.Network{}}},
		{"networks empty", "networks: []", netcfg.Document{Networks: &[]netcfg.Network{}}},
		{"routes null", `{"routes": null}`, netcfg.Document{Routes: &[]netcfg.Route{}}},
		{"dns null", "dns: ~", netcfg.Document{UnsetDNS: true}},
		{"YAML in flow style", "{ removed: [bond4], dns: {} }", netcfg.Document{Removed: []string{"bond4"}, DNS: &netcfg.DNS{}}},
		{"dns empty", "dns: {}", netcfg.Document{DNS: &netcfg.DNS{}}},
		{"whole parts unset", "host_nics: [{name: bond0, ip: null, ipv6: ~, mtu: , additional_ips: null, boot_protocol: null, bonding: null}]",
			nic("ip", "ipv6", "mtu", "additional_ips", "boot_protocol", "bonding")},
		{"a part of ip unset", `{"host_nics": [{"name": "bond0", "ip": {"gateway": null}}]}`,
			netcfg.Document{Nics: []netcfg.NicEdit{{HostNic: netcfg.HostNic{Name: "bond0", IP: &netcfg.IP{}}, Unset: []string{"ip.gateway"}}}}},
		{"an option unset", "host_nics: [{name: bond0, bonding: {options: {miimon: null, mode: 1}}}]",
			withBonding(netcfg.Bonding{Options: []netcfg.BondOption{{Name: "mode", Value: "1"}}}, "bonding.options.miimon")},
		{"slaves and options unset", "host_nics: [{name: bond0, bonding: {options: null, slaves: null}}]",
			withBonding(netcfg.Bonding{}, "bonding.options", "bonding.slaves")},
		{"slaves empty", "host_nics: [{name: bond0, bonding: {slaves: []}}]", withBonding(netcfg.Bonding{Slaves: []string{}})},
		{"a reference to nothing and a MAC of nothing", "host_nics: [{name: bond0, network: {}, host: {}, mac: {}}]", nic()},
		{"an option that is emptied", "host_nics: [{name: bond0, bonding: {options: {primary: '', arp_ip_target: []}}}]",
			withBonding(netcfg.Bonding{Options: []netcfg.BondOption{{Name: "primary"}, {Name: "arp_ip_target"}}})},
		{"off in all its forms", "host_nics: [{name: bond0, bonding: {options: {use_carrier: off, lacp_active: false, tlb_dynamic_lb: 0}}}]",
			withBonding(netcfg.Bonding{Options: []netcfg.BondOption{
				{Name: "use_carrier", Value: "off"}, {Name: "lacp_active", Value: "off"}, {Name: "tlb_dynamic_lb", Value: "0"}}})},
		{"an option that only netcfg can judge", "host_nics: [{name: bond0, bonding: {options: {colour: blue}}}]",
			withBonding(netcfg.Bonding{Options: []netcfg.BondOption{{Name: "colour", Value: "blue"}}})},
		{"XML with nothing in it", "<host_nics/>", netcfg.Document{Nics: []netcfg.NicEdit{}}},
		{"XML with empty parts", `<nic><name>bond0</name><mac/><network href="/x"/><slaves/><mtu/><ip/><bonding><slaves> ... </slaves></bonding></nic>`,
			func() netcfg.Document { d := withBonding(netcfg.Bonding{}); d.Nics[0].IP = &netcfg.IP{}; return d }()},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := decode(t, []byte(test.text), codec.Auto)
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(netcfg.Document{}, "Lines")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// refusals gives what the tables of refused documents hold: place, path and rule
// of every problem, a line each.
func refusals(t *testing.T, text string, f codec.Format) string {
	t.Helper()
	doc, err := codec.Decode([]byte(text), f)
	if diff := cmp.Diff(netcfg.Document{}, doc); err != nil && diff != "" {
		t.Errorf("half a document beside the error: %s", diff)
	}
	var problems netcfg.Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("the error is a %T", err)
	}
	var out []string
	for _, p := range problems {
		if p.Message == "" || p.String() != netcfg.Printable(p.String()) || strings.ToValidUTF8(p.Path+p.Found, "") != p.Path+p.Found {
			t.Errorf("%q is not fit to be shown", p)
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d:%d %s %s", p.Line, p.Column, p.Path, p.Rule)))
	}
	return strings.Join(out, "\n")
}

func TestDecodeRefused(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       string
	}{
		{"everything at once", "host_nics:\n  - name: eth0\n    mtu: big\n    ip: 10.0.0.1\n    colour: blue\n  - name: eth0\nroutes: {}\n",
			"3:10 host_nics[eth0].mtu wrong-type\n4:9 host_nics[eth0].ip wrong-type\n5:5 host_nics[eth0].colour unknown-field\n7:9 routes wrong-type"},
		{"a bare list", `[{"name": "eth0"}]`, "1:1  wrong-type"},
		{"text", "just words", "1:1  wrong-type"},
		{"a number", "5", "1:1  wrong-type"},
		{"host_nics null", "host_nics: null", "1:12 host_nics wrong-type"},
		{"host_nics an object", `{"host_nics": {"name": "eth0"}}`, "1:15 host_nics wrong-type"},
		{"a NIC null", "host_nics: [null]", "1:13 host_nics[0] wrong-type"},
		{"removed null", "removed: null", "1:10 removed wrong-type"},
		{"an element of removed null", "removed: [~]", "1:11 removed[0] wrong-type"},
		{"a reference to nothing", "removed: [{}]", "1:11 removed[0] missing-field"},
		{"name null", "host_nics: [{name: null}]", "1:14 host_nics[0].name wrong-type"},
		{"id null", `{"host_nics": [{"name": "eth0", "id": null}]}`, "1:33 host_nics[eth0].id wrong-type"},
		{"null within networks", "networks: [{mtu: null}]", "1:13 networks[0].mtu wrong-type"},
		{"null within dns", "dns: {servers: null}", "1:7 dns.servers wrong-type"},
		{"null for a slave", "host_nics: [{name: b, bonding: {slaves: [null]}}]", "1:42 host_nics[b].bonding.slaves[0] wrong-type"},
		{"null for an unknown option", "host_nics: [{name: b, bonding: {options: {colour: null}}}]",
			"1:43 host_nics[b].bonding.options.colour unknown-field"},
		{"empty text", "host_nics: [{name: '', ip: {gateway: ''}, additional_ips: ['']}]",
			"1:20 host_nics[0].name empty\n1:38 host_nics[0].ip.gateway empty\n1:60 host_nics[0].additional_ips[0] empty"},
		{"options without a value", "host_nics: [{name: b, bonding: {options: mode}}]", "1:42 host_nics[b].bonding.options syntax"},
		{"options as a number", "host_nics: [{name: b, bonding: {options: 4}}]", "1:42 host_nics[b].bonding.options wrong-type"},
		{"options as empty text", "host_nics: [{name: b, bonding: {options: ''}}]", "1:42 host_nics[b].bonding.options empty"},
		{"an option without a name", "host_nics: [{name: b, bonding: {options: [{value: 1}, {name: mode}, {name: '', value: 1}]}}]",
			"1:43 host_nics[b].bonding.options missing-field\n1:55 host_nics[b].bonding.options[1].value missing-field\n1:76 host_nics[b].bonding.options[2].name empty"},
		{"an option of the wrong type", "host_nics: [{name: b, bonding: {options: {mode: [1], miimon: true, updelay: 1e3, arp_ip_target: [1.2]}}}]",
			"1:49 host_nics[b].bonding.options.mode wrong-type\n1:62 host_nics[b].bonding.options.miimon wrong-type\n" +
				"1:77 host_nics[b].bonding.options.updelay wrong-type\n1:98 host_nics[b].bonding.options.arp_ip_target[0] wrong-type"},
		{"a number where text belongs", "host_nics: [{name: 1e3, bonding: {slaves: [true]}}]",
			"1:20 host_nics[0].name wrong-type\n1:44 host_nics[0].bonding.slaves[0] wrong-type"},
		{"JSON that ends early", `{"host_nics": [`, "1:15  syntax"},
		{"JSON with a comma too many", "{\"host_nics\": [],\n}", "2:1  syntax"},
		{"JSON with two values", "{} {}", "1:4  syntax"},
		{"JSON with tabs and a mistake", "{\n\t\"host_nics\": [\n\t\t{\"name\": \"eth0\", \"mtuu\": 1}]}", "3:20 host_nics[eth0].mtuu unknown-field"},
		{"YAML that is none", "host_nics:\n  - name: a: b\n", "2:0  syntax"},
		{"YAML with a list as name", "? [a]\n: 1", "1:3  syntax"},
		{"XML of something else", "<network/>", "1:1  unknown-field"},
		{"XML that ends early", "<host_nic>\n<name>", "2:0  syntax"},
		{"XML with two roots", "<nic/>\n<nic/>", "2:1  syntax"},
		{"XML with text beside the root", "<nic/>\n words", "1:7  syntax"},
		{"XML with a number that is none", "<host_nic><name>eth0</name>\n<mtu>1500.0</mtu></host_nic>", "2:1 host_nics[eth0].mtu wrong-type"},
		{"XML with a slave that is nobody", "<nic><bonding><slaves><host_nic/></slaves></bonding></nic>", "1:23 host_nics[0].bonding.slaves[0] missing-field"},
		{"XML with a charset of its own", `<?xml version="1.0" encoding="latin1"?><nic/>`, "1:40  syntax"},
		{"XML that is only a declaration", `<?xml version="1.0"?>`, "0:0  syntax"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, refusals(t, test.text, codec.Auto)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.text, diff)
			}
		})
	}
}

func TestDecodeLines(t *testing.T) {
	doc := decode(t, []byte(`host_nics:
  - name: bond0
    bonding:
      options:
        mode: 4
      slaves:
        - eth0
        - eth1
    ip:
      address: 192.0.2.1
  - id: e8f02fdf-3d7b-4135-86e1-1bf185570cd8
    mtu: 1500
  - mtu: 1400
removed:
  - bond1
`), codec.YAML)
	lines := doc.Lines()
	for path, want := range map[string]int{
		"host_nics": 1, "host_nics[bond0]": 2, "host_nics[0]": 2, "host_nics[0].name": 2, "host_nics[bond0].bonding": 3,
		"host_nics[bond0].bonding.options.mode": 5, "host_nics[bond0].bonding.slaves[1]": 8,
		"host_nics[bond0].ip.address": 10, "host_nics[e8f02fdf-3d7b-4135-86e1-1bf185570cd8].mtu": 12,
		"host_nics[1].id": 11, "host_nics[2].mtu": 13, "removed": 14, "removed[0]": 15,
	} {
		if got := lines[path]; got != want {
			t.Errorf("%s is in line %d, got %d", path, want, got)
		}
	}
	at := doc.Locate(netcfg.Problems{{Path: "host_nics[bond0].ip.netmask"}}, func(ref string) string { return ref })
	if at[0].Line != 9 {
		t.Errorf("a missing netmask is shown in line %d, want that of ip, 9", at[0].Line)
	}
}

func TestFormats(t *testing.T) {
	for name, want := range map[string]codec.Format{"": codec.Auto, "auto": codec.Auto, "yaml": codec.YAML, "yml": codec.YAML, "json": codec.JSON, "xml": codec.XML} {
		if got, err := codec.ParseFormat(name); err != nil || got != want {
			t.Errorf("ParseFormat(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
	if _, err := codec.ParseFormat("toml"); err == nil {
		t.Error("toml was taken for a format")
	}
	if _, err := codec.Decode([]byte("{}"), codec.Format(9)); err == nil {
		t.Error("format 9 was read")
	}
	for _, f := range []codec.Format{codec.Auto, codec.Format(9)} {
		if err := codec.Encode(&strings.Builder{}, netcfg.Config{}, f, codec.EncodeOptions{}); err == nil {
			t.Errorf("%s was written", f)
		}
	}
	if err := codec.Encode(&strings.Builder{}, netcfg.Config{}, codec.XML, codec.EncodeOptions{Version: 5}); err == nil {
		t.Error("version 5 of XML was written")
	}
}

// TestEncodeIDs puts ids where oVirt's clients follow them.
func TestEncodeIDs(t *testing.T) {
	c := netcfg.Config{HostNics: []netcfg.HostNic{{Name: "bond0", Bonding: &netcfg.Bonding{Slaves: []string{"eth0", "eth1"}}}}}
	ids := map[string]string{"bond0": "id-of-bond0", "eth0": "id-of-eth0"}
	got := encode(t, c, codec.XML, codec.EncodeOptions{Version: 3, List: true, ID: func(name string) string { return ids[name] }})
	golden(t, "testdata/ids.v3.xml", got)
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestEncodeTellsTheWritersError(t *testing.T) {
	for _, f := range []codec.Format{codec.YAML, codec.JSON, codec.XML} {
		if err := codec.Encode(fullDisk{}, full(), f, codec.EncodeOptions{}); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("%s: %v", f, err)
		}
	}
	if err := codec.EncodeStored(fullDisk{}, full()); err == nil {
		t.Error("stored without a word")
	}
}
