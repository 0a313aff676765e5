package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// perform runs one operation in the loop.
func (e *Engine) perform(ctx context.Context, t *tracked) Operation {
	op := t.op
	writes := e.Kernel.Writes()
	defer func() { e.publish() }()
	target, err := e.target(t.request)
	if err == nil {
		err = e.writable()
	}
	if err == nil {
		err = e.change(ctx, t, &op, target)
	}
	if err == nil && t.request.Kind == Commit {
		err = e.store(t, &op)
	}
	op.Writes = e.Kernel.Writes() - writes
	switch {
	case err == nil:
		op.State = Done
	case op.State == Running:
		op.State, op.Err = Refused, err
	default:
		op.Err = err
	}
	e.Log.Info("operation ended", "id", op.ID, "kind", op.Kind, "state", op.State, "author", op.Author, "writes", op.Writes, "error", op.Err)
	return op
}

// target is the configuration that the request asks for.
func (e *Engine) target(r Request) (netcfg.Config, error) {
	if r.StagedRevision != nil && *r.StagedRevision != e.stagedRevision {
		return netcfg.Config{}, &Error{Kind: Stale, Rule: "stale-revision",
			Message: fmt.Sprintf("the candidate is at revision %d, not at %d: somebody else has edited it; look at it again (agentctl diff)", e.stagedRevision, *r.StagedRevision)}
	}
	switch {
	case r.Kind != Rollback:
		return e.staged, nil
	case r.Revision == nil || *r.Revision == e.committedRevision:
		return e.committed, nil
	}
	rec, err := e.revision(*r.Revision)
	return rec.Config, err
}

// writable refuses every change while the agent may only look.
func (e *Engine) writable() error {
	for _, m := range e.Missing {
		if m.Feature == FeatureWrite {
			return &Error{Kind: Precondition, Rule: "read-only", Message: "the agent may only look: " + m.Reason}
		}
	}
	if e.readOnly != "" {
		return &Error{Kind: Precondition, Rule: "read-only", Message: e.readOnly}
	}
	return nil
}

// change brings the host to next, or back to what it was.
func (e *Engine) change(ctx context.Context, t *tracked, op *Operation, next netcfg.Config) error {
	t.step("validating", "%d NICs in the configuration", len(next.HostNics))
	problems, warnings := e.judge(next)
	if len(problems) > 0 {
		return problems
	}
	op.Warnings = warnings
	journal := journalRecord{Pending: true, BootID: e.BootID, ID: op.ID, Kind: op.Kind, Previous: e.running, Next: next}
	rep, err := converge.Run(ctx, e.Kernel, converge.Target{Config: next, Memory: e.memory, Known: known(e.running),
		Begin: func(intent plan.Intent, p plan.Plan, before snapshot) error {
			t.step("planning", "%d operations", len(p.Ops()))
			journal.Memory, journal.Before = e.memory.Union(intent.Memory), foreign(before)
			return e.saveJournal(journal)
		},
		Progress: func(ph plan.Phase) { t.step("applying", "%s: %s", ph.Name, describe(ph)) },
	})
	op.Warnings = append(op.Warnings, rep.Warnings...)
	if err != nil {
		return e.undo(ctx, t, op, rep, journal, err)
	}
	t.step("verifying", "the host is as wanted")
	op.Disrupted, op.Waiting = rep.Plan.Forecast, rep.Intent.Waiting
	return e.settle(rep, next)
}

// settle makes next the running configuration.
func (e *Engine) settle(rep converge.Report, next netcfg.Config) error {
	changed := !netcfg.Equal(next, e.running) || rep.Wrote
	e.running = next
	e.memory, e.waiting = rep.Intent.Settled(), rep.Intent.Waiting
	if !netcfg.Equal(e.staged, next) {
		// A rollback: what was staged is discarded.
		if err := e.saveStaged(next, e.stagedRevision+1); err != nil {
			e.degrade(err)
		}
	}
	if !changed {
		return nil
	}
	if err := e.saveRunning(); err != nil {
		e.degrade(err)
	}
	if err := e.saveJournal(journalRecord{}); err != nil {
		e.degrade(err)
	}
	return nil
}

// undo converges back to the previous configuration. Nothing is undone when
// nothing was written.
func (e *Engine) undo(ctx context.Context, t *tracked, op *Operation, rep converge.Report, journal journalRecord, cause error) error {
	if !rep.Wrote {
		return cause
	}
	t.step("rolling-back", "%v", cause)
	back, err := converge.Run(ctx, e.Kernel, converge.Target{Config: journal.Previous, Memory: journal.Memory, Lenient: true, Before: &journal.Before,
		Progress: func(ph plan.Phase) { t.step("rolling-back", "%s: %s", ph.Name, describe(ph)) }})
	if err != nil {
		op.State, op.Remaining = Incomplete, back.Drift
		e.degrade(fmt.Errorf("operation %s could not be undone: %w", op.ID, err))
		return errors.Join(cause, fmt.Errorf("and the way back failed: %w", err))
	}
	op.State = RolledBack
	e.memory, e.waiting = back.Intent.Settled(), back.Intent.Waiting
	if err := e.saveRunning(); err != nil {
		e.degrade(err)
	}
	if err := e.saveJournal(journalRecord{}); err != nil {
		e.degrade(err)
	}
	t.step("rolling-back", "the host is as it was before")
	return cause
}

// store makes what is running a revision. Nothing new makes none.
func (e *Engine) store(t *tracked, op *Operation) error {
	if netcfg.Equal(e.running, e.committed) {
		return nil
	}
	if err := e.saveRevision(t.request.Author, t.request.Comment); err != nil {
		return err
	}
	op.Revision = e.committedRevision
	t.step("storing", "revision %d", op.Revision)
	if err := e.saveRunning(); err != nil {
		e.degrade(err)
	}
	return nil
}

// describe is a phase in a few words: the first operation and how many follow.
func describe(ph plan.Phase) string {
	if len(ph.Ops) == 1 {
		return ph.Ops[0].String()
	}
	return fmt.Sprintf("%s and %d more", ph.Ops[0], len(ph.Ops)-1)
}

// foreign is what of a snapshot a rollback may have to bring back.
func foreign(s snapshot) snapshot {
	for i := range s.Links {
		s.Links[i].Counters = nil
	}
	return s
}
