package converge_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/state"
)

func intp(n int) *int { return &n }

// rack is a host as they stand in racks: two NICs in an LACP bond with two VLANs
// and both families, and a NIC with a static address and the default route.
func rack() netcfg.Config {
	vlan := func(id int, v4, v6 string) netcfg.HostNic {
		return netcfg.HostNic{Name: fmt.Sprintf("bond0.%d", id), VLAN: &netcfg.VLAN{ID: &id}, BaseInterface: "bond0",
			IP: &netcfg.IP{Address: v4, Netmask: "255.255.255.0"}, IPv6: &netcfg.IPv6{Address: v6, Prefix: intp(64)}}
	}
	return netcfg.Config{HostNics: []netcfg.HostNic{
		{Name: "bond0", MTU: intp(9000), Bonding: &netcfg.Bonding{Options: []netcfg.BondOption{{Name: "mode", Value: "4"}, {Name: "lacp_rate", Value: "fast"}},
			Slaves: []string{"eth0", "eth1"}}},
		vlan(100, "10.0.100.2", "fd00:100::2"),
		vlan(200, "10.0.200.2", "fd00:200::2"),
		{Name: "eth2", IP: &netcfg.IP{Address: "192.0.2.10", Netmask: "24", Gateway: "192.0.2.1"}},
	}}
}

func newHost(t *testing.T, nics ...string) *kerneltest.Fake {
	t.Helper()
	f := kerneltest.NewFake()
	for i, n := range nics {
		f.AddNIC(n, kerneltest.NIC{MAC: fmt.Sprintf("52:54:00:00:00:%02x", i+1)})
	}
	return f
}

func look(t *testing.T, k converge.Kernel) state.Snapshot {
	t.Helper()
	s, err := k.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRunRack(t *testing.T) {
	f := newHost(t, "eth0", "eth1", "eth2")
	before := look(t, f)
	rep, err := converge.Run(t.Context(), f, converge.Target{Config: rack()})
	for _, op := range rep.Plan.Ops() {
		t.Log(op)
	}
	if err != nil {
		t.Fatal(err)
	}
	memory := rep.Intent.Settled()

	writes := f.Writes()
	rep, err = converge.Run(t.Context(), f, converge.Target{Config: rack(), Memory: memory})
	if err != nil || rep.Wrote || f.Writes() != writes {
		t.Errorf("a second converge: error %v, wrote %v, plan %v", err, rep.Wrote, rep.Plan.Ops())
	}

	rep, err = converge.Run(t.Context(), f, converge.Target{Memory: memory})
	for _, op := range rep.Plan.Ops() {
		t.Log(op)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lasting(before), lasting(look(t, f)), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the host after taking everything away (-before +after):\n%s", diff)
	}
	if m := rep.Intent.Settled(); len(m.Owned.Links)+len(m.Baseline) != 0 {
		t.Errorf("the memory after taking everything away: %+v", m)
	}
}

// lasting leaves out what a link does not get back: its history.
func lasting(s state.Snapshot) state.Snapshot {
	for i := range s.Links {
		s.Links[i].Counters, s.Links[i].CarrierUps, s.Links[i].CarrierDowns = nil, 0, 0
		s.Links[i].Speed, s.Links[i].Duplex = nil, ""
	}
	return s
}
