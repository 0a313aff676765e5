package dhcp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// worker drives the machine of one NIC: it is the only one that touches it. Events go
// in one after the other, and what comes out is done before the next.
type worker struct {
	machine *Machine
	nic     string
	boot    string
	store   Store
	log     *slog.Logger
	clock   clock
	timer   timer
	wire    wire
	rand    *rand.Rand
	// report is told of every step; it must not wait.
	report func(Status)

	inbox    inbox
	commands chan command
	cancel   context.CancelFunc
	ended    chan struct{}

	link Link
	// troubles are the errors of the last time that a thing was tried.
	troubles struct{ sockets, send, store error }
	// retryAt is when sockets that could not be had are tried again.
	retryAt   time.Duration
	retries   int
	malformed uint64
}

// command is an event that somebody waits for.
type command struct {
	event Event
	done  chan struct{}
}

// inbox holds what is known of link and host until the worker takes it. The latest
// counts; nobody who adds waits.
type inbox struct {
	ready chan struct{}

	mu     sync.Mutex
	link   *Link
	lost   bool // the link was away meanwhile
	around *Around
}

func (b *inbox) setLink(l Link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.link, b.lost = &l, b.lost || !l.Ready
	b.signal()
}

func (b *inbox) setAround(a Around) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.around = &a
	b.signal()
}

func (b *inbox) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take empties it.
func (b *inbox) take() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Event
	if b.around != nil {
		all = append(all, *b.around)
	}
	if b.link != nil && b.lost && b.link.Ready {
		away := *b.link
		away.Ready = false
		all = append(all, away)
	}
	if b.link != nil {
		all = append(all, *b.link)
	}
	b.link, b.lost, b.around = nil, false, nil
	return all
}

// run works until the context ends. The lease stays on record, and the address on the
// NIC: neither is the worker's to take away.
func (w *worker) run(ctx context.Context, l Link, c Config) {
	defer close(w.ended)
	defer w.timer.close()
	defer w.wire.close()
	w.machine, w.link, w.retryAt = NewMachine(c, w.rand), l, never
	for _, e := range w.inbox.take() { // what is around comes before the first judgement
		switch e := e.(type) {
		case Around:
			w.machine.Step(w.clock.now(), e)
		case Link:
			w.link = e
		}
	}
	w.step(Start{Link: w.link, Record: w.load(), Boot: w.boot, Wall: time.Now()})
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.timer.C():
			w.step(Tick{})
		case in := <-w.wire.received():
			w.receive(in)
		case <-w.inbox.ready:
			for _, e := range w.inbox.take() {
				w.step(e)
			}
		case c := <-w.commands:
			w.step(c.event)
			close(c.done)
		}
	}
}

// step lets the machine take in an event. Sockets are opened before anything is sent
// that is answered, and closed after everything else, since closing may take long.
func (w *worker) step(e Event) {
	if l, ok := e.(Link); ok {
		w.link = l
	}
	actions := w.machine.Step(w.clock.now(), e)
	w.openSockets()
	for _, a := range actions {
		w.do(a)
	}
	w.tell()
	for _, a := range actions {
		w.record(a)
	}
	w.tell()
	w.timer.set(min(w.machine.Wake(), w.retryAt))
	w.wire.trim(w.machine.Needs())
}

// openSockets tries again later what it cannot have now.
func (w *worker) openSockets() {
	w.troubles.sockets = w.wire.open(w.machine.Needs(), w.link)
	if w.troubles.sockets == nil {
		w.retryAt, w.retries = never, 0
		return
	}
	if now := w.clock.now(); w.retryAt == never || now >= w.retryAt {
		w.retryAt = now + min(time.Second<<min(w.retries, 6), longestDelay)
		w.retries++
	}
}

func (w *worker) do(a Action) {
	switch a := a.(type) {
	case Send:
		w.troubles.send = w.wire.send(a, w.link)
	case SendARP:
		w.troubles.send = w.wire.sendARP(a.ARP, w.link)
	case Note:
		w.log.Log(context.Background(), a.Level, a.Text, a.Args...)
	}
}

// record is what goes to the disk, when everybody knows already.
func (w *worker) record(a Action) {
	switch a := a.(type) {
	case Save:
		r := Record{Lease: *a.Lease, Boot: w.boot}
		if a.Lease.Expires != never {
			r.Expires = time.Now().Add(a.Lease.Expires - w.clock.now())
		}
		w.troubles.store = w.store.SaveLease(w.nic, &r)
	case Forget:
		w.troubles.store = w.store.SaveLease(w.nic, nil)
	default:
		return
	}
	if w.troubles.store != nil {
		w.log.Error("the lease is not on record: after a restart it will be asked for again", "error", w.troubles.store)
	}
}

func (w *worker) load() *Record {
	r, err := w.store.LoadLease(w.nic)
	if err != nil {
		w.log.Warn("the lease on record cannot be read; another one is asked for", "error", err)
		return nil
	}
	return r
}

// receive reads what came in. The machine sees nothing that is malformed.
func (w *worker) receive(in inbound) {
	if in.err != nil {
		w.log.Warn("a socket has failed and is opened again", "error", in.err)
		w.wire.drop(in)
		w.troubles.sockets = in.err
		w.retryAt = min(w.retryAt, w.clock.now()+time.Second)
		w.tell()
		w.timer.set(min(w.machine.Wake(), w.retryAt))
		return
	}
	e, err := parse(in)
	if err != nil {
		w.malformed++
		w.log.Debug("a packet was dropped", "error", err)
		w.tell()
		return
	}
	w.step(e)
}

// parse reads a packet of any of the sockets.
func parse(in inbound) (Event, error) {
	payload := in.data
	switch in.from {
	case byARP:
		return parseARP(in.data)
	case bySocket:
		var err error
		if payload, _, err = parseUDP(in.data, in.partial); err != nil {
			return nil, err
		}
	}
	return ParseReply(payload)
}

// tell reports how things stand.
func (w *worker) tell() {
	s := w.machine.Status()
	s.Ready, s.Malformed = w.link.Ready, w.malformed
	if err := errors.Join(w.troubles.sockets, w.troubles.send, w.troubles.store); err != nil {
		s.Trouble = err.Error()
	}
	w.report(s)
}
