//go:build kernel

package dhcp6

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
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

// bed is a manager on the real kernel, with a consumer that puts addresses on eth0 as
// the agent would, and a namespace with servers at the other end, s0.
type bed struct {
	*testing.T
	*Manager
	host, far *netns.NS
	records   drivetest.Records[netcfg.Lease6]
	boot      string
	// clock may go faster for the client than for its server.
	clock drivetest.Hurried
	off   func()

	mu   sync.Mutex
	seen []Status
	// wire is that of the client that runs.
	wire *sockets
}

func newBed(t *testing.T, hurry int64) *bed {
	t.Helper()
	need.Kernel(t, need.Root, need.Netns, need.Veth, need.IPv6)
	b := &bed{T: t, host: netns.New(t), far: netns.New(t), boot: "boot 1", clock: drivetest.Hurried{Times: hurry}}
	for _, ns := range []*netns.NS{b.host, b.far} {
		ns.Do(func() { // no waiting for duplicates of link-local addresses
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/dad_transmits", []byte("0"), 0); err != nil {
				t.Fatal(err)
			}
		})
	}
	b.host.Veth(t, "eth0", b.far, "s0")
	b.host.Up(t, "eth0")
	b.far.Up(t, "s0")
	b.eventually("the far end has a link-local address", func() bool {
		return strings.Contains(b.far.IP(t, "-6", "addr", "show", "dev", "s0", "-tentative"), "fe80:")
	})
	b.on()
	t.Cleanup(func() { b.off() })
	return b
}

func (b *bed) on() {
	b.Manager = New(context.Background(), Options{
		Boot: b.boot, Store: &b.records, Log: slog.New(slog.NewTextHandler(b.Output(), nil)), clock: &b.clock,
		wires: func(nic string) wire {
			w := newSockets(nic, b.host.Do)
			b.mu.Lock()
			b.wire = w.(*sockets)
			b.mu.Unlock()
			return w
		},
	})
	b.off = drivetest.Consume(b.Manager, b.take)
}

// take does with a lease what the agent does: new addresses first, then old ones away.
func (b *bed) take(s Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var before []netip.Addr
	if n := len(b.seen); n > 0 && b.seen[n-1].Lease != nil {
		before = addressesOf(b.seen[n-1].Lease)
	}
	b.seen = append(b.seen, s)
	now := map[netip.Addr]bool{}
	if s.Lease != nil {
		for _, a := range s.Lease.Addresses {
			now[a.Address] = true
			b.ip("addr", "replace", a.Address.String()+"/128", "dev", s.NIC)
		}
	}
	for _, a := range before {
		if !now[a] {
			b.ip("addr", "del", a.String()+"/128", "dev", s.NIC)
		}
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
func (b *bed) look() Link {
	b.Helper()
	var l Link
	b.host.Do(func() {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			b.Fatal(err)
		}
		l = Link{Index: i.Index, Ready: i.Flags&net.FlagRunning != 0, MAC: MAC(i.HardwareAddr)}
		addresses, err := i.Addrs()
		if err != nil {
			b.Fatal(err)
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsLinkLocalUnicast() {
				l.Local = p.Addr()
			}
		}
	})
	return l
}

// begin starts a client once the link is ready.
func (b *bed) begin(change func(*Config)) {
	b.Helper()
	c := Config{NIC: "eth0", DUID: testDUID, IAID: 7}
	if change != nil {
		change(&c)
	}
	b.eventually("eth0 is ready", func() bool { return b.look().ready() })
	if err := b.Start(c, b.look()); err != nil {
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
func (b *bed) bound(prefix string) *netcfg.Lease6 {
	b.Helper()
	return b.boundWhen(prefix, func(*netcfg.Lease6) bool { return true })
}

func (b *bed) boundWhen(prefix string, cond func(*netcfg.Lease6) bool) *netcfg.Lease6 {
	b.Helper()
	var lease *netcfg.Lease6
	b.eventually("a lease of "+prefix, func() bool {
		s, _ := b.Status("eth0")
		lease = s.Lease
		return s.State == Bound && strings.HasPrefix(text(lease), prefix) && cond(lease)
	})
	b.eventually("eth0 has the address", func() bool { return strings.Contains(b.addresses(), " "+text(lease)+"/128") })
	return lease
}

func (b *bed) until(want State) {
	b.Helper()
	b.eventually(fmt.Sprint("eth0 is ", want), func() bool {
		s, _ := b.Status("eth0")
		return s.State == want
	})
}

func (b *bed) addresses() string {
	return b.host.IP(b, "-o", "-6", "addr", "show", "dev", "eth0", "scope", "global")
}

// history are the addresses that the consumer was told of, each change once.
func (b *bed) history() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, s := range b.seen {
		out = append(out, text(s.Lease))
	}
	return strings.Join(slices.Compact(out), " ")
}

func (b *bed) dnsmasq(address string, more ...string) *peer.Server {
	b.Helper()
	return peer.Dnsmasq6(b, b.far, "s0", address, "2001:db8::100,2001:db8::1ff", more...)
}

// kea starts a server whose leases are 40 s.
func (b *bed) kea(nic, address, more string) *peer.Server {
	b.Helper()
	return peer.Kea6(b, b.far, nic, address, peer.Pool{
		Subnet: "2001:db8::/64", First: "2001:db8::100", Last: "2001:db8::1ff", Valid: 40, Renew: 10, Rebind: 15, More: more,
	})
}
