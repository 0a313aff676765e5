//go:build kernel

package scenario

import (
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hostnic/hostnic/test/netns"
)

// TestLoss pings over a bond every millisecond while it is changed in ways that need
// not cost a packet, and none is lost.
func TestLoss(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.far.Bridge(t, "sw", "p-eth0", "p-eth1")
	h.far.Up(t, "sw")
	h.far.IP(t, "addr", "add", "192.0.2.2/24", "dev", "sw")
	h.apply(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup, primary: eth0}, slaves: [eth0]}, ip: {address: 192.0.2.1, netmask: "24"}}]`)
	h.commit()
	p := ping(t, h.far, net.IPv4(192, 0, 2, 1))
	eventually(t, "the host answers", func() bool { return p.answered() > 0 })
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"a live option", func() {
			h.apply(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup, primary: eth0, miimon: 50, num_grat_arp: 3, resend_igmp: 2}}}]`)
		}},
		{"a slave more", func() { h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}]`) }},
		{"VLANs", func() {
			h.apply(`host_nics: [{vlan: {id: 7}, base_interface: bond0}, {vlan: {id: 8}, base_interface: bond0, ip: {address: 198.51.100.1, netmask: "24"}}]`)
		}},
		{"no VLANs", func() { h.apply(`removed: [bond0.7, bond0.8]`) }},
		{"a slave less", func() { h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0]}}]`) }},
		{"another address", func() { h.apply(`host_nics: [{name: bond0, additional_ips: [203.0.113.1/24]}]`) }},
		{"a commit", h.commit},
		{"a commit of nothing", h.commit},
		{"a restart", func() { same(t, "requests to the kernel", h.restart(), 0) }},
	} {
		step.do()
		before := p.sent()
		eventually(t, "more is answered", func() bool { return p.answered() > before })
		if lost := p.lost(before); len(lost) > 0 {
			t.Errorf("%s has cost %d packets", step.name, len(lost))
		}
	}
	p.end()
	t.Logf("%d packets, %d lost", p.sent(), len(p.lost(p.sent())))
	if p.sent() < 100 {
		t.Error("that proves little")
	}
}

// pinger sends an echo request every millisecond, and keeps count.
type pinger struct {
	conn net.PacketConn
	done chan struct{}
	wait sync.WaitGroup

	mu    sync.Mutex
	next  uint32
	open  map[uint32]bool // sent and not answered
	heard uint32          // one more than the highest that was answered
}

func ping(t *testing.T, from *netns.NS, to net.IP) *pinger {
	t.Helper()
	p := &pinger{done: make(chan struct{}), open: map[uint32]bool{}}
	var err error
	from.Do(func() { p.conn, err = net.ListenPacket("ip4:icmp", "0.0.0.0") })
	if err != nil {
		t.Fatal(err)
	}
	p.wait.Go(p.listen)
	p.wait.Go(func() { p.send(&net.IPAddr{IP: to}) })
	t.Cleanup(p.end)
	return p
}

func (p *pinger) end() {
	select {
	case <-p.done:
	default:
		close(p.done)
		_ = p.conn.Close()
	}
	p.wait.Wait()
}

// send writes echo requests (RFC 792) that carry their number.
func (p *pinger) send(to net.Addr) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		n := p.next
		p.next++
		p.open[n] = true
		p.mu.Unlock()
		m := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0, 'h', 'n', 0, 0}, n)
		binary.BigEndian.PutUint16(m[2:], checksum(m))
		if _, err := p.conn.WriteTo(m, to); err != nil {
			p.mu.Lock()
			delete(p.open, n) // never on its way: the socket is closed
			p.mu.Unlock()
		}
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
	}
}

func (p *pinger) listen() {
	b := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if n < 12 || b[0] != 0 || b[4] != 'h' || b[5] != 'n' {
			continue
		}
		p.mu.Lock()
		delete(p.open, binary.BigEndian.Uint32(b[8:]))
		p.heard = max(p.heard, binary.BigEndian.Uint32(b[8:])+1)
		p.mu.Unlock()
	}
}

// sent is how many requests there were; answered is one more than the highest that
// has been answered.
func (p *pinger) sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.next)
}

func (p *pinger) answered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.heard)
}

// lost are those before a number that have not been answered.
func (p *pinger) lost(before int) []uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []uint32
	for n := range p.open {
		if int(n) < min(before, int(p.heard)) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
