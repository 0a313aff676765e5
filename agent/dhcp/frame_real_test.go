//go:build kernel

package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// tap is a raw socket at the far end, to say what no kernel would.
type tap struct {
	b     *bed
	file  *os.File
	raw   syscall.RawConn
	index int
	mac   MAC
	// closed before file is.
	closed chan struct{}
}

func (b *bed) tap(ns *netns.NS, nic string) *tap {
	b.Helper()
	l := (&bed{T: b.T, host: ns}).look(nic)
	t := &tap{b: b, index: l.Index, mac: l.MAC, closed: make(chan struct{})}
	ns.Do(func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: l.Index, Protocol: networkOrder(unix.ETH_P_IP)})
		}
		if err != nil {
			b.Fatal(err)
		}
		t.file = os.NewFile(uintptr(fd), "tap")
	})
	var err error
	if t.raw, err = t.file.SyscallConn(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(t.close)
	return t
}

func (t *tap) close() {
	select {
	case <-t.closed:
	default:
		close(t.closed)
		_ = t.file.Close()
	}
}

// send puts a frame on the cable: an IP or ARP packet, with the tag of a VLAN unless
// that is negative.
func (t *tap) send(to MAC, vlan, protocol int, packet []byte) {
	f := append(append([]byte(nil), to[:]...), t.mac[:]...)
	if vlan >= 0 {
		f = binary.BigEndian.AppendUint16(f, unix.ETH_P_8021Q)
		f = binary.BigEndian.AppendUint16(f, uint16(vlan))
	}
	f = binary.BigEndian.AppendUint16(f, uint16(protocol))
	f = append(f, packet...)
	if len(f) < 60 {
		f = append(f, make([]byte, 60-len(f))...)
	}
	var err error
	waited := t.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), f, 0, &unix.SockaddrLinklayer{Ifindex: t.index})
		return !errors.Is(err, unix.EAGAIN)
	})
	select {
	case <-t.closed:
		return
	default:
	}
	if err := errors.Join(waited, err); err != nil && !errors.Is(err, unix.ENOBUFS) {
		t.b.Errorf("send: %v", err)
	}
}

// claim says by ARP that an address is ours.
func (t *tap) claim(a netip.Addr) {
	t.send(broadcastMAC, -1, unix.ETH_P_ARP, ARP{Sender: t.mac, SenderIP: a, TargetIP: a}.build())
}

// script answers on the cable as a scripted server, with frames that are tagged so. It
// changes what it is told to change in the frame's IP packet.
func (t *tap) script(s *server, vlan int, change func(packet []byte) []byte) {
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, drive.Largest)
		for {
			var n int
			var err error
			if waited := t.raw.Read(func(fd uintptr) bool {
				n, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
				return !errors.Is(err, unix.EAGAIN)
			}); waited != nil {
				return
			}
			const ethernet = 14
			if err != nil || n < ethernet+ipHeader+udpHeader || binary.BigEndian.Uint16(buf[ethernet+ipHeader+2:]) != serverPort {
				continue
			}
			p, err := dhcpv4.FromBytes(buf[ethernet+ipHeader+udpHeader : n])
			if err != nil {
				t.b.Errorf("the client sends %v", err)
				continue
			}
			reply := s.handle(p)
			if reply == nil {
				continue
			}
			packet := frame(reply.ToBytes(), s.id)
			if change != nil {
				packet = change(packet)
			}
			t.send(MAC(p.ClientHWAddr), vlan, unix.ETH_P_IP, packet)
		}
	})
	t.b.Cleanup(func() {
		t.close()
		done.Wait()
	})
}

// tries waits until the client has asked so often without getting anywhere.
func (b *bed) tries(nic string, n int) {
	b.Helper()
	b.eventually(fmt.Sprintf("%s has asked %d times", nic, n), func() bool {
		s, _ := b.Status(nic)
		if s.State != Selecting && s.State != "" {
			b.Fatalf("%s is %s", nic, s.State)
		}
		return s.Tries >= n
	})
}

// Frames of a VLAN are not the parent's, whether the VLAN is there or not; frames with
// VID 0 are, and those without a tag. On the VLAN it is the other way round.
func TestFault_E13(t *testing.T) {
	need.Kernel(t, need.VLAN)
	for name, test := range map[string]struct {
		vlan, link bool // the host has VLAN 100; the client is on it
		tag        int
		heard      bool
	}{
		"untagged":                         {false, false, -1, true},
		"VID 0":                            {false, false, 0, true},
		"priority without VID":             {false, false, 5 << 13, true},
		"a VLAN that the host has not":     {false, false, 100, false},
		"a VLAN that the host has":         {true, false, 100, false},
		"untagged beside a VLAN":           {true, false, -1, true},
		"on the VLAN, of the VLAN":         {true, true, 100, true},
		"on the VLAN, of another":          {true, true, 200, false},
		"on the VLAN, untagged":            {true, true, -1, false},
		"on the VLAN, with VID 0":          {true, true, 0, false},
		"on the VLAN, with it and a class": {true, true, 5<<13 | 100, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 1)
			b.clock.Times = 4
			nic := "eth0"
			if test.vlan {
				b.host.IP(t, "link", "add", "link", "eth0", "name", "eth0.100", "type", "vlan", "id", "100")
				b.host.Up(t, "eth0.100")
			}
			listen := b.tap(b.far, "s0")
			if test.link {
				nic = "eth0.100"
				// The far kernel takes the tag off for us: that of the client's request.
				b.far.IP(t, "link", "add", "link", "s0", "name", "s0.100", "type", "vlan", "id", "100")
				b.far.Up(t, "s0.100")
				listen = b.tap(b.far, "s0.100")
				listen.index = b.tap(b.far, "s0").index // answers go out as they are tagged here
			}
			s := newServer("192.0.2.1", "192.0.2.100")
			listen.script(s, test.tag, nil)
			b.begin(nic, nil)
			if test.heard {
				b.bound(nic, "192.0.2.100")
				return
			}
			b.tries(nic, 3)
			same(t, "packets that woke the client", b.packets(nic, bySocket), 0)
		})
	}
}

