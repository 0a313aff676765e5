package engine

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

// recordOperations is the name of the record of the operations that have ended. It is
// written at the end of each, before anybody is told. Until then the other records
// tell: the journal what was under way, a revision which commit has stored it, and
// that of what is running which operation was the last to end.
const recordOperations = "operations"

// mostHistory bounds the record of operations, in bytes: where it has no room for all
// that are remembered, the older ones are not kept over a restart.
const mostHistory = 128 << 10

// operationsRecord is the operations that have ended, oldest first, each an
// operationRecord.
type operationsRecord struct {
	Operations []json.RawMessage
	// Revision was the newest at the time, and Known the operations that other records
	// told of. One of them that is not among Operations has been forgotten since.
	Revision int64
	Known    []string
}

// operationRecord is an operation that has ended, without its steps.
type operationRecord struct {
	Request   Request
	Operation Operation
	Error     *errorRecord
	// Reverts is the operation whose change it takes back; it is told by the last one to
	// end only.
	Reverts string
}

// errorRecord is Operation.Err: what a caller decides by, and what a person reads.
type errorRecord struct {
	Problems netcfg.Problems
	Kind     ErrorKind
	Rule     string
	Text     string
}

// recordOf is an operation as it is kept. ok is false for a refusal that is worth
// another try: its id is free again after a restart.
func recordOf(r Request, op Operation) (rec operationRecord, ok bool) {
	rec = operationRecord{Request: r, Operation: op}
	if op.Err == nil {
		return rec, true
	}
	rec.Error = &errorRecord{Text: op.Err.Error()}
	var problems netcfg.Problems
	var refusal *Error
	switch {
	case errors.As(op.Err, &problems) && problems.Error() == rec.Error.Text:
		rec.Error.Problems = problems
	case errors.As(op.Err, &refusal):
		rec.Error.Kind, rec.Error.Rule = refusal.Kind, refusal.Rule
	default:
		return rec, op.State != Refused
	}
	return rec, op.State != Refused || refusal == nil || refusal.Kind != Unavailable
}

// restored is the operation as it was.
func (r operationRecord) restored() Operation {
	op := r.Operation
	switch e := r.Error; {
	case e == nil:
	case len(e.Problems) > 0:
		op.Err = e.Problems
	case e.Rule != "":
		op.Err = &Error{Kind: e.Kind, Rule: e.Rule, Message: e.Text}
	default:
		op.Err = errors.New(e.Text)
	}
	return op
}

// find is the operation of that id; nil when it is not remembered.
func (o *operations) find(id string) *tracked {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.IndexFunc(o.list, func(t *tracked) bool { return t.request.ID == id }); i >= 0 {
		return o.list[i]
	}
	return nil
}

// add remembers an operation of a former life, unless it is remembered already.
func (o *operations) add(r Request, op Operation) (added bool) {
	if o.find(r.ID) != nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	t := newTracked(r)
	t.op = op
	o.keep(t)
	return true
}

// record is what is kept of the operations; that of t ends with op.
func (o *operations) record(t *tracked, op Operation) operationsRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out operationsRecord
	size := 0
	for _, each := range slices.Backward(o.list) {
		now := each.now()
		if each == t {
			now = op
		}
		rec, ok := recordOf(each.request, now)
		if now.State == Running || !ok {
			continue
		}
		data, err := json.Marshal(rec)
		if size += len(data); err != nil || size > mostHistory && len(out.Operations) > 0 {
			break
		}
		out.Operations = append(out.Operations, data)
	}
	slices.Reverse(out.Operations)
	return out
}

// end notes what became of an operation, on disk and then for all who ask. A disk that
// does not take it changes nothing of what has been done.
func (e *Engine) end(t *tracked, op Operation) {
	op.Duration = max(0, time.Since(op.Started))
	if e.ended != nil && e.ended.Request.ID == op.ID {
		e.over(t, &op, op.State)
	}
	e.release()
	e.saveOperations(t, op)
	e.audit(op)
	if e.Witness != nil {
		e.Witness.Ended(op)
	}
	e.publish()
	t.finish(op)
}

func (e *Engine) saveOperations(t *tracked, op Operation) {
	if e.readOnly != "" {
		return
	}
	rec := e.ops.record(t, op)
	rec.Revision = e.committedRevision
	if e.ended != nil {
		rec.Known = append(rec.Known, e.ended.Request.ID)
	}
	if e.window != nil {
		rec.Known = append(rec.Known, e.window.journal.ID)
	}
	if e.window != nil && e.window.journal.Back != nil {
		rec.Known = append(rec.Known, e.window.journal.Back.Request.ID)
	}
	if err := e.Store.Put(recordOperations, rec); err != nil {
		e.degrade(storageError("the outcome of an operation cannot be noted on disk, and is forgotten when the agent ends", err))
	}
}

// over is called before the record is written by which an operation is over. That
// record tells its outcome, should the agent die before end.
func (e *Engine) over(t *tracked, op *Operation, state State) {
	last := *op
	last.State, last.Duration = state, max(0, time.Since(op.Started))
	if last.Writes == 0 {
		last.Writes = e.Kernel.Writes() - t.writes
	}
	rec, _ := recordOf(t.request, last)
	rec.Reverts = t.reverts
	e.ended = &rec
}
