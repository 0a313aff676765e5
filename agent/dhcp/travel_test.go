//go:build kernel && travel

package dhcp

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/test/netns"
	"github.com/hostnic/hostnic/test/peer"
)

var days = flag.Int("days", 30, "days of dnsmasq's leases; a year takes some minutes")

// What it takes is done when it is to be done, over weeks of leases, on a kernel whose
// clock leaps: every timer is within the bounds of RFC 2131, no address is there after
// its end, and none is away before. With Kea, which wakes every second, it is half a day.
func TestTravel(t *testing.T) {
	if began := time.Now(); !leaps(began) {
		t.Fatal("the clock of this kernel does not leap: run make test-travel")
	}
	// By itself it would collect the garbage every two minutes.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20)
	b := newBed(t, 1)
	lent := life{lease: 20 * time.Minute, span: 12 * time.Hour, silences: 2}
	server := peer.Kea(t, b.far, "s0", "192.0.2.1/24", peer.Pool{Subnet: "192.0.2.0/24", First: "192.0.2.100", Last: "192.0.2.150", Valid: int(lent.lease / time.Second)})
	b.live("eth0", "192.0.2.1", server, "DHCP4_LEASE_ALLOC", lent)
	server.Stop()
	b.Stop("eth0")

	far := netns.New(t)
	b.host.Veth(t, "eth1", far, "s1")
	b.host.Up(t, "eth1")
	far.Up(t, "s1")
	lent = life{lease: 8 * time.Hour, span: time.Duration(*days) * 24 * time.Hour, silences: 6}
	server = peer.Dnsmasq(t, far, "s1", "198.51.100.1/24", "198.51.100.100,198.51.100.150", "--dhcp-host=*:*:*:*:*:*,8h")
	b.live("eth1", "198.51.100.1", server, "DHCPACK(", lent)
}

// leaps is true where an hour takes no time: the machine's clock, which the processor
// counts, does not leap.
func leaps(began time.Time) bool {
	time.Sleep(time.Hour)
	return time.Since(began) < 2*time.Hour
}

// life is how long leases are lent, for how long this goes on, and how often in it the
// server is silent until the lease has ended.
type life struct {
	lease, span time.Duration
	silences    int
}

// live lives through all of it: renewals, and then a silence, again and again.
func (b *bed) live(nic, prefix string, server *peer.Server, ack string, in life) {
	b.begin(nic, nil)
	lease := b.bound(nic, prefix)
	renewals, began := 0, b.clock.Now()
	for i := 1; i <= in.silences; i++ {
		for b.clock.Now() < began+in.span/time.Duration(in.silences)*time.Duration(i)-2*in.lease {
			acks := server.Count(ack)
			lease = b.renewed(nic, lease, in.lease)
			if renewals++; server.Count(ack) <= acks {
				b.Errorf("%s: the server has not heard of renewal %d", nic, renewals)
			}
		}
		server.Pause()
		b.lapsed(nic, lease)
		server.Resume()
		asked := b.clock.Now()
		b.sleepUntil(asked + 66*time.Second) // the longest pause of RFC 2131 §4.1, and a second for the exchange
		if lease = b.bound(nic, prefix); lease.Obtained < asked {
			b.Errorf("%s: the lease is from before the silence", nic)
		}
	}
	b.Logf("%s: %d renewals, and %d leases that ended, in %v", nic, renewals, in.silences, b.clock.Now()-began)
	// Away are the address before the first lease, and after each that ended.
	same(b.T, "times without an address", strings.Count(b.history(nic), "-"), in.silences+1)
}

func (b *bed) sleepUntil(at time.Duration) { time.Sleep(at - b.clock.Now()) }

// in wants a time in its bounds.
func (b *bed) in(what string, at, least, most time.Duration) {
	if at < least || at > most {
		b.Errorf("%s: %v, not from %v to %v", what, at, least, most)
	}
}

// renewed waits for T1, and for the lease that is got then. T1 is half of the lease and
// T2 seven eighths, with some fuzz (RFC 2131 §4.4.5), for which dnsmasq takes a lot off.
func (b *bed) renewed(nic string, lease *netcfg.Lease, life time.Duration) *netcfg.Lease {
	b.in(nic+": lifetime", lease.Expires-lease.Obtained, life, life)
	b.in(nic+": T1", lease.RenewAt-lease.Obtained, life*40/100, life*55/100)
	b.in(nic+": T2", lease.RebindAt-lease.Obtained, life*75/100, life*92/100)
	b.sleepUntil(lease.RenewAt - time.Second)
	if s, _ := b.Status(nic); s.State != Bound || s.Lease != lease {
		b.Errorf("%s: %s before T1", nic, s.State)
	}
	b.sleepUntil(lease.RenewAt + time.Second)
	s, _ := b.Status(nic)
	if s.State != Bound || s.Lease == nil || s.Lease == lease || s.Lease.Address != lease.Address {
		b.Fatalf("%s after T1: %+v", nic, s)
	}
	b.in(nic+": renewed", s.Lease.Obtained, lease.RenewAt, lease.RenewAt+time.Second)
	return s.Lease
}

// lapsed lives through the rest of a lease that nobody renews.
func (b *bed) lapsed(nic string, lease *netcfg.Lease) {
	for _, in := range []struct {
		state State
		until time.Duration
	}{{Renewing, lease.RebindAt}, {Rebinding, lease.Expires}} {
		from := lease.RenewAt
		if in.state == Rebinding {
			from = lease.RebindAt
		}
		for tries, at := 1, from; at < in.until; tries++ {
			b.sleepUntil(at + time.Second)
			s, _ := b.Status(nic)
			if s.State != in.state || s.Tries != tries {
				b.Fatalf("%s at %v of %v: %+v, not %s for the %d. time", nic, at, in.until, s, in.state, tries)
			}
			// Half of what remains, but a minute at least.
			next := at + min(in.until-at, max(time.Minute, (in.until-at)/2))
			b.in(nic+": next try", s.NextTry, next-time.Second, next+time.Second)
			at = s.NextTry
		}
	}
	b.sleepUntil(lease.Expires - time.Second)
	if out := b.addresses(nic); !strings.Contains(out, " "+lease.Address.String()) {
		b.Errorf("%s: the address is away before its end", nic)
	}
	b.sleepUntil(lease.Expires + time.Second)
	s, _ := b.Status(nic)
	if out := b.addresses(nic); out != "" || s.Lease != nil || s.State != Selecting {
		b.Errorf("%s: %s a second after the end of the lease: %s", nic, s.State, out)
	}
	// RFC 2131 §4.1: up to 64 s apart, a second more or less.
	b.sleepUntil(lease.Expires + 10*time.Minute)
	before, _ := b.Status(nic)
	b.sleepUntil(lease.Expires + 20*time.Minute)
	after, _ := b.Status(nic)
	b.in(nic+fmt.Sprintf(": pause between tries %d and %d", before.Tries, after.Tries),
		10*time.Minute/time.Duration(max(1, after.Tries-before.Tries)), 60*time.Second, 70*time.Second)
	b.sleepUntil(lease.Expires + time.Hour)
}
