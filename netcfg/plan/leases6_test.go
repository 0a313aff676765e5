package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// lend6 gives a NIC addresses of DHCPv6 for two minutes, preferred for one.
func (h *tenant) lend6(nic string, addresses ...string) {
	l := &netcfg.Lease6{Obtained: h.now}
	for _, a := range addresses {
		l.Addresses = append(l.Addresses, netcfg.LeaseAddress{Address: netip.MustParseAddr(a), Preferred: h.now + time.Minute, Expires: h.now + 2*time.Minute})
	}
	h.held6[nic] = l
}

func (h *tenant) waitsFor(rep []plan.Waiting, want ...string) {
	h.Helper()
	var got []string
	for _, w := range rep {
		got = append(got, w.Nic+": "+w.Reason)
	}
	if !slices.Equal(got, want) {
		h.Errorf("waiting for %q, want %q", got, want)
	}
}

// A lease of DHCPv6 from its beginning to its end: routers are looked for, as nobody else
// tells of routes, but no address is made of what they say.
func TestLease6(t *testing.T) {
	h := newTenant(t)
	const on = `host_nics: [{name: eth0, ipv6_boot_protocol: dhcp}]`
	ops, rep := h.to(on)
	if want := "net.ipv6.conf.eth0.autoconf=0 net.ipv6.conf.eth0.accept_ra=2"; !strings.Contains(ops, want) {
		t.Errorf("got\n%s\nwant %s", ops, want)
	}
	h.waitsFor(rep.Intent.Waiting, "eth0: there is no lease of DHCPv6 yet")
	if l := rep.Intent.Links[0]; !l.DHCP6 || l.DHCP || l.Informed {
		t.Errorf("clients: %+v", l)
	}
	h.lend6("eth0", "2001:db8::1:5", "2001:db8::1:6")
	h.want("", "ip addr add 2001:db8::1:5/128 valid_lft 120 preferred_lft 60 dev eth0", "ip addr add 2001:db8::1:6/128 valid_lft 120 preferred_lft 60 dev eth0")
	h.now += time.Minute
	h.lend6("eth0", "2001:db8::1:5", "2001:db8::1:6")
	h.held6["eth0"].Addresses[0].Preferred += 2 * time.Minute
	h.held6["eth0"].Addresses[0].Expires += 2 * time.Minute
	h.held6["eth0"].Addresses[1].Preferred = h.now
	h.held6["eth0"].Addresses[1].Expires = h.now + 4*time.Second
	h.want("", "ip addr replace 2001:db8::1:5/128 valid_lft 240 preferred_lft 180 dev eth0", "ip addr replace 2001:db8::1:6/128 valid_lft 4 preferred_lft 0 dev eth0")
	h.now += 4 * time.Second // one ends before the other
	h.want("", "ip addr del 2001:db8::1:6/128 dev eth0")
	h.now += 4 * time.Minute
	ops, rep = h.to("")
	if ops != "ip addr del 2001:db8::1:5/128 dev eth0" {
		t.Errorf("at the end:\n%s", ops)
	}
	h.waitsFor(rep.Intent.Waiting, "eth0: there is no lease of DHCPv6 yet")
	ops, _ = h.to(`host_nics: [{name: eth0, ipv6_boot_protocol: none}]`)
	if !strings.Contains(ops, "autoconf=1") || len(h.memory.Discovery)+len(h.memory.Owned.Addresses["eth0"]) != 0 {
		t.Errorf("given back:\n%s\n%+v", ops, h.memory)
	}
}

// With both protocols one of them is enough; either brings its own addresses, and what
// routers have advertised goes when only DHCPv6 is wanted.
func TestLease6BesideAutoconf(t *testing.T) {
	h := newTenant(t)
	_, rep := h.to(`host_nics: [{name: eth0, ipv6_boot_protocol: poly_dhcp_autoconf}]`)
	h.waitsFor(rep.Intent.Waiting, "eth0: no router has advertised a prefix yet, and there is no lease of DHCPv6 yet")
	if d := rep.Intent.Links[0].Discovery; d.Autoconf != 1 || d.AcceptRA != 2 {
		t.Errorf("switches %+v", d)
	}
	h.lend6("eth0", "2001:db8::1:5")
	_, rep = h.to("")
	h.waitsFor(rep.Intent.Waiting)
	delete(h.held6, "eth0")
	learnt := state.Address{Link: h.Index("eth0"), Prefix: netip.MustParsePrefix("2001:db8::5/64"), Proto: 2, Valid: 600, Preferred: 600}
	if err := h.Foreign(plan.Op{Action: plan.AddrAdd, Index: learnt.Link, Address: learnt}); err != nil {
		t.Fatal(err)
	}
	_, rep = h.to("")
	h.waitsFor(rep.Intent.Waiting)
	ops, _ := h.to(`host_nics: [{name: eth0, ipv6_boot_protocol: dhcp}]`)
	if !strings.Contains(ops, "ip addr del 2001:db8::5/64 dev eth0") || !strings.Contains(ops, "autoconf=0") {
		t.Errorf("on DHCPv6 alone:\n%s", ops)
	}
}

