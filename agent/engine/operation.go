package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// Kind is what an operation is for.
type Kind string

// The kinds of operation.
const (
	Apply    Kind = "apply"
	Commit   Kind = "commit"
	Rollback Kind = "rollback"
	Boot     Kind = "boot"
	Revert   Kind = "revert" // the way back when nobody has confirmed
	Heal     Kind = "heal"   // drift put right
)

// State is where an operation stands.
type State string

// The states of an operation.
const (
	Running    State = "running"
	Done       State = "done"
	Refused    State = "refused"     // nothing was touched
	RolledBack State = "rolled-back" // the host is as it was before
	Incomplete State = "incomplete"  // it is not, see Remaining
)

// Request asks for an operation. It is kept on disk as it is.
type Request struct {
	Kind Kind
	// ID is the client's; one is made up when it is empty.
	ID      string
	Author  string
	Comment string
	// StagedRevision is the candidate that is meant; nil is any.
	StagedRevision *int64
	// Revision is what to roll back to; nil is the committed configuration.
	Revision *int64
	// RevertAfter is how long the change waits to be confirmed by a commit before
	// the host goes back to what is committed; 0 is for ever.
	RevertAfter time.Duration
	// Wait is how long to wait for everything to be ready; see plan.Unready. 0 is not
	// at all.
	Wait time.Duration
	// Force goes on although the change cuts a path.
	Force bool
	// NoRehearse goes without a rehearsal.
	NoRehearse bool
	// TakeOver takes links over from the programs that manage them.
	TakeOver bool
	// Paths are connections that the change must not cut unasked, beside those to
	// Options.ControlPlane.
	Paths []plan.Path
	// Probes are those to make, in the words of the API; none named are gateway and
	// lacp for Apply and Commit.
	Probes []string
	// Client is who asks, as Contact.Client has it, and Caller how that is known: by uid
	// and process, or by certificate.
	Client, Caller string
}

// same is true of a repetition of the request.
func (r Request) same(o Request) bool {
	return r.Kind == o.Kind && r.Comment == o.Comment && r.RevertAfter == o.RevertAfter && r.Wait == o.Wait && r.Force == o.Force && r.NoRehearse == o.NoRehearse && r.TakeOver == o.TakeOver &&
		slices.Equal(r.Probes, o.Probes) && equalPointer(r.StagedRevision, o.StagedRevision) && equalPointer(r.Revision, o.Revision)
}

func equalPointer(a, b *int64) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// Operation is an operation as it stands. All but Err is kept on disk as it is.
type Operation struct {
	ID       string
	Kind     Kind
	State    State
	Author   string
	Started  time.Time
	Duration time.Duration
	// Writes is how many requests went to the kernel.
	Writes uint64
	// Revision is what a commit has stored; 0 when it stored nothing.
	Revision int64
	// Window is how long the change waits to be confirmed; 0 when it need not be.
	Window time.Duration
	// RevertedBy is the operation that takes the change back, or has; empty while
	// there is none.
	RevertedBy string
	// Err is why it did not get to Done; nil then.
	Err       error `json:"-"`
	Remaining []plan.Drift
	Waiting   []plan.Waiting
	Warnings  netcfg.Problems
	Disrupted []plan.Forecast
	// Probes are those that were made, and what came of them.
	Probes []Probe
	// Caller is how it is known who asked; empty where nobody did.
	Caller string
	// Changes are the requests to the kernel, those of a change that was taken back
	// included, and Unlisted how many more there were.
	Changes  []string
	Unlisted int
	// Healed is the drift that a Heal has put right, or tried to.
	Healed []plan.Drift
}

// PhaseStarted is the phase of the first step of every operation. It is told before
// anything else happens.
const PhaseStarted = "started"

// Step is one line of progress.
type Step struct {
	Time        time.Time
	Phase, Text string
}

// tracked is an operation that can be followed while it runs.
type tracked struct {
	request Request
	// writes is the count of the kernel's when it began, and reverts the operation whose
	// change it takes back. Both belong to the loop.
	writes  uint64
	reverts string
	// told is closed once the client that began it knows that it has started.
	told chan struct{}

	mu      sync.Mutex
	op      Operation
	steps   []Step
	changed chan struct{}
}

func newTracked(r Request) *tracked {
	return &tracked{request: r, told: make(chan struct{}), changed: make(chan struct{}),
		op: Operation{ID: r.ID, Kind: r.Kind, State: Running, Author: r.Author, Caller: r.Caller, Started: time.Now()}}
}

func (t *tracked) step(phase, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, Step{time.Now(), phase, fmt.Sprintf(format, args...)})
	close(t.changed)
	t.changed = make(chan struct{})
}

