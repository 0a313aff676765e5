package netcfg

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func identity(s string) string { return s }

func edits(nics ...HostNic) Document {
	var d Document
	for _, n := range nics {
		d.Nics = append(d.Nics, NicEdit{HostNic: n})
	}
	return d
}

// merged is the result of merging what must not be refused.
func merged(t *testing.T, base Config, doc Document, names Names) Config {
	t.Helper()
	c, ps := Merge(base, doc, names)
	if ps != nil {
		t.Fatalf("got %v", ps)
	}
	return c
}

func null(name string, paths ...string) Document {
	return Document{Nics: []NicEdit{{HostNic: HostNic{Name: name}, Unset: paths}}}
}

// The example of the oVirt manual: a PUT of nothing but <ip>.
func TestMergePartialUpdate(t *testing.T) {
	base := host(aBond("bond0", opts("mode=4 miimon=100"), onNetwork("ovirtmgmt"), mac("d6:76:f1:3a:af:74"), boot4(BootDHCP), mtu(9000), ip6("2001:db8::1", 64)))
	got := merged(t, base, edits(aNic("bond0", ip4("192.168.0.129", "255.255.255.0"), gw4("192.168.0.1"))), identity)
	want := base.Clone()
	// An address without a boot protocol means static; dhcp goes.
	want.HostNics[0].BootProtocol = ""
	want.HostNics[0].IP = &IP{Address: "192.168.0.129", Netmask: "255.255.255.0", Gateway: "192.168.0.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if problems, _ := got.Validate(Limits{}); problems != nil {
		t.Errorf("got %v", problems)
	}
}

