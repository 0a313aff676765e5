package engine

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Sight is a look at the host, held against what is running.
type Sight struct {
	View
	// Links are the links behind what is running: those of the configuration and
	// those that it only refers to.
	Links []plan.Link
	// Drift is how the host differs.
	Drift []plan.Drift
}

// Sight holds a look that was taken now against what is running, without waiting.
// Its View.Waiting is that of the look.
func (e *Engine) Sight(s state.Snapshot) Sight {
	v := e.View()
	intent, problems := plan.Resolve(plan.Input{Config: v.Running, Snapshot: s, Memory: v.Memory, Lenient: true})
	out := Sight{View: v, Links: intent.Links}
	for _, p := range problems {
		out.Drift = append(out.Drift, plan.Drift{Field: p.Path, Wanted: "as configured", Actual: p.Message})
	}
	if len(problems) > 0 {
		// What did not fit was waiting already, and the look adds what is gone since.
		out.Waiting = slices.Clone(v.Waiting)
		for _, w := range intent.Waiting {
			if !slices.ContainsFunc(out.Waiting, func(have plan.Waiting) bool { return have.Nic == w.Nic }) {
				out.Waiting = append(out.Waiting, w)
			}
		}
		return out
	}
	out.Waiting, out.Drift = intent.Waiting, plan.Check(intent, s)
	return out
}
