package kernel

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lane is a socket with one conversation at a time.
//
// The kernel may hold a system call for long, and nothing can call it back. So the
// calls are made on a goroutine of their own: whoever waits for it may give up, and
// the goroutine gives the turn back when the kernel has let it go. Until then the
// lane is taken. close waits for it.
type lane struct {
	*socket
	patience func() time.Duration
	turn     chan struct{} // holds one token while nobody speaks
	closed   bool          // only looked at by whose turn it is
}

// ErrHung is what the kernel does when it neither answers nor refuses.
var ErrHung = errors.New("the kernel does not answer")

var errClosed = errors.New("kernel: closed")

func openLane(protocol int, patience func() time.Duration) (*lane, error) {
	s, err := openSocket(protocol)
	if err != nil {
		return nil, err
	}
	return newLane(s, patience), nil
}

func newLane(s *socket, patience func() time.Duration) *lane {
	l := &lane{socket: s, patience: patience, turn: make(chan struct{}, 1)}
	l.give()
	return l
}

// take waits for the turn, as long as the context and patience last.
func (l *lane) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.progress(ctx, l.turn); err != nil {
		return err
	}
	if l.closed {
		l.give()
		return errClosed
	}
	return nil
}

func (l *lane) give() { l.turn <- struct{}{} }

// talk runs fn, which may use the socket, and waits for it while it makes progress.
// After an error fn may still be running; nothing that it shares may be looked at.
func (l *lane) talk(ctx context.Context, fn func(*socket) error) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	var err error
	done := make(chan struct{}, 1)
	go func() {
		err = fn(l.socket)
		l.give()
		done <- struct{}{}
	}()
	if stuck := l.progress(ctx, done); stuck != nil {
		return stuck
	}
	return err
}

// progress waits for the channel. It gives up with the context, or when nothing has
// come from the kernel for the time of patience.
func (l *lane) progress(ctx context.Context, done <-chan struct{}) error {
	select { // most waits are short
	case <-done:
		return nil
	default:
	}
	patience := l.patience()
	ticker := time.NewTicker(patience)
	defer ticker.Stop()
	for before := l.received.Load(); ; {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			now := l.received.Load()
			if now == before {
				return fmt.Errorf("%w for %v", ErrHung, patience)
			}
			before = now
		}
	}
}

// close waits for the turn and closes the socket. A system call that does not end
// keeps it open.
func (l *lane) close() error {
	err := l.take(context.Background())
	if errors.Is(err, errClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.give()
	l.closed = true
	return l.socket.close()
}
