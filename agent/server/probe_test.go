package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// fakeProber answers as long as nothing is lost.
type fakeProber struct {
	mu    sync.Mutex
	lost  map[string]error // by address; nil is no answer
	asked int
}

func (p *fakeProber) lose(address string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost[address] = err
}

func (p *fakeProber) ask(address string) (lost bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	err, lost = p.lost[address]
	return lost, err
}

func (p *fakeProber) Neighbour(_ context.Context, _ int, address netip.Addr) (state.Neighbour, error) {
	lost, err := p.ask(address.String())
	if lost {
		return state.Neighbour{}, err
	}
	return state.Neighbour{Answered: true, MAC: "52:54:00:00:00:01"}, nil
}

func (p *fakeProber) Connect(_ context.Context, address string) error {
	_, err := p.ask(address)
	return err
}

func newProbedHost(t *testing.T, limit time.Duration) (*host, *fakeProber) {
	p := &fakeProber{lost: map[string]error{}}
	h := newHost(t, func(o *engine.Options, _ *Options) { o.Prober, o.ProbeLimit = p, limit })
	h.stage("host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: 24, gateway: 192.0.2.254}}]")
	op, _, err := h.commit(nil, "")
	if err != nil || len(op.GetProbes()) != 0 || p.asked != 0 {
		t.Fatalf("%v, %v; a gateway that only the change brings is asked %d times", op, err, p.asked)
	}
	return h, p
}

func probed(op *hostnicv1.Operation) string {
	var out []string
	for _, p := range op.GetProbes() {
		out = append(out, p.GetName()+": "+p.GetState())
	}
	return strings.Join(out, ", ")
}

func TestProbes(t *testing.T) {
	h, p := newProbedHost(t, 20*time.Second)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	op, steps, err := h.apply(nil)
	if err != nil || op.GetState() != "done" || probed(op) != "gateway 192.0.2.254 (eth0): passed" {
		t.Fatalf("%v, %v", op, err)
	}
	var told []string
	for _, s := range steps {
		if phase := s.GetPhase(); len(told) == 0 || told[len(told)-1] != phase {
			told = append(told, phase)
		}
	}
	if got := strings.Join(told, " "); !strings.HasSuffix(got, " probing applying verifying probing") {
		t.Errorf("phases %q", got)
	}
	kept, err := h.config.GetOperation(h.ctx(), &hostnicv1.GetOperationRequest{Id: op.GetId()})
	if err != nil || probed(kept.GetOperation()) != probed(op) {
		t.Errorf("%v, %v", kept, err)
	}
	// Nothing to do, nothing to probe; a rollback is not probed unless that is asked for.
	asked := p.asked
	if op, _, err := h.apply(&hostnicv1.ApplyOptions{Probes: []string{"gateway:10.9.9.9"}}); err != nil || op.GetState() != "done" || p.asked != asked {
		t.Errorf("%v, %v; asked %d times", op, err, p.asked-asked)
	}
	if op, _, err := h.rollback(nil); err != nil || probed(op) != "" || p.asked != asked {
		t.Errorf("%v, %v; asked %d times", op, err, p.asked-asked)
	}
	// A retry is a retry only with the same probes.
	h.stage("host_nics: [{name: eth0, mtu: 1300}]")
	for range 2 {
		if op, _, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "same", Probes: []string{"none"}}); err != nil || probed(op) != "" {
			t.Errorf("%v, %v", op, err)
		}
	}
	_, _, err = h.apply(&hostnicv1.ApplyOptions{OperationId: "same", Probes: []string{"lacp"}})
	wantCode(t, err, codes.InvalidArgument)
}

func TestProbesFailingBefore(t *testing.T) {
	h, p := newProbedHost(t, 20*time.Second)
	p.lose("192.0.2.254", nil)
	p.lose("10.0.0.1:443", syscall.ECONNREFUSED)
	p.lose("10.0.0.2:443", syscall.ENETUNREACH)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	for _, probes := range [][]string{{"gateway"}, {"gateway:192.0.2.254"}, {"tcp:10.0.0.1:443"}, {"lacp"}, {"caller", "gateway"}} {
		writes := h.kernel.Writes()
		_, _, err := h.apply(&hostnicv1.ApplyOptions{Probes: probes})
		wantCode(t, err, codes.FailedPrecondition)
		if reason := infoOf(t, err).GetReason(); reason != "probe-failing" || h.kernel.Writes() != writes || !strings.Contains(err.Error(), "the probe "+probes[len(probes)-1]) {
			t.Errorf("%v: %v, %d writes", probes, err, h.kernel.Writes()-writes)
		}
	}
	if op, _, err := h.apply(nil); err != nil || op.GetState() != "done" || probed(op) != "gateway 192.0.2.254 (eth0): not-voting" ||
		!strings.HasPrefix(op.GetProbes()[0].GetDetail(), "was failing before, does not vote: no ARP reply") {
		t.Errorf("%v, %v", op, err)
	}
}

