package engine

import "github.com/hostnic/hostnic/netcfg/plan"

// mostChanges is how many requests to the kernel an operation is remembered with.
const mostChanges = 32

// changes notes what an operation does to the kernel, in iproute2's words, as far as
// there is room for it.
func (op *Operation) changes(p plan.Plan) {
	op.Changes, op.Unlisted = nil, 0
	for _, phase := range p.Phases {
		for _, o := range phase.Ops {
			if len(op.Changes) == mostChanges {
				op.Unlisted++
				continue
			}
			op.Changes = append(op.Changes, o.String())
		}
	}
}

// audit is the line of the log about an operation that has ended: who, what, when and
// what came of it.
func (e *Engine) audit(op Operation) {
	e.Log.Info("operation ended", "id", op.ID, "kind", op.Kind, "state", op.State, "author", op.Author, "caller", op.Caller,
		"writes", op.Writes, "changes", op.Changes, "unlisted", op.Unlisted, "revision", op.Revision, "error", op.Err)
}
