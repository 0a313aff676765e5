package engine

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// stuck is a host on which an apply has failed, and the way back cannot get past eth0.
func stuck(t *testing.T) (r *rig, before string) {
	t.Helper()
	r = newRig(t)
	r.stage(atFirst)
	r.do(Request{Kind: Commit})
	before = r.look()
	r.stage(another)
	failed := false
	r.kernel.Inject(func(_ int, op plan.Op) syscall.Errno {
		failed = failed || op.Name == "eth1.5" && op.Action == plan.AddrAdd
		if failed && (op.Name == "eth0" || op.Action == plan.AddrAdd && op.Name == "eth1.5") {
			return syscall.EPERM
		}
		return 0
	})
	op, err := r.Do(t.Context(), Request{Kind: Apply, ID: "mine"}, nil)
	if err != nil || op.State != Incomplete {
		t.Fatalf("%v, %s, %v", err, op.State, op.Err)
	}
	for _, d := range op.Remaining {
		if !strings.Contains(d.Field, "eth0") {
			t.Errorf("left is %v, of what could be taken back", d)
		}
	}
	if len(op.Remaining) == 0 {
		t.Error("nothing is said to be left")
	}
	if now := r.look(); now == before || strings.Contains(now, "eth1.5") {
		t.Errorf("the way back has not gone as far as it could:\n%s", now)
	}
	return r, before
}

// A way back that does not get to its end is tried again and again, with longer and
// longer pauses, as one operation; meanwhile every other change is refused.
func TestWayBackIsTriedAgain(t *testing.T) {
	r, before := stuck(t)
	pauses := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}
	for n, pause := range pauses {
		eventually(t, "another try", func() bool { i := r.View().Incomplete; return i != nil && i.Attempts == n+1 })
		v := r.View()
		if v.Incomplete.ID != "mine" || len(v.Incomplete.Remaining) == 0 || v.Incomplete.Next-time.Duration(r.now.Load()) != pause {
			t.Errorf("after %d tries: %+v at %v, want a pause of %v", n+1, v.Incomplete, time.Duration(r.now.Load()), pause)
		}
		if v.Pending != nil || v.Writable() || len(v.Degraded) != 1 || !strings.Contains(v.Degraded[0], "could not be taken back") {
			t.Errorf("pending %v, writable %v, degraded %v", v.Pending, v.Writable(), v.Degraded)
		}
		r.pass(pause)
	}
	one := int64(7)
	for _, request := range []Request{{Kind: Apply}, {Kind: Commit}, {Kind: Rollback, Revision: &one}} {
		var refusal *Error
		if _, err := r.Do(t.Context(), request, nil); !errors.As(err, &refusal) || refusal.Rule != "rollback-incomplete" {
			t.Errorf("%s: %v", request.Kind, err)
		}
	}
	eventually(t, "the last try", func() bool { return r.View().Incomplete.Attempts == len(pauses)+1 })
	// Started again it goes on with the same.
	r.restart()
	revert := r.operation(r.operation("mine").RevertedBy)
	same(t, "way back", []any{revert.Kind, revert.State, r.View().Incomplete.Attempts}, []any{Revert, Incomplete, 1})
	same(t, "operations", len(r.Operations()), 6) // a commit, the apply, its way back, and those that were refused
	r.kernel.Inject(nil)
	r.pass(time.Second)
	eventually(t, "the way back", func() bool { return r.View().Incomplete == nil })
	same(t, "the host", r.look(), before)
	v := r.View()
	same(t, "writable, degraded", []any{v.Writable(), v.Degraded}, []any{true, "[]"})
	eventually(t, "its end", func() bool { return r.operation(revert.ID).State == Done })
	same(t, "the apply", r.operation("mine").State, Incomplete)
	r.stage(another)
	r.do(Request{Kind: Apply})
}

// A rollback tries at once. When it fails as well, the agent goes on by itself.
func TestRollbackOfWhatIsStuck(t *testing.T) {
	r, before := stuck(t)
	op, err := r.Do(t.Context(), Request{Kind: Rollback, ID: "by hand"}, nil)
	if err != nil || op.State != Incomplete || r.operation("mine").RevertedBy != "by hand" {
		t.Errorf("%v, %s, %v", err, op.State, op.Err)
	}
	r.restart() // which tries, too
	if op := r.operation("by hand"); op.State != Incomplete {
		t.Errorf("an answer has changed: %+v", op)
	}
	r.kernel.Inject(nil)
	if op := r.do(Request{Kind: Rollback, ID: "by hand again"}); op.Writes == 0 {
		t.Errorf("%+v", op)
	}
	same(t, "the host", r.look(), before)
	same(t, "taken back by", r.operation("mine").RevertedBy, "by hand again")
}
