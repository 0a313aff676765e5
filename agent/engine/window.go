package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
)

// Guard is a dead-man outside of the process. It is told of a deadline before the
// first write, and sees to it that the host goes back when the deadline passes and
// the agent does not.
type Guard interface {
	// Arm sets the deadline, a reading of Options.Clock, or moves it. An error means
	// that nobody watches.
	Arm(deadline time.Duration) error
	// Disarm says that there is nothing to watch any more.
	Disarm()
}

// The bounds of a window, and of an apply as the guard sees it.
const (
	MinWindow = time.Second
	MaxWindow = 24 * time.Hour
	// applyLimit is how long a phase of an apply may take before the guard believes
	// that the agent hangs.
	applyLimit = time.Minute
)

// Pending is a change that waits to be confirmed.
type Pending struct {
	// ID of the operation that made it.
	ID string
	// Deadline is a reading of Options.Clock.
	Deadline time.Duration
}

// window is a change in place that goes back at its deadline unless a commit
// confirms it.
type window struct {
	journal journalRecord
	// reverting is true once the way back has begun: nothing can confirm it any more.
	reverting bool
	// left is what the last try of the way back has left; nil before there was one.
	left *IncompleteRollback
}

func (e *Engine) pending() *Pending {
	if e.window == nil || e.window.reverting {
		return nil
	}
	return &Pending{e.window.journal.ID, e.window.journal.Deadline}
}

// openWindow journals that the change is in place and waits until its deadline.
func (e *Engine) openWindow(journal journalRecord, length time.Duration) error {
	journal.Confirming, journal.Deadline = true, e.Clock()+length
	if err := e.saveJournal(journal); err != nil {
		return err
	}
	e.arm(journal.Deadline)
	e.window = &window{journal: journal}
	return nil
}

// overdue is true of a change that is on its way back, or ought to be.
func (e *Engine) overdue() bool {
	w := e.window
	return w.reverting || !w.journal.Confirming || e.Clock() >= w.journal.Deadline
}

// closeWindow is called when the host is where it ought to be: nobody waits for
// anything any more, and both records say so. One that cannot be written is made up for
// by the other.
func (e *Engine) closeWindow() (running, journal error) {
	e.window = nil
	running, journal = e.saveEnded()
	e.disarm()
	return running, journal
}

func (e *Engine) arm(deadline time.Duration) {
	e.lives(deadline - e.Clock())
	if e.Guard == nil {
		return
	}
	if err := e.Guard.Arm(deadline); err != nil {
		e.degrade(fmt.Errorf("the guard that takes a change back if the agent dies does not work: %w", err))
	}
}

func (e *Engine) disarm() {
	if e.Guard != nil {
		e.Guard.Disarm()
	}
}

// windowTick comes when the window is to be looked at: at its deadline, or after a
// second, whichever is sooner. The runtime's timers stand still while the machine
// sleeps and the deadline does not.
func (e *Engine) windowTick() <-chan time.Time {
	if e.window == nil {
		return nil
	}
	return time.After(max(0, min(e.window.journal.Deadline-e.Clock(), time.Second)))
}

func (e *Engine) watchWindow(ctx context.Context) {
	if e.window == nil || e.Clock() < e.window.journal.Deadline {
		return
	}
	t := e.wayBack(e.window.journal)
	op := t.now()
	e.revert(ctx, t, &op)
	e.end(t, op)
}

// revert takes the host back to what is committed. What fails is tried again, with
// longer and longer pauses, and shows meanwhile.
func (e *Engine) revert(ctx context.Context, t *tracked, op *Operation) {
	w, writes := e.window, e.Kernel.Writes()
	e.ops.revertedBy(w.journal.ID, t)
	e.arm(e.Clock() + applyLimit)
	e.turnBack(w, t)
	target := e.committed
	if !w.journal.Confirming {
		target = w.journal.Previous // an undo that failed
	}
	t.step("rolling-back", "the change of operation %s", w.journal.ID)
	e.Log.Warn("going back from a change", "operation", w.journal.ID, "asked_by", t.request.Author)
	rep, err := e.goBack(ctx, t, converge.Target{Config: target, Memory: w.journal.Memory.Union(e.memory).AsFound(), Before: &w.journal.Before, Leases: e.lent})
	op.Writes += e.Kernel.Writes() - writes
	op.changes(rep.Plan)
	op.Err, op.Remaining = err, nil
	if err != nil {
		op.State, op.Remaining = Incomplete, rep.Drift
		e.retryLater(rep, err)
		return
	}
	e.pass()
	op.State, op.Disrupted, op.Waiting = Done, rep.Plan.Forecast, rep.Intent.Waiting
	e.over(t, op, Done)
	if t.request.Kind == Revert && w.journal.Confirming {
		e.lapse(w.journal.ID)
	}
	e.serial = w.journal.Serial
	e.settle(rep, target)
	e.degrade(errors.Join(e.closeWindow()))
}

