//go:build kernel

package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// Indexes in the namespace of TestRefusals.
const (
	refusalBond = 100 // active-backup, up, with the slave eth0
	otherBond   = 101 // active-backup, down, empty, miimon 0
	lacpBond    = 102 // 802.3ad, up, empty
	refusalVLAN = 103 // VLAN 5 on the first bond
	downVLAN    = 104 // VLAN 7 on the first bond, down
	nobody      = 9999
)

// TestRefusals is what this kernel says to what it does not want.
func TestRefusals(t *testing.T) {
	need.Kernel(t, need.Bond, need.VLAN, need.Dummy, need.IPv6)
	ns := netns.New(t)
	ns.Dummy(t, "eth0", "eth1")
	k := open(t, ns, Options{})
	eth0, eth1 := link(t, k, "eth0"), link(t, k, "eth1")
	up, lacp, empty := addBond(refusalBond, "bond0", "active-backup", plan.Option{Name: "miimon", Value: "100"}), addBond(lacpBond, "bond2", "802.3ad"), addBond(otherBond, "bond1", "active-backup")
	up.Up, lacp.Up = new(true), new(true)
	apply(t, k, up, empty, lacp, addVLAN(refusalVLAN, refusalBond, 5, "bond0.5", true), addVLAN(downVLAN, refusalBond, 7, "bond0.7", false),
		setMaster(eth0, refusalBond), setUp(eth1, true),
		addAddress(refusalVLAN, "bond0.5", "192.0.2.1/24"), addAddress(refusalVLAN, "bond0.5", "2001:db8::1/64"))
	apply(t, k, route(plan.RouteAdd, refusalVLAN, "198.51.100.0/24", "192.0.2.254"))
	before := snapshot(t, k)

	option := func(index int, name, value string) plan.Op {
		return setOptions(index, "bond", plan.Option{Name: name, Value: value})
	}
	renamed := func(op plan.Op, name string) plan.Op { op.Name = name; return op }
	withMTU := func(op plan.Op, mtu int) plan.Op { op.MTU = mtu; return op }
	withMAC := func(op plan.Op, mac string) plan.Op { op.MAC = mac; return op }
	set := func(index int) plan.Op { return plan.Op{Action: plan.LinkSet, Index: index, Name: "link"} }
	tests := []struct {
		name  string
		op    plan.Op
		kind  plan.ErrorKind
		errno unix.Errno
		text  string // part of the kernel's
	}{
		{"enslave a link that is up", setMaster(eth1, refusalBond), plan.Refused, unix.EPERM, "Device can not be enslaved while up"},
		{"enslave lo", setMaster(state.Link{Index: 1, Name: "lo"}, refusalBond), plan.Refused, unix.EPERM, ""},
		{"enslave a VLAN into its bond", setMaster(state.Link{Index: downVLAN, Name: "bond0.7"}, refusalBond), plan.Busy, unix.EBUSY, ""},
		{"enslave a bond into itself", setMaster(state.Link{Index: otherBond, Name: "bond1"}, otherBond), plan.Refused, unix.EPERM, ""},
		{"enslave into nothing", setMaster(eth1, nobody), plan.Refused, unix.EINVAL, ""},
		{"mode with slaves", option(refusalBond, "mode", "802.3ad"), plan.Refused, unix.ENOTEMPTY, "slaves"},
		{"the same mode with slaves", option(refusalBond, "mode", "active-backup"), plan.Refused, unix.ENOTEMPTY, "slaves"},
		{"mode of a bond that is up", option(lacpBond, "mode", "balance-rr"), plan.Refused, unix.EBUSY, "bond is up"},
		{"lacp_rate of a bond that is up", option(lacpBond, "lacp_rate", "fast"), plan.Refused, unix.EBUSY, "bond is up"},
		{"an option of another mode", option(refusalBond, "lacp_rate", "fast"), plan.Refused, unix.EACCES, "supported in mode"},
		{"a delay without miimon", option(otherBond, "updelay", "0"), plan.Refused, unix.EPERM, ""},
		{"a multicast ad_actor_system", option(lacpBond, "ad_actor_system", "01:00:5e:00:00:01"), plan.Refused, unix.EINVAL, ""},
		{"option of a link that is no bond", option(eth1.Index, "miimon", "100"), plan.Unsupported, unix.EOPNOTSUPP, ""},
		{"second VLAN of an id", addVLAN(200, refusalBond, 5, "x", false), plan.Present, unix.EEXIST, ""},
		{"VLAN 4095", addVLAN(200, refusalBond, 4095, "x", false), plan.Refused, unix.ERANGE, "Invalid VLAN id"},
		{"VLAN on nothing", addVLAN(200, nobody, 6, "x", false), plan.Absent, unix.ENODEV, ""},
		{"VLAN up on a bond that is down", addVLAN(200, otherBond, 6, "x", true), plan.Refused, unix.ENETDOWN, ""},
		{"VLAN MTU above the parent's, new", withMTU(addVLAN(200, refusalBond, 6, "x", false), 2000), plan.Refused, unix.EINVAL, ""},
		{"VLAN MTU above the parent's, later", withMTU(set(refusalVLAN), 2000), plan.Refused, unix.ERANGE, ""},
		{"MTU below the least", withMTU(set(refusalBond), 60), plan.Refused, unix.EINVAL, "mtu less than device minimum"},
		{"a multicast MAC", withMAC(set(eth1.Index), "01:00:5e:00:00:01"), plan.Refused, unix.EADDRNOTAVAIL, ""},
		{"a name that is taken", renamed(addBond(200, "", "balance-rr"), "bond0"), plan.Present, unix.EEXIST, ""},
		{"an index that is taken", addBond(refusalBond, "x", "balance-rr"), plan.Present, unix.EEXIST, ""},
		{"a name of 16 letters", addBond(200, "a123456789012345", "balance-rr"), plan.Refused, unix.ERANGE, ""},
		{"a name with a slash", addBond(200, "a/b", "balance-rr"), plan.Refused, unix.EINVAL, ""},
		{"a kind that does not exist", plan.Op{Action: plan.LinkAdd, Kind: "warp", Index: 200, Name: "x"}, plan.Unsupported, unix.EOPNOTSUPP, "Unknown device type"},
		{"set what is not there", withMTU(set(nobody), 1500), plan.Absent, unix.ENODEV, ""},
		{"bond option of what is not there", option(nobody, "miimon", "100"), plan.Absent, unix.ENODEV, ""},
		{"delete lo", plan.Op{Action: plan.LinkDel, Index: 1, Name: "lo"}, plan.Unsupported, unix.EOPNOTSUPP, ""},
		{"delete group 0", plan.Op{Action: plan.GroupDel}, plan.Refused, unix.EPERM, ""},
		{"address on nothing", addAddress(nobody, "x", "192.0.2.9/24"), plan.Absent, unix.ENODEV, ""},
		{"IPv6 address on nothing", addAddress(nobody, "x", "2001:db8::9/64"), plan.Absent, unix.ENODEV, ""},
		{"IPv6 address of another length", addAddress(refusalVLAN, "bond0.5", "2001:db8::1/48"), plan.Present, unix.EEXIST, ""},
		{"IPv6 multicast address", addAddress(refusalVLAN, "bond0.5", "ff02::1/64"), plan.Refused, unix.EADDRNOTAVAIL, ""},
		{"gateway that is not reached", route(plan.RouteAdd, refusalVLAN, "203.0.113.0/24", "203.0.113.1"), plan.Refused, unix.ENETUNREACH, "Nexthop has invalid gateway"},
		{"IPv6 gateway that is not reached", route(plan.RouteAdd, refusalVLAN, "2001:db8:1::/48", "2001:db8:2::1"), plan.Refused, unix.EHOSTUNREACH, ""},
		{"route through nothing", route(plan.RouteAdd, nobody, "203.0.113.0/24", ""), plan.Absent, unix.ENODEV, ""},
		{"route through a link that is down", route(plan.RouteAdd, otherBond, "203.0.113.0/24", ""), plan.Refused, unix.ENETDOWN, ""},
		{"route that is there", route(plan.RouteAdd, refusalVLAN, "198.51.100.0/24", "192.0.2.253"), plan.Present, unix.EEXIST, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := k.Apply(t.Context(), []plan.Op{test.op})
			var op *plan.OpError
			if !errors.As(err, &op) {
				t.Fatalf("got %v", err)
			}
			if op.Kind != test.kind || op.Errno != test.errno || !strings.Contains(op.Message, test.text) {
				t.Errorf("kind %d, errno %d, %v", op.Kind, op.Errno, err)
			}
			if !errors.Is(err, test.errno) || !strings.Contains(err.Error(), test.op.String()) {
				t.Errorf("error: %v", err)
			}
			t.Log(err)
		})
	}
	same(t, before, snapshot(t, k))
}

