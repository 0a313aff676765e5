package engine_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
)

// lender is a Leaser without packets: a test says what becomes of the clients.
type lender struct {
	mu       sync.Mutex
	clients  []engine.Client
	news     []netcfg.LeaseStatus
	changed  chan struct{}
	recorded map[string]*netcfg.Lease
	// declined are the addresses that clients were told of.
	declined []string
}

func newLender() *lender {
	return &lender{changed: make(chan struct{}, 1), recorded: map[string]*netcfg.Lease{}}
}

func (l *lender) Follow(clients []engine.Client, _ engine.Around) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients = clients
}

func (l *lender) Changed() <-chan struct{} { return l.changed }

func (l *lender) Take() []netcfg.LeaseStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := l.news
	l.news = nil
	return news
}

func (l *lender) Recorded(nic string) *netcfg.Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recorded[nic]
}

func (l *lender) Recorded6(string) *netcfg.Lease6 { return nil }

func (l *lender) RecordedInformed(string) *netcfg.Lease6 { return nil }

func (l *lender) Decline(nic string, a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.declined = append(l.declined, nic+" "+a.String())
}

func (l *lender) Renew(_ context.Context, nic string) error {
	l.tell(nic, "selecting", nil)
	return nil
}

func (l *lender) Release(_ context.Context, nic string) error {
	l.tell(nic, "stopped", nil)
	return nil
}

// followed are the names of the NICs that have a client, in order.
func (l *lender) followed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for _, c := range l.clients {
		names = append(names, c.NIC)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// tell has a client say that it has a lease, or that it is in another state.
func (l *lender) tell(nic, state string, lease *netcfg.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news = append(l.news, netcfg.LeaseStatus{NIC: nic, Link: nic, State: state, Lease: lease, Ready: true})
	if lease == nil {
		delete(l.recorded, nic)
	} else {
		l.recorded[nic] = lease
	}
	l.signal()
}

// tell6 is tell for a client of DHCPv6.
func (l *lender) tell6(nic, state string, lease *netcfg.Lease6) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news = append(l.news, netcfg.LeaseStatus{NIC: nic, Link: nic, V6: true, State: state, Lease6: lease, Ready: true})
	l.signal()
}

func (l *lender) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (r *rig) lease(address string, length time.Duration) *netcfg.Lease {
	now := r.Clock()
	return &netcfg.Lease{Address: netip.MustParsePrefix(address), Server: netip.MustParseAddr("192.0.2.1"), Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Obtained: now, RenewAt: now + length/2, RebindAt: now + length/8*7, Expires: now + length}
}

// has says whether a NIC has the address, and the host a default route.
func (r *rig) has(nic, address string) (there, route bool) {
	r.t.Helper()
	s, err := r.kernel.Fake.Snapshot(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range s.AddressesOf(r.kernel.Index(nic)) {
		there = there || a.Prefix.String() == address
	}
	for _, route := range s.Routes {
		if route.Dst.Bits() == 0 {
			return there, true
		}
	}
	return there, false
}

func (r *rig) wantLease(nic, address string, there bool) {
	r.t.Helper()
	if got, route := r.has(nic, address); got != there || route != there {
		r.t.Errorf("%s on %s: address %v, default route %v, want %v", address, nic, got, route, there)
	}
}

func inLeasedRig(t *testing.T, test func(*rig, *lender)) {
	l := newLender()
	leases := func(o *engine.Options) {
		began := time.Now()
		o.Leaser, o.Clock = l, func() time.Duration { return time.Since(began) }
	}
	inRig(t, func(o *engine.Options) { l.changed = make(chan struct{}, 1); leases(o) }, func(r *rig) { test(r, l) })
}

const leasedDoc = `host_nics: [{name: eth3, boot_protocol: dhcp}]`

// Whoever gives a lease back, or asks for another, is told what has become of it, not
// how it was before. An operation in the way is not waited for.
func TestLeaseByHand(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		r.apply(leasedDoc)
		l.tell("eth3", "bound", r.lease("192.0.2.9/24", time.Minute))
		time.Sleep(time.Millisecond)
		state := func(do func(context.Context, string) error) string {
			r.t.Helper()
			if err := do(r.t.Context(), "eth3"); err != nil {
				r.t.Fatal(err)
			}
			return r.View().Leases["eth3"].State
		}
		for range 20 {
			if got := state(r.ReleaseLease); got != "stopped" {
				r.t.Fatalf("given back: %s", got)
			}
			r.wantLease("eth3", "192.0.2.9/24", false)
			if got := state(r.RenewLease); got != "selecting" {
				r.t.Fatalf("asked for again: %s", got)
			}
			l.tell("eth3", "bound", r.lease("192.0.2.9/24", time.Minute))
			time.Sleep(time.Millisecond)
			r.wantLease("eth3", "192.0.2.9/24", true)
		}
	})
}

