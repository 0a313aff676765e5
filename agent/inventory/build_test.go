package inventory_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// An active slave is reported in mode 1, and none in mode 4.
func TestScenario_B14(t *testing.T) {
	before := build(nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0)), bond(9, "bond0", "active-backup", active(3)))
	if n := find(t, before, "bond0"); n.ActiveSlave != "e1" {
		t.Errorf("active slave %q, want e1", n.ActiveSlave)
	}
	after := build(nic(2, "e0", slave(9, 1)), nic(3, "e1", slave(9, 1)), bond(9, "bond0", "802.3ad", aggregator(1, "aa:bb:cc:00:00:01")))
	n := find(t, after, "bond0")
	if _, told := n.Absent["active_slave"]; n.ActiveSlave != "" || told {
		t.Errorf("mode 4 reports an active slave %q", n.ActiveSlave)
	}
	idle := find(t, build(nic(2, "e0", unplugged, slave(9, 0)), bond(9, "bond0", "active-backup", unplugged)), "bond0")
	wantAbsent(t, idle, "active_slave", "no slave is active")
}

// In mode 0 there are no LACP figures at all.
func TestScenario_B25(t *testing.T) {
	nics := build(nic(2, "e0", slave(9, 0)), bond(9, "bond0", "balance-rr"))
	for _, name := range []string{"e0", "bond0"} {
		n := find(t, nics, name)
		if n.Aggregator != nil || n.PartnerMAC != "" {
			t.Errorf("%s: aggregator %v, partner %q", name, n.Aggregator, n.PartnerMAC)
		}
		for _, field := range []string{"ad_aggregator_id", "ad_partner_mac"} {
			if reason, told := n.Absent[field]; told {
				t.Errorf("%s: explains the lack of %s: %s", name, field, reason)
			}
		}
	}
}

func TestLACP(t *testing.T) {
	answered := build(nic(2, "e0", slave(9, 3)), bond(9, "bond0", "802.3ad", aggregator(3, "aa:bb:cc:00:00:01")))
	n := find(t, answered, "bond0")
	if n.Aggregator == nil || *n.Aggregator != 3 || n.PartnerMAC != "aa:bb:cc:00:00:01" {
		t.Errorf("aggregator %v, partner %q", n.Aggregator, n.PartnerMAC)
	}
	if s := find(t, answered, "e0"); s.Aggregator == nil || *s.Aggregator != 3 || s.Master != "bond0" {
		t.Errorf("slave: aggregator %v, master %q", s.Aggregator, s.Master)
	}
	alone := find(t, build(nic(2, "e0", slave(9, 1)), bond(9, "bond0", "802.3ad", aggregator(1, "00:00:00:00:00:00"))), "bond0")
	if alone.PartnerMAC != "" {
		t.Errorf("partner %q, want none", alone.PartnerMAC)
	}
	wantAbsent(t, alone, "ad_partner_mac", "nobody answers LACP")
	wantAbsent(t, find(t, build(bond(9, "bond0", "802.3ad")), "bond0"), "ad_aggregator_id", "no aggregator")
}

func TestAbsentOfHardwareAndVirtualLinks(t *testing.T) {
	nics := build(nic(2, "e0", func(l *state.Link) { l.Firmware, l.Autoneg = "1.67", new(true) }), nic(3, "e1", func(l *state.Link) { l.PermMAC, l.BusPath, l.Driver = "", "", "" }), nic(4, "br0", virtual("bridge")),
		nic(5, "tun0", virtual("tun"), func(l *state.Link) { l.MAC = "" }))
	if n := find(t, nics, "e0"); len(n.Absent) != 0 {
		t.Errorf("e0 lacks %v", n.Absent)
	}
	for _, field := range []string{"permanent_mac", "bus_path", "driver", "firmware", "autonegotiation"} {
		if find(t, nics, "e1").Absent[field] == "" {
			t.Errorf("no reason for the lack of %s", field)
		}
	}
	wantAbsent(t, find(t, nics, "br0"), "permanent_mac", "virtual")
	wantAbsent(t, find(t, nics, "tun0"), "mac", "no hardware address")
	if _, told := find(t, nics, "br0").Absent["bus_path"]; told {
		t.Error("a bridge explains that it has no bus address")
	}
}

