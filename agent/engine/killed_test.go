package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/plan"
)

const (
	atFirst = "host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: '24'}}]"
	another = "host_nics: [{name: eth0, mtu: 1400, ip: {address: 198.51.100.1, netmask: '24'}}, {name: eth1.5, vlan: {id: 5}, base_interface: eth1, ip: {address: 10.0.0.1, netmask: '24'}}]"
)

// TestFault_A6 kills the engine before and after every file that it puts in place, and
// after every request to the kernel. Started again, it tells of the operation what has
// become of it: done, with the revision where one was stored; rolled back; or nothing,
// and then it has done nothing. The same request under the same id has the same answer,
// another one is refused, and the next restart changes none of that.
func TestFault_A6(t *testing.T) {
	window := Request{Kind: Apply, ID: "window", RevertAfter: time.Minute}
	one := int64(1)
	for _, c := range []struct {
		name    string
		prepare func(*rig)
		request Request
	}{
		{"apply", func(r *rig) { r.stage(another) }, Request{Kind: Apply}},
		{"commit", func(r *rig) { r.stage(another) }, Request{Kind: Commit, Comment: "why"}},
		{"commit of what runs", func(r *rig) { r.stage(another); r.do(Request{Kind: Apply}) }, Request{Kind: Commit}},
		{"commit of a change that is none to the kernel", func(r *rig) { r.stage("host_nics: [{name: eth0, network: {name: lan}}]") }, Request{Kind: Commit}},
		{"apply of DNS servers", func(r *rig) { r.stage("dns: {servers: [192.0.2.53]}") }, Request{Kind: Apply}},
		{"apply with a window", func(r *rig) { r.stage(another) }, Request{Kind: Apply, RevertAfter: time.Minute}},
		{"confirmation", func(r *rig) { r.stage(another); r.do(window) }, Request{Kind: Commit}},
		{"rollback of what waits", func(r *rig) { r.stage(another); r.do(window) }, Request{Kind: Rollback}},
		{"rollback to a revision", func(r *rig) { r.stage(another); r.do(Request{Kind: Commit}) }, Request{Kind: Rollback, Revision: &one}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.request.ID, c.request.Author = "mine", "me"
			for at := int64(1); ; at++ {
				if killedAt(t, at, c.prepare, c.request) {
					t.Logf("%d kills", at-1)
					return
				}
			}
		})
	}
}

// killedAt is true when the operation came to its end before that point.
func killedAt(t *testing.T, at int64, prepare func(*rig), request Request) (survived bool) {
	t.Helper()
	r := newRig(t)
	defer func() {
		r.stop()
		if t.Failed() {
			t.Fatalf("killed at point %d", at)
		}
	}()
	r.stage(atFirst)
	r.do(Request{Kind: Commit})
	prepare(r)
	before, committed := r.look(), r.View().CommittedRevision
	survived = r.doOrDie(request, at)
	r.restart()
	op, err := r.Operation(request.ID)
	var unknown *Error
	switch {
	case errors.As(err, &unknown) && unknown.Kind == NotFound && !survived:
		if r.look() != before || r.View().CommittedRevision != committed {
			t.Errorf("the operation is unknown, but revision %d is committed, and the host is\n%s\nit was\n%s", r.View().CommittedRevision, r.look(), before)
		}
		r.do(request)
		return false
	case err != nil:
		t.Fatal(err)
	}
	r.judge(op, before, committed)
	r.sameAnswer(op, request)
	r.restart()
	r.sameAnswer(op, request)
	return survived
}

// judge holds what is told of an operation against the host.
func (r *rig) judge(op Operation, before string, committed int64) {
	r.t.Helper()
	v := r.View()
	switch {
	case op.State == RolledBack:
		if r.look() != before || v.CommittedRevision != committed {
			r.t.Errorf("rolled back, but revision %d is committed, and the host is\n%s\nit was\n%s", v.CommittedRevision, r.look(), before)
		}
		if op.Err == nil || !strings.Contains(op.Err.Error(), "the agent was killed") {
			r.t.Errorf("rolled back, because of %v", op.Err)
		}
	case op.State != Done:
		r.t.Errorf("state %s, %v", op.State, op.Err)
	case op.Kind == Commit && (v.CommittedRevision != committed+1 || op.Revision != v.CommittedRevision || v.Uncommitted):
		r.t.Errorf("done, with revision %d, but revision %d is committed; uncommitted: %v", op.Revision, v.CommittedRevision, v.Uncommitted)
	case op.Window != 0 && (v.Pending == nil || v.Pending.ID != op.ID):
		r.t.Errorf("done, to be confirmed, but what waits is %v", v.Pending)
	case op.Kind != Commit && r.look() == before:
		r.t.Error("done, but the host is as it was")
	}
	if d := r.drift(); len(d) != 0 || len(v.Degraded) != 0 {
		r.t.Errorf("drift %v, degraded %v", d, v.Degraded)
	}
	if op.Author != "me" || op.Started.IsZero() {
		r.t.Errorf("by %q at %v", op.Author, op.Started)
	}
}

