package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// A request of 100 MB is refused.
func TestFault_D1(t *testing.T) {
	h := newHost(t)
	_, err := h.config.Stage(h.ctx(), staging(strings.Repeat("#", 100<<20)))
	wantCode(t, err, codes.ResourceExhausted)
	// The largest document still gets through to where its size is explained.
	_, err = h.config.Stage(h.ctx(), staging(strings.Repeat("#", 4<<20+1)))
	wantCode(t, err, codes.InvalidArgument)
	if _, err = h.config.Stage(h.ctx(), staging(strings.Repeat("#", 4<<20))); err != nil {
		t.Errorf("a document of 4 MiB: %v", err)
	}
}

// Two controllers stage and commit on the same revision: one wins, the other gets
// ABORTED, and neither gets what the other wanted.
func TestFault_D13(t *testing.T) {
	h := newHost(t)
	base := h.stage("host_nics: [{name: eth0, mtu: 1500}]")
	results := make([]error, 2)
	var both sync.WaitGroup
	for i, mtu := range []string{"1400", "1300"} {
		both.Go(func() {
			req := staging("host_nics: [{name: eth0, mtu: " + mtu + "}]")
			req.BaseRevision = &base
			resp, err := h.config.Stage(h.ctx(), req)
			if err == nil {
				revision := resp.GetRevision()
				_, _, err = h.commit(&hostnicv1.ApplyOptions{StagedRevision: &revision}, mtu)
			}
			results[i] = err
		})
	}
	both.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
			continue
		}
		wantCode(t, err, codes.Aborted)
	}
	if won != 1 {
		t.Errorf("%d of two have won: %v", won, results)
	}
	revisions, err := h.config.ListRevisions(h.ctx(), &hostnicv1.ListRevisionsRequest{})
	if err != nil || len(revisions.GetRevisions()) != 1 {
		t.Errorf("revisions %v, %v", revisions, err)
	}
}

// A stale revision: ABORTED, with the current one.
func TestFault_D14(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	stale := int64(0)
	req := staging("host_nics: [{name: eth0, mtu: 1300}]")
	req.BaseRevision = &stale
	_, staged := h.config.Stage(h.ctx(), req)
	_, _, applied := h.apply(&hostnicv1.ApplyOptions{StagedRevision: &stale})
	for _, err := range []error{staged, applied} {
		wantCode(t, err, codes.Aborted)
		info := infoOf(t, err)
		if info.GetReason() != "stale-revision" || info.GetMetadata()["staged_revision"] != "1" {
			t.Errorf("details %v", info)
		}
	}
	if h.kernel.Writes() != 0 {
		t.Error("the kernel was touched")
	}
}

// The same operation id: the same answer for the same request, a refusal for
// another one. The agent may have been started again in between.
func TestFault_D15(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	options := &hostnicv1.ApplyOptions{OperationId: "once"}
	first, steps, err := h.commit(options, "why")
	if err != nil {
		t.Fatal(err)
	}
	writes := h.kernel.Writes()
	again, stepsAgain, err := h.commit(options, "why")
	if err != nil || again.GetRevision() != first.GetRevision() || again.GetStarted().AsTime() != first.GetStarted().AsTime() || len(stepsAgain) != len(steps) {
		t.Errorf("again: %v, %v", again, err)
	}
	if h.kernel.Writes() != writes {
		t.Error("the kernel was touched again")
	}
	stale := int64(0)
	_, _, refused := h.apply(&hostnicv1.ApplyOptions{OperationId: "refused", StagedRevision: &stale})
	wantCode(t, refused, codes.Aborted)
	for range 2 {
		_, _, err = h.commit(options, "another reason")
		wantCode(t, err, codes.InvalidArgument)
		if info := infoOf(t, err); info.GetReason() != "operation-id-reused" {
			t.Errorf("reason %s", info.GetReason())
		}
		_, _, err = h.apply(options)
		wantCode(t, err, codes.InvalidArgument)
		h.restart()
		again, _, err := h.commit(options, "why")
		if err != nil || !proto.Equal(again, first) {
			t.Errorf("after a restart: %v, %v, want %v", again, err, first)
		}
		_, _, err = h.apply(&hostnicv1.ApplyOptions{OperationId: "refused", StagedRevision: &stale})
		wantCode(t, err, codes.Aborted)
		if infoOf(t, err).GetReason() != infoOf(t, refused).GetReason() || err.Error() != refused.Error() {
			t.Errorf("refused after a restart: %v, want %v", err, refused)
		}
	}
	if h.kernel.Writes() != writes {
		t.Error("the kernel was touched after a restart")
	}
}

