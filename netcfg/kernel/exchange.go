package kernel

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// chunk is what goes to the kernel in one sendmsg.
type chunk struct {
	bytes []byte
	// waiting are the numbers of the operations without an answer, by sequence
	// number, and answers are the answers that have come.
	waiting map[uint32]int
	answers []numbered
}

type numbered struct {
	i int
	answer
}

// newChunk has room for so many requests, and the answers to them.
func newChunk(requests int) *chunk {
	return &chunk{bytes: make([]byte, 0, requests*usualMessage), waiting: make(map[uint32]int, requests), answers: make([]numbered, 0, requests)}
}

func (c *chunk) add(i int, seq uint32, r request, flags uint16) {
	c.bytes = appendMessage(c.bytes, r, unix.NLM_F_ACK|flags, seq)
	c.waiting[seq] = i
}

// exchange sends a chunk and takes in what the kernel says of each operation.
//
// All are acknowledged, though the kernel would say of itself which it refuses and
// the last acknowledgment would do for the rest: those that come while sendmsg is
// still at work are the only sign that it has not hung. They cost 2 to 4 µs each,
// where making a link costs some 300.
func (b *batch) exchange(c *chunk) {
	var err error
	sent := make(chan struct{})
	b.writes.Add(uint64(len(c.waiting)))
	for _, i := range c.waiting {
		b.tried[i] = true
	}
	go func() {
		err = b.writer.send(c.bytes)
		close(sent)
	}()
	ticker := time.NewTicker(b.patienceFor(c))
	defer ticker.Stop()
	for {
		select {
		case <-sent:
			// The answers are all in the socket by now.
			b.collect(c)
			b.settle(c, err)
			return
		case <-ticker.C:
			if b.collect(c) == 0 {
				b.stuck = sent
				b.settle(c, unix.ETIMEDOUT)
				return
			}
		}
	}
}

// patienceFor is the patience with any one operation of a chunk, with what an
// operation says itself of the links it takes.
func (b *batch) patienceFor(c *chunk) time.Duration {
	named := 0
	for _, i := range c.waiting {
		named = max(named, len(b.ops[i].Names))
	}
	return max(b.patience(), b.options.Patience+time.Duration(named)*patiencePerLink)
}

// collect takes the answers out of the socket that are there, and counts them.
func (b *batch) collect(c *chunk) int {
	before := len(c.answers)
	for {
		datagram, err := b.writer.receive()
		switch {
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, errCut):
			continue // settle sees what is missing
		case err != nil:
			return len(c.answers) - before
		}
		for m := range messages(datagram) {
			i, ok := c.waiting[m.seq]
			if !ok || m.typ != unix.NLMSG_ERROR {
				continue
			}
			if a, err := decodeAnswer(m); err == nil {
				delete(c.waiting, m.seq)
				c.answers = append(c.answers, numbered{i, a})
			}
		}
	}
}

// settle gives each operation its outcome. Those without an answer have the error
// of the call; or, when it had none, their answers were lost for want of memory, and
// they are to be tried again.
func (b *batch) settle(c *chunk, failed error) {
	for _, a := range c.answers {
		b.errs[a.i] = b.judge(b.ops[a.i], a.answer)
	}
	errno := unix.ENOBUFS
	if failed != nil {
		errno = unix.EIO
		errors.As(failed, &errno)
	}
	for _, i := range c.waiting {
		b.errs[i] = b.judge(b.ops[i], answer{errno: errno})
	}
}

// mayChange tells whether this process may change the network. A request that
// speaks of no link at all is refused in any case, with EPERM before anybody looks
// at it (rtnetlink_rcv_msg in net/core/rtnetlink.c), else with EINVAL (rtnl_setlink).
// The capabilities of a process do not tell: they may be those of another user
// namespace than the network's.
func mayChange(conn *socket) bool {
	_, err := conn.get(request{typ: unix.RTM_SETLINK, body: appendIfInfo(nil, 0, 0, 0)})
	return !errors.Is(err, unix.EPERM)
}
