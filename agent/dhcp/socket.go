package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inbound is what has come in by one of the sockets, or the end of that socket.
type inbound struct {
	from source
	// data is an IP packet, the payload of a UDP packet, or an ARP packet.
	data []byte
	// partial says that the UDP checksum has not been filled in, see parseUDP.
	partial bool
	err     error
	// by is the socket, for who has to know whether it is still that one.
	by *socket
}

type source int

const (
	bySocket source = iota // the packet socket for DHCP
	byUDP
	byARP
	sources
)

// String is for messages.
func (s source) String() string { return [...]string{"packet socket", "UDP socket", "ARP socket"}[s] }

// socket is one that is open.
type socket struct {
	source source
	file   *os.File
	raw    syscall.RawConn
	closed chan struct{}
}

// openPacket opens a packet socket for one protocol on one link. It is bound when the
// filter is there and not before, so nothing else ever gets in.
func openPacket(s source, protocol, index int, filter []unix.SockFilter) (*socket, error) {
	return open(s, unix.AF_PACKET, 0, func(fd int) error {
		if err := attach(fd, filter); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
			return fmt.Errorf("PACKET_AUXDATA: %w", err)
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: index})
	})
}

// openUDP opens a normal socket on the client's port, of one NIC. Other clients may
// be on other NICs of the host.
func openUDP(nic string) (*socket, error) {
	return open(byUDP, unix.AF_INET, unix.IPPROTO_UDP, func(fd int) error {
		for _, option := range []int{unix.SO_REUSEADDR, unix.SO_BROADCAST} {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
				return err
			}
		}
		if err := unix.BindToDevice(fd, nic); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrInet4{Port: clientPort})
	})
}

func open(s source, family, protocol int, prepare func(fd int) error) (*socket, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	if err := prepare(fd); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	sock := &socket{source: s, file: os.NewFile(uintptr(fd), s.String()), closed: make(chan struct{})}
	if sock.raw, err = sock.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s, err), sock.file.Close())
	}
	return sock, nil
}

func (s *socket) close() {
	close(s.closed)
	_ = s.file.Close()
}

// control does something to the descriptor.
func (s *socket) control(fn func(fd int) error) error {
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = fn(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// attach puts a filter in the place of the one before.
func attach(fd int, filter []unix.SockFilter) error {
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p); err != nil {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", err)
	}
	return nil
}

// read passes on what comes until the socket is closed or broken.
func (s *socket) read(in chan<- inbound) {
	size := largest
	if s.source == byARP { // every client with a lease has one
		size = largestARP
	}
	buf, control := make([]byte, size), make([]byte, 128)
	for {
		packet, err := s.receive(buf, control)
		switch {
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.EINTR):
			continue // the link went down; when it comes back, so do packets
		case err != nil:
			packet = inbound{err: fmt.Errorf("%s: %w", s.source, err)}
		}
		packet.from, packet.by = s.source, s
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
func (s *socket) receive(buf, control []byte) (inbound, error) {
	var n, cn, flags int
	var err error
	waited := s.raw.Read(func(fd uintptr) bool {
		n, cn, flags, _, err = unix.Recvmsg(int(fd), buf, control, unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN)
	})
	if err := errors.Join(waited, err); err != nil {
		return inbound{}, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		n = 0
	}
	partial, vlan := auxiliary(control[:cn])
	if vlan {
		n = 0
	}
	return inbound{data: append([]byte(nil), buf[:n]...), partial: partial}, nil
}

// auxiliary is what the kernel knows of a packet beside its bytes (struct
// tpacket_auxdata): that its checksum has not been filled in, and that it is a VLAN's.
// The filter has dropped those already; this is for kernels that take the tag off later.
func auxiliary(control []byte) (partial, vlan bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return false, false
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		status := binary.NativeEndian.Uint32(m.Data)
		tci := binary.NativeEndian.Uint16(m.Data[16:])
		return status&unix.TP_STATUS_CSUMNOTREADY != 0, status&unix.TP_STATUS_VLAN_VALID != 0 && tci&0xfff != 0
	}
	return false, false
}

// sendPacket broadcasts on a link by a packet socket, the one that listens or another
// one that is only for this.
func sendPacket(s *socket, protocol, index int, b []byte) error {
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: index, Halen: 6}
	copy(to.Addr[:], broadcastMAC[:])
	if s != nil {
		return s.control(func(fd int) error { return unix.Sendto(fd, b, 0, to) })
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Sendto(fd, b, 0, to), unix.Close(fd))
}

// sendUDP sends to a server by a normal socket, from the address of the lease.
func sendUDP(s *socket, from, to netip.Addr, payload []byte) error {
	info := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4()})
	return s.control(func(fd int) error {
		_, err := unix.SendmsgN(fd, payload, info, &unix.SockaddrInet4{Port: serverPort, Addr: to.As4()}, 0)
		return err
	})
}

func networkOrder(n int) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, uint16(n)))
}