func TestMergeAddressing(t *testing.T) {
	static := aNic("eth0", ip4("10.0.0.9", "255.255.255.0"), gw4("10.0.0.1"), ip6("2001:db8::9", 64), gw6("fe80::1"))
	explicit := aNic("eth0", boot4(BootStatic), boot6(BootStatic), ip4("10.0.0.9", "255.255.255.0"), ip6("2001:db8::9", 64))
	for _, test := range []struct {
		name string
		base HostNic
		doc  Document
		want HostNic
	}{
		{"dhcp takes the address out", static, edits(aNic("eth0", boot4(BootDHCP))), aNic("eth0", boot4(BootDHCP), ip6("2001:db8::9", 64), gw6("fe80::1"))},
		{"autoconf takes the other out", static, edits(aNic("eth0", boot6(BootAutoconf))), aNic("eth0", boot6(BootAutoconf), ip4("10.0.0.9", "255.255.255.0"), gw4("10.0.0.1"))},
		{"static keeps it", static, edits(aNic("eth0", boot4(BootStatic))), aNic("eth0", boot4(BootStatic), ip4("10.0.0.9", "255.255.255.0"), gw4("10.0.0.1"), ip6("2001:db8::9", 64), gw6("fe80::1"))},
		{"in capitals, too", static, edits(aNic("eth0", boot4("STATIC"), boot6("Static"))), aNic("eth0", boot4(BootStatic), boot6(BootStatic), ip4("10.0.0.9", "255.255.255.0"), gw4("10.0.0.1"), ip6("2001:db8::9", 64), gw6("fe80::1"))},
		{"both stay for Validate to refuse", static, edits(aNic("eth0", boot4(BootDHCP), ip4("10.0.0.8", "24"))), aNic("eth0", boot4(BootDHCP), ip4("10.0.0.8", "255.255.255.0"), gw4("10.0.0.1"), ip6("2001:db8::9", 64), gw6("fe80::1"))},
		{"one part of the address", static, edits(aNic("eth0", gw4("10.0.0.2"))), aNic("eth0", ip4("10.0.0.9", "255.255.255.0"), gw4("10.0.0.2"), ip6("2001:db8::9", 64), gw6("fe80::1"))},
		{"null for the gateway", static, null("eth0", "ip.gateway", "ipv6.gateway"), aNic("eth0", ip4("10.0.0.9", "255.255.255.0"), ip6("2001:db8::9", 64))},
		{"null for the whole", static, null("eth0", "ip", "ipv6"), aNic("eth0")},
		{"null for the whole, static said", explicit, null("eth0", "ip", "ipv6"), aNic("eth0")},
		{"dhcpv6 is dhcp", aNic("eth0"), edits(aNic("eth0", boot6("DHCPv6"))), aNic("eth0", boot6(BootDHCP))},
		{"dhcpv6 is not for IPv4", aNic("eth0"), edits(aNic("eth0", boot4("dhcpv6"))), aNic("eth0", boot4("dhcpv6"))},
		{"lists are replaced whole", aNic("eth0", more("10.0.0.9/24", "10.0.0.8/24")), edits(aNic("eth0", more("10.0.0.7/24"))), aNic("eth0", more("10.0.0.7/24"))},
		{"an empty list empties", aNic("eth0", more("10.0.0.9/24")), edits(aNic("eth0", more([]string{}...), func(n *HostNic) { n.AdditionalIPs = []string{} })), aNic("eth0")},
	} {
		got := merged(t, host(test.base), test.doc, identity)
		if diff := cmp.Diff(host(test.want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func optionString(c Config) string {
	var out []string
	for _, o := range c.HostNics[0].Bonding.Options {
		out = append(out, o.Name+"="+o.Value)
	}
	return strings.Join(out, " ")
}

func mergeOptions(t *testing.T, before, edit string) string {
	t.Helper()
	c := merged(t, bond0(before), edits(aNic("bond0", opts(edit))), identity)
	if problems, _ := c.Validate(Limits{}); problems != nil {
		t.Errorf("%s, then %s: got %v", before, edit, problems)
	}
	return optionString(c)
}

// A new mode drops the options of the old one that it does not take.
func TestScenario_B17(t *testing.T) {
	for _, test := range []struct{ before, edit, want string }{
		{"mode=4 lacp_rate=1 miimon=100", "mode=0 miimon=140", "mode=0 miimon=140"},
		{"mode=1 primary=eth0 fail_over_mac=1", "mode=4", "mode=4 fail_over_mac=1"},
		{"mode=1 arp_interval=500 arp_ip_target=10.0.0.1 arp_validate=3", "mode=6", "mode=6 arp_ip_target=10.0.0.1"},
		{"lacp_rate=fast mode=802.3ad", "xmit_hash_policy=1", "lacp_rate=fast mode=802.3ad xmit_hash_policy=1"},
	} {
		if got := mergeOptions(t, test.before, test.edit); got != test.want {
			t.Errorf("%s, then %s: got %s, want %s", test.before, test.edit, got, test.want)
		}
	}
	// Without a new mode nothing is dropped.
	if got := optionString(merged(t, bond0("mode=1 lacp_rate=1"), edits(aNic("bond0", opts("miimon=200"))), identity)); got != "mode=1 lacp_rate=1 miimon=200" {
		t.Errorf("got %s", got)
	}
	// What the document itself asks for is refused, not dropped.
	c := merged(t, bond0("mode=4"), edits(aNic("bond0", opts("mode=0 lacp_rate=1"))), identity)
	if problems, _ := c.Validate(Limits{}); len(problems) != 1 || problems[0].Rule != "bond-option-mode" {
		t.Errorf("got %v", problems)
	}
}

func TestScenario_B19(t *testing.T) {
	got := mergeOptions(t, "mode=1 arp_interval=500 arp_ip_target=10.0.0.1", "arp_ip_target=10.0.0.2,10.0.0.3")
	if want := "mode=1 arp_interval=500 arp_ip_target=10.0.0.2,10.0.0.3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestScenario_B20(t *testing.T) {
	c := merged(t, bond0("mode=1 arp_interval=500 arp_ip_target=10.0.0.1"), null("bond0", "bonding.options.arp_interval", "bonding.options.arp_ip_target"), identity)
	if got := c.HostNics[0].Bonding.Effective()["miimon"]; got != "100" || optionString(c) != "mode=1" {
		t.Errorf("got %s and miimon %s", optionString(c), got)
	}
}

// Each time only the wanted monitor is left.
func TestScenario_B21(t *testing.T) {
	const arp = "arp_interval=500 arp_ip_target=10.0.0.1"
	for _, test := range []struct{ before, edit, want string }{
		{"mode=1 miimon=100 updelay=200", arp, "mode=1 " + arp},
		{"mode=1 " + arp + " arp_validate=all", "miimon=100", "mode=1 arp_ip_target=10.0.0.1 miimon=100"},
		{"mode=1 miimon=100", arp + " miimon=0", "mode=1 miimon=0 " + arp},
		{"mode=1 " + arp, "miimon=100 arp_interval=0", "mode=1 arp_interval=0 arp_ip_target=10.0.0.1 miimon=100"},
	} {
		if got := mergeOptions(t, test.before, test.edit); got != test.want {
			t.Errorf("%s, then %s: got %s, want %s", test.before, test.edit, got, test.want)
		}
	}
}

// The same value in another spelling is no change, and the first is echoed.
func TestScenario_B23(t *testing.T) {
	for _, test := range []struct{ before, edit, want string }{
		{"mode=4", "mode=802.3ad", "mode=4"},
		{"mode=802.3ad", "mode=4", "mode=802.3ad"},
		{"mode=1 num_grat_arp=3", "num_unsol_na=3", "mode=1 num_grat_arp=3"},
		{"mode=1 num_grat_arp=3", "num_unsol_na=4", "mode=1 num_unsol_na=4"},
	} {
		if got := mergeOptions(t, test.before, test.edit); got != test.want {
			t.Errorf("%s, then %s: got %s, want %s", test.before, test.edit, got, test.want)
		}
	}
}

// What the document gives twice is refused, although only one of the two is left.
func TestMergeOptionTwice(t *testing.T) {
	for _, o := range []string{"miimon=100 miimon=200", "mode=1 num_grat_arp=1 num_unsol_na=2"} {
		_, ps := Merge(Config{}, edits(aNic("bond0", opts(o), slaves("eth0", "eth1"))), identity)
		if len(ps) != 1 || ps[0].Rule != "bond-option-twice" || !strings.HasPrefix(ps[0].Path, "host_nics[bond0].bonding.options.") {
			t.Errorf("%s: got %v", o, ps)
		}
	}
}

// Networks, routes and DNS are replaced whole, or left alone.
func TestMergeLists(t *testing.T) {
	base := Config{Networks: []Network{{Name: "red"}}, Routes: []Route{{Destination: "10.0.0.0/8", NIC: "eth0"}}, DNS: &DNS{Servers: []string{"192.0.2.1"}, Search: []string{"a"}}}
	for _, test := range []struct {
		name string
		doc  Document
		want Config
	}{
		{"nothing", Document{}, base},
		{"others", Document{Networks: &[]Network{{Name: "blue"}}, Routes: &[]Route{}, DNS: &DNS{Servers: []string{"192.0.2.2"}}},
			Config{Networks: []Network{{Name: "blue"}}, DNS: &DNS{Servers: []string{"192.0.2.2"}}}},
		{"null", Document{Networks: &[]Network{}, Routes: &[]Route{}, UnsetDNS: true}, Config{}},
	} {
		if diff := cmp.Diff(test.want, merged(t, base, test.doc, identity)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestMergeNicTwice(t *testing.T) {
	names := func(s string) string { return map[string]string{"id-of-eth0": "eth0"}[s] }
	_, ps := Merge(Config{}, edits(aNic("eth0"), HostNic{ID: "id-of-eth0", MTU: pointer(9000)}), names)
	if want := []string{"nic-twice host_nics[eth0]"}; !slices.Equal(places(ps), want) {
		t.Errorf("got %v, want %v", ps, want)
	}
}

// One bond both modified and removed is refused, by whatever name or id.
func TestScenario_X10(t *testing.T) {
	names := func(s string) string {
		if s == "id-of-bond4" {
			return "bond4"
		}
		return s
	}
	base := host(aBond("bond4"))
	for _, e := range []HostNic{aNic("bond4", mtu(9000)), {ID: "id-of-bond4", MTU: pointer(9000)}} {
		for _, removed := range []string{"bond4", "id-of-bond4"} {
			doc := edits(e)
			doc.Removed = []string{removed}
			_, ps := Merge(base, doc, names)
			if want := []string{"removed-and-changed removed[0]"}; !slices.Equal(places(ps), want) {
				t.Errorf("%+v and %s: got %v, want %v", e, removed, ps, want)
			}
		}
	}
}

func TestMergeRemoved(t *testing.T) {
	base := host(aNic("eth9", mtu(9000)), aBond("bond4"), aVLAN("bond4.5", "bond4", 5), aVLAN("bond4.6", "bond4", 6))
	for _, test := range []struct {
		name    string
		removed []string
		left    []string
		want    []string
	}{
		{"a VLAN", []string{"bond4.5"}, []string{"eth9", "bond4", "bond4.6"}, nil},
		{"all that belongs together", []string{"bond4", "bond4.6", "bond4.5"}, []string{"eth9"}, nil},
		{"a NIC", []string{"eth9"}, []string{"eth9", "bond4", "bond4.5", "bond4.6"}, []string{"nic-delete removed[0]"}},
		{"what is not there", []string{"bond3"}, []string{"eth9", "bond4", "bond4.5", "bond4.6"}, []string{"removed-unknown removed[0]"}},
	} {
		got, ps := Merge(base, Document{Removed: test.removed}, identity)
		var left []string
		for _, n := range got.HostNics {
			left = append(left, n.Name)
		}
		if !slices.Equal(left, test.left) || !slices.Equal(places(ps), test.want) {
			t.Errorf("%s: got %v, %v", test.name, left, ps)
		}
		for _, p := range ps {
			checkSentence(t, p)
		}
	}
}

// Example 12.9 of the oVirt manual: the slaves are given by id, and so may be
// everything else that is referred to.
func TestMergeReferencesByID(t *testing.T) {
	ids := map[string]string{"eb14e154-5e73-4f7f-bf6b-7f52609d94ec": "eth0", "6aede5ca-4c54-4b37-a81b-c0d6b53558ea": "eth1", "c0ffee00-0000-5000-8000-000000000000": "bond4"}
	names := func(ref string) string {
		if name, ok := ids[ref]; ok {
			return name
		}
		return ref
	}
	bond := aNic("bond4", slaves("eb14e154-5e73-4f7f-bf6b-7f52609d94ec", "6aede5ca-4c54-4b37-a81b-c0d6b53558ea"), opts("mode=1 primary=6aede5ca-4c54-4b37-a81b-c0d6b53558ea"))
	bond.Network = &Reference{ID: "e657d631-657d-42bb-a536-73501a085d85"}
	doc := edits(bond, aVLAN("", "c0ffee00-0000-5000-8000-000000000000", 5), HostNic{ID: "eb14e154-5e73-4f7f-bf6b-7f52609d94ec"})
	doc.Routes = &[]Route{{Destination: "10.0.0.0/8", NIC: "c0ffee00-0000-5000-8000-000000000000"}}
	want := host(aNic("bond4", slaves("eth0", "eth1"), opts("mode=1 primary=eth1")), aVLAN("bond4.5", "bond4", 5), aNic("eth0"))
	want.HostNics[0].Network = bond.Network
	want.Routes = []Route{{Destination: "10.0.0.0/8", NIC: "bond4"}}
	got := merged(t, Config{}, doc, names)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if problems, _ := got.Validate(Limits{}); problems != nil {
		t.Errorf("got %v", problems)
	}
}

func TestMergeNames(t *testing.T) {
	names := func(ref string) string { return strings.TrimPrefix(ref, "id-of-") }
	for _, test := range []struct {
		name string
		nic  HostNic
		got  string
		want []string
	}{
		{"by name", aNic("eth0"), "eth0", nil},
		{"by id", HostNic{ID: "id-of-eth0"}, "eth0", nil},
		{"by both", HostNic{ID: "id-of-eth0", Name: "eth0"}, "eth0", nil},
		{"by an id of another", HostNic{ID: "id-of-eth1", Name: "eth0"}, "", []string{"nic-id host_nics[eth0].id"}},
		{"by an unknown id", HostNic{ID: "nobody"}, "", []string{"nic-id host_nics[0].id"}},
		{"by an unknown id and name", HostNic{ID: "nobody", Name: "eth0"}, "eth0", nil},
		{"by nothing", HostNic{MTU: pointer(9000)}, "", []string{"nic-name host_nics[0].name"}},
		{"VLAN", aVLAN("", "id-of-eth0", 5), "eth0.5", nil},
		{"VLAN with a name", aVLAN("red", "id-of-eth0", 5), "red", nil},
		{"VLAN without base", aVLAN("", "", 5), "", []string{"nic-name host_nics[0].name"}},
		{"VLAN without id", HostNic{BaseInterface: "eth0", VLAN: &VLAN{}}, "", []string{"nic-name host_nics[0].name"}},
	} {
		c, ps := Merge(Config{}, edits(test.nic), names)
		got := ""
		if len(c.HostNics) > 0 {
			got = c.HostNics[0].Name
		}
		if got != test.got || !slices.Equal(places(ps), test.want) {
			t.Errorf("%s: got %q, %v", test.name, got, ps)
		}
		for _, p := range ps {
			checkSentence(t, p)
		}
	}
}

// X16: an id that is none is not found, and says so.
func TestScenario_X16(t *testing.T) {
	_, ps := Merge(Config{}, edits(HostNic{ID: "../../etc"}), identity)
	if len(ps) != 1 || ps[0].Kind != NotFound || ps[0].Found != "../../etc" {
		t.Errorf("got %v", ps)
	}
}

// canonical is what Merge makes of anything.
func canonical(c Config) Config {
	out, _ := Merge(Config{}, DocumentOf(c), identity)
	return out
}

// drawConfig is a configuration whose NICs have names; most meet those of another
// drawing.
func drawConfig(rt *rapid.T, label string) Config {
	c := arbitrary[Config]().Draw(rt, label)
	names := rapid.Permutation([]string{"eth0", "eth1", "eth2", "bond0", "bond1", "eth0.5", "bond0.5", "red"}).Draw(rt, label+" names")
	c.HostNics = c.HostNics[:min(len(c.HostNics), len(names))]
	for i := range c.HostNics {
		c.HostNics[i].Name, c.HostNics[i].ID = names[i], ""
	}
	return c
}

func TestMergeOfItsOwnDocument(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := canonical(drawConfig(rt, "config"))
		for name, base := range map[string]Config{"itself": c, "nothing": {}} {
			got, ps := Merge(base, DocumentOf(c), identity)
			if diff := cmp.Diff(c, got); ps != nil || diff != "" {
				rt.Fatalf("into %s: %v (-want +got):\n%s", name, ps, diff)
			}
		}
	})
}

// A document that was merged has nothing more to say. One field is not both set
// and unset here: no text can say that.
func TestMergeIsIdempotent(t *testing.T) {
	paths := append(nicFields(), "bonding.options.mode", "bonding.options.miimon", "ip.nonsense", "nonsense")
	rapid.Check(t, func(rt *rapid.T) {
		base := canonical(drawConfig(rt, "base"))
		doc := DocumentOf(drawConfig(rt, "document"))
		for i := range doc.Nics {
			if rapid.Bool().Draw(rt, "only nulls") {
				doc.Nics[i] = NicEdit{HostNic: aNic(doc.Nics[i].Name), Unset: rapid.SliceOfN(rapid.SampledFrom(paths), 0, 3).Draw(rt, "unset")}
			}
		}
		doc.Removed = rapid.SliceOfN(rapid.SampledFrom(words), 0, 2).Draw(rt, "removed")
		before := base.Clone()
		once, _ := Merge(base, doc, identity)
		if diff := cmp.Diff(before, base); diff != "" {
			rt.Fatalf("the base is changed:\n%s", diff)
		}
		twice, _ := Merge(once, doc, identity)
		if diff := cmp.Diff(once, twice); diff != "" {
			rt.Fatalf("the second time changes (-once +twice):\n%s", diff)
		}
	})
}

// Merging is linear in what a document can hold much of.
func TestMergeIsFast(t *testing.T) {
	base := benchmarkConfig(4000)
	doc := DocumentOf(base)
	gone := Document{}
	options := Document{Nics: []NicEdit{{HostNic: aNic("bond0", slaves("eth00"))}}}
	for i, n := range base.HostNics {
		if n.Kind() == KindVLAN {
			gone.Removed = append(gone.Removed, n.Name)
		}
		for range 5 {
			options.Nics[0].Bonding.Options = append(options.Nics[0].Bonding.Options, BondOption{Name: fmt.Sprint("x", i%1000)})
		}
	}
	for name, d := range map[string]Document{"itself": doc, "removals": gone, "options": options} {
		start := time.Now()
		_, _ = Merge(base, d, identity)
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func BenchmarkMerge4000(b *testing.B) {
	c := benchmarkConfig(4000)
	doc := DocumentOf(c)
	for b.Loop() {
		_, _ = Merge(c, doc, identity)
	}
}
