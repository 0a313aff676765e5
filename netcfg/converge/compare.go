package converge

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Comparison is a look at the host held against a target.
type Comparison struct {
	// Intent is what of the target fits the host, nothing where that cannot be told;
	// Links are the links behind all of it.
	Intent plan.Intent
	Links  []plan.Link
	// Drift is how the host differs. What does not fit it is Outside, with the reason.
	Drift []plan.Drift
}

// Compare holds a look against a target, leniently. It touches nothing.
func Compare(t Target, s state.Snapshot) Comparison {
	t.Lenient = true
	whole, problems := plan.Resolve(input(t, s, t.Memory))
	c := Comparison{Intent: whole, Links: whole.Links}
	for _, p := range problems {
		c.Drift = append(c.Drift, plan.Drift{Field: p.Path, Wanted: "as configured", Actual: "not possible", Outside: true, Hint: p.Message})
	}
	if len(problems) > 0 {
		if c.Intent, problems = resolve(t, s, t.Memory); len(problems) > 0 {
			c.Intent = plan.Intent{Waiting: c.Intent.Waiting}
			return c
		}
	}
	c.Drift = append(c.Drift, plan.Check(c.Intent, s)...)
	return c
}

// Mendable are the differences that a converge with the same target puts right, as far
// as can be told beforehand: those that do not lie outside of it, on links that are not
// left.
func (c Comparison) Mendable(leave map[string]bool, s state.Snapshot) []plan.Drift {
	return slices.DeleteFunc(plan.Check(c.Intent.Leaving(leave, s), s), func(d plan.Drift) bool { return d.Outside })
}
