//go:build kernel

package dhcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/dhcp/drive/drivetest"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
	"github.com/hostnic/hostnic/test/peer"
)

// bed is a manager on the real kernel, with a consumer that puts addresses on NICs as
// the agent would, and a namespace with servers at the other end.
type bed struct {
	*testing.T
	*Manager
	host, far *netns.NS
	records   *records
	boot      string
	// clock may go faster for the client than for its server.
	clock drivetest.Hurried
	off   func()

	mu   sync.Mutex
	seen []Status
	// sockets of the clients that run, by NIC.
	wires map[string]*sockets
}

// newBed lays cables from eth0, eth1 … of the host to s0, s1 … of the far end, all up.
func newBed(t *testing.T, cables int) *bed {
	t.Helper()
	need.Kernel(t, need.Root, need.Netns, need.Veth)
	b := &bed{T: t, host: netns.New(t), far: netns.New(t), records: &records{}, boot: "boot 1", clock: drivetest.Hurried{Times: 1}, wires: map[string]*sockets{}}
	for i := range cables {
		near, far := fmt.Sprint("eth", i), fmt.Sprint("s", i)
		b.host.Veth(t, near, b.far, far)
		b.host.Up(t, near)
		b.far.Up(t, far)
	}
	b.on()
	t.Cleanup(func() { b.off() })
	return b
}

func (b *bed) on() {
	b.Manager = New(context.Background(), Options{
		Boot: b.boot, Store: b.records, Log: slog.New(slog.NewTextHandler(b.Output(), nil)), clock: &b.clock,
		wires: func(nic string) wire {
			w := newSockets(nic, b.host.Do)
			b.mu.Lock()
			b.wires[nic] = w.(*sockets)
			b.mu.Unlock()
			return w
		},
	})
	b.off = drivetest.Consume(b.Manager, b.take)
}

// take does with a lease what the agent does: the new address first, then the old one
// away.
func (b *bed) take(s Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var before *netcfg.Lease
	for _, o := range b.seen {
		if o.NIC == s.NIC {
			before = o.Lease
		}
	}
	b.seen = append(b.seen, s)
	if s.Lease == before {
		return
	}
	if s.Lease != nil {
		left := fmt.Sprint(s.Lease.Seconds(b.clock.Now()))
		b.ip("addr", "replace", s.Lease.Address.String(), "dev", s.NIC, "valid_lft", left, "preferred_lft", left)
	}
	if before != nil && (s.Lease == nil || s.Lease.Address != before.Address) {
		b.ip("addr", "del", before.Address.String(), "dev", s.NIC)
	}
}

func (b *bed) ip(args ...string) {
	b.host.Do(func() {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			b.Errorf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	})
}

// look is what the agent would tell the client of the link.
func (b *bed) look(nic string) Link {
	b.Helper()
	var l Link
	b.host.Do(func() {
		i, err := net.InterfaceByName(nic)
		if err != nil {
			b.Fatal(err)
		}
		l = Link{Index: i.Index, Ready: i.Flags&net.FlagRunning != 0, MAC: MAC(i.HardwareAddr), MTU: i.MTU}
	})
	return l
}

// begin starts a client once the link is ready.
func (b *bed) begin(nic string, change func(*Config)) {
	b.Helper()
	c := Config{NIC: nic, ClientID: ClientID("12345678-9abc-def0-1234-56789abcdef0", nic, 0), NoConflictDetection: true}
	if change != nil {
		change(&c)
	}
	b.eventually(nic+" is ready", func() bool { return b.look(nic).Ready })
	if err := b.Start(c, b.look(nic)); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) eventually(what string, cond func() bool) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("waited in vain: %s", what)
		}
	}
}

// bound waits for a lease in the subnet, on the NIC too.
func (b *bed) bound(nic, prefix string) *netcfg.Lease {
	b.Helper()
	return b.boundWhen(nic, prefix, func(*netcfg.Lease) bool { return true })
}

func (b *bed) boundWhen(nic, prefix string, cond func(*netcfg.Lease) bool) *netcfg.Lease {
	b.Helper()
	var lease *netcfg.Lease
	b.eventually(nic+" has a lease of "+prefix, func() bool {
		s, _ := b.Status(nic)
		lease = s.Lease
		return s.State == Bound && strings.HasPrefix(lease.Address.String(), prefix) && cond(lease)
	})
	b.eventually(nic+" has the address", func() bool { return strings.Contains(b.addresses(nic), " "+lease.Address.String()) })
	return lease
}

func (b *bed) until(nic string, want State) {
	b.Helper()
	b.eventually(fmt.Sprintf("%s is %s", nic, want), func() bool {
		s, _ := b.Status(nic)
		return s.State == want
	})
}

func (b *bed) addresses(nic string) string {
	return b.host.IP(b, "-o", "-4", "addr", "show", "dev", nic)
}

// history are the addresses that the consumer was told of for the NIC, each change once.
func (b *bed) history(nic string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, s := range b.seen {
		if s.NIC == nic {
			out = append(out, text(s.Lease))
		}
	}
	return strings.Join(slices.Compact(out), " ")
}

// dnsmasq starts a server on a NIC of the far end, see peer.Dnsmasq.
func (b *bed) dnsmasq(nic, address, addresses string, more ...string) *peer.Server {
	b.Helper()
	return peer.Dnsmasq(b, b.far, nic, address, addresses, more...)
}

// kea starts a server whose leases are 40 s.
func (b *bed) kea(nic, address, subnet, first, last string) *peer.Server {
	b.Helper()
	return peer.Kea(b, b.far, nic, address, peer.Pool{Subnet: subnet, First: first, Last: last, Valid: 40, Renew: 10, Rebind: 30})
}
