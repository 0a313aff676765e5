package plan_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

const autoconfOn0 = `host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`

// The switches for router advertisements are the agent's on a NIC on autoconf, and are
// given back as they were found.
func TestDiscovery(t *testing.T) {
	h := newTenant(t)
	found := plan.Op{Action: plan.DiscoverySet, Index: h.Index("eth0"), Name: "eth0", Options: []plan.Option{{Name: "accept_ra", Value: "0"}, {Name: "max_addresses", Value: "3"}}}
	if err := h.Foreign(found); err != nil {
		t.Fatal(err)
	}
	ops, rep := h.to(autoconfOn0)
	set := "sysctl -w net.ipv6.conf.eth0.accept_redirects=0 net.ipv6.conf.eth0.max_addresses=16 net.ipv6.conf.eth0.accept_ra=2"
	if !strings.Contains(ops, set) {
		t.Errorf("got\n%s\nwant %s", ops, set)
	}
	if w := rep.Intent.Waiting; len(w) != 1 || w[0].Reason != "no router has advertised a prefix yet" {
		t.Errorf("waiting for %v", w)
	}
	// What the kernel makes of an advertisement is nobody's: no drift, and nothing to do.
	learnt := state.Address{Link: h.Index("eth0"), Prefix: netip.MustParsePrefix("2001:db8::5/64"), Proto: 2, Valid: 600, Preferred: 600}
	foreign := func(op plan.Op) {
		t.Helper()
		if err := h.Foreign(op); err != nil {
			t.Fatal(err)
		}
	}
	foreign(plan.Op{Action: plan.AddrAdd, Index: learnt.Link, Address: learnt})
	if ops, rep = h.to(""); ops != "" || len(rep.Intent.Waiting) != 0 || len(rep.Drift) != 0 {
		t.Errorf("with an address: %s, waiting for %v, drift %v", ops, rep.Intent.Waiting, rep.Drift)
	}
	s, _ := h.Snapshot(t.Context())
	s.ByName("eth0").Discovery.AcceptRA = 0
	if drift := plan.Check(rep.Intent, s); len(drift) != 1 || drift[0] != (plan.Drift{Field: "host_nics[eth0].ipv6.accept_ra", Wanted: "2", Actual: "0"}) {
		t.Errorf("drift %v", drift)
	}
	// Nobody listened to routers when the NIC was found: what was learnt goes too.
	h.want(`host_nics: [{name: eth0, ipv6_boot_protocol: none}]`,
		"ip addr del 2001:db8::5/64 dev eth0", "sysctl -w net.ipv6.conf.eth0.accept_redirects=1 net.ipv6.conf.eth0.max_addresses=3 net.ipv6.conf.eth0.accept_ra=0")
	if len(h.memory.Discovery) != 0 {
		t.Errorf("remembered still: %v", h.memory.Discovery)
	}
	h.want("")
}

// A host that forwards has not listened either, and one whose MTU rules IPv6 out has no
// switches.
func TestDiscoveryWithoutIPv6(t *testing.T) {
	h := newTenant(t)
	h.to(autoconfOn0)
	found := h.memory.Discovery["eth0"]
	if !found.Learns() {
		t.Errorf("found %+v", found)
	}
	found.Forwarding = 1
	if found.Learns() {
		t.Error("a host that forwards listens to routers with accept_ra 1")
	}
	h.want(`host_nics: [{name: eth0, ipv6_boot_protocol: none, mtu: 1000}]`, "ip link set dev eth0 mtu 1000")
}

// A NIC that is taken out of the document is left as it was found, and a VLAN goes with
// what was set on it.
func TestDiscoveryRemoved(t *testing.T) {
	h := newTenant(t)
	h.to(autoconfOn0)
	h.to(`host_nics: [{name: eth0.7, base_interface: eth0, vlan: {id: 7}, ipv6_boot_protocol: autoconf}]`)
	s, _ := h.Snapshot(t.Context())
	if d := s.ByName("eth0.7").Discovery; d.AcceptRA != 2 {
		t.Errorf("on the VLAN: %+v", d)
	}
	h.config = netcfg.Config{}
	h.to("")
	s, _ = h.Snapshot(t.Context())
	if d := s.ByName("eth0").Discovery; d != state.UsualDiscovery() || len(h.memory.Discovery) != 0 {
		t.Errorf("after it: %+v, remembered %v", d, h.memory.Discovery)
	}
}
