package converge_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// A bond that does not fit the host for the moment, because somebody has put its
// address onto another NIC, is left as it is with all that belongs to it: its slaves
// are not taken for NICs that nobody wants any more.
func TestPruneLeavesSlaves(t *testing.T) {
	for _, named := range []bool{false, true} {
		f := newHost(t, "eth0", "eth1", "eth2", "eth3")
		config := rack()
		config.HostNics[0].IP = &netcfg.IP{Address: "203.0.113.1", Netmask: "24"}
		if named { // a slave with an entry of its own
			config.HostNics = append(config.HostNics, netcfg.HostNic{Name: "eth0"})
		}
		rep, err := converge.Run(t.Context(), f, converge.Target{Config: config})
		if err != nil {
			t.Fatal(err)
		}
		memory := rep.Intent.Settled()
		if err := f.Foreign(plan.Op{Action: plan.AddrAdd, Index: f.Index("eth3"), Address: state.Address{Link: f.Index("eth3"),
			Prefix: netip.MustParsePrefix("203.0.113.1/24")}}); err != nil {
			t.Fatal(err)
		}
		before := words(look(t, f))
		rep, err = converge.Run(t.Context(), f, converge.Target{Config: config, Memory: memory, Lenient: true})
		if err != nil || rep.Wrote {
			t.Errorf("converge: %v, plan %v", err, rep.Plan.Ops())
		}
		if after := words(look(t, f)); !slices.Equal(before, after) {
			t.Errorf("before %q, after %q", before, after)
		}
		for _, name := range []string{"bond0", "bond0.100", "eth0", "eth1"} {
			if !slices.ContainsFunc(rep.Intent.Waiting, func(w plan.Waiting) bool { return w.Nic == name }) {
				t.Errorf("%s does not wait: %v", name, rep.Intent.Waiting)
			}
		}
		// What is remembered of it does not go either.
		if settled := rep.Intent.Settled(); len(settled.Baseline) != len(memory.Baseline) || len(settled.Owned.Links) != len(memory.Owned.Links) {
			t.Errorf("remembered %v and %v, before %v and %v", settled.Baseline, settled.Owned.Links, memory.Baseline, memory.Owned.Links)
		}
	}
}
