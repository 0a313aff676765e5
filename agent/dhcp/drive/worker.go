package drive

import (
	"context"
	"log/slog"
	"time"
)

// longestRetry is the longest pause before sockets that could not be had are tried again.
const longestRetry = 64 * time.Second

// worker drives the client of one NIC: it is the only one that touches it. Events go
// in one after the other, and what comes out is done before the next.
type worker[E, A any, S ~string, L any] struct {
	client Client[E, A, S, L]
	tick   E
	log    *slog.Logger
	clock  Clock
	timer  Timer
	// report is told of every step; it must not wait.
	report func(Status[S, L])

	inbox    inbox[E]
	commands chan command[E]
	cancel   context.CancelFunc
	ended    chan struct{}

	health Health
	// retryAt is when sockets that could not be had are tried again.
	retryAt time.Duration
	retries int
}

// command is an event that somebody waits for.
type command[E any] struct {
	event E
	done  chan struct{}
}

// run works until the context ends. The lease stays on record, and the address on the
// NIC: neither is the worker's to take away.
func (w *worker[E, A, S, L]) run(ctx context.Context) {
	defer close(w.ended)
	defer w.timer.Close()
	defer w.client.Close()
	w.retryAt = Never
	for _, e := range w.inbox.take() { // what is known comes before the first judgement
		w.client.Step(w.clock.Now(), e)
	}
	w.step(w.client.Begin())
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.timer.C():
			w.step(w.tick)
		case in := <-w.client.Received():
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
func (w *worker[E, A, S, L]) step(e E) {
	actions := w.client.Step(w.clock.Now(), e)
	w.openSockets()
	for _, a := range actions {
		w.client.Do(a)
	}
	w.tell()
	for _, a := range actions {
		w.client.Record(w.clock.Now(), a)
	}
	w.tell()
	w.setTimer()
	w.client.Trim()
}

func (w *worker[E, A, S, L]) setTimer() { w.timer.Set(min(w.client.Wake(), w.retryAt)) }

// openSockets tries again later what it cannot have now.
func (w *worker[E, A, S, L]) openSockets() {
	w.health.Sockets = w.client.Open()
	if w.health.Sockets == nil {
		w.retryAt, w.retries = Never, 0
		return
	}
	if now := w.clock.Now(); w.retryAt == Never || now >= w.retryAt {
		w.retryAt = now + min(time.Second<<min(w.retries, 6), longestRetry)
		w.retries++
	}
}

// receive reads what came in. The machine sees nothing that is malformed.
func (w *worker[E, A, S, L]) receive(in Inbound) {
	if in.Err != nil {
		w.log.Warn("a socket has failed and is opened again", "error", in.Err)
		w.client.Drop(in)
		w.health.Sockets = in.Err
		w.retryAt = min(w.retryAt, w.clock.Now()+time.Second)
		w.tell()
		w.setTimer()
		return
	}
	e, err := w.client.Read(in)
	if err != nil {
		w.health.Malformed++
		w.log.Debug("a packet was dropped", "error", err)
		w.tell()
		return
	}
	w.step(e)
}

// tell reports how things stand.
func (w *worker[E, A, S, L]) tell() { w.report(w.client.Status(w.health)) }
