package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// perform runs one operation in the loop.
func (e *Engine) perform(ctx context.Context, t *tracked) Operation {
	op := t.op
	writes := e.Kernel.Writes()
	defer func() { e.forgive(op); e.publish() }()
	err := e.allowed(t.request)
	switch {
	case err != nil:
	case e.window != nil && t.request.Kind == Rollback:
		e.revert(ctx, t, &op)
		return op
	case e.window != nil: // a commit that confirms
		e.arm(max(e.window.journal.Deadline, e.Clock()+applyLimit))
		op.Warnings = e.differences()
		err = e.store(t, &op)
	default:
		err = e.advance(ctx, t, &op)
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
	return op
}

// allowed refuses what the state of the agent rules out.
func (e *Engine) allowed(r Request) error {
	if r.RevertAfter != 0 && r.Kind == Commit {
		return &Error{Kind: Misused, Rule: "window-length", Message: "a commit is the confirmation: it cannot wait for one"}
	}
	if r.RevertAfter != 0 {
		if err := ValidWindow(r.RevertAfter); err != nil {
			return err
		}
	}
	if r.Wait != 0 {
		if err := ValidWait(r.Wait); err != nil {
			return err
		}
	}
	if r.StagedRevision != nil && *r.StagedRevision != e.stagedRevision {
		return &Error{Kind: Stale, Rule: "stale-revision",
			Message: fmt.Sprintf("the candidate is at revision %d, not at %d: somebody else has edited it; look at it again (agentctl diff)", e.stagedRevision, *r.StagedRevision)}
	}
	if err := e.checkProbes(r); err != nil {
		return err
	}
	if err := e.writable(); err != nil {
		return err
	}
	return e.confirmable(r)
}

// advance changes the host, and stores for good or opens a window where that is
// asked for.
func (e *Engine) advance(ctx context.Context, t *tracked, op *Operation) error {
	next, err := e.target(t.request)
	if err != nil {
		return err
	}
	return e.change(ctx, t, op, next)
}

// target is the configuration that the request asks for.
func (e *Engine) target(r Request) (netcfg.Config, error) {
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
	t.step("validating", "%s in the configuration", amount(len(next.HostNics), "NIC"))
	problems, warnings := e.judgeOnce(next)
	if len(problems) > 0 {
		return problems
	}
	op.Warnings = warnings
	if err := e.takeOver(ctx, t, next); err != nil {
		return err
	}
	journal := journalRecord{Serial: e.serial + 1, Pending: true, BootID: e.BootID, ID: op.ID, Begun: begun{t.request, op.Started}, Revision: e.committedRevision, Previous: e.running, Next: next}
	old, memory := []netcfg.Config{e.running}, e.memory
	if op.Kind == Rollback {
		old, memory = append(old, next), e.memory.AsFound()
	}
	e.recallLeases(next)
	probes := e.probing(t, op, next)
	target := converge.Target{Config: next, Memory: memory, Known: known(old...), Leases: e.lent, Progress: e.progress(t, "applying")}
	target.Begin = func(intent plan.Intent, p plan.Plan, before snapshot) error {
		t.step("planning", "%s", amount(p.Len(), "operation"))
		op.changes(p)
		if err := e.watchPaths(t.request, before, p); err != nil {
			return err
		}
		if err := e.rehearsal(ctx, t, target, before, p); err != nil {
			return err
		}
		if err := probes.choose(ctx, intent, before); err != nil {
			return err
		}
		journal.Memory, journal.Before = e.memory.Union(intent.Memory), e.foreign(before)
		return e.begin(journal)
	}
	rep, err := converge.Run(ctx, e.Kernel, target)
	op.Warnings = append(op.Warnings, rep.Warnings...)
	if err != nil {
		return e.undo(ctx, t, op, rep, journal, err)
	}
	t.step("verifying", "the host is as wanted")
	if err := e.await(ctx, t, target, &rep, &journal); err != nil {
		return e.undo(ctx, t, op, rep, journal, err)
	}
	if !rep.Wrote {
		err = probes.expect(ctx, rep.Intent, rep.After)
	} else {
		err = probes.vote(ctx, rep.After)
	}
	if err != nil {
		return e.undo(ctx, t, op, rep, journal, err)
	}
	op.Warnings = append(op.Warnings, probes.strangers()...)
	op.Disrupted, op.Waiting = rep.Plan.Forecast, rep.Intent.Waiting
	return e.conclude(ctx, t, op, rep, journal)
}

// begin journals an operation and wakes the guard, before the first write.
func (e *Engine) begin(j journalRecord) error {
	if err := e.saveJournal(j); err != nil {
		return err
	}
	e.arm(e.Clock() + applyLimit)
	return nil
}

// progress reports each phase, and tells the guard that the agent lives.
func (e *Engine) progress(t *tracked, word string) func(plan.Phase) {
	return func(ph plan.Phase) {
		t.step(word, "%s: %s", ph.Name, describe(ph))
		e.arm(e.Clock() + applyLimit)
	}
}

// conclude makes what has been reached the running configuration, and a commit of
// it a revision. A commit that cannot be stored is taken back, as any operation is
// that does not reach its end.
func (e *Engine) conclude(ctx context.Context, t *tracked, op *Operation, rep converge.Report, journal journalRecord) error {
	changed := rep.Wrote || !netcfg.Equal(journal.Next, e.running)
	if t.request.Kind == Apply || t.request.Kind == Rollback {
		e.lapsed = "" // whoever asks for this has looked
	}
	if t.request.Kind == Commit {
		if err := e.storeRevision(t, op, journal.Next); err != nil {
			return e.undo(ctx, t, op, rep, journal, err)
		}
	}
	if changed && t.request.RevertAfter > 0 {
		return e.concludeWindow(ctx, t, op, rep, journal)
	}
	if !rep.Wrote { // there is no journal
		return e.unwritten(t, op, rep, journal.Next)
	}
	e.pass()
	e.serial = journal.Serial
	e.over(t, op, Done)
	e.settle(rep, journal.Next)
	notRunning, notJournal := e.closeWindow()
	if notRunning != nil && notJournal != nil && op.Revision == 0 {
		// Nothing on disk says that this has happened: a restart would take it back.
		return e.undo(ctx, t, op, rep, journal, notRunning)
	}
	e.degrade(errors.Join(notRunning, notJournal))
	return nil
}

// unwritten notes the end of an operation that had nothing to write to the kernel. One
// that cannot be noted has not happened, unless it is stored as a revision already.
func (e *Engine) unwritten(t *tracked, op *Operation, rep converge.Report, next netcfg.Config) error {
	running, memory, waiting, ended := e.running, e.memory, e.waiting, e.ended
	e.pass()
	e.over(t, op, Done)
	e.settle(rep, next)
	if netcfg.Equal(next, running) {
		return nil
	}
	err := e.saveRunning()
	if err != nil && op.Revision == 0 {
		e.running, e.memory, e.waiting, e.ended = running, memory, waiting, ended
		e.eye.news() // for those who follow what is running
		return err
	}
	e.degrade(err)
	return nil
}

// concludeWindow keeps the journal open, for the change to be confirmed.
func (e *Engine) concludeWindow(ctx context.Context, t *tracked, op *Operation, rep converge.Report, journal journalRecord) error {
	if !rep.Wrote { // begin was not called
		journal.Memory, journal.Before = e.memory.Union(rep.Intent.Memory), e.foreign(rep.After)
	}
	if err := e.openWindow(journal, t.request.RevertAfter); err != nil {
		return e.undo(ctx, t, op, rep, journal, err)
	}
	op.Window = t.request.RevertAfter
	e.settle(rep, journal.Next)
	e.degrade(e.saveRunning())
	return nil
}

// settle makes next the running configuration. The candidate of a rollback is
// discarded.
func (e *Engine) settle(rep converge.Report, next netcfg.Config) {
	e.running = next
	e.memory, e.waiting = rep.Intent.Settled(), rep.Intent.Waiting
	e.follow(rep.Intent, rep.After)
	if !netcfg.Equal(e.staged, next) {
		if err := e.saveStaged(next, e.stagedRevision+1); err != nil {
			e.degrade(err)
		}
	}
}

// undo converges back to the previous configuration. Nothing is undone when
// nothing was written. A way back that fails is tried again from the loop.
func (e *Engine) undo(ctx context.Context, t *tracked, op *Operation, rep converge.Report, journal journalRecord, cause error) error {
	if !rep.Wrote {
		return cause
	}
	t.step("rolling-back", "%v", cause)
	back, err := e.goBack(ctx, t, converge.Target{Config: journal.Previous, Memory: journal.Memory, Before: &journal.Before, Leases: e.lent})
	if err != nil {
		op.State, op.Remaining = Incomplete, back.Drift
		e.window = &window{journal: journal}
		e.retryLater(back, err)
		return errors.Join(cause, fmt.Errorf("and the way back failed: %w", err))
	}
	op.State, op.Err, e.serial = RolledBack, cause, journal.Serial
	e.over(t, op, RolledBack)
	e.running, e.memory, e.waiting = journal.Previous, back.Intent.Settled(), back.Intent.Waiting
	e.follow(back.Intent, back.After)
	e.degrade(errors.Join(e.closeWindow()))
	t.step("rolling-back", "the host is as it was before")
	return cause
}

// mostDifferences is how many of them a confirmation tells.
const mostDifferences = 8

// differences are warnings of how the host differs by now from the change that is
// confirmed: that is stored as it was applied, and the host is left as it is.
func (e *Engine) differences() (out netcfg.Problems) {
	for _, d := range e.drift[:min(len(e.drift), mostDifferences)] {
		out = append(out, netcfg.Problem{Path: d.Field, Rule: "drift", Found: d.Actual, Allowed: d.Wanted,
			Message: "the host has been changed since the apply; what was applied is stored, and agentctl apply brings it back"})
	}
	return out
}

// store makes what is running a revision, and with that confirms it.
func (e *Engine) store(t *tracked, op *Operation) error {
	if err := e.storeRevision(t, op, e.running); err != nil {
		return err
	}
	if e.window != nil {
		e.serial = e.window.journal.Serial
	}
	e.over(t, op, Done)
	// What is stored is confirmed, whatever else cannot be written.
	e.degrade(errors.Join(e.closeWindow()))
	return nil
}

// storeRevision makes a configuration the committed one. Nothing new makes no
// revision.
func (e *Engine) storeRevision(t *tracked, op *Operation, c netcfg.Config) error {
	if netcfg.Equal(c, e.committed) {
		return nil
	}
	if err := e.saveRevision(c, t.request); err != nil {
		return err
	}
	op.Revision = e.committedRevision
	t.step("storing", "revision %d", op.Revision)
	return nil
}

// describe is a phase in a few words: the first operation and how many follow.
func describe(ph plan.Phase) string {
	if len(ph.Ops) == 1 {
		return ph.Ops[0].String()
	}
	return fmt.Sprintf("%s and %d more", ph.Ops[0], len(ph.Ops)-1)
}

// foreign is what of a snapshot a rollback may have to bring back: not what the
// kernel makes by itself, and not the VLANs of the agent, which follow from the
// configuration.
func (e *Engine) foreign(s snapshot) snapshot {
	out := snapshot{Resolver: s.Resolver}
	kept := make(map[int]bool, len(s.Links))
	for _, l := range s.Links {
		if l.Kind == "vlan" && e.memory.Owned.Links[l.Name] != "" {
			continue
		}
		l.Counters, kept[l.Index] = nil, true
		out.Links = append(out.Links, l)
	}
	for _, a := range s.Addresses {
		if kept[a.Link] && !a.LinkLocal() {
			out.Addresses = append(out.Addresses, a)
		}
	}
	for _, r := range s.Routes {
		if kept[r.Link] && r.Protocol != state.ProtocolKernel {
			out.Routes = append(out.Routes, r)
		}
	}
	return out
}
