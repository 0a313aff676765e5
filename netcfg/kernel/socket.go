package kernel

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// wire is what goes between us and the kernel: a netlink socket, or in tests
// somebody who plays the kernel.
//
// The kernel answers while it takes the request: netlink_sendmsg runs the handler
// and puts the answers into the socket before it returns, and recvmsg of a part of
// a dump makes the next part (net/netlink/af_netlink.c). So receive never waits; but
// either call may take as long as somebody else holds the lock on the network
// configuration, and no signal ends it.
type wire interface {
	// send hands requests to the kernel, which has performed them when it returns.
	send(b []byte) error
	// receive takes the next datagram, valid until the next call. errEmpty says
	// that there is none, errCut that one was too long, and ENOBUFS that some were
	// lost.
	receive() ([]byte, error)
	close() error
}

var (
	errEmpty = errors.New("netlink: no answer")
	errCut   = errors.New("netlink: answer longer than the buffer")
)

// socket is a wire on which the kernel is asked.
type socket struct {
	wire
	seq uint32
	// received counts datagrams, for those who watch whether it goes on.
	received atomic.Uint64
	// sendLimit is how many bytes the kernel takes in one sendmsg, answerLimit how
	// many requests may be in it so that there is room for all of their answers.
	sendLimit, answerLimit int
}

func openSocket(protocol int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	s, err := prepare(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return s, nil
}

const (
	wantedBuffer = 8 << 20
	// answerSize is more than an answer takes in the socket's buffer: the kernel
	// counts whole blocks of memory (skb->truesize), of 768 to 1280 bytes here.
	answerSize = 2048
)

func prepare(fd int) (*socket, error) {
	// Texts with refusals; and refusals without the request inside, so that their
	// size is known. Kernels before 4.12 have neither, which is no harm.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	// Without it the kernel ignores the filters in requests for a dump.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	forceBuffer(fd, wantedBuffer)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	send, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		return nil, err
	}
	receive, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return nil, err
	}
	w := &netlinkWire{fd: fd, buf: make([]byte, firstRead)}
	return &socket{wire: w, sendLimit: send / 2, answerLimit: max(1, receive/answerSize)}, nil
}

// forceBuffer asks for buffers beyond the limit of the system, which takes
// CAP_NET_ADMIN, and without that for as much as the limit gives.
func forceBuffer(fd, size int) {
	for _, o := range [][2]int{{unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}, {unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], size) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], size)
		}
	}
}

// sequence is the next sequence number. 0 is not one: the kernel's own
// announcements have it.
func (s *socket) sequence() uint32 {
	s.seq++
	if s.seq == 0 {
		s.seq = 1
	}
	return s.seq
}

func (s *socket) receive() ([]byte, error) {
	b, err := s.wire.receive()
	if err == nil {
		s.received.Add(1)
	}
	return b, err
}

// drain throws away what is left of an earlier conversation. Reading ends a dump
// that nobody wanted any more; the kernel would refuse another one beside it.
func (s *socket) drain() {
	for {
		_, err := s.receive()
		if err != nil && !errors.Is(err, errCut) && !errors.Is(err, unix.ENOBUFS) {
			return
		}
	}
}

// netlinkWire is the real one.
type netlinkWire struct {
	fd  int
	buf []byte
}

// firstRead is enough for the parts of a dump, which the kernel makes 32 KiB long.
const firstRead = 64 << 10

func (w *netlinkWire) send(b []byte) error {
	for {
		err := unix.Sendto(w.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (w *netlinkWire) receive() ([]byte, error) {
	for {
		n, _, flags, from, err := unix.Recvmsg(w.fd, w.buf, nil, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, errEmpty
		case err != nil:
			return nil, err
		}
		if nl, ok := from.(*unix.SockaddrNetlink); ok && nl.Pid != 0 {
			continue // another process wrote to us, not the kernel
		}
		if flags&unix.MSG_TRUNC != 0 {
			w.buf = make([]byte, 2*len(w.buf)) // the next will fit
			return nil, errCut
		}
		return w.buf[:n], nil
	}
}

func (w *netlinkWire) close() error { return unix.Close(w.fd) }
