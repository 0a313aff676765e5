package drive

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Largest is the longest packet that is read; longer ones come without data. A server
// keeps to what a client allows it, or to what its link carries, which is less.
const Largest = 4096

// Inbound is what has come in by one of the sockets, or the end of that socket.
type Inbound struct {
	// Source is that of the socket.
	Source int
	Data   []byte
	// Control are the kernel's control messages; From is the sender's address, where the
	// socket is one of IPv6.
	Control []byte
	From    netip.Addr
	Err     error
	// By is the socket, for who has to know whether it is still that one.
	By *Socket
}

// Socket is one that is open.
type Socket struct {
	// Source says which of a client's sockets it is, Name the same for messages.
	Source int
	Name   string
	// Size is the longest packet that is read.
	Size int

	file   *os.File
	raw    syscall.RawConn
	closed chan struct{}
}

// Open opens the socket, which is for datagrams. prepare binds it.
func (s *Socket) Open(family, protocol int, prepare func(fd int) error) (*Socket, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	if err := prepare(fd); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	s.file, s.closed = os.NewFile(uintptr(fd), s.Name), make(chan struct{})
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s.Name, err), s.file.Close())
	}
	return s, nil
}

// Close ends Read.
func (s *Socket) Close() {
	close(s.closed)
	_ = s.file.Close()
}

// Control does something to the descriptor.
func (s *Socket) Control(fn func(fd int) error) error {
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = fn(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// Read passes on what comes until the socket is closed or broken.
func (s *Socket) Read(in chan<- Inbound) {
	buf, control := make([]byte, s.Size), make([]byte, 128)
	for {
		packet, err := s.receive(buf, control)
		switch {
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.EINTR):
			continue // the link went down; when it comes back, so do packets
		case err != nil:
			packet = Inbound{Err: fmt.Errorf("%s: %w", s.Name, err)}
		}
		packet.Source, packet.By = s.Source, s
		select {
		case <-s.closed: // which may be what the error is
			return
		default:
		}
		select {
		case in <- packet:
		case <-s.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

// receive waits for a packet. One that is longer than the buffer comes without data.
func (s *Socket) receive(buf, control []byte) (Inbound, error) {
	var n, cn, flags int
	var from unix.Sockaddr
	var err error
	waited := s.raw.Read(func(fd uintptr) bool {
		n, cn, flags, from, err = unix.Recvmsg(int(fd), buf, control, unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN)
	})
	if err := errors.Join(waited, err); err != nil {
		return Inbound{}, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		n = 0
	}
	in := Inbound{Data: append([]byte(nil), buf[:n]...), Control: append([]byte(nil), control[:cn]...)}
	if v6, ok := from.(*unix.SockaddrInet6); ok {
		in.From = netip.AddrFrom16(v6.Addr)
	}
	return in, nil
}
