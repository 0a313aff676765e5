package engine

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// printed are operations without what of an error is not kept: its type, where nobody
// decides by it.
func printed(all []Operation) (out []string) {
	for _, op := range all {
		text := lines(op.Err)
		op.Err, op.Started = nil, op.Started.Round(0).UTC()
		out = append(out, fmt.Sprintf("%+v %s", op, text))
	}
	return out
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}

// Operations are kept as they are over restarts of the agent and of the host.
func TestOperationsAreKept(t *testing.T) {
	r := newRig(t)
	r.stage(atFirst)
	r.do(Request{Kind: Commit, ID: "committed", Comment: "why", Author: "me"})
	r.stage(another)
	stale := int64(7)
	_, err := r.Do(t.Context(), Request{Kind: Apply, ID: "refused", StagedRevision: &stale}, nil)
	if err == nil {
		t.Fatal("not refused")
	}
	r.kernel.Inject(func(_ int, op plan.Op) syscall.Errno {
		if op.Kind == "vlan" {
			return syscall.EPERM
		}
		return 0
	})
	if op, err := r.Do(t.Context(), Request{Kind: Apply, ID: "rolled back"}, nil); err != nil || op.State != RolledBack {
		t.Fatalf("%v, %s", err, op.State)
	}
	r.kernel.Inject(nil)
	r.do(Request{Kind: Apply, ID: "applied"})
	want := printed(r.Operations())
	same(t, "how many", len(want), 4)
	r.restart()
	same(t, "after a restart", printed(r.Operations()), want)
	r.restart()
	same(t, "after another", printed(r.Operations()), want)
	_, again := r.Do(t.Context(), Request{Kind: Apply, ID: "refused", StagedRevision: &stale}, nil)
	var refusal *Error
	if !errors.As(again, &refusal) || refusal.Kind != Stale || refusal.Rule != "stale-revision" || again.Error() != err.Error() {
		t.Errorf("refused again: %v, want %v", again, err)
	}
	r.stop()
	r.boot = "another boot"
	r.plug()
	r.start()
	same(t, "after a boot", printed(r.Operations()), want)
}

// What a document was refused for is kept problem by problem.
func TestProblemsAreKept(t *testing.T) {
	problems := netcfg.Problems{{Kind: netcfg.NotFound, Path: "host_nics[eth9]", Rule: "nic-unknown", Found: "eth9", Message: "there is none"}, {Path: "x", Rule: "y"}}
	for _, err := range []error{
		problems, &Error{Kind: Stale, Rule: "stale-revision", Message: "too late"}, fmt.Errorf("look: %w", &Error{Kind: Full, Rule: "r", Message: "m"}),
		errors.Join(problems, errors.New("and more")), errors.New("text"),
	} {
		rec, _ := recordOf(Request{}, Operation{State: Incomplete, Err: err})
		got := rec.restored().Err
		same(t, "text", got, err)
		var p, wantP netcfg.Problems
		if errors.As(err, &wantP) && len(rec.Error.Problems) > 0 && (!errors.As(got, &p) || !reflect.DeepEqual(p, wantP)) {
			t.Errorf("problems %v, want %v", p, wantP)
		}
		var e, wantE *Error
		if errors.As(err, &wantE) && (!errors.As(got, &e) || e.Kind != wantE.Kind || e.Rule != wantE.Rule) {
			t.Errorf("error %v, want %v", e, wantE)
		}
	}
	for err, want := range map[error]bool{
		&Error{Kind: Stale, Rule: "r"}: true, errStopped: false, errors.New("the kernel does not answer"): false,
	} {
		if _, kept := recordOf(Request{}, Operation{State: Refused, Err: err}); kept != want {
			t.Errorf("refused for %q: kept %v, want %v", err, kept, want)
		}
	}
}

// Everything in a request and an operation can be written down.
func TestRequestsCanBeKept(t *testing.T) {
	var look func(path string, of reflect.Type)
	look = func(path string, of reflect.Type) {
		if of.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			return
		}
		switch of.Kind() {
		case reflect.Func, reflect.Chan, reflect.Interface, reflect.Complex64, reflect.Complex128:
			t.Errorf("%s is a %v, which cannot be kept on disk", path, of)
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			look(path, of.Elem())
		case reflect.Struct:
			for f := range of.NumField() {
				switch field := of.Field(f); {
				case field.Tag.Get("json") == "-" && field.Type == reflect.TypeFor[error]():
				case !field.IsExported():
					t.Errorf("%s.%s is not exported, and is lost on disk", path, field.Name)
				default:
					look(path+"."+field.Name, field.Type)
				}
			}
		}
	}
	look("Request", reflect.TypeFor[Request]())
	look("Operation", reflect.TypeFor[Operation]())
}

// A hundred operations are kept. One that was forgotten does not come back, although a
// revision, the record of what is running and the journal still tell of it.
func TestOperationsAreForgotten(t *testing.T) {
	r := newRig(t)
	r.stage(atFirst)
	r.do(Request{Kind: Commit, ID: "committed"})
	r.stage(another)
	r.do(Request{Kind: Apply, ID: "waits", RevertAfter: time.Hour})
	for n := range keepOperations {
		if _, err := r.Do(t.Context(), Request{Kind: Apply, ID: fmt.Sprint(n)}, nil); err == nil {
			t.Fatal("not refused")
		}
	}
	for range 2 {
		all := r.Operations()
		if len(all) != keepOperations || all[0].ID != "99" || all[99].ID != "0" {
			t.Errorf("%d operations, from %s to %s", len(all), all[0].ID, all[len(all)-1].ID)
		}
		r.restart()
	}
	if r.View().Pending == nil {
		t.Error("the change does not wait any more")
	}
	r.pass(2 * time.Hour)
	eventually(t, "it goes back", func() bool { op := r.Operations()[0]; return op.Kind == Revert && op.State == Done })
}

