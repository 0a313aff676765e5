//go:build kernel

package scenario

import (
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

func TestScenario_B23(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 4`, `"eth0", "eth1"`))
	h.idle(bondOf("bond0", `"mode": "802.3ad"`, `"eth0", "eth1"`))
	same(t, "options echoed", h.running("bond0").Bonding.Options, "[{mode 4 }]")
}

func TestScenario_B25(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 0`, `"eth0", "eth1"`))
	if ad := h.link("bond0").Bond.AD; ad != nil {
		t.Errorf("figures of LACP: %+v", ad)
	}
	if s := h.link("eth0").Slave; s.AggregatorID != nil || s.ActorPortState != nil || s.PartnerPortState != nil {
		t.Errorf("figures of LACP on a slave: %+v", s)
	}
}

func TestScenario_B26(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1, "miimon": 100`, `"eth0", "eth1"`))
	log := h.watchLinks()
	op := h.apply(bondOf("bond0", `"miimon": 200`, `"eth0", "eth1"`))
	same(t, "forecast", op.Disrupted, "[]")
	same(t, "requests", op.Writes, 1)
	log.undisturbed("bond0", "eth0", "eth1")
	same(t, "miimon", h.option("bond0", "miimon"), 200)
}

// TestScenario_B26_Delays changes miimon under a delay, which the driver counts in
// steps of it: the delay goes along with the same request, and one that is no multiple
// is rounded without being out of sync for ever.
func TestScenario_B26_Delays(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1, "miimon": 100, "updelay": 250, "downdelay": 300`, `"eth0", "eth1"`))
	same(t, "delays", h.option("bond0", "updelay")+" "+h.option("bond0", "downdelay"), "200 300")
	h.settled()
	op := h.apply(bondOf("bond0", `"miimon": 50`, `"eth0", "eth1"`))
	same(t, "requests", op.Writes, 1)
	same(t, "delays", h.option("bond0", "updelay")+" "+h.option("bond0", "downdelay"), "250 300")
	h.settled()
	// What the driver remembers of the delays while another monitor watches is gone.
	h.apply(bondOf("bond0", `"arp_interval": 60000, "arp_ip_target": "192.0.2.1"`, `"eth0", "eth1"`))
	h.apply(bondOf("bond0", `"miimon": 100`, `"eth0", "eth1"`))
	same(t, "delays", h.option("bond0", "updelay")+" "+h.option("bond0", "downdelay"), "0 0")
	h.settled()
}

func TestScenario_B27(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`
host_nics:
- name: bond0
  bonding: {options: {mode: active-backup}, slaves: [eth0, eth1]}
  ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}
  ipv6: {address: "2001:db8::10", prefix: 64}
- {name: bond0.7, base_interface: bond0, vlan: {id: 7}, ip: {address: 198.51.100.7, netmask: 24}}
`)
	want := h.look()
	// By re-attaching: the kernel refuses the option while there are slaves.
	op := h.apply(bondOf("bond0", `"fail_over_mac": "follow"`, `"eth0", "eth1"`))
	same(t, "fail_over_mac", h.option("bond0", "fail_over_mac"), "follow")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "class foretold for bond0", forecast(op, "bond0"), plan.SlavesReleased)
	for _, n := range []string{"bond0", "bond0.7"} {
		same(t, "addresses of "+n, h.addresses(n), prefixes(want.AddressesOf(want.ByName(n).Index)))
	}
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev bond0]")
	h.settled()
	h.apply(bondOf("bond0", `"fail_over_mac": null`, `"eth0", "eth1"`))
	unchanged(t, want, h.look(), "bond0", "bond0.7", "eth0", "eth1")
	h.settled()
}

// TestScenario_B27_Down changes an option for which the bond has to go down, slaves
// staying, under VLANs of the agent and of others. All come back as they were, and one
// that was down stays down, which the kernel would take up with the bond.
func TestScenario_B27_Down(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`
host_nics:
- {name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth0, eth1]}, ipv6: {address: "2001:db8::10", prefix: 64}}
- {name: bond0.7, base_interface: bond0, vlan: {id: 7}, ip: {address: 192.0.2.7, netmask: 24, gateway: 192.0.2.1}, ipv6: {address: "2001:db8:7::7", prefix: 64, gateway: "2001:db8:7::1"}}
`)
	hand := h.hand()
	hand.addVLAN("theirs", "bond0", 8)
	hand.up("theirs")
	hand.addAddress("theirs", "198.51.100.8/24", "2001:db8:8::8/64")
	hand.addRoute("203.0.113.0/24", "198.51.100.1", "theirs")
	hand.addVLAN("down", "bond0", 9)
	before := h.look()
	log := h.watchLinks()
	op := h.apply(bondOf("bond0", `"lacp_rate": "fast"`, `"eth0", "eth1"`))
	for _, n := range []string{"bond0", "bond0.7", "theirs"} {
		same(t, "class foretold for "+n, forecast(op, n), plan.LinkDown)
	}
	same(t, "lacp_rate", h.option("bond0", "lacp_rate"), "fast")
	log.undisturbed("eth0", "eth1")
	h.settled()
	h.apply(bondOf("bond0", `"lacp_rate": null`, `"eth0", "eth1"`))
	h.unchanged(before)
	h.settled()
}

