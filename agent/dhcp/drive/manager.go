package drive

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
)

// ErrNoClient says that no client runs on the NIC.
var ErrNoClient = errors.New("no DHCP client runs on the NIC")

// NotReadyError says that the link cannot carry packets, so there is nothing to do yet.
type NotReadyError struct{ NIC string }

// Error says what happens next.
func (e *NotReadyError) Error() string {
	return fmt.Sprintf("the link of %s is not ready; the client starts by itself when it is", e.NIC)
}

// Protocol is what a manager has to know of what its clients speak.
type Protocol[E any] struct {
	// Name is for messages.
	Name string
	// Tick is the event that it is time.
	Tick E
}

// Manager runs the clients of a host, one for each NIC. Its methods may be called by
// anybody at any time.
type Manager[E, A any, S ~string, L any] struct {
	protocol Protocol[E]
	clock    Clock
	log      *slog.Logger
	ctx      context.Context // of the workers
	cancel   context.CancelFunc

	// comings is held while a client is started or stopped, which may wait for one.
	comings sync.Mutex

	mu      sync.Mutex
	workers map[string]*worker[E, A, S, L]
	configs map[string]any
	host    func(nic string) E
	latest  map[string]Status[S, L]
	changed map[string]bool
	ready   chan struct{}
}

// New is a manager without clients. They end with ctx, or with Close, which has to be
// called in any case. No clock is BootClock.
func New[E, A any, S ~string, L any](ctx context.Context, p Protocol[E], c Clock, log *slog.Logger) *Manager[E, A, S, L] {
	if c == nil {
		c = BootClock{}
	}
	m := &Manager[E, A, S, L]{
		protocol: p, clock: c, log: log, workers: map[string]*worker[E, A, S, L]{}, configs: map[string]any{},
		latest: map[string]Status[S, L]{}, changed: map[string]bool{}, ready: make(chan struct{}, 1),
	}
	m.ctx, m.cancel = context.WithCancel(ctx)
	return m
}

// Close ends all clients and waits for them. Leases stay on record, and addresses
// where they are.
func (m *Manager[E, A, S, L]) Close() {
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

// Spec is a client that is to be started.
type Spec[E, A any, S ~string, L any] struct {
	NIC string
	// Config is compared with that of a client that runs already.
	Config any
	// Link is the event of how the link is, Ready whether it carries packets.
	Link  E
	Ready bool
	// Make makes the client, with a log of its own.
	Make func(log *slog.Logger) Client[E, A, S, L]
}

// Start runs a client on a NIC. One that runs already with the same configuration goes
// on, and only hears of the link; another one is stopped first.
func (m *Manager[E, A, S, L]) Start(s Spec[E, A, S, L]) error {
	m.comings.Lock()
	defer m.comings.Unlock()
	if err := m.ctx.Err(); err != nil {
		return fmt.Errorf("%s on %s: %w", m.protocol.Name, s.NIC, err)
	}
	m.mu.Lock()
	running := m.workers[s.NIC]
	same := running != nil && reflect.DeepEqual(m.configs[s.NIC], s.Config)
	m.mu.Unlock()
	if same {
		running.inbox.setLink(s.Link, s.Ready)
		return nil
	}
	m.stop(s.NIC)
	t, err := m.clock.Timer()
	if err != nil {
		return fmt.Errorf("%s on %s: %w", m.protocol.Name, s.NIC, err)
	}
	log := m.log.With("nic", s.NIC)
	w := &worker[E, A, S, L]{
		client: s.Make(log), tick: m.protocol.Tick, log: log, clock: m.clock, timer: t,
		commands: make(chan command[E]), ended: make(chan struct{}), inbox: inbox[E]{ready: make(chan struct{}, 1)},
	}
	w.report = func(s Status[S, L]) { m.report(w, s) }
	ctx, cancel := context.WithCancel(m.ctx)
	w.cancel = cancel
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.host != nil {
		w.inbox.setHost(m.host(s.NIC))
	}
	m.workers[s.NIC], m.configs[s.NIC] = w, s.Config
	go w.run(ctx)
	return nil
}

// Unforeseeable is a random source that nobody else can foresee.
func Unforeseeable() *rand.Rand {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}

// Stop ends the client of a NIC and forgets its status. The lease stays on record, so
// that a later Start has it back if it is still valid by then; to give it back to the
// server, Release first. No client is no error.
func (m *Manager[E, A, S, L]) Stop(nic string) {
	m.comings.Lock()
	defer m.comings.Unlock()
	m.stop(nic)
}

func (m *Manager[E, A, S, L]) stop(nic string) {
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
func (m *Manager[E, A, S, L]) Link(nic string, link E, ready bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.workers[nic]; w != nil {
		w.inbox.setLink(link, ready)
	}
}

// Host tells all clients, and those that come, what has become of the host, which may be
// another thing for each NIC. It does not wait.
func (m *Manager[E, A, S, L]) Host(host func(nic string) E) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.host = host
	for nic, w := range m.workers {
		w.inbox.setHost(host(nic))
	}
}

// Command has the client of a NIC take in an event, and returns when it has. ErrNoClient.
func (m *Manager[E, A, S, L]) Command(ctx context.Context, nic string, e E) error {
	m.mu.Lock()
	w := m.workers[nic]
	m.mu.Unlock()
	if w == nil {
		return fmt.Errorf("%s: %w", nic, ErrNoClient)
	}
	c := command[E]{e, make(chan struct{})}
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
func (m *Manager[E, A, S, L]) report(w *worker[E, A, S, L], s Status[S, L]) {
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
func (m *Manager[E, A, S, L]) Changed() <-chan struct{} { return m.ready }

// Take returns the status of every client that has news since the last Take, in the
// order of names: how it is now, not how it got there. It is for one consumer.
func (m *Manager[E, A, S, L]) Take() []Status[S, L] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Status[S, L]
	for _, nic := range slices.Sorted(maps.Keys(m.changed)) {
		out = append(out, m.latest[nic])
	}
	clear(m.changed)
	return out
}

// Status of the client of a NIC; ok is false where none runs.
func (m *Manager[E, A, S, L]) Status(nic string) (s Status[S, L], ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok = m.latest[nic]
	return s, ok
}
