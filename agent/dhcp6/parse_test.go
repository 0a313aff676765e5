package dhcp6

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/netcfg"
)

var testServer = netip.MustParseAddr("fe80::1")

// asking is a machine that waits for the answer to a REQUEST.
func asking(_ testing.TB) *Machine {
	m := NewMachine(plain, rand.New(rand.NewPCG(1, 2)))
	m.link = upLink
	m.selected.ServerID = newServer(1, "2001:db8::100").duid
	m.exchange(Requesting)
	return m
}

// grant is a good REPLY, changed.
func grant(t testing.TB, change func(*dhcpv6.Message)) []byte {
	p := newServer(1, "2001:db8::100").handle(asking(t).message())
	if change != nil {
		change(p)
	}
	return p.ToBytes()
}

func with(t testing.TB, code dhcpv6.OptionCode, b ...byte) []byte {
	return grant(t, func(p *dhcpv6.Message) {
		if code == dhcpv6.OptionIANA || code == dhcpv6.OptionClientID || code == dhcpv6.OptionServerID {
			p.Options.Del(code)
		}
		p.AddOption(raw(code, b))
	})
}

// ia is an IA_NA of the client with options inside.
func ia(inner ...byte) []byte { return append([]byte{0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0}, inner...) }

// address is an option of an address, with more inside.
func address(a string, preferred, valid uint32, inner ...byte) []byte {
	b := netip.MustParseAddr(a).AsSlice()
	for _, n := range []uint32{preferred, valid} {
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	b = append(b, inner...)
	return append([]byte{0, 5, byte(len(b) >> 8), byte(len(b))}, b...)
}

func TestFault_E1(t *testing.T) {
	good := grant(t, nil)
	malformed := map[string][]byte{
		"nothing": nil, "short": good[:3], "header": good[:4], "zeros": make([]byte, 300),
		"option cut off":      append(bytes.Clone(good), 0, 23, 0, 16, 1),
		"half an option":      append(bytes.Clone(good), 0, 23, 0),
		"a client's":          append([]byte{1}, good[1:]...),
		"a relay's":           append([]byte{13}, good[1:]...),
		"no server":           grant(t, func(p *dhcpv6.Message) { p.Options.Del(dhcpv6.OptionServerID) }),
		"two servers":         append(bytes.Clone(good), 0, 2, 0, 3, 0, 4, 1),
		"two clients":         append(bytes.Clone(good), 0, 1, 0, 3, 0, 4, 1),
		"short DUID":          with(t, dhcpv6.OptionServerID, 0, 4),
		"long DUID":           with(t, dhcpv6.OptionServerID, make([]byte, longestDUID+1)...),
		"empty client id":     with(t, dhcpv6.OptionClientID),
		"long rapid commit":   with(t, dhcpv6.OptionRapidCommit, 1),
		"preference":          with(t, dhcpv6.OptionPreference, 1, 2),
		"status":              with(t, dhcpv6.OptionStatusCode, 1),
		"SOL_MAX_RT":          with(t, dhcpv6.OptionSolMaxRT, 1, 2, 3),
		"INF_MAX_RT":          with(t, dhcpv6.OptionInfMaxRT, 1, 2, 3, 4, 5),
		"refresh":             with(t, dhcpv6.OptionInformationRefreshTime),
		"short IA":            with(t, dhcpv6.OptionIANA, make([]byte, 11)...),
		"IA with half inside": with(t, dhcpv6.OptionIANA, ia(0, 5, 0, 24)...),
		"short address":       with(t, dhcpv6.OptionIANA, ia(append([]byte{0, 5, 0, 23}, make([]byte, 23)...)...)...),
		"address with half":   with(t, dhcpv6.OptionIANA, ia(address("2001:db8::1", 1, 2, 0, 13, 0)...)...),
		"status in address":   with(t, dhcpv6.OptionIANA, ia(address("2001:db8::1", 1, 2, 0, 13, 0, 1, 0)...)...),
		"IA twice":            append(bytes.Clone(good), append([]byte{0, 3, 0, 12}, ia()...)...),
		"DNS":                 with(t, dhcpv6.OptionDNSRecursiveNameServer, make([]byte, 17)...),
		"no DNS":              with(t, dhcpv6.OptionDNSRecursiveNameServer),
		"NTP":                 with(t, dhcpv6.OptionNTPServer, 0, 1, 0, 15),
		"NTP address":         with(t, dhcpv6.OptionNTPServer, 0, 1, 0, 1, 0),
	}
	for name, b := range malformed {
		if r, err := ParseReply(b, testServer); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
	// What nobody has asked for may look as it likes.
	for _, code := range []dhcpv6.OptionCode{dhcpv6.Option4RD, dhcpv6.OptionBootfileParam, dhcpv6.OptionIAPD, dhcpv6.OptionFQDN, 65535} {
		if _, err := ParseReply(with(t, code, 1), testServer); err != nil {
			t.Errorf("option %d: %v", code, err)
		}
	}
}

func TestFault_E16(t *testing.T) {
	r, err := ParseReply(with(t, dhcpv6.OptionDomainSearchList, []byte("\x07example\x03org\x00\x04a;id\x00\x01B\x00")...), testServer)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "names", r.search, "[example.org b]")
	same(t, "ignored", r.ignored, "[1 names in option 24]")
	r, err = ParseReply(with(t, dhcpv6.OptionDomainSearchList, 0xc0, 0), testServer)
	if err != nil || r.search != nil || len(r.ignored) != 1 {
		t.Errorf("a loop: %q %q %v", r.search, r.ignored, err)
	}
	r, err = ParseReply(with(t, dhcpv6.OptionStatusCode, append([]byte{0, 1}, "no\x1b[31m\nlease"+strings.Repeat("x", 200)...)...), testServer)
	if err != nil || !strings.HasPrefix(r.status.text, "no?[31m?lease") || len(r.status.text) != 128 {
		t.Errorf("text %q, %v", r.status.text, err)
	}
}

// Servers are bounded, each once, and can be hosts.
func TestServersOfOptions(t *testing.T) {
	var b []byte
	for _, a := range []string{"2001:db8::1", "2001:db8::1", "ff02::1", "fe80::1", "::", "::1", "::ffff:192.0.2.1", "fd00::1"} {
		b = append(b, netip.MustParseAddr(a).AsSlice()...)
	}
	r, err := ParseReply(with(t, dhcpv6.OptionDNSRecursiveNameServer, b...), testServer)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "DNS", r.dns, "[2001:db8::1 fd00::1]")
	same(t, "ignored", len(r.ignored), 5)
	b = nil
	for i := range byte(20) {
		b = append(b, netip.AddrFrom16([16]byte{0: 0x20, 15: i}).AsSlice()...)
	}
	if r, err = ParseReply(with(t, dhcpv6.OptionDNSRecursiveNameServer, b...), testServer); err != nil || len(r.dns) != drive.MostServers {
		t.Errorf("%d servers, %v", len(r.dns), err)
	}
	ntp := append([]byte{0, 1, 0, 16}, netip.MustParseAddr("2001:db8::7").AsSlice()...)
	if r, err = ParseReply(with(t, dhcpv6.OptionNTPServer, append(ntp, 0, 3, 0, 1, 0)...), testServer); err != nil {
		t.Fatal(err)
	}
	same(t, "NTP", r.ntp, "[2001:db8::7]")
}