// Where only routers give addresses, DHCPv6 is asked for the rest as soon as one of them
// says that there is more.
func TestInformed(t *testing.T) {
	h := newTenant(t)
	_, rep := h.to(autoconfOn0)
	s, _ := h.Snapshot(t.Context())
	for _, more := range []bool{false, true} {
		s.ByName("eth0").RAOther = more
		in, _ := plan.Resolve(plan.Input{Config: h.config, Snapshot: s, Memory: rep.Intent.Settled()})
		if l := in.Links[0]; l.Informed != more || l.DHCP6 {
			t.Errorf("a router that has more to tell, %v: %+v", more, l)
		}
	}
}

// The address of a lease that somebody else has put on another link stays there.
func TestLease6Taken(t *testing.T) {
	h := newTenant(t)
	h.to(`host_nics: [{name: eth0, ipv6_boot_protocol: dhcp}]`)
	taken := state.Address{Link: h.Index("eth1"), Prefix: netip.MustParsePrefix("2001:db8::1:5/64")}
	if err := h.Foreign(plan.Op{Action: plan.AddrAdd, Index: taken.Link, Address: taken}); err != nil {
		t.Fatal(err)
	}
	h.lend6("eth0", "2001:db8::1:5")
	ops, rep := h.to("")
	h.waitsFor(rep.Intent.Waiting, "eth0: the address of its lease, 2001:db8::1:5, is on eth1 already, where somebody else has put it")
	if ops != "" {
		t.Errorf("done: %s", ops)
	}
}

// The address of a lease that somebody else has put on the NIC itself is taken over, and
// remembered as his. With another prefix it stays, and keeps nothing else from being done:
// of IPv4 a link has both.
func TestLeaseThereAlready(t *testing.T) {
	h := newTenant(t)
	for _, a := range []string{"192.0.2.100/24", "192.0.2.100/32", "2001:db8::1:5/128", "2001:db8::1:6/64"} {
		there := state.Address{Link: h.Index("eth0"), Prefix: netip.MustParsePrefix(a), Valid: state.Forever, Preferred: state.Forever}
		if err := h.Foreign(plan.Op{Action: plan.AddrAdd, Index: there.Link, Address: there}); err != nil {
			t.Fatal(err)
		}
	}
	h.lend("eth0", "192.0.2.100/24", "192.0.2.1")
	h.lend6("eth0", "2001:db8::1:5", "2001:db8::1:6")
	ops, rep := h.to(`host_nics: [{name: eth0, boot_protocol: dhcp, ipv6_boot_protocol: dhcp}]`)
	h.waitsFor(rep.Intent.Waiting, "eth0: the address of its lease is on it already, as 2001:db8::1:6/64, which somebody else has put there")
	for _, want := range []string{"ip addr replace 192.0.2.100/24 ", "ip addr replace 2001:db8::1:5/128 ", "ip route add default via 192.0.2.1 "} {
		if !strings.Contains(ops, want) {
			t.Errorf("got\n%s\nwant %s", ops, want)
		}
	}
	var adopted []string
	for _, a := range h.memory.Baseline["eth0"].Adopted {
		adopted = append(adopted, a.Prefix.String())
	}
	if slices.Sort(adopted); !slices.Equal(adopted, []string{"192.0.2.100/24", "2001:db8::1:5/128"}) {
		t.Errorf("taken over: %q", adopted)
	}
}

// A link that was made without IPv6, and is up, gets a link-local address by the switch,
// which netlink's way does not bring; it goes again with the protocol.
func TestLinkLocalOfLinkThatIsUp(t *testing.T) {
	h := newTenant(t)
	none := true
	for _, op := range []plan.Op{{Action: plan.LinkSet, Index: h.Index("eth0"), AddrGenModeNone: &none}, {Action: plan.LinkSet, Index: h.Index("eth0"), Up: &none}} {
		if err := h.Foreign(op); err != nil {
			t.Fatal(err)
		}
	}
	local := func() (n int) {
		s, _ := h.Snapshot(t.Context())
		for _, a := range s.AddressesOf(h.Index("eth0")) {
			if a.LinkLocal() {
				n++
			}
		}
		return n
	}
	if ops, _ := h.to(autoconfOn0); !strings.Contains(ops, "net.ipv6.conf.eth0.addr_gen_mode=0 ") || local() != 1 {
		t.Errorf("%d link-local addresses after\n%s", local(), ops)
	}
	h.want("")
	if ops, _ := h.to(`host_nics: [{name: eth0, ipv6_boot_protocol: none}]`); !strings.Contains(ops, "addrgenmode none") || local() != 0 {
		t.Errorf("%d link-local addresses after\n%s", local(), ops)
	}
	h.want("")
}
