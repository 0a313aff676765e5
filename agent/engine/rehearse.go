package engine

import (
	"context"
	"errors"
	"time"

	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// Rehearse plays a plan where it cannot hurt: on stand-ins for the links of the host,
// in a place of their own, under the same kernel. An error without a call of play
// says that there can be no rehearsal.
type Rehearse func(ctx context.Context, host snapshot, p plan.Plan, play func(converge.Kernel) error) error

// Rehearsal is what a rehearsal has found, where the kernel refused nothing.
type Rehearsal struct {
	// Skipped says why there was none; empty when there was one.
	Skipped string
	// Open is what it does not tell, a clause each.
	Open []string
	// Took is how long it was.
	Took time.Duration
}

// rehearse goes the way to the target on stand-ins. The error says what the kernel
// refuses there, and would refuse on the host. One rehearsal runs at a time.
func (e *Engine) rehearse(ctx context.Context, t converge.Target, host snapshot, p plan.Plan) (Rehearsal, error) {
	if e.Rehearse == nil {
		return Rehearsal{Skipped: "this agent cannot rehearse"}, nil
	}
	select {
	case e.onStage <- struct{}{}:
		defer func() { <-e.onStage }()
	case <-ctx.Done():
		return Rehearsal{}, ctx.Err()
	}
	began, played := time.Now(), false
	t.Begin, t.Progress = nil, nil
	err := e.Rehearse(ctx, host, p, func(k converge.Kernel) error {
		played = true
		_, err := converge.Run(ctx, k, t)
		return err
	})
	r := Rehearsal{Open: plan.Unrehearsed(host, p), Took: time.Since(began)}
	var op *plan.OpError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return r, ctx.Err()
	case !played:
		return Rehearsal{Skipped: err.Error()}, nil
	case errors.As(err, &op) && op.Kind != plan.Hung:
		kind := Precondition
		if op.Kind == plan.Unsupported {
			kind = Unsupported
		}
		return r, &Error{Kind: kind, Rule: "rehearsal-refused", Message: "the host was not touched, as the kernel refuses the change in a rehearsal", Err: err}
	default:
		// The stand-ins have not got there, which need not be the plan's fault.
		r.Open = append(r.Open, "whether the host gets there, as the stand-ins did not: "+err.Error())
	}
	return r, nil
}

// rehearsal is the rehearsal of an operation that is about to begin.
func (e *Engine) rehearsal(ctx context.Context, t *tracked, target converge.Target, host snapshot, p plan.Plan) error {
	if t.request.NoRehearse {
		return nil
	}
	t.step("rehearsing", "%s on stand-ins", amount(p.Len(), "operation"))
	r, err := e.rehearse(ctx, target, host, p)
	switch {
	case err != nil:
		return err
	case r.Skipped != "":
		t.step("rehearsing", "skipped: %s", r.Skipped)
		return nil
	}
	t.step("rehearsing", "the kernel takes all of it (%.2f s)", r.Took.Seconds())
	for _, open := range r.Open {
		t.step("rehearsing", "not told by it: %s", open)
	}
	return nil
}

// Check is Plan for the candidate on the host as it is, and a rehearsal of what it
// would do.
func (e *Engine) Check(ctx context.Context, paths []plan.Path) (PlanResult, error) {
	res, err := e.Plan(ctx, Selector{Source: StagedConfig}, nil, paths)
	if err != nil || res.Plan.Empty() {
		return res, err
	}
	r, err := e.rehearse(ctx, res.target, res.host, res.Plan)
	res.Rehearsal = &r
	return res, err
}
