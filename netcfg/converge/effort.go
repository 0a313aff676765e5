package converge

import (
	"context"
	"errors"
	"slices"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// apply sends a plan, phase by phase, until one is refused, or as far as it goes.
func (t Target) apply(ctx context.Context, k Kernel, p plan.Plan) error {
	var all []error
	stuck := map[string]bool{} // links of which something was refused
	for _, phase := range p.Phases {
		if len(stuck) > 0 {
			phase.Ops = slices.DeleteFunc(slices.Clone(phase.Ops), func(op plan.Op) bool { return stuck[op.Name] })
		}
		if len(phase.Ops) == 0 {
			continue
		}
		if t.Progress != nil {
			t.Progress(phase)
		}
		err := k.Apply(ctx, phase.Ops)
		if err == nil {
			continue
		}
		all = append(all, err)
		refused := Refusals(err)
		if !t.BestEffort || ctx.Err() != nil || len(refused) == 0 || slices.ContainsFunc(refused, func(e *plan.OpError) bool { return e.Kind == plan.Hung }) {
			break
		}
		for _, e := range refused {
			stuck[e.Op.Name] = true
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// left is the report of a best effort that was refused something, with what it has
// left.
func (t Target) left(ctx context.Context, k Kernel, rep Report) Report {
	if !t.BestEffort {
		return rep
	}
	if s, err := k.Snapshot(ctx); err == nil {
		rep.After, rep.Drift = s, plan.Check(rep.Intent, s)
	}
	return rep
}