// A lease enters as a fact, is renewed in place, and its end takes everything away at
// once, also while drift is only reported: somebody else's doing elsewhere stays.
func TestLeaseIsAFact(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		r.apply(leasedDoc)
		if got := l.followed(); got != "eth3" {
			t.Errorf("clients for %q", got)
		}
		r.hand("eth2", setMTU(1300))
		time.Sleep(time.Second)
		l.tell("eth3", "bound", r.lease("192.0.2.9/24", time.Minute))
		time.Sleep(time.Millisecond)
		r.wantLease("eth3", "192.0.2.9/24", true)
		if s := r.View().Leases["eth3"]; s.State != "bound" || s.Lease == nil {
			t.Errorf("shown: %+v", s)
		}
		if got := r.mtu("eth2"); got != 1300 {
			t.Errorf("a lease has put the MTU of another NIC right: %d", got)
		}
		writes := r.kernel.Writes()
		time.Sleep(30 * time.Second)
		l.tell("eth3", "bound", r.lease("192.0.2.9/24", 2*time.Minute))
		time.Sleep(time.Millisecond)
		if n := r.kernel.Writes() - writes; n != 1 {
			t.Errorf("a renewal has written %d requests", n)
		}
		for _, d := range r.View().Drift {
			if strings.Contains(d.Field, "eth3") {
				t.Errorf("drift: %v", d)
			}
		}
		l.tell("eth3", "selecting", nil)
		time.Sleep(time.Millisecond)
		r.wantLease("eth3", "192.0.2.9/24", false)
		if len(r.View().Waiting) != 1 || !strings.Contains(r.View().Waiting[0].Reason, "no DHCP server") {
			t.Errorf("waiting for %v", r.View().Waiting)
		}
	})
}

// The lease outlives the agent, a change, and the way back from it; a kernel that
// refuses it for a while gets it later.
func TestLeaseOutlives(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		r.apply(leasedDoc)
		l.tell("eth3", "bound", r.lease("192.0.2.9/24", time.Hour))
		time.Sleep(time.Millisecond)
		r.commit()
		r.stop()
		l.Follow(nil, engine.Around{}) // clients end with the agent
		writes := r.kernel.Writes()
		r.start()
		if n := r.kernel.Writes() - writes; n != 0 || l.followed() != "eth3" {
			t.Errorf("a restart has written %d requests, clients for %q", n, l.followed())
		}
		r.wantLease("eth3", "192.0.2.9/24", true)

		r.apply(`host_nics: [{name: eth3, boot_protocol: none}]`)
		r.wantLease("eth3", "192.0.2.9/24", false)
		if l.followed() != "" {
			t.Errorf("clients for %q", l.followed())
		}
		if op, err := r.Do(r.t.Context(), engine.Request{Kind: engine.Rollback}, nil); err != nil || op.State != engine.Done || len(op.Waiting) != 0 {
			t.Fatalf("rollback: %v, %+v", err, op)
		}
		r.wantLease("eth3", "192.0.2.9/24", true)
		if l.followed() != "eth3" {
			t.Errorf("clients for %q", l.followed())
		}
	})
}

// A window that closes takes the client along, and brings back the one from before.
func TestLeaseInWindow(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		r.commit()
		r.stage(leasedDoc)
		done := make(chan engine.Operation, 1)
		go func() {
			op, _ := r.Do(r.t.Context(), engine.Request{Kind: engine.Apply, RevertAfter: 20 * time.Second, Wait: 30 * time.Second}, nil)
			done <- op
		}()
		time.Sleep(10 * time.Second)
		if l.followed() != "eth3" {
			t.Fatalf("while the lease is waited for: clients for %q", l.followed())
		}
		l.tell("eth3", "bound", r.lease("192.0.2.9/24", time.Hour))
		if op := <-done; op.State != engine.Done {
			t.Fatalf("%+v", op)
		}
		r.wantLease("eth3", "192.0.2.9/24", true)
		time.Sleep(10 * time.Second)
		l.tell("eth3", "bound", r.lease("192.0.2.10/24", time.Hour)) // within the window
		time.Sleep(time.Millisecond)
		r.wantLease("eth3", "192.0.2.10/24", true)
		time.Sleep(15 * time.Second)
		r.wantLease("eth3", "192.0.2.10/24", false)
		if l.followed() != "" {
			t.Errorf("after the window: clients for %q", l.followed())
		}
	})
}

// Waiting looks at the host again and again, and still remembers how it was found.
func TestWaitRemembersAsFound(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		s, _ := r.kernel.Fake.Snapshot(r.t.Context())
		if s.ByName("eth3").AdminUp {
			t.Fatal("eth3 is up before")
		}
		r.stage(leasedDoc)
		done := make(chan engine.Operation, 1)
		go func() {
			op, _ := r.Do(r.t.Context(), engine.Request{Kind: engine.Apply, Wait: 30 * time.Second}, nil)
			done <- op
		}()
		time.Sleep(5 * time.Second)
		l.tell("eth3", "bound", r.lease("192.0.2.9/24", time.Hour))
		if op := <-done; op.State != engine.Done {
			t.Fatalf("%+v", op)
		}
		if b := r.View().Memory.Baseline["eth3"]; b.Link.AdminUp || len(b.Adopted) != 0 {
			t.Errorf("remembered as found: %+v", b)
		}
	})
}

// A client hears of its link well before the kernel's news are gathered for a look.
func TestLinkIsToldAtOnce(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		r.kernel.SetCarrier("eth3", false)
		r.apply(leasedDoc)
		time.Sleep(time.Second)
		ready := func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.clients) == 1 && l.clients[0].Ready
		}
		if ready() {
			t.Fatal("ready without a carrier")
		}
		r.kernel.SetCarrier("eth3", true)
		r.nudges <- struct{}{}
		time.Sleep(20 * time.Millisecond)
		if !ready() {
			t.Error("not told of its carrier within 20 ms")
		}
	})
}
