package server

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg/plan"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// The client has the operation's id before the kernel has its first request: the kernel
// waits for that.
func TestFirstMessage(t *testing.T) {
	h := newHost(t)
	h.stage(aBond)
	entered, release := h.kernel.hold()
	stream, err := h.config.Apply(h.ctx(), &hostnicv1.ApplyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	op := first.GetUpdate().GetOperation()
	if err != nil || op.GetId() == "" || op.GetState() != "running" || op.GetDone() || op.GetKind() != "apply" || first.GetUpdate().GetStep() != nil {
		t.Errorf("%v, %v", first, err)
	}
	<-entered
	if writes := h.kernel.Writes(); writes != 0 {
		t.Errorf("%d requests to the kernel", writes)
	}
	release()
	last, _, err := follow(applyUpdates{stream}, nil)
	if err != nil || last.GetId() != op.GetId() || last.GetState() != "done" {
		t.Errorf("%v, %v", last, err)
	}
}

// The agent is killed when the commit is stored and nobody knows it yet. Whoever asks
// again is told that it is done.
func TestFault_A6(t *testing.T) {
	var mortal atomic.Bool
	h := newHost(t, func(e *engine.Options, _ *Options) {
		e.Store.Trace = func(step store.Step) error {
			if step.Deed == store.SyncedDir && step.Path == "revisions" && mortal.Load() {
				runtime.Goexit() // nothing of the engine goes on
			}
			return nil
		}
	})
	h.stage(aBond)
	mortal.Store(true)
	ctx, cancel := context.WithCancel(h.ctx())
	died := h.died
	go func() { <-died; cancel() }()
	options := &hostnicv1.ApplyOptions{OperationId: "mine"}
	stream, err := h.config.Commit(ctx, &hostnicv1.CommitRequest{Options: options, Comment: "why"})
	if op, _, err := follow(commitUpdates{stream}, err); err == nil {
		t.Fatalf("there was an answer: %v", op)
	}
	mortal.Store(false)
	h.restart()
	op, _, err := h.commit(options, "why")
	if err != nil || op.GetState() != "done" || op.GetRevision() != 1 || op.GetError() != "" || len(op.GetWarnings()) != 1 {
		t.Fatalf("%v, %v", op, err)
	}
	if text := op.GetWarnings()[0].GetMessage(); !strings.Contains(text, "revision 1 was already stored") {
		t.Errorf("%q", text)
	}
	_, _, err = h.commit(options, "another")
	wantCode(t, err, codes.InvalidArgument)
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || where.GetUncommitted() || where.GetCommittedRevision() != 1 || where.GetOperation().GetId() != "mine" {
		t.Errorf("%v, %v", where, err)
	}
}

// The way back fails on one link. The rest is taken back, what is left is listed, the
// agent is not healthy, and tries again until it has got there.
func TestFault_D21(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}, {name: eth1, mtu: 1400}]")
	tries := atomic.Int64{}
	failed := false
	h.kernel.Inject(func(_ int, op plan.Op) syscall.Errno {
		switch {
		case op.Name == "eth0" && op.MTU == 1400:
			failed = true
			return syscall.EIO
		case failed && op.Name == "eth1":
			tries.Add(1)
			return syscall.EIO
		}
		return 0
	})
	watch, err := healthpb.NewHealthClient(h.conn).Watch(h.ctx(), &healthpb.HealthCheckRequest{Service: "hostnic.v1.NetConfigService"})
	if err != nil {
		t.Fatal(err)
	}
	wantHealth := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if resp, err := watch.Recv(); err != nil || resp.GetStatus() != want {
			t.Fatalf("health %v, %v, want %v", resp, err, want)
		}
	}
	wantHealth(healthpb.HealthCheckResponse_SERVING)
	op, _, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "mine"})
	if err != nil || op.GetState() != "incomplete" || len(op.GetRemaining()) == 0 || !strings.Contains(op.GetError(), "the way back failed") {
		t.Fatalf("%v, %v", op, err)
	}
	if n := tries.Load(); n < 4 {
		t.Errorf("tried %d times, want three and a last one", n)
	}
	wantHealth(healthpb.HealthCheckResponse_NOT_SERVING)
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	left := where.GetIncomplete()
	if err != nil || left.GetOperationId() != "mine" || left.GetAttempts() < 1 || left.GetError() == "" || len(where.GetDegraded()) != 1 || where.GetPending() != nil {
		t.Errorf("%v, %v", where, err)
	}
	for _, d := range left.GetRemaining() {
		if !strings.Contains(d.GetField(), "eth1") {
			t.Errorf("left: %v", d)
		}
	}
	_, _, err = h.apply(nil)
	wantCode(t, err, codes.FailedPrecondition)
	h.kernel.Inject(nil)
	wantHealth(healthpb.HealthCheckResponse_SERVING)
	where, err = h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || where.GetIncomplete() != nil || len(where.GetDegraded()) != 0 {
		t.Errorf("%v, %v", where, err)
	}
	if revert := h.await(h.revertOf("mine")); revert.GetState() != "done" || revert.GetKind() != "revert" {
		t.Errorf("%v", revert)
	}
	if h.mtu("eth1") != 1500 {
		t.Errorf("the MTU of eth1 is %d", h.mtu("eth1"))
	}
}

func (h *host) mtu(nic string) int32 {
	h.t.Helper()
	resp, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: nic})
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.GetHostNic().GetMtu()
}

// A window goes on over a restart of the agent, and who asks is told of its end.
func TestWindowOverARestart(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "waits", RevertAfter: durationpb.New(2 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	h.restart()
	if op := h.await("waits"); op.GetState() != "done" {
		t.Errorf("%v", op)
	}
	if op := h.await(h.revertOf("waits")); op.GetState() != "done" {
		t.Errorf("%v", op)
	}
}