// TestDoneAlready is what has nothing left to do, and that is success.
func TestDoneAlready(t *testing.T) {
	need.Kernel(t, need.Dummy, need.IPv6)
	ns := netns.New(t)
	ns.Dummy(t, "eth0", "eth1")
	ns.Up(t, "eth0")
	k := open(t, ns, Options{})
	eth0, eth1 := link(t, k, "eth0").Index, link(t, k, "eth1").Index
	apply(t, k, plan.Op{Action: plan.LinkSet, Index: eth1, Name: "eth1", MTU: 1000}) // too small for IPv6
	v4, v6 := addAddress(eth0, "eth0", "192.0.2.1/24"), addAddress(eth0, "eth0", "2001:db8::1/64")
	apply(t, k, v4, v6)
	before := snapshot(t, k)
	del := func(op plan.Op, prefix string) plan.Op {
		op.Action, op.Address.Prefix = plan.AddrDel, netip.MustParsePrefix(prefix)
		return op
	}
	noIPv6 := v6
	noIPv6.Index = eth1
	elsewhere := v4
	elsewhere.Index = nobody
	for name, op := range map[string]plan.Op{
		"add an IPv4 address":                           v4,
		"add an IPv6 address":                           v6,
		"delete an IPv4 address":                        del(v4, "192.0.2.9/24"),
		"delete an IPv4 address of that length":         del(v4, "192.0.2.1/25"),
		"delete an IPv6 address":                        del(v6, "2001:db8::9/64"),
		"delete an address of a link that went":         del(elsewhere, "192.0.2.1/24"),
		"delete an IPv6 address where there is no IPv6": del(noIPv6, "2001:db8::1/64"),
		"delete a link":                                 {Action: plan.LinkDel, Index: nobody, Name: "x"},
		"delete a group":                                {Action: plan.GroupDel, Group: plan.DoomedGroup},
		"delete a route":                                route(plan.RouteDel, eth0, "198.51.100.0/24", "192.0.2.254"),
		"delete an IPv6 route":                          route(plan.RouteDel, eth0, "2001:db8:1::/48", "2001:db8::9"),
		"delete a route of a link that went":            route(plan.RouteDel, nobody, "198.51.100.0/24", "192.0.2.254"),
		"delete an IPv6 route of a link that went":      route(plan.RouteDel, nobody, "2001:db8:1::/48", "2001:db8::9"),
	} {
		t.Run(name, func(t *testing.T) { apply(t, k, op) })
	}
	same(t, before, snapshot(t, k))
}

// TestRefusedAmongOthers sees that each operation of a batch has its own outcome.
func TestRefusedAmongOthers(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	var ops []plan.Op
	for i := range 3000 {
		op := addAddress(eth0, "eth0", fmt.Sprintf("10.0.%d.%d/32", i/250, i%250))
		if i%100 == 7 {
			op.Index = nobody
		}
		ops = append(ops, op)
	}
	err := k.Apply(t.Context(), ops)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 30 {
		t.Fatalf("error: %v", err)
	}
	for i, err := range joined.Unwrap() {
		var op *plan.OpError
		if !errors.As(err, &op) || op.Kind != plan.Absent || op.Op.Address.Prefix != ops[i*100+7].Address.Prefix {
			t.Errorf("%d: %v", i, err)
		}
	}
	s := snapshot(t, k)
	if n := len(s.AddressesOf(eth0)); n != 2970 {
		t.Errorf("%d addresses", n)
	}
}
