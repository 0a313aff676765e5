//go:build kernel

package kernel

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// TestAddresses adds addresses with all that the kernel takes, and reads them back.
func TestAddresses(t *testing.T) {
	need.Kernel(t, need.Dummy, need.IPv6)
	ns := netns.New(t)
	ns.Dummy(t, "eth0")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	const forever = state.Forever
	tests := []struct {
		name      string
		add, want state.Address // of want, Link and Prefix are those of add
	}{
		{"plain", state.Address{Prefix: netip.MustParsePrefix("192.0.2.1/24")},
			state.Address{Flags: 0x80, Label: "eth0", Valid: forever, Preferred: forever}},
		{"secondary", state.Address{Prefix: netip.MustParsePrefix("192.0.2.2/24")},
			state.Address{Flags: 0x81, Label: "eth0", Valid: forever, Preferred: forever}},
		{"label, broadcast, scope, metric, protocol",
			state.Address{Prefix: netip.MustParsePrefix("198.51.100.1/24"), Label: "eth0:x", Broadcast: netip.MustParseAddr("198.51.100.255"),
				Scope: 253, Metric: 77, Proto: 9, Valid: forever, Preferred: forever},
			state.Address{Flags: 0x80, Label: "eth0:x", Broadcast: netip.MustParseAddr("198.51.100.255"), Scope: 253, Metric: 77,
				Proto: 9, Valid: forever, Preferred: forever}},
		{"peer", state.Address{Prefix: netip.MustParsePrefix("203.0.113.1/32"), Peer: netip.MustParseAddr("203.0.113.2")},
			state.Address{Flags: 0x80, Label: "eth0", Peer: netip.MustParseAddr("203.0.113.2"), Valid: forever, Preferred: forever}},
		{"on loan", state.Address{Prefix: netip.MustParsePrefix("10.0.0.1/8"), Valid: 3600, Preferred: 1800},
			state.Address{Label: "eth0", Valid: 3600, Preferred: 1800}},
		{"IPv6, no duplicate detection", state.Address{Prefix: netip.MustParsePrefix("2001:db8::1/64"), Flags: state.FlagNoDAD, Proto: 9},
			state.Address{Flags: 0x82, Proto: 9, Valid: forever, Preferred: forever}},
		{"IPv6, no route for the prefix", state.Address{Prefix: netip.MustParsePrefix("2001:db8:1::1/64"), Flags: 0x202},
			state.Address{Flags: 0x282, Valid: forever, Preferred: forever}},
		{"IPv6, on loan", state.Address{Prefix: netip.MustParsePrefix("2001:db8:2::1/64"), Flags: state.FlagNoDAD, Valid: 7200, Preferred: 7000},
			state.Address{Flags: 0x02, Valid: 7200, Preferred: 7000}},
		{"IPv6, peer", state.Address{Prefix: netip.MustParsePrefix("2001:db8:3::1/128"), Flags: state.FlagNoDAD, Peer: netip.MustParseAddr("2001:db8:3::2")},
			state.Address{Flags: 0x82, Peer: netip.MustParseAddr("2001:db8:3::2"), Valid: forever, Preferred: forever}},
	}
	var ops []plan.Op
	for _, test := range tests {
		ops = append(ops, plan.Op{Action: plan.AddrAdd, Index: eth0, Name: "eth0", Address: test.add})
	}
	apply(t, k, ops...)
	s := snapshot(t, k)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.want.Link, test.want.Prefix = eth0, test.add.Prefix
			var got state.Address
			for _, a := range s.Addresses {
				if a.Prefix == test.add.Prefix {
					got = a
				}
			}
			if late := test.want.Valid - got.Valid; late <= 5 && finite(got) { // a slow machine
				got.Valid, got.Preferred = got.Valid+late, got.Preferred+late
			}
			if diff := cmp.Diff(test.want, got, byValue); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	// All that was read can be put back as it was.
	old := s.AddressesOf(eth0)
	for i := range ops {
		ops[i].Action = plan.AddrDel
	}
	ops[0], ops[1] = ops[1], ops[0] // the secondary would go with the other
	apply(t, k, ops...)
	s = snapshot(t, k)
	if left := s.AddressesOf(eth0); len(left) != 0 {
		t.Fatalf("left: %+v", left)
	}
	ops = nil
	for _, a := range old {
		ops = append(ops, plan.Op{Action: plan.AddrAdd, Index: eth0, Name: "eth0", Address: a})
	}
	apply(t, k, ops...)
	again := addressesOf(t, k, eth0)
	// The kernel tells the newest IPv6 address first.
	byPrefix := func(a, b state.Address) int { return a.Prefix.Compare(b.Prefix) }
	slices.SortFunc(old, byPrefix)
	slices.SortFunc(again, byPrefix)
	same(t, state.Snapshot{Addresses: old}, state.Snapshot{Addresses: again})
}

func addressesOf(t *testing.T, k *Kernel, index int) []state.Address {
	s := snapshot(t, k)
	return s.AddressesOf(index)
}

// TestAddressRenewed is an address that is there and gets other lifetimes, as when a
// lease is renewed or the operator makes it static. It never goes away.
func TestAddressRenewed(t *testing.T) {
	need.Kernel(t, need.Dummy, need.IPv6)
	ns := netns.New(t)
	ns.Dummy(t, "eth0")
	ns.Up(t, "eth0")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	for _, prefix := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		for _, valid := range []uint32{1000, 5000, 300, state.Forever, 2000} {
			op := addAddress(eth0, "eth0", prefix)
			op.Address.Valid, op.Address.Preferred = valid, valid
			apply(t, k, op)
			found := false
			for _, a := range addressesOf(t, k, eth0) {
				if a.Prefix == op.Address.Prefix {
					found = true
					if valid-a.Valid > 5 || valid-a.Preferred > 5 {
						t.Errorf("%s: lifetimes %d and %d, want %d", prefix, a.Valid, a.Preferred, valid)
					}
				}
			}
			if !found {
				t.Errorf("%s is not there", prefix)
			}
		}
	}
}