// sameAnswer asks for the operation again, as it was and not quite as it was.
func (r *rig) sameAnswer(want Operation, request Request) {
	r.t.Helper()
	writes := r.kernel.Writes()
	op, err := r.Do(r.t.Context(), request, nil)
	if err != nil || op.State != want.State || op.Revision != want.Revision || !op.Started.Equal(want.Started) || op.Duration != want.Duration || lines(op.Err) != lines(want.Err) {
		r.t.Errorf("again: %v, %+v, want %+v", err, op, want)
	}
	request.Comment += "!"
	var refusal *Error
	if _, err := r.Do(r.t.Context(), request, nil); !errors.As(err, &refusal) || refusal.Kind != Misused {
		r.t.Errorf("another request under the same id: %v", err)
	}
	if r.kernel.Writes() != writes {
		r.t.Error("asking again has written to the kernel")
	}
}

func lines(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (r *rig) drift() []plan.Drift {
	r.t.Helper()
	s, err := r.kernel.Snapshot(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.Drift(s)
}

// TestFault_A7 kills the engine in the middle of an apply and again at every point of
// the way back. Whenever the way back gets to its end, the operation is rolled back.
func TestFault_A7(t *testing.T) {
	for at := int64(1); ; at++ {
		r := newRig(t)
		r.stage(atFirst)
		r.do(Request{Kind: Commit})
		r.stage(another)
		before := r.look()
		if r.doOrDie(Request{Kind: Apply, ID: "mine", Author: "me"}, 6) || r.look() == before {
			t.Fatal("the apply was not killed in the middle")
		}
		r.stop()
		r.startAndDie(at)
		survived := false
		select {
		case <-r.Ready():
			survived = true
		case <-r.died:
		}
		r.restart()
		r.judge(r.operation("mine"), before, 1)
		if n := len(r.Operations()); n != 2 {
			t.Errorf("%d operations, want 2", n)
		}
		r.stop()
		if t.Failed() {
			t.Fatalf("killed again at point %d", at)
		}
		if survived {
			t.Logf("%d kills", at-1)
			return
		}
	}
}

// The engine is killed at every point of the way back from a change that nobody has
// confirmed.
func TestKilledInRevert(t *testing.T) {
	for at := int64(1); ; at++ {
		r := newRig(t)
		r.stage(atFirst)
		r.do(Request{Kind: Commit})
		committed := r.look()
		r.stage(another)
		r.do(Request{Kind: Apply, ID: "mine", RevertAfter: time.Minute})
		if err := r.call(t.Context(), func() { r.dieAt(at); r.now.Add(int64(time.Hour)) }); err != nil {
			t.Fatal(err)
		}
		survived := false
		eventually(t, "the way back or death", func() bool {
			select {
			case <-r.died:
				return true
			default:
			}
			survived = len(r.Operations()) == 3 && r.Operations()[0].State == Done && r.View().Pending == nil
			return survived
		})
		r.restart()
		mine := r.operation("mine")
		revert := r.operation(mine.RevertedBy)
		if mine.State != Done || revert.Kind != Revert || revert.State != Done || len(r.Operations()) != 3 {
			t.Errorf("killed at point %d: %+v, taken back by %+v", at, mine, revert)
		}
		if now := r.look(); now != committed || len(r.View().Degraded) != 0 {
			t.Errorf("killed at point %d: degraded %v, the host is\n%s\nwant\n%s", at, r.View().Degraded, now, committed)
		}
		var refusal *Error
		if _, err := r.Do(t.Context(), Request{Kind: Commit}, nil); !errors.As(err, &refusal) || refusal.Rule != "window-lapsed" {
			t.Errorf("a confirmation that comes too late: %v", err)
		}
		r.stop()
		if survived || t.Failed() {
			return
		}
	}
}
