package converge_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// meddle is what somebody does to the link past the agent; false when it cannot be
// done.
func (w *walker) meddle(f *kerneltest.Fake, l state.Link) bool {
	up, free := false, 0
	op := plan.Op{Action: plan.LinkSet, Index: l.Index, Name: l.Name}
	switch w.rng.IntN(8) {
	case 0:
		op.MTU = []int{1300, 1400, 9000}[w.rng.IntN(3)]
	case 1:
		op.Up = &up
	case 2:
		op.Master = &free
	case 3:
		op.MAC = "52:54:00:aa:00:01"
	case 4:
		op = plan.Op{Action: plan.LinkDel, Index: l.Index, Name: l.Name}
	case 5:
		s := w.look()
		list := s.AddressesOf(l.Index)
		if len(list) == 0 {
			return false
		}
		op = plan.Op{Action: plan.AddrDel, Index: l.Index, Name: l.Name, Address: list[w.rng.IntN(len(list))]}
	case 6:
		op = plan.Op{Action: plan.AddrAdd, Index: l.Index, Name: l.Name, Address: state.Address{Link: l.Index,
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(l.Index)}), 32)}}
	case 7:
		s := w.look()
		if l.Kind != "vlan" || s.ByName(l.Name) == nil {
			return false
		}
		f.Remove(l.Name)
		_, err := f.AddVLAN(l.Name, s.Name(l.Parent), l.VLANID%4094+1)
		return err == nil
	}
	if op.Action == plan.LinkDel && l.Kind != "bond" && l.Kind != "vlan" {
		return false
	}
	return f.Foreign(op) == nil
}

// TestRandomLeave has somebody meddle with a host, and converges it but for some of
// the links: those stay as they are, and the others become what they ought to be, as far
// as they can without them.
func TestRandomLeave(t *testing.T) {
	s := randomSeed(t)
	for i := range *transitions / 4 {
		f := randomHost(t)
		w := &walker{t: t, k: f, rng: rand.New(rand.NewPCG(s, uint64(i))), step: i} //nolint:gosec // reproducible on purpose
		config := kerneltest.GenConfig(w.rng, randomNICs)
		config.Routes = nil
		rep, err := converge.Run(t.Context(), f, converge.Target{Config: config})
		if err != nil {
			w.fatal("converge", err, config, rep.Plan.Ops())
		}
		leave, memory := map[string]bool{}, rep.Intent.Settled()
		links := slices.DeleteFunc(w.look().Links, func(l state.Link) bool { return l.Name == "lo" || strings.HasPrefix(l.Name, "ext") })
		for range 1 + w.rng.IntN(4) {
			w.meddle(f, links[w.rng.IntN(len(links))])
		}
		for _, l := range links {
			if w.rng.IntN(3) == 0 {
				leave[l.Name] = true
			}
		}
		w.converge(converge.Target{Config: config, Memory: memory, Lenient: true, Leave: leave})
	}
}

func (w *walker) converge(target converge.Target) {
	w.t.Helper()
	before := w.look()
	rep, err := converge.Run(w.t.Context(), w.k, target)
	if err != nil {
		w.fatal("converge", err, target.Config, rep.Plan.Ops())
	}
	after := w.look()
	for name := range target.Leave {
		was, is := before.ByName(name), after.ByName(name)
		if (was == nil) != (is == nil) {
			w.fatal(name+" was left and is not as it was", err, target.Config, rep.Plan.Ops())
		}
		if was == nil {
			continue
		}
		if m := before.Name(was.Master); m == "" || target.Leave[m] {
			same := was.Index == is.Index && was.Master == is.Master && was.AdminUp == is.AdminUp && addressWords(before.AddressesOf(was.Index)) == addressWords(after.AddressesOf(is.Index))
			base := after.Link(is.Parent) // the kernel lowers a VLAN with it
			if !same || was.MTU != is.MTU && (base == nil || base.MTU != is.MTU) {
				w.t.Logf("%+v %v\n%+v %v", was, before.AddressesOf(was.Index), is, after.AddressesOf(is.Index))
				w.fatal(name+" was left and is not as it was", err, target.Config, rep.Plan.Ops())
			}
		}
	}
}