// turnBack notes on disk that a window is over, before the way back begins: a restart
// in the middle must not go on waiting, and knows who has asked for it.
func (e *Engine) turnBack(w *window, t *tracked) {
	w.reverting = true
	if t.request.Kind == Revert && (!w.journal.Confirming || w.journal.Deadline <= e.Clock()) {
		return // that is what a restart finds out by itself
	}
	w.journal.Deadline = e.Clock()
	if t.request.Kind == Rollback {
		w.journal.Back = &begun{t.request, t.now().Started}
	}
	if err := e.saveJournal(w.journal); err != nil {
		e.degrade(err)
	}
}

// lapse forgets the candidate along with the change that was taken back: a commit
// that comes too late must not bring it in for good.
func (e *Engine) lapse(id string) {
	e.lapsed = id
	e.forgetStaged()
}

func (e *Engine) forgetStaged() {
	if netcfg.Equal(e.staged, e.committed) {
		return
	}
	if err := e.saveStaged(e.committed, e.stagedRevision+1); err != nil {
		e.degrade(err)
	}
}

// unlapse is a new beginning: somebody has looked and staged anew.
func (e *Engine) unlapse() {
	if e.lapsed == "" {
		return
	}
	e.lapsed = ""
	if err := e.saveRunning(); err != nil {
		e.degrade(err)
	}
}

// confirmable refuses what must not happen while a change waits, and a commit that
// comes too late: it would bring back, for good, what has just been taken back.
func (e *Engine) confirmable(r Request) error {
	if e.window == nil {
		if r.Kind == Commit && e.lapsed != "" {
			return &Error{Kind: Precondition, Rule: "window-lapsed",
				Message: fmt.Sprintf("the change of operation %s was not confirmed in time and has been taken back; stage and apply it again", e.lapsed)}
		}
		return nil
	}
	back := r.Kind == Rollback && (r.Revision == nil || *r.Revision == e.committedRevision)
	if e.overdue() && !back {
		return &Error{Kind: Precondition, Rule: "rollback-incomplete",
			Message: fmt.Sprintf("the change of operation %s is on its way back, which is tried until it is done: agentctl status says what is left, agentctl rollback tries at once", e.window.journal.ID)}
	}
	if r.Kind == Commit && netcfg.Equal(e.staged, e.running) || back {
		return nil
	}
	left := (e.window.journal.Deadline - e.Clock()).Round(time.Second)
	message := "confirm it (agentctl commit) or take it back (agentctl rollback) first"
	if r.Kind == Commit {
		message = "the candidate holds further edits, which a commit would apply unguarded: agentctl discard forgets them"
	}
	return &Error{Kind: Precondition, Rule: "pending-confirmation",
		Message: fmt.Sprintf("the change of operation %s waits %s more to be confirmed: %s", e.window.journal.ID, left, message)}
}

// ExtendDeadline moves the deadline of the change that waits, to so long from now.
func (e *Engine) ExtendDeadline(ctx context.Context, id string, length time.Duration) (p Pending, err error) {
	cerr := e.call(ctx, func() {
		switch {
		case e.window == nil:
			err = &Error{Kind: Precondition, Rule: "nothing-pending", Message: "no change waits to be confirmed"}
		case e.overdue():
			err = &Error{Kind: Precondition, Rule: "nothing-pending", Message: "the change is on its way back: nothing can confirm it any more"}
		case id != "" && id != e.window.journal.ID:
			err = &Error{Kind: Misused, Rule: "operation-id", Message: fmt.Sprintf("the change that waits is that of operation %s, not of %s", e.window.journal.ID, id)}
		default:
			if err = ValidWindow(length); err == nil {
				err = e.openWindow(e.window.journal, length)
			}
			if e.window != nil {
				p = *e.pending()
			}
		}
	})
	return p, errors.Join(cerr, err)
}

// ValidWindow refuses a window out of bounds.
func ValidWindow(length time.Duration) error {
	if length < MinWindow || length > MaxWindow {
		return &Error{Kind: Misused, Rule: "window-length", Message: fmt.Sprintf("a change can wait from %s to %s to be confirmed, not %s", MinWindow, MaxWindow, length)}
	}
	return nil
}
