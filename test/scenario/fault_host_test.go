//go:build kernel

package scenario

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

func TestFault_B4(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.hand().addBond("team9", netlink.BOND_MODE_ACTIVE_BACKUP, "eth1")
	before := h.look()
	p := h.problem(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}]`, "slave-taken")
	same(t, "problem", []any{p.Kind, p.Path}, []any{netcfg.Precondition, "host_nics[bond0].bonding.slaves[1]"})
	if !strings.Contains(p.Message, "team9") {
		t.Errorf("the owner is not named: %s", p.Message)
	}
	h.unchanged(before)
	// Between two bonds of the agent it moves, within one document.
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0]}}, {name: bond1, bonding: {slaves: [eth2]}}]`)
	h.refuse(`host_nics: [{name: bond1, bonding: {slaves: [eth2, eth0]}}]`, "slave-shared")
	h.hand().del("team9")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth1]}}, {name: bond1, bonding: {slaves: [eth2, eth0]}}]`)
	h.settled()
	same(t, "bond0", h.slaves("bond0"), "[eth1]")
	same(t, "bond1", h.slaves("bond1"), "[eth0 eth2]")
}

func TestFault_B5(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.ns.Bridge(t, "br0", "eth1")
	h.hand().addVLAN("guests", "eth2", 5)
	before := h.look()
	p := h.problem(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}]`, "slave-taken")
	same(t, "path", p.Path, "host_nics[bond0].bonding.slaves[1]")
	p = h.problem(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth2]}}]`, "slave-has-vlan")
	same(t, "path", p.Path, "host_nics[bond0].bonding.slaves[1]")
	h.refuse(`host_nics: [{name: eth1, ip: {address: 10.1.0.2, netmask: 24}}]`, "nic-enslaved")
	h.refuse(`host_nics: [{name: br0, ip: {address: 10.1.0.2, netmask: 24}}]`, "nic-kind")
	h.unchanged(before)
}

// The addresses and routes that others have on a slave are taken off, which the
// answer says, and come back when the slave is free.
func TestFault_B6(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	hand := h.hand()
	hand.up("eth0")
	hand.addAddress("eth0", "10.70.0.7/24", "10.70.0.8/24", "2001:db8:70::7/64")
	hand.addRoute("10.71.0.0/16", "10.70.0.1", "eth0")
	before := h.look()
	doc := `host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}, ip: {address: 10.70.0.9, netmask: 24}}]`
	h.warns(doc, plan.AddrAdd, "slave-addresses")
	same(t, "addresses", [][]string{h.addresses("eth0"), h.addresses("bond0")}, "[[] [10.70.0.9/24]]")
	h.commit()
	same(t, "writes of a restart", h.restart(), 0)
	h.replace(`{}`)
	h.unchanged(before)
}

// An empty bond0, as the module makes one by itself, is taken over, not trusted: it
// gets the mode of the document.
func TestFault_B7(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.hand().addBond("bond0", netlink.BOND_MODE_BALANCE_RR)
	h.hand().down("bond0")
	before := h.look()
	h.warns(rack, plan.AddrAdd, "adopted")
	same(t, "mode", h.option("bond0", "mode"), "802.3ad")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "the bond is the one that was there", h.link("bond0").Index, before.ByName("bond0").Index)
}

func TestFault_B8(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	h.hand().addBond("bond0", netlink.BOND_MODE_ACTIVE_BACKUP, "eth3")
	before := h.look()
	p := h.problem(rack, "bond-foreign")
	same(t, "problem", []any{p.Kind, p.Path, p.Found}, []any{netcfg.Precondition, "host_nics[bond0].bonding.slaves", "eth3"})
	h.unchanged(before)
}

func TestFault_B16(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.stop()
	h.missing = []engine.Missing{{Feature: engine.FeatureBond, Reason: "the module bonding is not there"}, {Feature: engine.FeatureVLAN, Reason: "the module 8021q is not there"}}
	h.start()
	p := h.problem(rack, "kernel-lacks-bond")
	same(t, "problem", []any{p.Kind, p.Path}, []any{netcfg.Unimplemented, "host_nics[bond0]"})
	if !strings.Contains(p.Message, "bonding") {
		t.Errorf("the module is not named: %s", p.Message)
	}
	h.refuse(rack, "kernel-lacks-vlan")
	h.apply(`host_nics: [{name: eth2, ip: {address: 192.0.2.10, netmask: 24}}]`)
}

// Without the right to change the network the agent starts, looks and answers, and
// refuses every change; what is stored stays.
func TestFault_B17(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	h.commit()
	h.hand().del("bond0.100")
	h.missing = []engine.Missing{{Feature: engine.FeatureWrite, Reason: "it needs CAP_NET_ADMIN"}}
	same(t, "writes of a restart", h.restart(), 0)
	same(t, "NICs", len(h.View().Running.HostNics), 4)
	same(t, "degraded", h.View().Degraded, "[the agent may only look: it needs CAP_NET_ADMIN]")
	if d := h.Drift(h.look()); len(d) == 0 {
		t.Error("the missing VLAN is not seen")
	}
	for _, kind := range []engine.Kind{engine.Apply, engine.Commit, engine.Rollback} {
		op, err := h.Do(t.Context(), engine.Request{Kind: kind}, nil)
		var e *engine.Error
		if !errors.As(err, &e) || e.Rule != "read-only" || op.State != engine.Refused {
			t.Errorf("%s: %s, %v", kind, op.State, err)
		}
	}
	h.missing = nil
	h.restart()
	h.settled()
	h.link("bond0.100")
}

// Nobody speaks LACP at the other end: the bond is up and applied, and says so. Where
// the operation was asked to wait for it, that is a reason to go back.
func TestFault_B18(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	eventually(t, "the bond has an aggregator", func() bool { l := h.link("bond0"); return l.Carrier && l.Bond.AD != nil })
	l := h.link("bond0")
	same(t, "up, partner", []any{l.AdminUp, l.Bond.AD.PartnerMAC}, "[true 00:00:00:00:00:00]")
	h.settled()
	before := h.look()
	if err := h.stage(`host_nics: [{name: bond0, mtu: 1400}, {name: bond0.100, mtu: 1400}]`); err != nil {
		t.Fatal(err)
	}
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Apply, Wait: time.Second}, nil)
	if err != nil || op.State != engine.RolledBack || !strings.Contains(op.Err.Error(), "not ready within 1s: bond0: nobody speaks LACP at the other end") {
		t.Errorf("waited for it: %v, state %s, %v", err, op.State, op.Err)
	}
	h.unchanged(before)
}

func TestFault_B24(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	before := h.look()
	doc := `host_nics: [{name: bond0, bonding: {options: {mode: active-backup, miimon: 50}}}]`
	h.failOnce(plan.AddrAdd, unix.EINVAL)
	h.rolledBack(doc)
	h.unchanged(before)
	op := h.apply(doc)
	h.settled()
	same(t, "mode", h.option("bond0", "mode"), "active-backup")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	var said []string
	for _, f := range op.Disrupted {
		said = append(said, f.Nic+" "+f.Disruption)
	}
	slices.Sort(said)
	same(t, "forecast", said, "[bond0 slaves released bond0.100 link down bond0.200 link down eth0 link down eth1 link down]")
}

// The kernel lowers VLANs with their base, and does not raise them again.
func TestFault_B25(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	hand := h.hand()
	hand.addVLAN("guests", "bond0", 300)
	before := h.look()
	same(t, "MTU of the guests", h.link("guests").MTU, 9000)
	doc := `host_nics: [{name: bond0, mtu: 4000}]`
	if err := h.stage(doc); err != nil {
		t.Fatal(err)
	}
	p, err := h.Plan(t.Context(), engine.Selector{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, op := range p.Plan.Ops() {
		said += op.Why
	}
	if !strings.Contains(said, "guests") {
		t.Errorf("the plan does not say that guests is lowered: %v", p.Plan.Ops())
	}
	h.failNth(plan.LinkSet, 3, unix.EINVAL)
	h.rolledBack(doc)
	h.unchanged(before)
	h.apply(doc)
	h.settled()
	same(t, "MTUs", []int{h.link("bond0").MTU, h.link("eth0").MTU, h.link("bond0.100").MTU, h.link("guests").MTU}, "[4000 4000 4000 4000]")
	h.apply(`host_nics: [{name: bond0, mtu: 9000}]`)
	h.settled()
	same(t, "MTUs", []int{h.link("bond0").MTU, h.link("eth0").MTU, h.link("bond0.100").MTU}, "[9000 9000 9000]")
}

// failNth makes the operation of that kind and number fail, once.
func (h *host) failNth(action plan.Action, n int, errno syscall.Errno) {
	h.inject(func(op plan.Op) syscall.Errno {
		if op.Action == action {
			if n--; n == 0 {
				return errno
			}
		}
		return 0
	})
}

// An option that the bond has to be down for costs IPv6 addresses and routes, of the
// bond and of the VLANs on it, the agent's and others'.
func TestFault_B26(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(strings.Replace(rack, "- name: eth2\n  ip: {", "- name: bond0.300\n  vlan: {id: 300}\n  base_interface: bond0\n  ipv6: {address: \"2001:db8:3::2\", prefix: 64, gateway: \"2001:db8:3::1\"}\n  ip: {", 1))
	hand := h.hand()
	hand.addVLAN("guests", "bond0", 400)
	hand.up("guests")
	hand.addAddress("guests", "10.74.0.1/24", "2001:db8:74::1/64")
	hand.addRoute("2001:db8:75::/48", "2001:db8:74::2", "guests")
	hand.addRoute("10.75.0.0/16", "10.74.0.2", "guests", table(100))
	hand.addAddress("bond0.100", "2001:db8:76::1/64")
	before := h.look()
	doc := `host_nics: [{name: bond0, bonding: {options: {lacp_rate: slow}}}]`
	h.failOnce(plan.RouteAdd, unix.EINVAL)
	h.rolledBack(doc)
	h.unchanged(before)
	h.apply(doc)
	h.settled()
	h.becomes(before, func() state.Snapshot {
		s := h.look()
		s.ByName("bond0").Bond.Options["lacp_rate"] = "fast"
		return s
	})
}

func TestFault_B27(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`host_nics: [{name: eth0, ip: {address: 10.1.0.2, netmask: 24}, additional_ips: [10.1.0.3/24, 10.1.0.4/24]}]`)
	h.hand().addAddress("eth0", "10.1.0.99/24")
	h.apply(`host_nics: [{name: eth0, ip: {address: 10.1.0.3, netmask: 24}, additional_ips: [10.1.0.4/24]}]`)
	h.settled()
	same(t, "addresses", h.addresses("eth0"), "[10.1.0.3/24 10.1.0.4/24 10.1.0.99/24]")
	h.apply(`host_nics: [{name: eth0, ip: null, additional_ips: null}]`)
	h.settled()
	same(t, "addresses", h.addresses("eth0"), "[10.1.0.99/24]")
}
