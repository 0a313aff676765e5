//go:build kernel

package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// TestBornComplete makes a bond, VLANs on it and their addresses in one Apply: the
// indexes are chosen, so that what comes later can name what came before.
func TestBornComplete(t *testing.T) {
	need.Kernel(t, need.Bond, need.VLAN, need.Dummy, need.IPv6)
	ns := netns.New(t)
	ns.Dummy(t, "eth0")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0")
	bond := addBond(1<<20, "bond0", "active-backup", plan.Option{Name: "miimon", Value: "100"})
	bond.MTU, bond.MAC, bond.Group, bond.Up = 9000, "02:00:00:00:00:01", plan.OwnerGroup, new(true)
	vlan := addVLAN(1<<20+1, 1<<20, 4094, "bond0.4094", true)
	vlan.MTU, vlan.Group, vlan.MAC = 1400, plan.OwnerGroup, "02:00:00:00:00:02"
	before := k.Writes()
	apply(t, k, bond, setMaster(eth0, 1<<20), vlan,
		addAddress(1<<20+1, "bond0.4094", "192.0.2.1/24"), addAddress(1<<20+1, "bond0.4094", "2001:db8::1/64"))
	if n := k.Writes() - before; n != 5 {
		t.Errorf("%d writes for 5 operations", n)
	}
	s := snapshot(t, k)
	b, v, e := s.Link(1<<20), s.Link(1<<20+1), s.ByName("eth0")
	if b == nil || v == nil {
		t.Fatalf("links: %+v", s.Links)
	}
	// What is of no interest here, or the kernel's own business.
	b.Bond, b.CarrierUps, b.CarrierDowns, v.CarrierUps, v.CarrierDowns = nil, 0, 0, 0, 0
	b.OperState, b.Carrier, v.OperState, v.Carrier = "", false, "", false
	want := []state.Link{
		{Index: 1 << 20, Name: "bond0", Kind: "bond", Type: 1, MAC: "02:00:00:00:00:01", MTU: 9000, MinMTU: 68, MaxMTU: 65535,
			AdminUp: true, Discovery: state.UsualDiscovery(), Group: plan.OwnerGroup},
		{Index: 1<<20 + 1, Name: "bond0.4094", Kind: "vlan", Type: 1, MAC: "02:00:00:00:00:02", MTU: 1400, MaxMTU: 65535,
			AdminUp: true, Discovery: state.UsualDiscovery(), Group: plan.OwnerGroup, Parent: 1 << 20, VLANID: 4094},
	}
	if diff := cmp.Diff(want, []state.Link{*b, *v}); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if e.Master != 1<<20 || e.MTU != 9000 || !e.AdminUp || e.Slave == nil || e.Slave.PermMAC != eth0.MAC || e.MAC != b.MAC {
		t.Errorf("slave: %+v %+v", e, e.Slave)
	}
	var got []string
	for _, a := range s.AddressesOf(v.Index) {
		if !a.LinkLocal() {
			got = append(got, a.Prefix.String())
		}
	}
	if !slices.Equal(got, []string{"192.0.2.1/24", "2001:db8::1/64"}) {
		t.Errorf("addresses %v", got)
	}
}

func TestThousandVLANs(t *testing.T) {
	need.Kernel(t, need.Bond, need.VLAN)
	const n, base = 1000, 1 << 20
	k := open(t, netns.New(t), Options{})
	bond := addBond(base, "bond0", "active-backup", plan.Option{Name: "miimon", Value: "100"})
	bond.Up, bond.Group = new(true), plan.OwnerGroup
	ops := []plan.Op{bond}
	var names []string
	for i := 1; i <= n; i++ {
		name := fmt.Sprint("bond0.", i)
		vlan := addVLAN(base+i, base, i, name, true)
		vlan.Group = plan.DoomedGroup
		ops = append(ops, vlan, addAddress(base+i, name, fmt.Sprintf("10.%d.%d.1/24", i/250, i%250)))
		names = append(names, name)
	}
	start := time.Now()
	apply(t, k, ops...)
	t.Logf("%d VLANs with an address each: %v", n, time.Since(start))

	start = time.Now()
	s := snapshot(t, k)
	t.Logf("a look at it: %v", time.Since(start))
	vlans, addresses := 0, 0
	for _, l := range s.Links {
		if l.Kind == "vlan" && l.AdminUp && l.VLANID == l.Index-base && l.Parent == base {
			vlans++
		}
	}
	for _, a := range s.Addresses {
		if a.Prefix.Addr().Is4() && a.Link > base {
			addresses++
		}
	}
	if vlans != n || addresses != n {
		t.Fatalf("%d VLANs, %d addresses", vlans, addresses)
	}

	start = time.Now()
	apply(t, k, plan.Op{Action: plan.GroupDel, Group: plan.DoomedGroup, Names: names})
	t.Logf("teardown by group: %v", time.Since(start))
	if s := snapshot(t, k); len(s.Links) != 2 {
		t.Errorf("%d links left", len(s.Links))
	}
}