func TestProbesVeto(t *testing.T) {
	h, p := newProbedHost(t, time.Second)
	before, err := h.kernel.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Both are lost with the change.
	entered, release := h.kernel.hold()
	go func() {
		<-entered
		p.lose("192.0.2.254", nil)
		p.lose("10.0.0.1:443", syscall.ECONNREFUSED)
		release()
	}()
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	op, _, err := h.commit(&hostnicv1.ApplyOptions{Probes: []string{"gateway", "tcp:10.0.0.1:443", "tcp:10.0.0.3:443"}}, "")
	want := "probe gateway 192.0.2.254 (eth0): answered before the change, no ARP reply within 1 s after it\n" +
		"probe tcp 10.0.0.1:443: connected before the change, no connection within 1 s after it (connection refused)"
	if err != nil || op.GetState() != "rolled-back" || op.GetError() != want || op.GetRevision() != 0 ||
		probed(op) != "gateway 192.0.2.254 (eth0): failed, tcp 10.0.0.1:443: failed, tcp 10.0.0.3:443: passed" {
		t.Errorf("%v, %v", op, err)
	}
	after, err := h.kernel.Snapshot(t.Context())
	if err != nil || fmt.Sprint(after.Links[1].MTU, after.Routes) != fmt.Sprint(before.Links[1].MTU, before.Routes) {
		t.Errorf("not as before: %v, %v", after, err)
	}
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || where.GetCommittedRevision() != 1 || where.GetUncommitted() || !where.GetStagedChanges() {
		t.Errorf("%v, %v", where, err)
	}
}

// What a change brings is probed after it where that is asked for.
func TestProbesFresh(t *testing.T) {
	p := &fakeProber{lost: map[string]error{"192.0.2.254": nil, "10.0.0.2:443": fmt.Errorf("connect: %w", syscall.ENETUNREACH)}}
	h := newHost(t, func(o *engine.Options, _ *Options) { o.Prober, o.ProbeLimit = p, time.Second })
	h.stage("host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: 24, gateway: 192.0.2.254}}]")
	op, _, err := h.apply(&hostnicv1.ApplyOptions{Probes: []string{"gateway", "tcp:10.0.0.2:443"}})
	want := "probe gateway: to come with the change, no ARP reply from 192.0.2.254 (eth0) within 1 s after it\n" +
		"probe tcp 10.0.0.2:443: to come with the change, no connection within 1 s after it (connect: network is unreachable)"
	if err != nil || op.GetState() != "rolled-back" || op.GetError() != want {
		t.Errorf("%v, %v", op, err)
	}
}

func TestProbesMisused(t *testing.T) {
	h, _ := newProbedHost(t, 5*time.Second)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	refused := func(reason string, err error) {
		t.Helper()
		wantCode(t, err, codes.InvalidArgument)
		if got := infoOf(t, err).GetReason(); got != reason {
			t.Errorf("reason %s, want %s", got, reason)
		}
	}
	apply := func(window time.Duration, probes ...string) error {
		o := &hostnicv1.ApplyOptions{Probes: probes}
		if window != 0 {
			o.RevertAfter = durationpb.New(window)
		}
		_, _, err := h.apply(o)
		return err
	}
	refused("probe-unknown", apply(0, "ping"))
	refused("probe-unknown", apply(0, "none", "gateway"))
	refused("probe-count", apply(0, make([]string, 17)...))
	refused("window-length", apply(5*time.Second, "gateway"))
	// Nobody has asked for probes: they are over before the window would be.
	if err := apply(2 * time.Second); err != nil {
		t.Error(err)
	}
	_, _, err := h.rollbackWith(&hostnicv1.ApplyOptions{Probes: []string{"gateway"}})
	refused("probe-useless", err)
	if _, _, err := h.rollback(nil); err != nil {
		t.Error(err)
	}

	without := newHost(t)
	without.stage("host_nics: [{name: eth0, mtu: 1400}]")
	_, _, err = without.apply(&hostnicv1.ApplyOptions{Probes: []string{"gateway"}})
	wantCode(t, err, codes.Unimplemented)
	if op, _, err := without.apply(nil); err != nil || op.GetState() != "done" {
		t.Errorf("%v, %v", op, err)
	}
}

func (h *host) rollbackWith(o *hostnicv1.ApplyOptions) (*hostnicv1.Operation, []*hostnicv1.Step, error) {
	stream, err := h.config.Rollback(h.ctx(), &hostnicv1.RollbackRequest{Options: o})
	return follow(rollbackUpdates{stream}, err)
}

// The process that waits cannot make its own contact, whatever connection it takes;
// one on behalf of another process would be seen, as the end-to-end tests have it.
func TestProbesCaller(t *testing.T) {
	h, _ := newProbedHost(t, 3*time.Second)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	ctx, cancel := context.WithCancel(t.Context())
	ended, another := make(chan struct{}), hostnicv1.NewNetConfigServiceClient(h.dial(nil))
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_, err := another.GetStatus(ctx, &hostnicv1.GetStatusRequest{})
			if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	op, _, err := h.apply(&hostnicv1.ApplyOptions{Probes: []string{"caller"}})
	cancel()
	<-ended
	if err != nil || op.GetState() != "rolled-back" || probed(op) != "caller: failed" || strings.Contains(op.GetError(), " 0 of the client") {
		t.Errorf("%v, %v", op, err)
	}
}