// granted is what the client makes of a REPLY with these options in its IA.
func granted(t *testing.T, around Around, t1, t2 uint32, inner ...byte) *Machine {
	t.Helper()
	b := with(t, dhcpv6.OptionIANA, append([]byte{0, 0, 0, 7, 0, 0, byte(t1 >> 8), byte(t1), 0, 0, byte(t2 >> 8), byte(t2)}, inner...)...)
	if t1 == infinite {
		i := bytes.Index(b, []byte{0, 0, 0, 7, 0, 0, 0xff, 0xff})
		copy(b[i+4:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	}
	r, err := ParseReply(b, testServer)
	if err != nil {
		t.Fatal(err)
	}
	m := asking(t)
	r.XID = m.xid
	m.Step(0, around)
	m.Step(time.Second, r)
	return m
}

func TestFault_E6(t *testing.T) {
	const long = infinite
	for name, test := range map[string]struct {
		preferred, valid, t1, t2 uint32
		wantT1, wantT2, wantEnd  time.Duration
	}{
		"good":                {1000, 2000, 400, 700, 400, 700, 2000},
		"left to the client":  {1000, 2000, 0, 0, 500, 800, 2000},
		"only T1":             {1000, 2000, 300, 0, 300, 800, 2000},
		"only T2":             {1000, 2000, 0, 600, 375, 600, 2000},
		"T1 after T2":         {1000, 2000, 900, 600, 500, 800, 2000},
		"T2 after the end":    {1000, 2000, 400, 2001, 400, 800, 2000},
		"both after the end":  {1000, 2000, 3000, 4000, 500, 800, 2000},
		"never in a finite":   {1000, 2000, long, long, 500, 800, 2000},
		"for ever":            {long, long, long, long, never, never, never},
		"for ever, no times":  {long, long, 0, 0, never, never, never},
		"for ever, with T1":   {long, long, 500, 900, 500, 900, never},
		"nothing preferred":   {0, 2000, 0, 0, 1000, 1600, 2000},
		"short":               {1, 1, 0, 0, 10, 10, 30},
		"soon":                {1000, 2000, 1, 2, 10, 10, 2000},
		"a moment preferred":  {2, 2000, 0, 0, 10, 10, 2000},
		"preferred for ever?": {1999, 2000, 0, 0, 999, 1599, 2000},
	} {
		m := granted(t, Around{}, test.t1, test.t2, address("2001:db8::100", test.preferred, test.valid)...)
		if m.lease == nil {
			t.Errorf("%s: no lease, %+v", name, m.refusal)
			continue
		}
		for what, pair := range map[string][2]time.Duration{
			"T1": {m.lease.RenewAt, test.wantT1}, "T2": {m.lease.RebindAt, test.wantT2}, "end": {m.lease.Expires(), test.wantEnd},
		} {
			want := pair[1]
			if want != never {
				want = seconds(uint32(want))
			}
			if d := pair[0] - want; d < 0 || d >= time.Second {
				t.Errorf("%s: %s %s, want %s", name, what, pair[0], want)
			}
		}
	}
	// Preferred for longer than valid is against the form (RFC 8415 §21.6).
	m := granted(t, Around{}, 0, 0, append(address("2001:db8::100", 3000, 2000), address("2001:db8::101", 1000, 2000)...)...)
	same(t, "lease", text(m.lease), "2001:db8::101")
	m = granted(t, Around{}, 0, 0, address("2001:db8::100", 3000, 2000)...)
	same(t, "lease", text(m.lease), "-")
	// A preferred lifetime does not count from its name alone.
	m = granted(t, Around{}, 0, 0, append(address("2001:db8::100", 3000, 5000), address("2001:db8::101", 1000, 2000)...)...)
	same(t, "T1 is of the shortest", m.lease.RenewAt, 500*time.Second)
}

func TestFault_E9(t *testing.T) {
	around := Around{Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::5")}, ControlPlane: []netip.Addr{netip.MustParseAddr("2001:db8::6")}}
	for _, bad := range []string{"ff02::1", "ff0e::1", "::1", "::", "fe80::1", "fe80::2", "::ffff:192.0.2.1", "::192.0.2.1", "2001:db8::5", "2001:db8::6"} {
		m := granted(t, around, 0, 0, address(bad, 1000, 2000)...)
		if m.lease != nil || m.state != Declining || m.refusal == nil {
			t.Errorf("%s: %s, %+v, %+v", bad, m.state, m.lease, m.refusal)
		}
		same(t, "declined", asked(m.message()), []netip.Addr{netip.MustParseAddr(bad)})
		m = granted(t, around, 0, 0, append(address(bad, 1000, 2000), address("2001:db8::7", 1000, 2000)...)...)
		same(t, "beside "+bad, text(m.lease), "2001:db8::7")
	}
	// One that the server has something against is left alone.
	m := granted(t, around, 0, 0, append(address("2001:db8::8", 1000, 2000, 0, 13, 0, 2, 0, 4), address("2001:db8::7", 1000, 2000)...)...)
	same(t, "lease", text(m.lease), "2001:db8::7")
	var many []byte
	for i := range 300 {
		many = append(many, address(fmt.Sprintf("2001:db8::1:%x", i), 1000, 2000)...)
	}
	m = granted(t, around, 0, 0, many...)
	same(t, "many", len(m.lease.Addresses), mostAddresses)
	// An IA that is not ours is nobody's.
	m = asking(t)
	r, err := ParseReply(with(t, dhcpv6.OptionIANA, append([]byte{0, 0, 0, 8}, ia(address("2001:db8::7", 1000, 2000)...)[4:]...)...), testServer)
	if err != nil {
		t.Fatal(err)
	}
	r.XID = m.xid
	m.Step(time.Second, r)
	same(t, "another IA", m.state, Requesting)
}

// FuzzReply: no input makes the parser or the machine panic, in any state, and what
// becomes a lease is fit for use.
func FuzzReply(f *testing.F) {
	var b []byte
	for i := range byte(20) {
		b = append(b, address(fmt.Sprintf("2001:db8::%x", i), 10, 20)...)
	}
	for i, seed := range [][]byte{
		grant(f, nil), with(f, dhcpv6.OptionIANA, ia(b...)...), with(f, dhcpv6.OptionDomainSearchList, 0xc0, 0),
		with(f, dhcpv6.OptionStatusCode, 0, byte(iana.StatusNoBinding)), with(f, dhcpv6.OptionIANA, ia(0, 13, 0, 2, 0, 3)...),
		with(f, dhcpv6.OptionNTPServer, append([]byte{0, 1, 0, 16}, make([]byte, 16)...)...), with(f, dhcpv6.OptionInformationRefreshTime, 0, 0, 0, 1),
	} {
		f.Add(seed, byte(i))
	}
	states := []State{Soliciting, Requesting, Confirming, Renewing, Rebinding, Informing, Declining, Releasing}
	f.Fuzz(func(t *testing.T, b []byte, state byte) {
		r, err := ParseReply(b, testServer)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("another error: %v", err)
			}
			return
		}
		m := asking(t)
		m.config.RapidCommit = true
		m.lease = &netcfg.Lease6{
			ServerID: m.selected.ServerID, Addresses: []netcfg.LeaseAddress{{Address: netip.MustParseAddr("2001:db8::100"), Preferred: never, Expires: never}},
			RenewAt: time.Minute, RebindAt: time.Hour,
		}
		m.given = given{addressesOf(m.lease), m.lease.ServerID, testServer}
		m.exchange(states[int(state)%len(states)])
		r.XID, r.ClientID = m.xid, m.duid
		m.Step(time.Second, r)
		fit(t, m)
		m.Step(2*time.Second, Tick{})
		fit(t, m)
	})
}

// fit says that what the machine has got is one that it may use.
func fit(t interface{ Errorf(string, ...any) }, m *Machine) {
	l := m.lease
	if l == nil {
		return
	}
	if len(l.Addresses) > mostAddresses || len(l.DNS) > drive.MostServers || len(l.NTP) > drive.MostServers || len(l.Search) > drive.MostSearch ||
		l.RenewAt > l.RebindAt || len(l.ServerID) == 0 || !l.Valid(m.now) {
		t.Errorf("a lease that is none: %+v", l)
	}
	for _, a := range l.Addresses {
		if !isHost(a.Address) || a.Preferred > a.Expires || a.Expires <= m.now {
			t.Errorf("an address that is none: %+v", a)
		}
	}
	for _, name := range l.Search {
		if drive.CleanName([]byte(name)) != name {
			t.Errorf("a name that is none: %q", name)
		}
	}
}

// The corpus is part of the tests: whoever empties it by accident shall know.
func TestCorpusIsThere(t *testing.T) {
	files, err := os.ReadDir(filepath.Join("testdata", "fuzz", "FuzzReply"))
	if err != nil || len(files) < 5 {
		t.Errorf("%d files, %v", len(files), err)
	}
}
