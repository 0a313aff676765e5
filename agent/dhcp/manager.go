package dhcp

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync"
)

// Store keeps one record for each NIC, across restarts and reboots.
type Store interface {
	// LoadLease returns nil where there is none.
	LoadLease(nic string) (*Record, error)
	// SaveLease replaces the record; nil removes it.
	SaveLease(nic string, r *Record) error
}

// Options are what a manager needs of the agent.
type Options struct {
	// Boot is the id of this boot (/proc/sys/kernel/random/boot_id).
	Boot  string
	Store Store
	Log   *slog.Logger

	// Tests have another clock, and wires that end elsewhere.
	clock clock
	wires func(nic string) wire
}

// Host is what clients have to know of the host.
type Host struct {
	// MACs of all its NICs.
	MACs []MAC
	// Subnets by NIC.
	Subnets map[string][]netip.Prefix
	// ControlPlane are the addresses that the host is managed from.
	ControlPlane []netip.Addr
}

func (h Host) around(nic string) Around {
	a := Around{MACs: h.MACs, ControlPlane: h.ControlPlane}
	for _, other := range slices.Sorted(maps.Keys(h.Subnets)) {
		if other != nic {
			a.Subnets = append(a.Subnets, h.Subnets[other]...)
		}
	}
	return a
}

// ErrNoClient says that no client runs on the NIC.
var ErrNoClient = errors.New("no DHCP client runs on the NIC")

// NotReadyError says that the link cannot carry packets, so there is nothing to do yet.
type NotReadyError struct{ NIC string }

// Error says what happens next.
func (e *NotReadyError) Error() string {
	return fmt.Sprintf("the link of %s is not ready; the client starts by itself when it is", e.NIC)
}

// Manager runs the clients of a host, one for each NIC. Its methods may be called by
// anybody at any time.
type Manager struct {
	options Options
	ctx     context.Context // of the workers
	cancel  context.CancelFunc

	// comings is held while a client is started or stopped, which may wait for one.
	comings sync.Mutex

	mu      sync.Mutex
	workers map[string]*worker
	configs map[string]Config
	host    Host
	latest  map[string]Status
	changed map[string]bool
	ready   chan struct{}
}

// New is a manager without clients. They end with ctx, or with Close, which has to be
// called in any case.
func New(ctx context.Context, o Options) *Manager {
	if o.clock == nil {
		o.clock = bootClock{}
	}
	if o.wires == nil {
		o.wires = func(nic string) wire { return newSockets(nic, nil) }
	}
	m := &Manager{
		options: o, workers: map[string]*worker{}, configs: map[string]Config{},
		latest: map[string]Status{}, changed: map[string]bool{}, ready: make(chan struct{}, 1),
	}
	m.ctx, m.cancel = context.WithCancel(ctx)
	return m
}

// Close ends all clients and waits for them. Leases stay on record, and addresses
// where they are.
func (m *Manager) Close() {
	m.comings.Lock()
	defer m.comings.Unlock()
	m.cancel()
	m.mu.Lock()
	workers := slices.Collect(maps.Values(m.workers))
	m.mu.Unlock()
	for _, w := range workers {
		<-w.ended
	}
}

// Start runs a client on a NIC. One that runs already with the same configuration goes
// on, and only hears of the link; with another configuration it begins again from the
// record, which costs no packet while the lease is valid.
func (m *Manager) Start(c Config, l Link) error {
	m.comings.Lock()
	defer m.comings.Unlock()
	if err := m.ctx.Err(); err != nil {
		return fmt.Errorf("DHCP on %s: %w", c.NIC, err)
	}
	m.mu.Lock()
	running := m.workers[c.NIC]
	same := running != nil && reflect.DeepEqual(m.configs[c.NIC], c)
	m.mu.Unlock()
	if same {
		running.inbox.setLink(l)
		return nil
	}
	m.stop(c.NIC)
	w, err := m.newWorker(c.NIC)
	if err != nil {
		return fmt.Errorf("DHCP on %s: %w", c.NIC, err)
	}
	ctx, cancel := context.WithCancel(m.ctx)
	w.cancel = cancel
	m.mu.Lock()
	defer m.mu.Unlock()
	w.inbox.setAround(m.host.around(c.NIC))
	m.workers[c.NIC], m.configs[c.NIC] = w, c
	go w.run(ctx, l, c)
	return nil
}

