package netcfg

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCanonical(t *testing.T) {
	got := canonical(Config{
		HostNics: []HostNic{
			aNic("eth0", ip4("10.0.0.1", "24"), ip6("2001:0DB8:0::1", 64), gw6("FE80:0::1"), mac("52-54-00-AB-CD-EF"), boot4("Static"), boot6("STATIC"),
				more("10.0.0.2/255.255.255.0", "2001:DB8::2/64", "2001:db8::3/255.255.0.0", "10.0.0.3/255.0.255.0")),
			aNic("eth1", ip4("", ""), gw6(""), mac(""), slaves(), more()),
			{Name: "eth2", ID: "an-id", IP: &IP{Address: "what", Netmask: "it", Gateway: "was"}, MAC: &MAC{Address: "stays"}, BootProtocol: "BOOTP"},
		},
		Networks: []Network{},
		Routes:   []Route{{Destination: "10.0.0.0/255.0.0.0", Gateway: "10.0.0.1"}, {Destination: "2001:DB8::/32", Gateway: "FE80::1"}, {Destination: "default"}},
		DNS:      &DNS{Servers: []string{"2001:0db8::0053", "x"}, Search: []string{}},
	})
	want := Config{
		HostNics: []HostNic{
			aNic("eth0", ip4("10.0.0.1", "255.255.255.0"), ip6("2001:db8::1", 64), gw6("fe80::1"), mac("52:54:00:ab:cd:ef"), boot4(BootStatic), boot6(BootStatic),
				more("10.0.0.2/24", "2001:db8::2/64", "2001:db8::3/255.255.0.0", "10.0.0.3/255.0.255.0")),
			{Name: "eth1", Bonding: &Bonding{}},
			{IP: &IP{Address: "what", Netmask: "it", Gateway: "was"}, MAC: &MAC{Address: "stays"}, BootProtocol: "bootp"},
		},
		Routes: []Route{{Destination: "10.0.0.0/8", Gateway: "10.0.0.1"}, {Destination: "2001:db8::/32", Gateway: "fe80::1"}, {Destination: "default"}},
		DNS:    &DNS{Servers: []string{"2001:db8::53", "x"}},
	}
	want.HostNics[2].Name = "eth2"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEqual(t *testing.T) {
	a := benchmarkConfig(10)
	b := a.Clone()
	if !Equal(a, b) || !Equal(Config{}, Config{Routes: []Route{}}) {
		t.Error("equal ones are not")
	}
	b.HostNics[0].Bonding.Slaves[0] = "eth9"
	if Equal(a, b) {
		t.Error("different ones are equal")
	}
}

func TestKindAndBoot(t *testing.T) {
	for _, test := range []struct {
		nic    HostNic
		kind   Kind
		v4, v6 BootProtocol
	}{
		{aNic("eth0"), KindNIC, BootNone, BootNone},
		{aBond("bond0", ip4("10.0.0.1", "24")), KindBond, BootStatic, BootNone},
		{aVLAN("v", "eth0", 5, ip6("2001:db8::1", 64), boot4(BootDHCP)), KindVLAN, BootDHCP, BootStatic},
		{aBond("bond0", func(n *HostNic) { n.VLAN = &VLAN{} }, boot6(BootAutoconf)), KindBond, BootNone, BootAutoconf},
	} {
		if n := test.nic; n.Kind() != test.kind || n.IPv4Boot() != test.v4 || n.IPv6Boot() != test.v6 {
			t.Errorf("got %s, %s, %s, want %v", n.Kind(), n.IPv4Boot(), n.IPv6Boot(), test)
		}
	}
}

func TestLookups(t *testing.T) {
	c := host(aNic("eth00"), aBond("bond0"))
	if c.Nic("bond0") != &c.HostNics[1] || c.Nic("x") != nil {
		t.Error("Nic")
	}
	if c.MasterOf("eth00") != &c.HostNics[1] || c.MasterOf("bond0") != nil {
		t.Error("MasterOf")
	}
}
