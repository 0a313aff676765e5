package kernel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInterrupted is what a look ends with when things kept changing under it for
// its whole time. What was seen is in no state that ever was, and no decision may
// be taken on it.
var ErrInterrupted = errors.New("the network kept changing while it was looked at")

// errOnce is a single dump that the kernel has marked as interrupted, or of which
// something was lost.
var errOnce = errors.New("netlink: dump interrupted")

// A look is tried so many times, and no longer than that.
const (
	lookTries = 25
	lookTime  = time.Second
)

// budget counts the tries of one look, over all of its dumps.
type budget struct {
	ctx      context.Context
	tries    int
	deadline time.Time
}

func newBudget(ctx context.Context) *budget {
	return &budget{ctx: ctx, tries: lookTries, deadline: time.Now().Add(lookTime)}
}

// again reports whether there is another try, after a short time in which what
// disturbs may be over; of random length, as what disturbs may have a rhythm.
func (b *budget) again() bool {
	b.tries--
	pause := rand.N(8 * time.Millisecond)
	if b.tries <= 0 || time.Now().Add(pause).After(b.deadline) {
		return false
	}
	select {
	case <-b.ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// spent is the error of a look that has had all of its tries.
func (b *budget) spent() error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	return ErrInterrupted
}

// collect dumps and decodes, again and again until the kernel says that nothing
// changed meanwhile.
func collect[T any](s *socket, b *budget, r request, decode func([]byte) (T, bool, error)) ([]T, error) {
	for {
		var all []T
		err := s.dump(r, func(body []byte) error {
			one, ok, err := decode(body)
			if ok {
				all = append(all, one)
			}
			return err
		})
		if !errors.Is(err, errOnce) {
			return all, err
		}
		if !b.again() {
			return nil, b.spent()
		}
	}
}

// dump asks for everything of a kind, once.
func (s *socket) dump(r request, each func(body []byte) error) error {
	s.drain()
	seq := s.sequence()
	if err := s.send(appendMessage(nil, r, unix.NLM_F_DUMP, seq)); err != nil {
		return err
	}
	var failed error
	torn := false
	for {
		datagram, err := s.receive()
		switch {
		case errors.Is(err, errEmpty): // the end was lost
			return errOnce
		case errors.Is(err, errCut), errors.Is(err, unix.ENOBUFS):
			torn = true
			continue
		case err != nil:
			return err
		}
		for m := range messages(datagram) {
			if m.seq != seq {
				continue
			}
			torn = torn || m.flags&unix.NLM_F_DUMP_INTR != 0
			switch m.typ {
			case unix.NLMSG_DONE:
				if a := decodeDone(m); a.errno != 0 {
					return a
				}
				if torn {
					return errOnce
				}
				return failed
			case unix.NLMSG_ERROR:
				return asError(m)
			default:
				if failed == nil {
					failed = each(m.body)
				}
			}
		}
	}
}

// get asks for one thing and returns the body of the answer, valid until the
// socket is used again.
func (s *socket) get(r request) ([]byte, error) {
	for {
		s.drain()
		seq := s.sequence()
		if err := s.send(appendMessage(nil, r, 0, seq)); err != nil {
			return nil, err
		}
		datagram, err := s.receive()
		if errors.Is(err, errCut) {
			continue // there is room for it now
		}
		if err != nil {
			return nil, err
		}
		for m := range messages(datagram) {
			if m.seq != seq {
				continue
			}
			if m.typ == unix.NLMSG_ERROR {
				return nil, asError(m)
			}
			return m.body, nil
		}
		return nil, errTorn
	}
}

func asError(m message) error {
	a, err := decodeAnswer(m)
	if err != nil {
		return err
	}
	return a
}

// Error makes an answer an error where nobody wants to know which operation it
// was for.
func (a answer) Error() string {
	if a.text != "" {
		return fmt.Sprintf("kernel: %s (%v)", a.text, a.errno)
	}
	return fmt.Sprintf("kernel: %v", a.errno)
}

func (a answer) Unwrap() error { return a.errno }