func (m *Manager) newWorker(nic string) (*worker, error) {
	t, err := m.options.clock.timer()
	if err != nil {
		return nil, err
	}
	w := &worker{
		nic: nic, boot: m.options.Boot, store: m.options.Store, log: m.options.Log.With("nic", nic),
		clock: m.options.clock, timer: t, wire: m.options.wires(nic), rand: unforeseeable(),
		commands: make(chan command), ended: make(chan struct{}),
		inbox: inbox{ready: make(chan struct{}, 1)},
	}
	w.report = func(s Status) { m.report(w, s) }
	return w, nil
}

func unforeseeable() *rand.Rand {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}

// Stop ends the client of a NIC and forgets its status. The lease stays on record, so
// that a later Start has it back if it is still valid by then; to give it back to the
// server, Release first. No client is no error.
func (m *Manager) Stop(nic string) {
	m.comings.Lock()
	defer m.comings.Unlock()
	m.stop(nic)
}

func (m *Manager) stop(nic string) {
	m.mu.Lock()
	w := m.workers[nic]
	delete(m.workers, nic)
	delete(m.configs, nic)
	delete(m.latest, nic)
	delete(m.changed, nic)
	m.mu.Unlock()
	if w != nil {
		w.cancel()
		<-w.ended
	}
}

// Link tells the client of a NIC what has become of its link. It does not wait.
func (m *Manager) Link(nic string, l Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.workers[nic]; w != nil {
		w.inbox.setLink(l)
	}
}

// Host tells all clients what has become of the host. It does not wait.
func (m *Manager) Host(h Host) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.host = h
	for nic, w := range m.workers {
		w.inbox.setAround(h.around(nic))
	}
}

// Renew has a lease renewed now, or the search for one begun again, also after a
// Release. It returns when that is under way. ErrNoClient; NotReadyError.
func (m *Manager) Renew(ctx context.Context, nic string) error {
	if err := m.command(ctx, nic, Renew{}); err != nil {
		return err
	}
	if s, ok := m.Status(nic); ok && !s.Ready {
		return &NotReadyError{nic}
	}
	return nil
}

// Release gives the lease of a NIC back to its server, as far as one can know: there
// is no answer. The client then rests until Renew or another Start. ErrNoClient.
func (m *Manager) Release(ctx context.Context, nic string) error {
	return m.command(ctx, nic, Release{})
}

func (m *Manager) command(ctx context.Context, nic string, e Event) error {
	m.mu.Lock()
	w := m.workers[nic]
	m.mu.Unlock()
	if w == nil {
		return fmt.Errorf("%s: %w", nic, ErrNoClient)
	}
	c := command{e, make(chan struct{})}
	select {
	case w.commands <- c:
	case <-w.ended:
		return fmt.Errorf("%s: %w", nic, ErrNoClient)
	case <-ctx.Done():
		return ctx.Err()
	}
	<-c.done
	return nil
}

// report takes the status of a worker, unless the NIC has another one by now.
func (m *Manager) report(w *worker, s Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.workers[s.NIC] != w {
		return
	}
	before, known := m.latest[s.NIC]
	m.latest[s.NIC] = s
	if known && s.sameNews(before) {
		return
	}
	m.changed[s.NIC] = true
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// Changed has a token when Take has something to give.
func (m *Manager) Changed() <-chan struct{} { return m.ready }

// Take returns the status of every client that has news since the last Take, in the
// order of names: how it is now, not how it got there. It is for one consumer.
func (m *Manager) Take() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Status
	for nic := range m.changed {
		out = append(out, m.latest[nic])
	}
	clear(m.changed)
	slices.SortFunc(out, func(a, b Status) int { return cmp.Compare(a.NIC, b.NIC) })
	return out
}

// Status of the client of a NIC; ok is false where none runs.
func (m *Manager) Status(nic string) (s Status, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok = m.latest[nic]
	return s, ok
}
