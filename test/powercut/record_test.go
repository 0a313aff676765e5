package powercut

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/image"
)

// event is one thing that has happened: a step with a file, an operation that the
// kernel has performed, or an answer to the client.
type event struct {
	step   *store.Step
	op     *plan.Op
	answer *stand
	// clock is when, by the clock that windows are measured by.
	clock time.Duration
}

// stand is where a host stands, as a client was told.
type stand struct {
	after              string
	image              string
	running, committed netcfg.Config
	revision           int64
	pending            bool
}

func (s stand) equal(o stand) bool {
	return s.image == o.image && netcfg.Equal(s.running, o.running) && netcfg.Equal(s.committed, o.committed) && s.revision == o.revision && s.pending == o.pending
}

// host is an engine at work on a kernel, of which everything is written down.
type host struct {
	t    *testing.T
	fake *kerneltest.Fake
	*engine.Engine

	mu     sync.Mutex
	events []event
	now    time.Duration
}

func (h *host) note(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.clock = h.now
	h.events = append(h.events, e)
}

func (h *host) clock() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// door is the engine's to the kernel.
type door struct{ *host }

func (d door) Snapshot(ctx context.Context) (state.Snapshot, error) { return d.fake.Snapshot(ctx) }
func (d door) Writes() uint64                                       { return uint64(d.fake.Writes()) }

// Apply performs one operation at a time, and goes on behind a refused one as the
// kernel does.
func (d door) Apply(ctx context.Context, ops []plan.Op) error {
	var errs []error
	for _, op := range ops {
		err := d.fake.Apply(ctx, []plan.Op{op})
		if err == nil {
			d.note(event{op: &op})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// bare is a host that was just switched on.
func bare() *kerneltest.Fake {
	f := kerneltest.NewFake()
	for i := range 4 {
		f.AddNIC(fmt.Sprint("eth", i), kerneltest.NIC{MAC: fmt.Sprintf("52:54:00:00:00:%02x", i)})
	}
	return f
}

func options(k engine.Kernel, st *store.Store, boot string, clock func() time.Duration) engine.Options {
	return engine.Options{Kernel: k, Store: st, HostID: "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3", BootID: boot, Clock: clock,
		Log: slog.New(slog.DiscardHandler)}
}

const thisBoot, nextBoot = "this boot", "next boot"

// newHost starts an engine in an empty folder.
func newHost(t *testing.T) *host {
	t.Helper()
	st, err := store.Open(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, fake: bare(), now: time.Minute}
	st.Trace = func(s store.Step) error { h.note(event{step: &s}); return nil }
	h.Engine = engine.New(options(door{h}, st, thisBoot, h.clock))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	<-h.Ready()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, st.Close()); err != nil {
			t.Error(err)
		}
	})
	h.answer("start")
	return h
}

// answer notes what a client is told now.
func (h *host) answer(after string, args ...any) {
	h.t.Helper()
	s := standing(h.t, h.fake, h.View())
	s.after = fmt.Sprintf(after, args...)
	h.note(event{answer: &s})
}

func standing(t *testing.T, f *kerneltest.Fake, v engine.View) stand {
	t.Helper()
	s, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stand{image: image.Of(s), running: v.Running, committed: v.Committed, revision: v.CommittedRevision, pending: v.Pending != nil}
}

// stage makes a document the candidate.
func (h *host) stage(doc string) {
	h.t.Helper()
	d, err := codec.Decode([]byte(doc), codec.Auto)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.Stage(h.t.Context(), engine.StageRequest{Documents: []netcfg.Document{d}, Replace: true}); err != nil {
		h.t.Fatal(err)
	}
	h.answer("staged")
}

// do performs an operation that ends in that state.
func (h *host) do(r engine.Request, want engine.State) {
	h.t.Helper()
	op, err := h.Do(h.t.Context(), r, nil)
	if err != nil || op.State != want {
		h.t.Fatalf("%s: %v, %s, %v", r.Kind, err, op.State, op.Err)
	}
	h.answer("%s, %s", r.Kind, op.State)
}

// lapse lets the deadline of the change that waits pass.
func (h *host) lapse() {
	h.t.Helper()
	h.mu.Lock()
	h.now += 2 * time.Hour
	h.mu.Unlock()
	for end := time.Now().Add(time.Minute); h.View().Pending != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatal("the deadline passes and nothing happens")
		}
	}
	h.answer("lapsed")
}

// refuse makes the kernel refuse the operation of that number from now, once.
func (h *host) refuse(number int) {
	h.fake.Inject(func(n int, _ plan.Op) syscall.Errno {
		if n == number {
			return syscall.EINVAL
		}
		return 0
	})
}

// life is a host through every kind of change.
func life(t *testing.T) []event {
	h := newHost(t)
	h.stage(small)
	h.do(engine.Request{Kind: engine.Commit}, engine.Done)
	h.stage(large)
	h.do(engine.Request{Kind: engine.Commit, Comment: "a long comment, to make the record one of several blocks"}, engine.Done)
	h.stage(other)
	h.do(engine.Request{Kind: engine.Apply}, engine.Done)
	h.do(engine.Request{Kind: engine.Rollback}, engine.Done)
	window := engine.Request{Kind: engine.Apply, RevertAfter: time.Hour}
	h.stage(other)
	h.do(window, engine.Done)
	h.do(engine.Request{Kind: engine.Commit}, engine.Done) // confirms
	h.stage(small)
	h.do(window, engine.Done)
	h.do(engine.Request{Kind: engine.Rollback}, engine.Done)
	h.stage(large)
	h.do(window, engine.Done)
	h.lapse()
	h.do(engine.Request{Kind: engine.Rollback, Revision: new(int64(1))}, engine.Done)
	h.do(engine.Request{Kind: engine.Commit}, engine.Done)
	h.stage(large)
	h.refuse(5)
	h.do(engine.Request{Kind: engine.Commit}, engine.RolledBack)
	h.fake.Inject(nil)
	h.do(engine.Request{Kind: engine.Commit}, engine.Done)
	return h.events
}

const (
	small = `
host_nics:
- {name: eth0, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}}
`
	large = `
host_nics:
- {name: eth0, mtu: 9000, ip: {address: 192.0.2.1, netmask: '24'}}
- {name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth1, eth2]}}
- {name: bond0.10, vlan: {id: 10}, base_interface: bond0, ip: {address: 10.1.0.1, netmask: '24', gateway: 10.1.0.254}}
`
	other = `
host_nics:
- {name: bond0, bonding: {options: {mode: active-backup}, slaves: [eth2, eth3]}}
- {name: bond0.10, vlan: {id: 11}, base_interface: bond0, ip: {address: 10.1.0.7, netmask: '24'}}
- {name: eth1, ipv6: {address: "2001:db8:9::1", prefix: 64}}
`
)
