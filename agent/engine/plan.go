package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// Source names a configuration.
type Source int

// The sources.
const (
	StagedConfig Source = iota
	RunningConfig
	CommittedConfig
)

// Selector picks a configuration: a revision when it is not nil, else a source.
type Selector struct {
	Source   Source
	Revision *int64
}

// Config returns a configuration and its revision.
func (e *Engine) Config(ctx context.Context, s Selector) (netcfg.Config, int64, error) {
	if s.Revision != nil {
		r, err := e.Revision(ctx, *s.Revision)
		return r.Config, r.Revision, err
	}
	v := e.View()
	if v.Lost {
		return netcfg.Config{}, 0, &Error{Kind: Precondition, Rule: "state-lost", Message: v.ReadOnly}
	}
	switch s.Source {
	case RunningConfig:
		return v.Running, v.CommittedRevision, nil
	case CommittedConfig:
		return v.Committed, v.CommittedRevision, nil
	}
	return v.Staged, v.StagedRevision, nil
}

// PlanResult is what an apply would do.
type PlanResult struct {
	Plan     plan.Plan
	Waiting  []plan.Waiting
	Warnings netcfg.Problems
	// Cuts are the paths that it would interrupt.
	Cuts []plan.Cut
	// Rehearsal is that of a Check; nil where there was nothing to rehearse.
	Rehearsal *Rehearsal

	// From what it was made.
	target converge.Target
	host   snapshot
}

// Plan works out what leads from the host as it is, or as the configuration from
// would have it, to the configuration to. It touches nothing, and refuses what an
// apply would refuse. Of paths, and of those to Options.ControlPlane, it tells which
// would be interrupted.
func (e *Engine) Plan(ctx context.Context, to Selector, from *Selector, paths []plan.Path) (PlanResult, error) {
	next, _, err := e.Config(ctx, to)
	if err != nil {
		return PlanResult{}, err
	}
	s, err := e.Kernel.Snapshot(ctx)
	if err != nil {
		return PlanResult{}, fmt.Errorf("look at the host: %w", err)
	}
	v := e.View()
	in := plan.Input{Config: next, Snapshot: s, Memory: v.Memory, Known: known(v.Running), Leases: v.lending.at(e.Clock())}
	if to.Revision != nil || to.Source != StagedConfig {
		in.Known = known(v.Running, next)
	}
	if from != nil {
		if in, err = e.as(ctx, in, *from); err != nil {
			return PlanResult{}, err
		}
	}
	problems, warnings := e.judge(next)
	if len(problems) > 0 {
		return PlanResult{}, problems
	}
	intent, problems := plan.Resolve(in)
	if len(problems) > 0 {
		return PlanResult{}, problems
	}
	claims, err := e.claimed(ctx, next, in.Memory)
	if err != nil {
		return PlanResult{}, err
	}
	p := plan.Build(intent, in.Snapshot)
	return PlanResult{
		Plan: p, Waiting: intent.Waiting, Warnings: slices.Concat(warnings, intent.Warnings, p.Warnings, elsewhere(claims)), Cuts: plan.Cuts(in.Snapshot, p, e.paths(paths)),
		target: converge.Target{Config: next, Memory: in.Memory, Known: in.Known, Leases: func() plan.Leases { return v.lending.at(e.Clock()) }}, host: in.Snapshot,
	}, nil
}

// as is the input with the host as another configuration would have it.
func (e *Engine) as(ctx context.Context, in plan.Input, from Selector) (plan.Input, error) {
	next := in.Config
	var err error
	if in.Config, _, err = e.Config(ctx, from); err != nil {
		return in, err
	}
	intent, problems := plan.Resolve(in)
	if len(problems) > 0 {
		return in, problems
	}
	in.Snapshot = plan.Project(in.Snapshot, plan.Build(intent, in.Snapshot).Ops())
	in.Memory = intent.Settled()
	in.Config = next
	return in, nil
}