// Frames that are broken or not for us do not get through on a real socket, either.
func TestFault_E2_Real(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"#583":          func(p []byte) []byte { p[3], p[2] = 27, 0; fill(p); return p[:27] },
		"IHL":           func(p []byte) []byte { p[0] = 0x4f; fill(p); return p },
		"fragment":      func(p []byte) []byte { p[6] = 0x20; fill(p); return p },
		"IPv4 checksum": func(p []byte) []byte { p[10]++; return p },
		"UDP checksum":  func(p []byte) []byte { p[26]++; return p },
		"cut off":       func(p []byte) []byte { return p[:100] },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 1)
			b.clock.Times = 4
			b.tap(b.far, "s0").script(newServer("192.0.2.1", "192.0.2.100"), -1, change)
			b.begin("eth0", nil)
			b.tries("eth0", 3)
		})
	}
	t.Run("whole", func(t *testing.T) {
		b := newBed(t, 1)
		b.tap(b.far, "s0").script(newServer("192.0.2.1", "192.0.2.100"), -1, func(p []byte) []byte { fill(p); return p })
		b.begin("eth0", nil)
		b.bound("eth0", "192.0.2.100")
	})
}

// fill puts the IPv4 checksum in again.
func fill(p []byte) {
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], checksum(p[:min(len(p), int(p[0]&0xf)*4)]))
}

// packets is how many the kernel has put into a socket of a client since it was last
// asked.
func (b *bed) packets(nic string, source int) uint32 {
	b.Helper()
	b.mu.Lock()
	sock := b.wires[nic].sockets[source]
	b.mu.Unlock()
	if sock == nil {
		b.Fatalf("%s has no %s", nic, socketNames[source])
	}
	var n uint32
	if err := sock.Control(func(fd int) error {
		stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil {
			n = stats.Packets
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return n
}

// Whatever goes by on the link, it wakes neither a client that waits for an answer nor
// one that has a lease: other people's packets, their answers from DHCP servers, and
// the ARP of a large network.
func TestFault_E21(t *testing.T) {
	b := newBed(t, 1)
	far := b.tap(b.far, "s0")
	stranger := MAC{2, 9, 9, 9, 9, 9}
	s := newServer("192.0.2.1", "192.0.2.100")
	m := NewMachine(quick, nil)
	m.link.MAC = stranger
	theirs := frame(s.reply(m.message(dhcpv4.MessageTypeRequest), dhcpv4.MessageTypeAck, s.first).ToBytes(), s.id)
	traffic := buildUDP(make([]byte, 1000), s.id, netip.MustParseAddr("192.0.2.100"))
	own := b.look("eth0").MAC
	flood := func() {
		for i := range 5000 {
			far.send(own, -1, unix.ETH_P_IP, traffic)
			far.send(broadcastMAC, -1, unix.ETH_P_IP, theirs)
			other := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
			far.send(broadcastMAC, -1, unix.ETH_P_ARP, ARP{Sender: stranger, SenderIP: s.id, TargetIP: other}.build())
			far.send(own, -1, unix.ETH_P_ARP, ARP{Sender: stranger, SenderIP: s.id, TargetIP: testAddress}.build())
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.begin("eth0", func(c *Config) { c.NoConflictDetection = false })
	b.until("eth0", Selecting)
	flood()
	same(t, "packets for a client that asks", b.packets("eth0", bySocket), 0)
	far.script(s, -1, nil)
	lease := b.bound("eth0", "192.0.2.100")
	time.Sleep(2100 * time.Millisecond) // the second announcement
	b.mu.Lock()
	if b.wires["eth0"].sockets[bySocket] != nil || b.wires["eth0"].sockets[byUDP] != nil {
		t.Error("a bound client has a socket for DHCP")
	}
	b.mu.Unlock()
	b.packets("eth0", byARP)
	flood()
	same(t, "packets for a client that is bound", b.packets("eth0", byARP), 0)
	far.claim(lease.Address.Addr())
	b.eventually("a claim to the address is heard", func() bool { return b.packets("eth0", byARP) > 0 })
}