// The client goes away in the middle: the operation goes on, and its outcome is
// found by its id.
func TestFault_D18(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	entered, release := h.kernel.hold()
	ctx, leave := context.WithCancel(h.ctx())
	stream, err := h.config.Apply(ctx, &hostnicv1.ApplyRequest{Options: &hostnicv1.ApplyOptions{OperationId: "left"}})
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	// Readers do not wait for it.
	if list, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{}); err != nil || len(list.GetHostNics()) != 4 {
		t.Errorf("list while applying: %v, %v", list, err)
	}
	if where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{}); err != nil || where.GetOperation().GetState() != "running" || where.GetOperation().GetDone() {
		t.Errorf("status while applying: %v, %v", where, err)
	}
	leave()
	for err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, codes.Canceled)
	release()
	op := h.await("left")
	if op.GetState() != "done" || op.GetWrites() == 0 {
		t.Errorf("operation %v", op)
	}
	// A deadline is the same.
	h.stage("host_nics: [{name: eth0, mtu: 1300}]")
	entered, release = h.kernel.hold()
	ctx, cancel := context.WithTimeout(h.ctx(), 2*time.Second)
	defer cancel()
	stream, err = h.config.Apply(ctx, &hostnicv1.ApplyRequest{Options: &hostnicv1.ApplyOptions{OperationId: "late"}})
	<-entered
	for err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, codes.DeadlineExceeded)
	release()
	if op := h.await("late"); op.GetState() != "done" {
		t.Errorf("operation %v", op)
	}
	_, err = h.config.GetOperation(h.ctx(), &hostnicv1.GetOperationRequest{Id: "never"})
	wantCode(t, err, codes.NotFound)
}

func (h *host) await(id string) *hostnicv1.Operation {
	h.t.Helper()
	for range 500 {
		resp, err := h.config.GetOperation(h.ctx(), &hostnicv1.GetOperationRequest{Id: id})
		if err != nil {
			h.t.Fatal(err)
		}
		if resp.GetOperation().GetDone() {
			return resp.GetOperation()
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatalf("operation %s does not end", id)
	return nil
}

// A panic in a handler: INTERNAL, which is counted, and the agent lives.
func TestFault_D23(t *testing.T) {
	var faults atomic.Int64
	h := newHost(t, func(_ *engine.Options, s *Options) {
		s.Called = func(method, code string, _ time.Duration) {
			if method == hostnicv1.HostNicService_ListHostNics_FullMethodName && code == "Internal" {
				faults.Add(1)
			}
		}
	})
	h.look = func(context.Context) (state.Snapshot, error) { panic("a fault\nof ours") }
	_, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{})
	wantCode(t, err, codes.Internal)
	if strings.Contains(status.Convert(err).Message(), "of ours") {
		t.Errorf("the client is told of our insides: %v", err)
	}
	if n := faults.Load(); n != 1 {
		t.Errorf("counted %d times", n)
	}
	h.look = nil
	if _, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	// The same around a stream.
	if err := h.server.stream(nil, &strangerStream{ctx: asCaller(Admin)}, infoApply, panics); status.Code(err) != codes.Internal {
		t.Errorf("stream: %v", err)
	}
}

// unsteady is a kernel that cannot be looked at while lost is true.
type unsteady struct {
	engine.Kernel
	lost *atomic.Bool
	err  error
}

func (u unsteady) Snapshot(ctx context.Context) (state.Snapshot, error) {
	if u.lost.Load() {
		return state.Snapshot{}, u.err
	}
	return u.Kernel.Snapshot(ctx)
}

// A look that never succeeds, because the host changes under it: UNAVAILABLE, and nothing
// is decided. Where the host stands is told all the same.
func TestFault_B14(t *testing.T) {
	passing := errors.New("the network kept changing")
	var lost atomic.Bool
	h := newHost(t, func(e *engine.Options, s *Options) {
		s.Transient, e.Kernel = []error{passing}, unsteady{e.Kernel, &lost, passing}
	})
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	lost.Store(true)
	_, _, err := h.apply(nil)
	wantCode(t, err, codes.Unavailable)
	if h.kernel.Writes() != 0 {
		t.Error("the kernel was touched")
	}
	lost.Store(false)
	h.look = func(context.Context) (state.Snapshot, error) { return state.Snapshot{}, passing }
	_, err = h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{})
	wantCode(t, err, codes.Unavailable)
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || len(where.GetDegraded()) != 1 {
		t.Errorf("status: %v, %v", where, err)
	}
	h.look = func(context.Context) (state.Snapshot, error) { return state.Snapshot{}, errors.New("no idea") }
	_, err = h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: "eth0"})
	wantCode(t, err, codes.Internal)
}

