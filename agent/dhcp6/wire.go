package dhcp6

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

const clientPort, serverPort = 546, 547

// everyServer is All_DHCP_Relay_Agents_and_Servers (RFC 8415 §7.1).
var everyServer = netip.MustParseAddr("ff02::1:2")

// wire is a NIC as a client uses it. Tests have one that ends in a scripted server.
type wire interface {
	// open opens the socket if somebody listens, and trim closes it if nobody does.
	open(listens bool, l Link) error
	trim(listens bool)
	send(Send) error
	// received is what comes in. With an error the socket has ended: drop it, and open
	// gives another.
	received() <-chan drive.Inbound
	drop(drive.Inbound)
	// close closes everything and waits for who reads.
	close()
}

// sockets is the wire that leads outside.
type sockets struct {
	nic string
	// inside runs something where the NIC is; tests have many network namespaces.
	inside  func(func())
	in      chan drive.Inbound
	socket  *drive.Socket
	readers sync.WaitGroup
	// index and local are what the socket is bound to.
	index int
	local netip.Addr
}

func newSockets(nic string, inside func(func())) wire {
	if inside == nil {
		inside = func(fn func()) { fn() }
	}
	return &sockets{nic: nic, inside: inside, in: make(chan drive.Inbound)}
}

func (s *sockets) received() <-chan drive.Inbound { return s.in }

func (s *sockets) open(listens bool, l Link) error {
	if l.Index != s.index || l.Local != s.local {
		s.shut()
		s.index, s.local = l.Index, l.Local
	}
	if !listens || s.socket != nil {
		return nil
	}
	var sock *drive.Socket
	var err error
	s.inside(func() { sock, err = openUDP(s.nic, s.index, s.local) })
	if err != nil {
		return err
	}
	s.socket = sock
	s.readers.Go(func() { sock.Read(s.in) })
	return nil
}

// openUDP opens a socket on the client's port of one NIC, bound to its link-local
// address, from which clients send and to which servers answer. Other clients may be on
// other NICs of the host.
func openUDP(nic string, index int, local netip.Addr) (*drive.Socket, error) {
	s := &drive.Socket{Name: "UDP socket", Size: drive.Largest}
	return s.Open(unix.AF_INET6, unix.IPPROTO_UDP, func(fd int) error {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}, {unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index},
		} {
			if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
				return err
			}
		}
		if err := unix.BindToDevice(fd, nic); err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet6{Port: clientPort, ZoneId: uint32(index), Addr: local.As16()}); err != nil {
			return fmt.Errorf("bind to %s port %d: %w", local, clientPort, err)
		}
		return nil
	})
}

func (s *sockets) trim(listens bool) {
	if !listens {
		s.shut()
	}
}

func (s *sockets) drop(in drive.Inbound) {
	if s.socket == in.By { // and not another one by now
		s.shut()
	}
}

func (s *sockets) shut() {
	if s.socket != nil {
		s.socket.Close()
		s.socket = nil
	}
}

func (s *sockets) close() {
	s.shut()
	s.readers.Wait()
}

// errNoSocket comes with the reason for which there is none.
var errNoSocket = errors.New("no socket")

func (s *sockets) send(m Send) error {
	if s.socket == nil {
		return fmt.Errorf("send to %s: %w", everyServer, errNoSocket)
	}
	to := &unix.SockaddrInet6{Port: serverPort, ZoneId: uint32(s.index), Addr: everyServer.As16()}
	if err := s.socket.Control(func(fd int) error { return unix.Sendto(fd, m.Payload, unix.MSG_DONTWAIT, to) }); err != nil {
		return fmt.Errorf("send to %s: %w", everyServer, err)
	}
	return nil
}