func TestEnslaveAndRelease(t *testing.T) {
	need.Kernel(t, need.Bond, need.Veth)
	ns, far := netns.New(t), netns.New(t)
	ns.Veth(t, "eth0", far, "eth0")
	ns.Veth(t, "eth1", far, "eth1")
	far.Up(t, "eth0", "eth1")
	k := open(t, ns, Options{})
	eth0, eth1 := link(t, k, "eth0"), link(t, k, "eth1")
	bond := addBond(100, "bond0", "active-backup", plan.Option{Name: "miimon", Value: "50"})
	bond.Up = new(true)
	apply(t, k, bond, setMaster(eth0, 100), setMaster(eth1, 100))
	eventually(t, "an active slave with two up", func() bool {
		s := snapshot(t, k)
		b := s.ByName("bond0")
		return b.Bond.ActiveSlave == eth0.Index && s.ByName("eth1").Slave.MIIStatus == "up" && b.OperState == "up"
	})
	s := snapshot(t, k)
	b := s.ByName("bond0")
	if !b.Carrier || b.CarrierUps == 0 || !slices.Equal(s.SlavesOf(100), []int{eth0.Index, eth1.Index}) {
		t.Errorf("bond: %+v", b)
	}
	want := &state.Slave{State: "backup", MIIStatus: "up", PermMAC: eth1.MAC}
	if diff := cmp.Diff(want, s.ByName("eth1").Slave); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	apply(t, k, setMaster(eth0, 0), setUp(eth0, true))
	s = snapshot(t, k)
	if l := s.ByName("eth0"); l.Master != 0 || l.Slave != nil || l.MAC != eth0.MAC || !l.AdminUp {
		t.Errorf("released: %+v", l)
	}
	if b := s.ByName("bond0"); b.Bond.ActiveSlave != eth1.Index {
		t.Errorf("active slave %d", b.Bond.ActiveSlave)
	}
}

func TestLACPIsTold(t *testing.T) {
	need.Kernel(t, need.Bond, need.Veth, need.LACP)
	ns, far := netns.New(t), netns.New(t)
	for i := range 2 {
		name := fmt.Sprint("eth", i)
		ns.Veth(t, name, far, name)
	}
	a, b := open(t, ns, Options{}), open(t, far, Options{})
	for _, k := range []*Kernel{a, b} {
		bond := addBond(100, "bond0", "802.3ad", plan.Option{Name: "lacp_rate", Value: "fast"})
		bond.Up = new(true)
		apply(t, k, bond, setMaster(link(t, k, "eth0"), 100), setMaster(link(t, k, "eth1"), 100))
	}
	other := link(t, b, "bond0").MAC
	eventually(t, "the far bond as partner on two ports", func() bool {
		ad := link(t, a, "bond0").Bond.AD
		return ad != nil && ad.NumPorts == 2 && ad.PartnerMAC == other
	})
	s := link(t, a, "eth0").Slave
	if s.AggregatorID == nil || *s.AggregatorID != link(t, a, "bond0").Bond.AD.ID || s.ActorPortState == nil || s.PartnerPortState == nil {
		t.Errorf("slave: %+v", s)
	}
}

func TestLinkSet(t *testing.T) {
	need.Kernel(t, need.Dummy, need.IPv6)
	ns := netns.New(t)
	ns.Dummy(t, "eth0")
	k := open(t, ns, Options{})
	l := link(t, k, "eth0")
	if l.AddrGenModeNone || l.AdminUp || l.OperState != "down" {
		t.Fatalf("new: %+v", l)
	}
	apply(t, k, plan.Op{Action: plan.LinkSet, Index: l.Index, Name: "a name that does not matter", MTU: 2000,
		MAC: "02:00:00:00:00:09", Group: 7, AddrGenModeNone: new(true)})
	apply(t, k, setUp(l, true))
	s := snapshot(t, k)
	got := s.ByName("eth0")
	if got == nil || got.MTU != 2000 || got.MAC != "02:00:00:00:00:09" || got.Group != 7 || !got.AddrGenModeNone || !got.AdminUp {
		t.Fatalf("set: %+v", got)
	}
	if a := s.AddressesOf(l.Index); len(a) != 0 {
		t.Errorf("the kernel made %v", a)
	}
	apply(t, k, setUp(l, false), plan.Op{Action: plan.LinkSet, Index: l.Index, Name: "eth0", AddrGenModeNone: new(false)}, setUp(l, true))
	s = snapshot(t, k)
	if a := s.AddressesOf(l.Index); len(a) != 1 || !a[0].LinkLocal() {
		t.Errorf("link-local again: %v", a)
	}
}