// forecast is what an operation has said of a link.
func forecast(op engine.Operation, nic string) string {
	for _, f := range op.Disrupted {
		if f.Nic == nic {
			return f.Disruption
		}
	}
	return ""
}

func TestScenario_B28(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond1", ``, `"eth0"`))
	h.refuse(bondOf("bond2", ``, `"eth0", "eth1"`), "slave-shared")
	h.absent("bond2")
	same(t, "slaves of bond1", h.slaves("bond1"), "[eth0]")
}

// TestScenario_B28_Foreign is the same with a bond that somebody else has made: the
// kernel would take the slave out of it without a word.
func TestScenario_B28_Foreign(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.hand().addBond("bond1", netlink.BOND_MODE_ACTIVE_BACKUP, "eth0")
	before := h.look()
	h.refuse(bondOf("bond2", ``, `"eth0", "eth1"`), "slave-taken")
	h.absent("bond2")
	unchanged(t, before, h.look(), "bond1", "eth0", "eth1")
}

func TestScenario_B29(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond1", ``, `"eth0"`))
	h.apply(bondOf("bond2", ``, `"eth1"`))
	h.refuse(bondOf("bond2", ``, `"eth1", "eth0"`), "slave-shared")
	same(t, "slaves of bond2", h.slaves("bond2"), "[eth1]")
	same(t, "slaves of bond1", h.slaves("bond1"), "[eth0]")
}

// TestScenario_B29_Move moves NICs between bonds within one document, which is no
// theft.
func TestScenario_B29_Move(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	before := h.look()
	h.apply(`host_nics: [{name: bond1, bonding: {slaves: [eth0, eth1]}}, {name: bond2, bonding: {slaves: [eth2, eth3]}}]`)
	h.apply(`host_nics: [{name: bond1, bonding: {slaves: [eth1, eth2]}}, {name: bond2, bonding: {slaves: [eth3, eth0]}}]`)
	same(t, "slaves of bond1", h.slaves("bond1"), "[eth1 eth2]")
	same(t, "slaves of bond2", h.slaves("bond2"), "[eth0 eth3]")
	h.settled()
	macs := map[string]string{}
	for _, n := range []string{"bond1", "bond2"} {
		if other, twice := macs[h.mac(n)]; twice {
			t.Errorf("%s and %s have one MAC", n, other)
		}
		macs[h.mac(n)] = n
	}
	h.apply(`host_nics: [{name: bond1, bonding: {slaves: [eth3]}}, {name: bond2, bonding: {slaves: [eth1]}}]`)
	h.settled()
	h.free(before, "eth0", "eth2")
	h.apply(`{"removed": ["bond1", "bond2"]}`)
	h.free(before, "eth0", "eth1", "eth2", "eth3")
}

func TestScenario_B31(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	h.apply(`{"removed": ["bond0"], "host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.5", "netmask": "255.255.255.0"}}]}`)
	h.absent("bond0")
	same(t, "addresses", h.addresses("eth0"), "[192.0.2.5/24]")
	same(t, "eth0 is up", h.link("eth0").AdminUp, true)
	h.settled()
}

func TestScenario_B32(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 4, "lacp_rate": "fast"`, `"eth0", "eth1"`))
	h.apply(`{"removed": ["bond0"]}`)
	h.apply(bondOf("bond0", `"mode": 5`, `"eth0", "eth1"`))
	same(t, "mode", h.option("bond0", "mode"), "balance-tlb")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	h.settled()
}

// TestScenario_B32_Change goes from each mode to each other without removing the
// bond, with an option of the mode that is left.
func TestScenario_B32_Change(t *testing.T) {
	own := map[string]string{"balance-rr": `"packets_per_slave": 7`, "active-backup": `"primary": "eth1"`, "balance-xor": `"arp_missed_max": 3`,
		"broadcast": `"arp_interval": 60000, "arp_ip_target": "192.0.2.1"`, "802.3ad": `"lacp_rate": "fast", "lacp_active": "off"`,
		"balance-tlb": `"tlb_dynamic_lb": "off"`, "balance-alb": `"primary": "eth1", "tlb_dynamic_lb": "off"`}
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", ``, `"eth0", "eth1"`))
	for _, from := range netcfg.BondModes {
		for _, to := range netcfg.BondModes {
			if from == to {
				continue
			}
			h.apply(bondOf("bond0", `"mode": "`+from+`", `+own[from], `"eth0", "eth1"`))
			h.apply(bondOf("bond0", `"mode": "`+to+`"`, `"eth0", "eth1"`))
			same(t, from+" to "+to, h.option("bond0", "mode"), to)
			h.settled()
		}
	}
}

func TestScenario_B34(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{name: bond0, mtu: 2000, bonding: {slaves: [eth0]}}]`)
	h.apply(bondOf("bond0", ``, `"eth0", "eth1"`))
	same(t, "MTU of the new slave", h.link("eth1").MTU, 2000)
	h.settled()
}