func TestOrderAndKinds(t *testing.T) {
	lo := state.Link{Index: 1, Name: "lo", Type: 772, AdminUp: true, Carrier: true}
	config := netcfg.Config{HostNics: []netcfg.HostNic{{Name: "eth9"}, {Name: "e0"}, {Name: "bond1", Bonding: &netcfg.Bonding{Slaves: []string{"eth8"}}}}}
	k := managed(config, plan.Link{Name: "e0", KernelName: "e0", Index: 2})
	k.Waiting = []plan.Waiting{{Nic: "eth9", Reason: "there is no NIC eth9 on this host"}, {Nic: "eth8", Reason: "there is no NIC eth8 on this host"}}
	var got []string
	for _, n := range inventory.Build(snapshot(lo, nic(2, "e0"), vlan(3, "e0.5", 2, 5), nic(4, "tap0", virtual("tun"))), k) {
		got = append(got, n.Name+" "+n.Kind+" "+n.Owner)
	}
	want := []string{"e0 nic hostnic", "e0.5 vlan ", "tap0 tun ", "bond1 bond hostnic", "eth8 nic hostnic", "eth9 nic hostnic"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A configured NIC that is not there shows what the configuration says, and why
// nothing is known of it.
func TestMissing(t *testing.T) {
	mtu := 9000
	k := managed(netcfg.Config{HostNics: []netcfg.HostNic{{Name: "eth0", MTU: &mtu, MAC: &netcfg.MAC{Address: "52:54:00:00:00:0a"}, IP: &netcfg.IP{Address: "192.0.2.1", Netmask: "255.255.255.0"}}}})
	k.Waiting = []plan.Waiting{{Nic: "eth0", Reason: "there is no NIC eth0 on this host"}}
	k.Memory.Identity = map[string]plan.Identity{"eth0": {PermMAC: "52:54:00:00:00:01", BusPath: "0000:03:00.0"}}
	k.ID = func(l *state.Link) string { return "id of " + l.PermMAC + l.Kind }
	nics := inventory.Build(snapshot(), k)
	if len(nics) != 1 {
		t.Fatalf("%d NICs, want 1", len(nics))
	}
	n := nics[0]
	if n.Present || n.OperState != "notpresent" || n.Waiting == "" || n.ID != "id of 52:54:00:00:00:01" {
		t.Errorf("present %v, %s, waiting %q, id %q", n.Present, n.OperState, n.Waiting, n.ID)
	}
	if n.MTU != 9000 || n.MAC != "52:54:00:00:00:0a" || n.IP == nil || n.BootProtocol != netcfg.BootStatic {
		t.Errorf("mtu %d, mac %q, ip %v, boot protocol %q", n.MTU, n.MAC, n.IP, n.BootProtocol)
	}
	for _, field := range []string{"index", "speed", "duplex", "carrier", "permanent_mac"} {
		wantAbsent(t, n, field, "not on this host")
	}
}

// The configuration follows the hardware: what is said of eth0 shows at the link
// that has its hardware now.
func TestRenamedHardware(t *testing.T) {
	k := managed(netcfg.Config{HostNics: []netcfg.HostNic{{Name: "eth0", Network: &netcfg.Reference{Name: "red"}}}}, plan.Link{Name: "eth0", KernelName: "ens3", Index: 2})
	k.Drift = []plan.Drift{{Field: "host_nics[eth0].mtu", Wanted: "9000", Actual: "1500"}, {Field: "networks", Wanted: "x", Actual: "y"}}
	k.Memory.Owned.Addresses = map[string][]netip.Prefix{"eth0": {netip.MustParsePrefix("192.0.2.1/24")}}
	s := snapshot(nic(2, "ens3"))
	s.Addresses = []state.Address{address(2, "192.0.2.1/24", 0)}
	nics := inventory.Build(s, k)
	if len(nics) != 1 {
		t.Fatalf("%d NICs, want 1", len(nics))
	}
	n := nics[0]
	if n.Name != "ens3" || n.Network == nil || len(n.Drift) != 1 || n.Owner != inventory.OwnerAgent || n.Addresses[0].Owner != inventory.OwnerAgent {
		t.Errorf("%+v", n)
	}
}

func TestAddresses(t *testing.T) {
	bits := 64
	wish := netcfg.HostNic{Name: "e0", IP: &netcfg.IP{Address: "192.0.2.9", Netmask: "255.255.255.0", Gateway: "192.0.2.254"},
		IPv6: &netcfg.IPv6{Address: "2001:db8::9", Prefix: &bits}, AdditionalIPs: []string{"198.51.100.1/24", "198.51.100.99/24"}}
	k := managed(netcfg.Config{HostNics: []netcfg.HostNic{wish}}, plan.Link{Name: "e0", Index: 2})
	k.Memory.Owned.Addresses = map[string][]netip.Prefix{"e0": {netip.MustParsePrefix("192.0.2.9/24"), netip.MustParsePrefix("198.51.100.1/24")}}
	s := snapshot(nic(2, "e0"), nic(3, "e1"))
	s.Addresses = []state.Address{
		address(2, "203.0.113.5/24", 0), address(2, "192.0.2.9/24", 0), address(2, "198.51.100.1/24", state.FlagSecondary),
		address(2, "2001:db8::7/64", state.FlagTentative), address(2, "2001:db8::8/64", state.FlagDADFailed|state.FlagTentative),
		address(2, "2001:db8::6/64", 0x20), address(2, "fe80::1/64", 0),
		address(3, "10.0.0.1/8", 0), address(3, "fe80::2/64", 0),
	}
	ra := address(3, "2001:db8:1::2/64", 0)
	ra.Proto = 2
	s.Addresses = append(s.Addresses, ra)
	route := func(link int, gateway string, metric uint32) state.Route {
		return state.Route{Table: state.MainTable, Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), Link: link, Metric: metric}
	}
	s.Routes = []state.Route{route(2, "192.0.2.1", 10), route(2, "192.0.2.254", 20), route(3, "10.0.0.3", 20), route(3, "10.0.0.2", 10)}
	nics := inventory.Build(s, k)
	e0, e1 := find(t, nics, "e0"), find(t, nics, "e1")
	want := []inventory.Address{
		{"203.0.113.5/24", "foreign", "", ""}, {"192.0.2.9/24", "hostnic", "", "static"}, {"198.51.100.1/24", "hostnic", "secondary", "static"},
		{"2001:db8::7/64", "foreign", "tentative", ""}, {"2001:db8::8/64", "foreign", "dad-failed", ""},
		{"2001:db8::6/64", "foreign", "deprecated", ""}, {"fe80::1/64", "kernel", "", ""},
	}
	if diff := cmp.Diff(want, e0.Addresses); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	// Of several addresses and gateways the configured ones are shown.
	if diff := cmp.Diff(&netcfg.IP{Address: "192.0.2.9", Netmask: "255.255.255.0", Gateway: "192.0.2.254"}, e0.IP); diff != "" {
		t.Errorf("ip (-want +got):\n%s", diff)
	}
	// The configured one is not on the link.
	if e0.IPv6 == nil || e0.IPv6.Address != "2001:db8::7" {
		t.Errorf("ipv6 %v, want the first that is there", e0.IPv6)
	}
	if diff := cmp.Diff([]string{"198.51.100.1/24"}, e0.AdditionalIPs); diff != "" {
		t.Errorf("additional_ips (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&netcfg.IP{Address: "10.0.0.1", Netmask: "255.0.0.0", Gateway: "10.0.0.2"}, e1.IP); diff != "" {
		t.Errorf("ip of a foreign NIC (-want +got):\n%s", diff)
	}
	if o := e1.Addresses[2].Owner; o != inventory.OwnerKernel {
		t.Errorf("an address from an advertisement belongs to %s", o)
	}
	if e0.BootProtocol != netcfg.BootStatic || e1.BootProtocol != "" {
		t.Errorf("boot protocols %q and %q", e0.BootProtocol, e1.BootProtocol)
	}
}

// Clients compare options and slaves with what they gave.
func TestBondingAsGiven(t *testing.T) {
	given := &netcfg.Bonding{Slaves: []string{"e1", "e0", "e9"}, Options: []netcfg.BondOption{
		{Name: "mode", Value: "1", Type: "Active-Backup"}, {Name: "updelay", Value: "250"}, {Name: "resend_igmp", Value: "3"}, {Name: "mystery", Value: "x"}}}
	k := managed(netcfg.Config{HostNics: []netcfg.HostNic{{Name: "bond0", Bonding: given}}},
		plan.Link{Name: "bond0", Index: 9}, plan.Link{Name: "e0", Index: 2}, plan.Link{Name: "e1", Index: 3})
	links := []state.Link{nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0)), nic(4, "e4", slave(9, 0)), bond(9, "bond0", "active-backup", active(2))}
	links[3].Bond.Options = map[string]string{"mode": "active-backup", "miimon": "100", "updelay": "200", "resend_igmp": "7", "use_carrier": "off"}
	n := find(t, inventory.Build(snapshot(links...), k), "bond0")
	want := &netcfg.Bonding{Slaves: []string{"e1", "e0", "e4"}, Options: []netcfg.BondOption{
		{Name: "mode", Value: "1", Type: "Active-Backup"}, // as given
		{Name: "updelay", Value: "250"},                   // the kernel rounds it
		{Name: "resend_igmp", Value: "7"},                 // as it is
		{Name: "mystery", Value: "x"},
	}}
	if diff := cmp.Diff(want, n.Bonding); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	foreign := find(t, build(links...), "bond0")
	want = &netcfg.Bonding{Slaves: []string{"e0", "e1", "e4"}, Options: []netcfg.BondOption{
		{Name: "mode", Value: "active-backup"}, {Name: "miimon", Value: "100"}, {Name: "updelay", Value: "200"},
		{Name: "use_carrier", Value: "off"}, {Name: "resend_igmp", Value: "7"}}}
	if diff := cmp.Diff(want, foreign.Bonding); diff != "" {
		t.Errorf("somebody else's bond (-want +got):\n%s", diff)
	}
}

