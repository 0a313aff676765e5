package server

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// A change waits to be confirmed: it shows, its deadline moves, others wait for it,
// and whoever may commit confirms it.
func TestWindow(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	op, _, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "waits", RevertAfter: durationpb.New(time.Minute)})
	if err != nil || op.GetState() != "done" || op.GetRevertAfter().AsDuration() != time.Minute {
		t.Fatalf("%v, %v", op, err)
	}
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	left := where.GetPending().GetRemaining().AsDuration()
	if err != nil || where.GetPending().GetOperationId() != "waits" || left <= 0 || left > time.Minute {
		t.Errorf("status %v, %v", where, err)
	}
	more, err := h.config.ExtendDeadline(h.ctx(), &hostnicv1.ExtendDeadlineRequest{RevertAfter: durationpb.New(time.Hour)})
	if left := more.GetPending().GetRemaining().AsDuration(); err != nil || left < 59*time.Minute || left > time.Hour {
		t.Errorf("extended: %v, %v", more, err)
	}
	if _, _, err := h.commit(nil, ""); err != nil {
		t.Errorf("confirm: %v", err)
	}
	where, err = h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || where.GetPending() != nil || where.GetUncommitted() {
		t.Errorf("status after the commit: %v, %v", where, err)
	}
}

// Nobody confirms: the host goes back by itself, and that is an operation, too.
func TestWindowLapses(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.apply(&hostnicv1.ApplyOptions{RevertAfter: durationpb.New(time.Second)}); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if last := where.GetOperation(); last.GetKind() == "revert" && last.GetDone() {
			if last.GetState() != "done" || where.GetPending() != nil || where.GetUncommitted() {
				t.Errorf("%v", where)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the change is still there")
}

// Extending what does not wait, or with a wrong id.
func TestFault_D16(t *testing.T) {
	h := newHost(t)
	extend := func(id string, length time.Duration) error {
		_, err := h.config.ExtendDeadline(h.ctx(), &hostnicv1.ExtendDeadlineRequest{OperationId: id, RevertAfter: durationpb.New(length)})
		return err
	}
	wantCode(t, extend("", time.Minute), codes.FailedPrecondition)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "waits", RevertAfter: durationpb.New(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, extend("another", time.Minute), codes.InvalidArgument)
	for _, length := range []time.Duration{0, -time.Second, time.Millisecond, 25 * time.Hour} {
		wantCode(t, extend("waits", length), codes.InvalidArgument)
	}
	if op, _, err := h.rollback(nil); err != nil || op.GetState() != "done" {
		t.Fatalf("take it back: %v, %v", op, err)
	}
	wantCode(t, extend("waits", time.Minute), codes.FailedPrecondition)
	for _, length := range []time.Duration{time.Millisecond, 25 * time.Hour} {
		_, _, err := h.apply(&hostnicv1.ApplyOptions{RevertAfter: durationpb.New(length)})
		wantCode(t, err, codes.InvalidArgument)
	}
	_, _, err := h.commit(&hostnicv1.ApplyOptions{RevertAfter: durationpb.New(time.Minute)}, "")
	wantCode(t, err, codes.InvalidArgument)
	h.confirmations()
}

// confirmations come from another client, and too late.
func (h *host) confirmations() {
	h.t.Helper()
	other := hostnicv1.NewNetConfigServiceClient(h.dial(nil))
	commit := func() (*hostnicv1.Operation, error) {
		stream, err := other.Commit(h.ctx(), &hostnicv1.CommitRequest{})
		op, _, err := follow(commitUpdates{stream}, err)
		return op, err
	}
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.apply(&hostnicv1.ApplyOptions{RevertAfter: durationpb.New(time.Minute)}); err != nil {
		h.t.Fatal(err)
	}
	if op, err := commit(); err != nil || op.GetRevision() != 1 {
		h.t.Errorf("confirmed by another client: %v, %v", op, err)
	}
	if op, err := commit(); err != nil || op.Revision != nil {
		h.t.Errorf("confirmed twice, which stores nothing: %v, %v", op, err)
	}
	h.stage("host_nics: [{name: eth0, mtu: 1300}]")
	if _, _, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "lapses", RevertAfter: durationpb.New(time.Second)}); err != nil {
		h.t.Fatal(err)
	}
	reverted := h.await(h.revertOf("lapses"))
	if reverted.GetKind() != "revert" || reverted.GetState() != "done" {
		h.t.Errorf("taken back by %v", reverted)
	}
	_, err := commit()
	wantCode(h.t, err, codes.FailedPrecondition)
	if info := infoOf(h.t, err); info.GetReason() != "window-lapsed" {
		h.t.Errorf("reason %s", info.GetReason())
	}
}

// revertOf is the operation that takes the change of another one back, once there is
// one.
func (h *host) revertOf(id string) string {
	h.t.Helper()
	for range 1000 {
		resp, err := h.config.GetOperation(h.ctx(), &hostnicv1.GetOperationRequest{Id: id})
		if err != nil {
			h.t.Fatal(err)
		}
		if by := resp.GetOperation().RevertedBy; by != nil {
			return *by
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatalf("nobody takes the change of %s back", id)
	return ""
}

// Another change while one waits.
func TestFault_D17(t *testing.T) {
	h := newHost(t)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.apply(&hostnicv1.ApplyOptions{RevertAfter: durationpb.New(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	h.stage("host_nics: [{name: eth1, mtu: 1400}]")
	_, _, err := h.commit(nil, "")
	wantCode(t, err, codes.FailedPrecondition)
	_, _, err = h.apply(nil)
	wantCode(t, err, codes.FailedPrecondition)
	if info := infoOf(t, err); info.GetReason() != "pending-confirmation" {
		t.Errorf("reason %s", info.GetReason())
	}
}