// Without the right to change the network the agent reads, refuses changes, and its
// health says so.
func TestFault_B17(t *testing.T) {
	h := newHost(t, func(e *engine.Options, _ *Options) {
		e.Missing = []engine.Missing{{Feature: engine.FeatureWrite, Reason: "give it CAP_NET_ADMIN"}}
	})
	if _, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{}); err != nil {
		t.Errorf("reading: %v", err)
	}
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	_, _, err := h.apply(nil)
	wantCode(t, err, codes.FailedPrecondition)
	for service, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		"": healthpb.HealthCheckResponse_SERVING, "hostnic.v1.HostNicService": healthpb.HealthCheckResponse_SERVING,
		"hostnic.v1.NetConfigService": healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		resp, err := healthpb.NewHealthClient(h.conn).Check(h.ctx(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || resp.GetStatus() != want {
			t.Errorf("health of %q: %v, %v", service, resp, err)
		}
	}
}

// Nothing to change: success, nothing written, no new revision.
func TestFault_C31(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.commit(nil, ""); err != nil {
		t.Fatal(err)
	}
	writes := h.kernel.Writes()
	for _, text := range []string{"", " \n", "{}", "host_nics: []", "<host_nics/>", "host_nics: [{name: eth0, mtu: 1400}]"} {
		if revision := h.stage(text); revision != 1 {
			t.Errorf("%q: revision %d, want 1 still", text, revision)
		}
		op, _, err := h.commit(nil, "")
		if err != nil || op.GetState() != "done" || op.GetWrites() != 0 || op.Revision != nil {
			t.Errorf("%q: %v, %v", text, op, err)
		}
	}
	if h.kernel.Writes() != writes {
		t.Error("the kernel was touched")
	}
}

// The kernel refuses in the middle: the stream ends well, and the operation says
// that the host is as before, in the kernel's words.
func TestRolledBack(t *testing.T) {
	h := newHost(t)
	h.stage(aBond)
	h.kernel.Inject(func(_ int, op plan.Op) syscall.Errno {
		if op.Kind == "vlan" {
			return syscall.EOPNOTSUPP
		}
		return 0
	})
	op, steps, err := h.apply(nil)
	if err != nil || op.GetState() != "rolled-back" || !op.GetDone() {
		t.Fatalf("%v, %v", op, err)
	}
	if !strings.Contains(op.GetError(), "bond0.7") || !strings.Contains(op.GetError(), "kernel") {
		t.Errorf("error %q", op.GetError())
	}
	back := false
	for _, s := range steps {
		back = back || s.GetPhase() == "rolling-back"
	}
	if !back {
		t.Errorf("no step tells of rolling back: %v", steps)
	}
}

// Health is followed while it is watched, and the watch ends with the agent.
func TestHealthWatch(t *testing.T) {
	h := newHost(t)
	stream, err := healthpb.NewHealthClient(h.conn).Watch(context.Background(), &healthpb.HealthCheckRequest{Service: "hostnic.v1.NetConfigService"})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", resp, err)
	}
	began := time.Now()
	h.stop()
	if took := time.Since(began); took > stopPatience {
		t.Errorf("who watches has kept the agent from stopping for %v", took)
	}
	for err == nil {
		var next *healthpb.HealthCheckResponse
		if next, err = stream.Recv(); err == nil {
			resp = next
		}
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("the watch ended well, after %v", resp)
	}
}

func TestWrongOperations(t *testing.T) {
	h := newHost(t)
	_, _, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "a\nb"})
	wantCode(t, err, codes.InvalidArgument)
	_, _, err = h.apply(&hostnicv1.ApplyOptions{OperationId: strings.Repeat("x", 129)})
	wantCode(t, err, codes.InvalidArgument)
	_, _, err = h.commit(nil, strings.Repeat("ü", 1001))
	wantCode(t, err, codes.InvalidArgument)
	if _, _, err = h.commit(nil, strings.Repeat("ü", 1000)); err != nil {
		t.Errorf("a comment of 1,000 characters: %v", err)
	}
	nine := int64(9)
	_, _, err = h.rollback(&nine)
	wantCode(t, err, codes.NotFound)
}

func infoOf(t testing.TB, err error) *errdetails.ErrorInfo {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			if info.GetDomain() != "hostnic" {
				t.Errorf("domain %q", info.GetDomain())
			}
			return info
		}
	}
	t.Fatalf("no ErrorInfo in %v", err)
	return nil
}

func problemsOf(t *testing.T, err error) (all []*hostnicv1.Problem) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if p, ok := d.(*hostnicv1.Problem); ok {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		t.Fatalf("no Problem in %v", err)
	}
	return all
}