// The record stays small, whatever is in it; the newest operation is kept in any case.
func TestOperationsAreBounded(t *testing.T) {
	ops := newOperations()
	long := errors.New(strings.Repeat("x", mostHistory/4))
	for n := range 9 {
		id := fmt.Sprint(n)
		ops.add(Request{ID: id}, Operation{ID: id, State: RolledBack, Err: long})
	}
	same(t, "kept", len(ops.record(nil, Operation{}).Operations), 3)
	ops.add(Request{ID: "huge"}, Operation{ID: "huge", State: RolledBack, Err: errors.New(strings.Repeat("x", 2*mostHistory))})
	same(t, "kept", len(ops.record(nil, Operation{}).Operations), 1)
}

// A disk that does not take the outcome of an operation changes nothing of that. It is
// said, and over when the disk works again.
func TestOutcomeNotNoted(t *testing.T) {
	r := newRig(t)
	r.stage(atFirst)
	block := func(do func(string) error) {
		for _, slot := range []string{"operations.a", "operations.b"} {
			if err := do(filepath.Join(r.dir, slot)); err != nil {
				t.Fatal(err)
			}
		}
	}
	block(func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) })
	op := r.do(Request{Kind: Commit, ID: "mine"})
	if v := r.View(); op.Revision != 1 || v.CommittedRevision != 1 || len(v.Degraded) != 1 || !strings.Contains(v.Degraded[0], "cannot be noted") {
		t.Errorf("revision %d, %v", op.Revision, v.Degraded)
	}
	block(os.RemoveAll)
	r.restart() // the revision tells
	if op := r.operation("mine"); op.State != Done || op.Revision != 1 {
		t.Errorf("%+v", op)
	}
	block(os.RemoveAll)
	block(func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) })
	r.stage(another)
	r.do(Request{Kind: Apply, ID: "another"})
	block(os.RemoveAll)
	r.do(Request{Kind: Commit})
	same(t, "degraded", r.View().Degraded, "[]")
	r.restart()
	same(t, "how many", len(r.Operations()), 3)
}

// Without a good record of operations the agent works, and says what is lost.
func TestOperationsDamaged(t *testing.T) {
	r := newRig(t)
	r.stage(atFirst)
	r.do(Request{Kind: Commit})
	r.stage(another)
	r.do(Request{Kind: Apply, ID: "the last"})
	r.stop()
	for _, slot := range []string{"operations.a", "operations.b"} {
		if err := os.WriteFile(filepath.Join(r.dir, slot), []byte("hello"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	if v := r.View(); len(v.Degraded) != 1 || !strings.Contains(v.Degraded[0], "operations") || v.ReadOnly != "" {
		t.Errorf("degraded %v, read-only %q", v.Degraded, v.ReadOnly)
	}
	// Of the last ones the other records tell.
	if op := r.operation("the last"); op.State != Done || op.Writes == 0 {
		t.Errorf("%+v", op)
	}
	r.do(Request{Kind: Commit})
}

// The host is restarted in the middle of an apply, and while a change waits to be
// confirmed.
func TestOperationsOverABoot(t *testing.T) {
	for _, c := range []struct {
		request Request
		killAt  int64
	}{{Request{Kind: Apply, ID: "mine"}, 6}, {Request{Kind: Apply, ID: "mine", RevertAfter: time.Hour}, 1000}} {
		r := newRig(t)
		r.stage(atFirst)
		r.do(Request{Kind: Commit})
		committed := r.look()
		r.stage(another)
		survived := r.doOrDie(c.request, c.killAt)
		r.stop()
		r.boot = "another boot"
		r.plug()
		r.start()
		same(t, "the host", r.look(), committed)
		op := r.operation("mine")
		if survived {
			revert := r.operation(op.RevertedBy)
			same(t, "states", []any{op.State, op.Err, revert.Kind, revert.State}, []any{Done, nil, Revert, Done})
		} else if op.State != RolledBack || !strings.Contains(lines(op.Err), "the host was restarted") {
			t.Errorf("%s, %v", op.State, op.Err)
		}
		r.stop()
	}
}

// TestUnwritten asks for what needs nothing of the kernel and cannot be noted on disk: it
// has not happened, and what was running goes on being it.
func TestUnwritten(t *testing.T) {
	r := newRig(t)
	r.stage(`host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: 24}}]`)
	r.do(Request{Kind: Apply})
	r.stage(`host_nics: [{name: eth0, mtu: 1500}]`)
	before := r.View().Running
	trace := r.Store.Trace
	full := func(step store.Step) error {
		if step.Deed == store.Created && strings.Contains(step.Path, recordRunning) {
			return syscall.ENOSPC
		}
		return trace(step)
	}
	if err := r.call(t.Context(), func() { r.Store.Trace = full }); err != nil {
		t.Fatal(err)
	}
	var refused *Error
	op, err := r.Do(t.Context(), Request{Kind: Apply}, nil)
	if err = errors.Join(err, op.Err); op.Writes != 0 || !errors.As(err, &refused) || refused.Kind != Full {
		t.Errorf("on a full disk: %s, %v", op.State, err)
	}
	if now := r.View().Running; !netcfg.Equal(now, before) {
		t.Errorf("running is %+v, was %+v", now, before)
	}
	if err := r.call(t.Context(), func() { r.Store.Trace = trace }); err != nil {
		t.Fatal(err)
	}
	r.do(Request{Kind: Apply})
	if now := r.View().Running; netcfg.Equal(now, before) {
		t.Error("applied, and yet not running")
	}
}
