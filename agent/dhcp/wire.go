package dhcp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

// wire is a NIC as a worker uses it. Tests have one that ends in a scripted server.
type wire interface {
	// open opens what is needed, and leaves open what is not.
	open(Needs, Link) error
	// trim closes what is not needed. It may take its time: the kernel waits for all
	// processors before a packet socket is gone.
	trim(Needs)
	send(Send, Link) error
	sendARP(ARP, Link) error
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
	sockets [sources]*drive.Socket
	readers sync.WaitGroup
	// bound is what the packet sockets are for.
	index   int
	mac     MAC
	watched netip.Addr
	probing bool
}

func newSockets(nic string, inside func(func())) wire {
	if inside == nil {
		inside = func(fn func()) { fn() }
	}
	return &sockets{nic: nic, inside: inside, in: make(chan drive.Inbound)}
}

func (s *sockets) received() <-chan drive.Inbound { return s.in }

func (s *sockets) open(n Needs, l Link) error {
	if l.Index != s.index {
		s.closeAll()
		s.index = l.Index
	}
	moved := l.MAC != s.mac
	s.mac = l.MAC
	var errs []error
	s.inside(func() {
		if n.Packet {
			errs = append(errs, s.listen(bySocket, unix.ETH_P_IP, moved, func() []unix.SockFilter {
				return replyFilter(s.index, s.mac)
			}))
		}
		if n.ARP.IsValid() {
			changed := moved || n.ARP != s.watched || n.Probing != s.probing
			s.watched, s.probing = n.ARP, n.Probing
			errs = append(errs, s.listen(byARP, unix.ETH_P_ARP, changed, func() []unix.SockFilter {
				return claimFilter(s.index, s.mac, n.ARP, n.Probing)
			}))
		}
		if n.UDP && s.sockets[byUDP] == nil {
			sock, err := openUDP(s.nic)
			s.adopt(sock, err)
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}

// listen opens a packet socket, or gives the one that is open another filter.
func (s *sockets) listen(source int, protocol int, changed bool, filter func() []unix.SockFilter) error {
	if sock := s.sockets[source]; sock != nil {
		if !changed {
			return nil
		}
		return sock.Control(func(fd int) error { return attach(fd, filter()) })
	}
	sock, err := openPacket(source, protocol, s.index, filter())
	s.adopt(sock, err)
	return err
}

func (s *sockets) adopt(sock *drive.Socket, err error) {
	if err != nil {
		return
	}
	s.sockets[sock.Source] = sock
	s.readers.Go(func() { sock.Read(s.in) })
}

func (s *sockets) trim(n Needs) {
	for i, needed := range [sources]bool{bySocket: n.Packet, byUDP: n.UDP, byARP: n.ARP.IsValid()} {
		if !needed {
			s.shut(i)
		}
	}
}

func (s *sockets) drop(in drive.Inbound) {
	if s.sockets[in.Source] == in.By { // and not another one by now
		s.shut(in.Source)
	}
}

func (s *sockets) shut(source int) {
	if sock := s.sockets[source]; sock != nil {
		sock.Close()
		s.sockets[source] = nil
	}
}

func (s *sockets) closeAll() {
	for i := range s.sockets {
		s.shut(i)
	}
}

func (s *sockets) close() {
	s.closeAll()
	s.readers.Wait()
}

func (s *sockets) send(m Send, l Link) error {
	var err error
	if m.Unicast {
		err = s.sendUDP(m)
	} else {
		s.inside(func() {
			err = sendPacket(s.sockets[bySocket], unix.ETH_P_IP, l.Index, buildUDP(m.Payload, m.From, m.To))
		})
	}
	if err != nil {
		return fmt.Errorf("send to %s: %w", m.To, err)
	}
	return nil
}

func (s *sockets) sendUDP(m Send) error {
	if sock := s.sockets[byUDP]; sock != nil {
		return sendUDP(sock, m.From, m.To, m.Payload)
	}
	var sock *drive.Socket
	var err error
	s.inside(func() { sock, err = openUDP(s.nic) })
	if err != nil {
		return err
	}
	defer sock.Close()
	return sendUDP(sock, m.From, m.To, m.Payload)
}

func (s *sockets) sendARP(a ARP, l Link) error {
	var err error
	s.inside(func() { err = sendPacket(s.sockets[byARP], unix.ETH_P_ARP, l.Index, a.build()) })
	if err != nil {
		return fmt.Errorf("send ARP: %w", err)
	}
	return nil
}