// TestLinkAlone compares the look at one link with the look at all.
func TestLinkAlone(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	ns.Up(t, "eth0", "eth1")
	k := open(t, ns, Options{})
	apply(t, k, addAddress(link(t, k, "eth0").Index, "eth0", "192.0.2.1/24"), addAddress(link(t, k, "eth1").Index, "eth1", "192.0.2.2/24"))
	eventually(t, "addresses that are not tentative", func() bool {
		s := snapshot(t, k)
		return !slices.ContainsFunc(s.Addresses, func(a state.Address) bool { return a.Flags&state.FlagTentative != 0 })
	})
	s, err := k.SnapshotWith(t.Context(), What{Speeds: true, Drivers: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range s.Links {
		l, addresses, err := k.Link(t.Context(), want.Index, What{Speeds: true, Drivers: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, *l); diff != "" {
			t.Errorf("%s: -all +one\n%s", want.Name, diff)
		}
		if diff := cmp.Diff(s.AddressesOf(want.Index), addresses, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: -all +one\n%s", want.Name, diff)
		}
	}
	if l, _, err := k.Link(t.Context(), 9999, What{Speeds: true}); l != nil || err != nil {
		t.Errorf("no such link: %+v, %v", l, err)
	}
}

// TestVethHasNoParent looks at both ends in one namespace and at one whose other end
// is elsewhere.
func TestVethHasNoParent(t *testing.T) {
	need.Kernel(t, need.Veth, need.VLAN)
	ns, far := netns.New(t), netns.New(t)
	ns.Veth(t, "a", ns, "b")
	ns.Veth(t, "c", far, "d")
	k := open(t, ns, Options{})
	a := link(t, k, "a")
	apply(t, k, addVLAN(100, a.Index, 5, "v5", false))
	// The VLAN moves out and leaves its parent behind.
	ns.IP(t, "link", "set", "v5", "netns", far.Path())
	for _, l := range append(snapshot(t, k).Links, snapshot(t, open(t, far, Options{})).Links...) {
		if l.Parent != 0 {
			t.Errorf("%s has parent %d", l.Name, l.Parent)
		}
	}
}

func TestSpeeds(t *testing.T) {
	need.Kernel(t, need.Veth, need.Dummy)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	ns.Dummy(t, "dummy0")
	ns.Up(t, "eth0", "eth1")
	k := open(t, ns, Options{})
	look := func() state.Snapshot {
		s, err := k.SnapshotWith(t.Context(), What{Speeds: true, Counters: true, Drivers: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	check := func(s state.Snapshot) {
		t.Helper()
		if l := s.ByName("eth0"); l.Speed == nil || *l.Speed != 10_000_000_000 || l.Duplex != "full" {
			t.Errorf("veth: %v %s", l.Speed, l.Duplex)
		}
		if l := s.ByName("dummy0"); l.Speed != nil || l.Duplex != "" {
			t.Errorf("dummy: %v %s", l.Speed, l.Duplex)
		}
		if l := s.ByName("eth0"); l.Counters == nil {
			t.Error("no counters")
		}
	}
	check(look())
	k.family.Store(-1) // as on a kernel without ethtool in netlink
	check(look())
	if s := snapshot(t, k); s.ByName("eth0").Speed != nil || s.ByName("eth0").Counters != nil {
		t.Error("speed or counters that nobody asked for")
	}
}

func TestCounters(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	k := open(t, ns, Options{})
	var err error
	ns.Do(func() {
		// A datagram of 100 bytes over lo, with 20 + 8 of headers and 14 of Ethernet.
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err == nil {
			defer unix.Close(fd)
			err = unix.Sendto(fd, make([]byte, 100), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.SnapshotWith(t.Context(), What{Counters: true})
	if err != nil {
		t.Fatal(err)
	}
	c := s.ByName("lo").Counters
	if c == nil || c.TxPackets == 0 || c.TxBytes < 128 || c.RxBytes != c.TxBytes || c.RxPackets != c.TxPackets {
		t.Errorf("%+v", c)
	}
}

// eventually waits for the condition; the only other way out is failure.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}
