package kernel

import (
	"encoding/binary"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// script is a wire at whose other end a test plays the kernel.
type script struct {
	// answer is called for each request that is sent; what it says is received.
	answer func(m message, say func(...any))

	mu     sync.Mutex
	queue  []any // []byte or error
	sent   int
	closed bool
}

func (s *script) send(b []byte) error {
	for m := range messages(b) {
		s.mu.Lock()
		s.sent++
		s.mu.Unlock()
		var failed error
		s.answer(m, func(said ...any) {
			for _, v := range said {
				if f, ok := v.(sendError); ok {
					failed = f.Errno
					continue
				}
				s.mu.Lock()
				s.queue = append(s.queue, v)
				s.mu.Unlock()
			}
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// sendError makes the send itself fail.
type sendError struct{ syscall.Errno }

func (s *script) receive() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil, errEmpty
	}
	first := s.queue[0]
	s.queue = s.queue[1:]
	if err, ok := first.(error); ok {
		return nil, err
	}
	return first.([]byte), nil
}

func (s *script) close() error { s.closed = true; return nil }

// scripted is a Kernel that talks with scripts.
func scripted(t *testing.T, options Options, reader, writer *script) *Kernel {
	t.Helper()
	if options.Patience == 0 {
		options.Patience = 5 * time.Second
	}
	k := &Kernel{options: options, ioctls: -1}
	lane := func(s *script) *lane {
		if s == nil {
			return nil
		}
		return newLane(&socket{wire: s, sendLimit: 1 << 20, answerLimit: 1000}, k.patience)
	}
	k.reader, k.writer = lane(reader), lane(writer)
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// Answers.

func say(m message, r request) []byte { return appendMessage(nil, r, unix.NLM_F_MULTI, m.seq) }

func done(m message) []byte {
	return say(m, request{typ: unix.NLMSG_DONE, body: make([]byte, 4)})
}

func interrupted(b []byte) []byte {
	binary.NativeEndian.PutUint16(b[6:], binary.NativeEndian.Uint16(b[6:])|unix.NLM_F_DUMP_INTR)
	return b
}

func acknowledged(m message) []byte { return refused(m, 0, "") }

func refused(m message, errno syscall.Errno, text string) []byte {
	return appendMessage(nil, refusal(errno, text), 0, m.seq)
}

// refusal is an NLMSG_ERROR the way the kernel makes it when it has been asked for
// short ones with a text.
func refusal(errno syscall.Errno, text string) request {
	body := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	body = append(body, make([]byte, messageHeader)...)
	r := request{typ: unix.NLMSG_ERROR, flags: unix.NLM_F_CAPPED}
	if text != "" {
		r.flags |= unix.NLM_F_ACK_TLVS
		body = appendText(body, unix.NLMSGERR_ATTR_MSG, text)
	}
	r.body = body
	return r
}
