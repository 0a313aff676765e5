package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// IncompleteRollback is a change that could not be taken back yet.
type IncompleteRollback struct {
	// ID of the operation that made it.
	ID string
	// Remaining is what is not as it was, and Err why.
	Remaining []plan.Drift
	Err       error
	// Attempts were made so far. The next is at Next, a reading of Options.Clock.
	Attempts int
	Next     time.Duration
}

// Error is a line for an operator.
func (i *IncompleteRollback) Error() string {
	return fmt.Sprintf("the change of operation %s could not be taken back (tried %d times), and is tried again: %v", i.ID, i.Attempts, i.Err)
}

func (e *Engine) incomplete() *IncompleteRollback {
	if e.window == nil || e.window.left == nil {
		return nil
	}
	left := *e.window.left
	left.Next = e.window.journal.Deadline
	return &left
}

// A way back is tried so often as a whole, and for no longer than that, before it is
// done as far as it goes.
const (
	tries    = 3
	tryLimit = 5 * time.Second
)

// goBack converges to where the host came from. Where that fails again and again, it
// leaves out what does not work and does the rest. rep.Drift is what is left.
func (e *Engine) goBack(ctx context.Context, t *tracked, target converge.Target) (rep converge.Report, err error) {
	target.Lenient, target.Progress = true, e.progress(t, "rolling-back")
	began, wrote := time.Now(), false
	for n := 1; ; n++ {
		target.BestEffort = n > tries || time.Since(began) > tryLimit
		rep, err = converge.Run(ctx, e.Kernel, target)
		wrote = wrote || rep.Wrote
		rep.Wrote = wrote
		if err == nil || ctx.Err() != nil {
			break
		}
		t.step("rolling-back", "try %d has failed: %v", n, err)
		if target.BestEffort {
			break
		}
		select {
		case <-time.After(time.Duration(n) * 50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return rep, err
}

// The pauses between the tries of a way back get longer from firstRetry to lastRetry.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retryLater makes a way back that has failed a state of the agent, until a later try
// succeeds. It is never silent: it shows in the log, in the status and in the health.
func (e *Engine) retryLater(rep converge.Report, err error) {
	w := e.window
	attempts := 1
	if w.left != nil {
		attempts += w.left.Attempts
	}
	w.reverting = true
	w.left = &IncompleteRollback{ID: w.journal.ID, Remaining: rep.Drift, Err: err, Attempts: attempts}
	w.journal.Deadline = e.Clock() + min(firstRetry<<min(attempts-1, 10), lastRetry)
	e.arm(w.journal.Deadline)
	e.Log.Error(w.left.Error(), "left", len(rep.Drift))
}

// wayBack is the operation that takes a change back at its deadline, or after an undo
// that failed. All tries of it are one operation.
func (e *Engine) wayBack(j journalRecord) *tracked {
	author := "deadline"
	if !j.Confirming {
		author = "agent"
	}
	if change := e.ops.find(j.ID); change != nil {
		by := e.ops.find(change.now().RevertedBy)
		if by != nil && by.request.Kind == Revert && by.now().State == Incomplete {
			return by
		}
	}
	t, _, _ := e.ops.begin(Request{Kind: Revert, Author: author}) // an id of its own is never refused
	t.writes = e.Kernel.Writes()
	e.ops.revertedBy(j.ID, t)
	return t
}

// revertedBy notes which operation takes the change of another one back.
func (o *operations) revertedBy(id string, by *tracked) {
	by.reverts = id
	if change := o.find(id); change != nil {
		change.revertedBy(by.request.ID)
	}
}