func TestScenario_B35(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	before := h.look()
	h.apply(`host_nics: [{name: bond0, mtu: 9000, bonding: {slaves: [eth0, eth1]}}]`)
	h.apply(`{"removed": ["bond0"]}`)
	h.free(before, "eth0", "eth1")
	same(t, "MTU", h.link("eth0").MTU, 1500)
}

// TestScenario_B35_Change takes an MTU that the bond got after its slaves: the kernel
// gives a slave back the MTU that it had when it was enslaved.
func TestScenario_B35_Change(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	before := h.look()
	h.apply(`host_nics: [{name: bond0, mtu: 9000, bonding: {slaves: [eth0]}}]`)
	h.apply(`host_nics: [{name: bond0, mtu: 3000, bonding: {slaves: [eth0, eth1]}}]`)
	same(t, "MTU of the slaves", []int{h.link("eth0").MTU, h.link("eth1").MTU}, "[3000 3000]")
	h.apply(bondOf("bond0", ``, `"eth1"`))
	h.free(before, "eth0")
	h.apply(`{"removed": ["bond0"]}`)
	h.free(before, "eth0", "eth1")
}

func TestScenario_B36(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1, "miimon": 10`, `"eth0", "eth1"`))
	h.oper("bond0", "up")
	h.far.Down(t, "p-eth0")
	eventually(t, "eth0 has failed", func() bool { return h.link("eth0").Slave.MIIStatus == "down" })
	same(t, "bond0 with one slave", h.link("bond0").OperState, "up")
	h.far.Down(t, "p-eth1")
	h.oper("bond0", "down")
	h.settled() // a pulled cable is no drift
	h.far.Up(t, "p-eth0")
	h.oper("bond0", "up")
}

func TestScenario_B39(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	before := h.look()
	for _, name := range []string{"bond1", "bond3", "bond4"} {
		h.apply(bondOf(name, `"mode": 4`, `"eth0", "eth1"`))
		h.apply(`{"removed": ["` + name + `"]}`)
	}
	after := h.look()
	same(t, "links", len(after.Links), len(before.Links))
	h.free(before, "eth0", "eth1")
	m := h.View().Memory
	same(t, "owned, baselines, identities", []int{len(m.Owned.Links), len(m.Baseline), len(m.Identity)}, "[0 0 0]")
}

func TestScenario_B43(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 2, "xmit_hash_policy": "vlan+srcmac"`, `"eth0", "eth1"`))
	same(t, "xmit_hash_policy", h.option("bond0", "xmit_hash_policy"), "vlan+srcmac")
	h.apply(bondOf("bond0", `"mode": 5, "xmit_hash_policy": "layer2"`, `"eth0", "eth1"`))
	for _, value := range []string{"off", "on", "off"} {
		op := h.apply(bondOf("bond0", `"tlb_dynamic_lb": "`+value+`"`, `"eth0", "eth1"`))
		same(t, "tlb_dynamic_lb", h.option("bond0", "tlb_dynamic_lb"), value)
		if forecast(op, "bond0") == plan.SlavesReleased.String() {
			t.Error("the slaves need not go for this")
		}
	}
	h.settled()
}

// A bond wants a slave: the last one stays. Whoever wants none wants no bond.
func TestScenario_B44(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	op := h.apply(bondOf("bond0", ``, `"eth1"`))
	same(t, "warned of", op.Warnings[0].Rule, "single-slave")
	h.refuse(`{"host_nics": [{"name": "bond0", "bonding": {"slaves": []}}]}`, "bond-slaves")
	h.refuse(`{"host_nics": [{"name": "bond0", "bonding": {"slaves": null}}]}`, "bond-slaves")
	same(t, "slaves", h.slaves("bond0"), "[eth1]")
	h.settled()
}
