package lldp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// etherType of LLDP.
const etherType = 0x88cc

// groups are the addresses that LLDP is sent to (table 7-1): the nearest bridge, the
// nearest that is no two-port relay, and the nearest customer's bridge. All are among
// those that a bridge keeps.
var groups = [][6]byte{
	{0x01, 0x80, 0xc2, 0, 0, 0x0e},
	{0x01, 0x80, 0xc2, 0, 0, 0x03},
	{0x01, 0x80, 0xc2, 0, 0, 0x00},
}

// What a filter can ask of a packet besides its bytes (linux/filter.h, SKF_AD_*).
const (
	adProtocol   = 0xfffff000
	adPacketType = 0xfffff000 + 4
	adTagged     = 0xfffff000 + 48
)

// filter takes LLDP for the groups that has come from outside and has no VLAN tag, so
// that nobody is woken by anything else.
var filter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: adProtocol},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 5, K: etherType},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: adTagged},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: 0},
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: adPacketType},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.PACKET_MULTICAST},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// buffer is how much the kernel keeps of what was not read yet, in bytes.
const buffer = 32 << 10

type packetSocket struct {
	file *os.File
	raw  syscall.RawConn
}

// openSocket opens a packet socket on one link. It is bound when the filter is there and
// not before, so nothing else ever gets in.
func openSocket(p Port) (conn, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := prepare(fd, p.Index); err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket: %w", err), unix.Close(fd))
	}
	s := &packetSocket{file: os.NewFile(uintptr(fd), "lldp")}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

func prepare(fd, index int) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer); err != nil {
		return fmt.Errorf("SO_RCVBUF: %w", err)
	}
	for _, group := range groups {
		m := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
		copy(m.Address[:], group[:])
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("PACKET_ADD_MEMBERSHIP: %w", err)
		}
	}
	protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: index})
}

// read is of conn. A frame that is too long for LLDP comes as none.
func (s *packetSocket) read(buf []byte) (int, net.HardwareAddr, error) {
	var n, flags int
	var from unix.Sockaddr
	var err error
	waited := s.raw.Read(func(fd uintptr) bool {
		n, _, flags, from, err = unix.Recvmsg(int(fd), buf, nil, unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN)
	})
	if err := errors.Join(waited, err); err != nil {
		return 0, nil, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		n = 0
	}
	var mac net.HardwareAddr
	if ll, ok := from.(*unix.SockaddrLinklayer); ok {
		mac = append(mac, ll.Addr[:min(int(ll.Halen), len(ll.Addr))]...)
	}
	return n, mac, nil
}

func (s *packetSocket) close() { _ = s.file.Close() }
