package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/plan"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// driftingHost has eth0 at an MTU of 1400. The function changes that by hand.
func driftingHost(t *testing.T, policy engine.DriftPolicy) (h *host, change func(mtu int)) {
	t.Helper()
	nudges := make(chan struct{}, 1)
	h = newHost(t, func(o *engine.Options, _ *Options) { o.DriftPolicy, o.Nudges = policy, nudges })
	h.stage(`host_nics: [{name: eth0, mtu: 1400}]`)
	if _, _, err := h.apply(nil); err != nil {
		t.Fatal(err)
	}
	return h, func(mtu int) {
		t.Helper()
		if err := h.kernel.Foreign(plan.Op{Action: plan.LinkSet, Index: h.kernel.Index("eth0"), MTU: mtu}); err != nil {
			t.Fatal(err)
		}
		nudges <- struct{}{}
	}
}

func (h *host) status() *hostnicv1.GetStatusResponse {
	h.t.Helper()
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	return where
}

func (h *host) eventually(what string, cond func(*hostnicv1.GetStatusResponse) bool) *hostnicv1.GetStatusResponse {
	h.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		where := h.status()
		if cond(where) {
			return where
		}
		if time.Now().After(end) {
			h.t.Fatalf("waited ten seconds in vain: %s\n%v", what, where)
		}
	}
}

// The status tells drift at once, and dates it by when the agent has seen it by itself.
func TestStatusDriftReported(t *testing.T) {
	h, change := driftingHost(t, engine.DriftReport)
	began := time.Now()
	change(1300)
	where := h.status()
	if d := where.GetDrift(); len(d) != 1 || d[0].GetField() != "host_nics[eth0].mtu" || d[0].GetWanted() != "1400" || d[0].GetActual() != "1300" || d[0].GetHint() != "" ||
		d[0].GetSince().AsTime().Before(began) {
		t.Fatalf("%v", d)
	}
	if where.GetDriftPolicy() != "report" || len(where.GetLeftAlone()) != 0 {
		t.Errorf("%v", where)
	}
	since := h.eventually("the date stays", func(one *hostnicv1.GetStatusResponse) bool {
		return one.GetDrift()[0].GetSince().AsTime().Equal(h.status().GetDrift()[0].GetSince().AsTime())
	}).GetDrift()[0].GetSince().AsTime()
	if since.Before(began) || since.After(time.Now()) {
		t.Errorf("since %s, changed at %s", since, began)
	}
}

// What is healed shows as an operation, and what is not healed any more by name.
func TestStatusDriftHealed(t *testing.T) {
	h, change := driftingHost(t, engine.DriftHeal)
	for i := range 5 {
		change(1300 + i)
		h.eventually("it is healed", func(where *hostnicv1.GetStatusResponse) bool {
			all := where.GetOperation().GetHealed()
			return where.GetOperation().GetDone() && len(all) == 1 && all[0].GetActual() == fmt.Sprint(1300+i)
		})
	}
	op := h.status().GetOperation()
	if op.GetKind() != "heal" || op.GetState() != "done" || op.GetWrites() != 1 || op.GetAuthor() != "drift policy" || op.GetHealed()[0].GetField() != "host_nics[eth0].mtu" {
		t.Errorf("%v", op)
	}
	all, err := h.config.ListOperations(h.ctx(), &hostnicv1.ListOperationsRequest{})
	if n := len(all.GetOperations()); err != nil || n != 6 {
		t.Errorf("%d operations, %v", n, err)
	}
	change(1200)
	where := h.eventually("eth0 is left alone", func(where *hostnicv1.GetStatusResponse) bool { return len(where.GetLeftAlone()) > 0 })
	if where.GetLeftAlone()[0] != "eth0" || where.GetDriftPolicy() != "heal" || len(where.GetDegraded()) != 1 || !strings.Contains(where.GetDegraded()[0], "host_nics[eth0].mtu") {
		t.Errorf("%v", where)
	}
	h.restart()
	if again := h.await(op.GetId()); again.GetState() != "done" || again.GetDuration().AsDuration() == 0 || len(again.GetHealed()) != 1 {
		t.Errorf("after a restart: %v", again)
	}
}
