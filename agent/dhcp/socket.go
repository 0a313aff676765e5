package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

// The sockets of a client: the packet socket for DHCP, the normal one, and the packet
// socket for ARP.
const (
	bySocket = iota
	byUDP
	byARP
	sources
)

var socketNames = [sources]string{"packet socket", "UDP socket", "ARP socket"}

func newSocket(source int) *drive.Socket {
	s := &drive.Socket{Source: source, Name: socketNames[source], Size: drive.Largest}
	if source == byARP { // every client with a lease has one
		s.Size = largestARP
	}
	return s
}

// openPacket opens a packet socket for one protocol on one link. It is bound when the
// filter is there and not before, so nothing else ever gets in.
func openPacket(source, protocol, index int, filter []unix.SockFilter) (*drive.Socket, error) {
	return newSocket(source).Open(unix.AF_PACKET, 0, func(fd int) error {
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
func openUDP(nic string) (*drive.Socket, error) {
	return newSocket(byUDP).Open(unix.AF_INET, unix.IPPROTO_UDP, func(fd int) error {
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

// attach puts a filter in the place of the one before.
func attach(fd int, filter []unix.SockFilter) error {
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p); err != nil {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", err)
	}
	return nil
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
func sendPacket(s *drive.Socket, protocol, index int, b []byte) error {
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: index, Halen: 6}
	copy(to.Addr[:], broadcastMAC[:])
	if s != nil {
		return s.Control(func(fd int) error { return unix.Sendto(fd, b, 0, to) })
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Sendto(fd, b, 0, to), unix.Close(fd))
}

// sendUDP sends to a server by a normal socket, from the address of the lease.
func sendUDP(s *drive.Socket, from, to netip.Addr, payload []byte) error {
	info := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4()})
	return s.Control(func(fd int) error {
		_, err := unix.SendmsgN(fd, payload, info, &unix.SockaddrInet4{Port: serverPort, Addr: to.As4()}, 0)
		return err
	})
}

func networkOrder(n int) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, uint16(n)))
}