// Somebody else may have given a link any name; what is told of it can be printed.
func TestHostileNames(t *testing.T) {
	nics := build(nic(2, "a\x1b[2J\xff", noSpeed, slave(9, 0)), bond(9, "b\n", "active-backup", active(2)), vlan(10, "v", 9, 5))
	for _, n := range nics {
		for _, text := range []string{n.Name, n.Master, n.Base, n.ActiveSlave, n.Absent["speed"]} {
			if netcfg.Printable(text) != text {
				t.Errorf("%q is not printable", text)
			}
		}
	}
	if b := inventory.Find(nics, `b\n`); b == nil || b.Bonding.Slaves[0] != `a\x1b[2J\xff` {
		t.Errorf("bond: %+v", b)
	}
}

func TestFind(t *testing.T) {
	nics := []*inventory.Nic{{Name: "e0", ID: "1"}, {Name: "e1", ID: "2"}}
	if n := inventory.Find(nics, "2"); n != nics[1] {
		t.Errorf("by id: %v", n)
	}
	if n := inventory.Find(nics, "e0"); n != nics[0] {
		t.Errorf("by name: %v", n)
	}
	if n := inventory.Find(nics, "e2"); n != nil {
		t.Errorf("found %v", n)
	}
}

// What only hardware and slaves have is told where it is known, and explained where it
// is not.
func TestHardwareAndSlaves(t *testing.T) {
	actor, partner := 0x3d, 0x02
	port := nic(2, "eth0", slave(4, 1), func(l *state.Link) {
		l.Firmware, l.Autoneg = "3.25 0x1", new(true)
		l.Slave.LinkFailures, l.Slave.ActorPortState, l.Slave.PartnerPortState = 3, &actor, &partner
	})
	nics := build(port, nic(3, "eth1"), bond(4, "bond0", netcfg.Mode8023AD, aggregator(1, "52:54:00:00:00:99")))
	got := find(t, nics, "eth0")
	if got.Firmware != "3.25 0x1" || got.Autoneg == nil || !*got.Autoneg {
		t.Errorf("hardware: %+v", got)
	}
	want := &inventory.Slave{State: "active", MIIStatus: "up", Failures: 3,
		Actor: []string{"active", "aggregatable", "synchronized", "collecting", "distributing"}, Partner: []string{"short-timeout"}}
	if d := cmp.Diff(want, got.Slave); d != "" {
		t.Error(d)
	}
	lone := find(t, nics, "eth1")
	if lone.Slave != nil {
		t.Errorf("no slave: %+v", lone.Slave)
	}
	wantAbsent(t, lone, "firmware", "driver does not tell")
	wantAbsent(t, lone, "autonegotiation", "driver does not tell")
	above := find(t, nics, "bond0")
	if above.Ports == nil || *above.Ports != 2 {
		t.Errorf("ports: %v", above.Ports)
	}
	wantAbsent(t, above, "autonegotiation", "virtual")
}
