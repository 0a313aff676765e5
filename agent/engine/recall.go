package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
)

// recallOperations remembers what the record of operations tells.
func (e *Engine) recallOperations() (rec operationsRecord) {
	_, err := e.get(recordOperations, &rec)
	var newer *store.NewerError
	if errors.As(err, &newer) {
		e.readOnly = err.Error()
	}
	if err != nil {
		e.degrade(err)
	}
	for _, data := range rec.Operations {
		var one operationRecord
		if err := json.Unmarshal(data, &one); err != nil {
			e.degrade(fmt.Errorf("a stored operation cannot be read: %w", err))
			continue
		}
		e.ops.add(one.Request, one.restored())
	}
	return rec
}

// recallOthers remembers the operations that had ended, or were under way, when the
// agent died, and are not in the record of operations.
func (e *Engine) recallOthers(rec operationsRecord, f found, s start) {
	added := false
	add := func(r Request, op Operation) {
		if !slices.Contains(rec.Known, r.ID) && e.ops.add(r, op) {
			added = added || op.State != Running
		}
	}
	if e.ended = f.ended(); e.ended != nil {
		add(e.ended.Request, e.ended.restored())
		if t := e.ops.find(e.ended.Request.ID); t != nil {
			e.ops.revertedBy(e.ended.Reverts, t)
		}
	}
	if s.cut != nil {
		add(s.cut.Begun.Request, cutOff(s, f.newest))
	}
	if s.cut != nil && s.cut.Back != nil {
		add(s.cut.Back.Request, s.cut.Back.operation(Running))
	}
	if r := f.newest; r != nil && r.Request != nil && r.Revision > rec.Revision {
		add(*r.Request, r.operation())
	}
	if added {
		e.saveOperations(nil, Operation{})
	}
}

// cutOff is the operation whose end is not on the disk, as far as that is known before
// the recovery.
func cutOff(s start, newest *revisionRecord) Operation {
	op := s.cut.Begun.operation(s.outcome)
	switch {
	case s.outcome == RolledBack:
		op.State = Running // until the host is back
	case newest != nil && newest.Request != nil && newest.Request.ID == s.cut.ID:
		return newest.operation()
	default:
		op.Window = s.cut.Begun.Request.RevertAfter
		op.Warnings = warnCutOff("the agent was killed at the end of this operation, when its change was in place")
	}
	return op
}

// operation is the commit that has stored the revision.
func (r *revisionRecord) operation() Operation {
	op := begun{*r.Request, r.Time}.operation(Done)
	op.Revision = r.Revision
	op.Warnings = warnCutOff("the agent was killed at the end of this operation, when revision %d was already stored", r.Revision)
	return op
}

// operation is what has begun, in that state.
func (b begun) operation(s State) Operation {
	return Operation{ID: b.Request.ID, Kind: b.Request.Kind, State: s, Author: b.Request.Author, Caller: b.Request.Caller, Started: b.Started}
}

// ruleCutOff is the rule of what is said of an operation that did not see its own end.
const ruleCutOff = "agent-killed"

func warnCutOff(format string, args ...any) netcfg.Problems {
	return netcfg.Problems{{Kind: netcfg.Precondition, Rule: ruleCutOff, Message: fmt.Sprintf(format, args...)}}
}

// recovering is the operation of which the recovery decides: one that was cut off, or
// the way back from one that had ended. It is nil when there is none.
func (e *Engine) recovering(s start) *tracked {
	if s.cut == nil || s.outcome != RolledBack && !s.reverts {
		return nil
	}
	if t := e.ops.find(s.cut.ID); !s.reverts && t != nil && t.now().State == Running {
		return t
	}
	if s.cut.Back == nil {
		return e.wayBack(*s.cut)
	}
	if t := e.ops.find(s.cut.Back.Request.ID); t != nil && t.now().State == Running {
		e.ops.revertedBy(s.cut.ID, t)
		return t
	}
	return e.wayBack(*s.cut)
}

// recovered is that operation when the host has been brought back, or could not be.
func (e *Engine) recovered(t *tracked, s start, rep converge.Report, err error) Operation {
	op := t.now()
	op.State, op.Err, op.Remaining = Done, err, nil
	op.Writes = e.Kernel.Writes() - t.writes
	op.Disrupted, op.Waiting = rep.Plan.Forecast, rep.Intent.Waiting
	where := "the agent was killed in the middle of this operation"
	if s.rebooted {
		where = "the host was restarted in the middle of this operation"
	}
	switch {
	case err != nil:
		op.State, op.Remaining = Incomplete, rep.Drift
		if op.ID == s.cut.ID {
			op.Err = fmt.Errorf("%s, and the way back failed: %w", where, err)
		}
	case op.ID == s.cut.ID && s.rebooted:
		op.State, op.Err = RolledBack, &Error{Kind: Unavailable, Rule: ruleCutOff, Message: where + ", and has come up with what is committed"}
	case op.ID == s.cut.ID:
		op.State, op.Err = RolledBack, &Error{Kind: Unavailable, Rule: ruleCutOff, Message: where + "; started again, it has taken back what was done"}
	case op.Kind == Rollback:
		op.Warnings = warnCutOff("%s; started again, it has brought it to its end", where)
	}
	return op
}