// amount is how many there are of what has this name: 1 NIC, 2 NICs.
func amount(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (t *tracked) finish(op Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.op = op
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tracked) look(from int) (Operation, []Step, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	op := t.op
	if op.State == Running {
		op.Duration = time.Since(op.Started)
	}
	return op, slices.Clone(t.steps[min(from, len(t.steps)):]), t.changed
}

// now is the operation as it stands.
func (t *tracked) now() Operation {
	op, _, _ := t.look(math.MaxInt)
	return op
}

func (t *tracked) revertedBy(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.op.RevertedBy = id
}

// keepOperations is how many operations are remembered.
const keepOperations = 100

// operations are those that are remembered, oldest first.
type operations struct {
	mu   sync.Mutex
	list []*tracked
}

func newOperations() *operations { return &operations{} }

// begin finds the operation of that id or makes it. fresh is true when it was
// made. A second request of another kind under the same id is refused.
func (o *operations) begin(r Request) (t *tracked, fresh bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.list {
		if r.ID == "" || t.request.ID != r.ID {
			continue
		}
		if !t.request.same(r) {
			return nil, false, &Error{Kind: Misused, Rule: "operation-id-reused",
				Message: fmt.Sprintf("the operation id %q stands for another request already: choose a new one", r.ID)}
		}
		return t, false, nil
	}
	if r.ID == "" {
		r.ID = rand.Text()
	}
	t = newTracked(r)
	o.keep(t)
	return t, true, nil
}

// keep adds an operation, and forgets the oldest where there are too many.
func (o *operations) keep(t *tracked) {
	o.list = append(o.list, t)
	if len(o.list) > keepOperations {
		o.list = slices.Delete(o.list, 0, len(o.list)-keepOperations)
	}
}

func (o *operations) drop(t *tracked) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = slices.DeleteFunc(o.list, func(have *tracked) bool { return have == t })
}

// Do runs an operation, or joins the one of the same id, and follows it until it
// has ended or ctx has. The operation goes on either way. progress may be nil. The
// error is netcfg.Problems or *Error for a refused operation, ctx's when the
// caller has gone; the other outcomes are in the Operation.
func (e *Engine) Do(ctx context.Context, r Request, progress func(Step)) (Operation, error) {
	t, fresh, err := e.ops.begin(r)
	if err != nil {
		return Operation{}, err
	}
	if fresh {
		select {
		case e.requests <- func() { e.carryOut(ctx, t) }:
		case <-ctx.Done():
			e.ops.drop(t) // it has not begun: the id is free again
			t.finish(Operation{ID: t.op.ID, Kind: r.Kind, State: Refused, Started: t.op.Started, Err: ctx.Err()})
		case <-e.stopped:
			t.finish(Operation{ID: t.op.ID, Kind: r.Kind, State: Refused, Started: t.op.Started, Err: errStopped})
		}
	}
	return t.follow(ctx, fresh, progress)
}

// patience is how long an operation waits until its client has been told that it has
// started: a client that does not read must not keep the others from theirs.
const patience = time.Second

// carryOut performs an operation in the loop, after its client has been told that it
// has started: what it does may cut the client off.
func (e *Engine) carryOut(ctx context.Context, t *tracked) {
	t.step(PhaseStarted, "operation %s", t.op.ID)
	select {
	case <-t.told:
	case <-ctx.Done():
	case <-time.After(patience):
	}
	t.writes = e.Kernel.Writes()
	e.end(t, e.perform(context.WithoutCancel(ctx), t))
}

// follow reports the steps of an operation until it has ended or ctx has. first is
// true for the client that has begun it.
func (t *tracked) follow(ctx context.Context, first bool, progress func(Step)) (Operation, error) {
	for seen := 0; ; {
		op, steps, changed := t.look(seen)
		for _, s := range steps {
			if progress != nil {
				progress(s)
			}
			if first {
				close(t.told)
				first = false
			}
		}
		seen += len(steps)
		if op.State == Refused {
			return op, op.Err
		}
		if op.State != Running {
			return op, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return op, ctx.Err()
		}
	}
}

// Operation returns the operation of that id.
func (e *Engine) Operation(id string) (Operation, error) {
	for _, op := range e.Operations() {
		if op.ID == id {
			return op, nil
		}
	}
	return Operation{}, &Error{Kind: NotFound, Rule: "operation-unknown", Message: fmt.Sprintf("no operation %q is remembered: nothing of it was done, unless %d others came after it", id, keepOperations)}
}

// Operations are those remembered, newest first.
func (e *Engine) Operations() []Operation {
	e.ops.mu.Lock()
	defer e.ops.mu.Unlock()
	var out []Operation
	for _, t := range slices.Backward(e.ops.list) {
		out = append(out, t.now())
	}
	return out
}
