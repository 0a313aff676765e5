package engine

import (
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Sight is a look at the host, held against what is running.
type Sight struct {
	// View with the Waiting and the Drift of the look.
	View
	// Links are the links behind what is running: those of the configuration and
	// those that it only refers to.
	Links []plan.Link
}

// Sight holds a look that was taken now against what is running, without waiting.
func (e *Engine) Sight(s state.Snapshot) Sight {
	out := Sight{View: e.View()}
	leases := func() plan.Leases { return out.lending.at(e.Clock()) }
	seen := converge.Compare(converge.Target{Config: out.Running, Memory: out.Memory, Leases: leases}, s)
	out.Links, out.Waiting, out.Drift = seen.Links, seen.Intent.Waiting, since(out.Drift, seen.Drift)
	return out
}

// Differences are the drift without its dates.
func (s Sight) Differences() []plan.Drift {
	var out []plan.Drift
	for _, d := range s.Drift {
		out = append(out, d.Drift)
	}
	return out
}
