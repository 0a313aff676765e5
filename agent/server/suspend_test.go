package server

import (
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hostnic/hostnic/agent/engine"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// The machine sleeps over the deadline of a change: the runtime's timers have stood
// still, and the change goes back when it wakes.
func TestFault_B30(t *testing.T) {
	var slept atomic.Int64
	began := time.Now()
	h := newHost(t, func(o *engine.Options, _ *Options) {
		o.Clock = func() time.Duration { return time.Since(began) + time.Duration(slept.Load()) }
	})
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.apply(&hostnicv1.ApplyOptions{RevertAfter: durationpb.New(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	slept.Store(int64(30 * time.Minute))
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if left := where.GetPending().GetRemaining().AsDuration(); err != nil || left > 30*time.Minute || left < 29*time.Minute {
		t.Errorf("%v are left, %v", left, err)
	}
	slept.Store(int64(2 * time.Hour))
	for end := time.Now().Add(10 * time.Second); where.GetPending() != nil; time.Sleep(20 * time.Millisecond) {
		if where, err = h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{}); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("the change is still there")
		}
	}
	if where.GetUncommitted() || where.GetOperation().GetKind() != "revert" {
		t.Errorf("%v", where)
	}
}
