package engine_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

func (r *rig) lease6(address string, length time.Duration) *netcfg.Lease6 {
	now := r.Clock()
	return &netcfg.Lease6{Addresses: []netcfg.LeaseAddress{{Address: netip.MustParseAddr(address), Preferred: now + length/2, Expires: now + length}},
		Server: netip.MustParseAddr("fe80::1"), Obtained: now, RenewAt: now + length/4, RebindAt: now + length/3}
}

// Both protocols run on one NIC, and one does not speak for the other; that of IPv6 has a
// link-local address to go by.
func TestLease6IsAFact(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		r.apply(`host_nics: [{name: eth3, boot_protocol: dhcp, ipv6_boot_protocol: dhcp}]`)
		time.Sleep(5 * time.Second) // the kernel has checked the link-local address
		if got := l.followed(); got != "eth3 eth3" {
			t.Errorf("clients for %q", got)
		}
		l.mu.Lock()
		for _, c := range l.clients {
			if c.V6 != c.Local.IsValid() || !c.Ready {
				t.Errorf("client %+v", c)
			}
		}
		l.mu.Unlock()
		l.tell6("eth3", "bound", r.lease6("2001:db8::5", time.Minute))
		l.tell("eth3", "bound", r.lease("192.0.2.9/24", time.Hour))
		time.Sleep(time.Millisecond)
		r.wantLease("eth3", "192.0.2.9/24", true)
		if there, _ := r.has("eth3", "2001:db8::5/128"); !there {
			t.Error("no address of DHCPv6")
		}
		if s := r.View().Leases6["eth3"]; s.State != "bound" || s.Lease6 == nil || s.Lease != nil {
			t.Errorf("shown: %+v", s)
		}
		l.tell6("eth3", "soliciting", nil)
		time.Sleep(time.Millisecond)
		if there, _ := r.has("eth3", "2001:db8::5/128"); there {
			t.Error("an address that is lent no more")
		}
		r.wantLease("eth3", "192.0.2.9/24", true)
	})
}

// Another host has the address that the kernel has made: that is why there is none, until
// a router has been heard again.
func TestDuplicateIsForgotten(t *testing.T) {
	var duplicates chan engine.Duplicate
	inRig(t, func(o *engine.Options) {
		duplicates = make(chan engine.Duplicate)
		o.Leaser, o.Duplicates = newLender(), duplicates
	}, func(r *rig) {
		r.apply(`host_nics: [{name: eth3, ipv6_boot_protocol: autoconf}]`)
		waits := func(want string) {
			t.Helper()
			time.Sleep(5 * time.Second)
			if w := r.View().Waiting; len(w) != 1 || !strings.Contains(w[0].Reason, want) {
				t.Errorf("waiting for %+v, want %q", w, want)
			}
		}
		duplicates <- engine.Duplicate{Index: r.kernel.Index("eth3"), Address: netip.MustParseAddr("2001:db8::5")}
		waits("another host on the link has its address 2001:db8::5")
		learnt := state.Address{Link: r.kernel.Index("eth3"), Prefix: netip.MustParsePrefix("2001:db8::6/64"), Proto: 2, Valid: 600, Preferred: 600}
		r.hand("eth3", plan.Op{Action: plan.AddrAdd, Address: learnt})
		time.Sleep(5 * time.Second)
		if w := r.View().Waiting; len(w) != 0 {
			t.Errorf("with an address: waiting for %+v", w)
		}
		r.hand("eth3", plan.Op{Action: plan.AddrDel, Address: learnt})
		waits("no router has advertised a prefix yet")
	})
}

// On autoconf, where DHCPv6 is asked for no addresses, the lease from before is kept, and
// comes back with a rollback.
func TestLease6KeptFromBefore(t *testing.T) {
	inLeasedRig(t, func(r *rig, l *lender) {
		r.apply(`host_nics: [{name: eth3, ipv6_boot_protocol: dhcp}]`)
		time.Sleep(5 * time.Second)
		l.tell6("eth3", "bound", r.lease6("2001:db8::5", time.Hour))
		time.Sleep(time.Millisecond)
		r.commit()
		r.kernel.SetRAOther("eth3", true)
		r.apply(`host_nics: [{name: eth3, ipv6_boot_protocol: autoconf}]`)
		l.mu.Lock()
		stateless := len(l.clients) == 1 && l.clients[0].Stateless
		l.mu.Unlock()
		if !stateless {
			t.Error("no client that asks for what goes with addresses")
		}
		if s := r.View().Leases6["eth3"]; s.Lease != nil || s.Lease6 != nil {
			t.Errorf("shown before it is informed: %+v", s)
		}
		l.tell6("eth3", "informing", nil)
		time.Sleep(time.Millisecond)
		if there, _ := r.has("eth3", "2001:db8::5/128"); there {
			t.Error("an address of DHCPv6 on autoconf")
		}
		if _, err := r.Do(r.t.Context(), engine.Request{Kind: engine.Rollback}, nil); err != nil {
			t.Fatal(err)
		}
		if there, _ := r.has("eth3", "2001:db8::5/128"); !there {
			t.Error("the rollback has not brought the lease back")
		}
	})
}
