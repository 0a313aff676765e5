//go:build kernel

package scenario

import (
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
)

// vlan10 is VLAN 10 on eth0 with an address.
const vlan10 = `{"host_nics": [{"name": "eth0.10", "base_interface": "eth0", "vlan": {"id": 10}, "ip": {"address": "192.0.2.10", "netmask": "24"}}]}`

func TestScenario_V01(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(vlan10)
	v, eth0 := h.link("eth0.10"), h.link("eth0")
	same(t, "id, base interface, MAC", []any{v.VLANID, v.Parent, v.MAC}, []any{10, eth0.Index, eth0.MAC})
	same(t, "up", []bool{v.AdminUp, v.Carrier, eth0.AdminUp}, "[true true true]")
	same(t, "addresses", h.addresses("eth0.10"), "[192.0.2.10/24]")
	n := h.running("eth0.10")
	same(t, "reported", []any{*n.VLAN.ID, n.BaseInterface}, "[10 eth0]")
	h.settled()
}

// TestScenario_V01_Name makes the name of a VLAN out of its base and id.
func TestScenario_V01_Name(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`{"host_nics": [{"base_interface": "eth0", "vlan": {"id": 4094}}]}`)
	same(t, "id", h.link("eth0.4094").VLANID, 4094)
}

func TestScenario_V02(t *testing.T) {
	h := newHost(t, "eth0")
	before := h.look()
	h.apply(vlan10)
	h.apply(`{"removed": ["eth0.10"]}`)
	h.absent("eth0.10")
	h.free(before, "eth0")
	same(t, "owned", len(h.View().Memory.Owned.Links), 0)
}

func TestScenario_V04(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`
host_nics:
- {base_interface: bond0, vlan: {id: 7}}
- {base_interface: bond0, vlan: {id: 8}}
- {base_interface: bond0, vlan: {id: 9}}
- {name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth0, eth1]}}
`)
	for i, n := range []string{"bond0.7", "bond0.8", "bond0.9"} {
		l := h.link(n)
		same(t, n, []any{l.VLANID, l.Parent == h.link("bond0").Index, l.AdminUp}, []any{7 + i, true, true})
	}
	h.settled()
	h.apply(`{"removed": ["bond0", "bond0.7", "bond0.8", "bond0.9"]}`)
	h.absent("bond0", "bond0.7", "bond0.8", "bond0.9")
}

// TestScenario_V04_Remove takes away many at once, and not what stands beside them.
func TestScenario_V04_Remove(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`host_nics: [{base_interface: eth0, vlan: {id: 1}}, {base_interface: eth0, vlan: {id: 2}}, {base_interface: eth0, vlan: {id: 3}},
 {base_interface: eth0, vlan: {id: 4}, ip: {address: 192.0.2.4, netmask: 24}}]`)
	h.hand().addVLAN("theirs", "eth0", 9)
	log := h.watchLinks()
	op := h.apply(`{"removed": ["eth0.1", "eth0.2", "eth0.3"]}`)
	h.absent("eth0.1", "eth0.2", "eth0.3")
	log.undisturbed("eth0", "eth0.4")
	same(t, "addresses", h.addresses("eth0.4"), "[192.0.2.4/24]")
	same(t, "theirs", h.link("theirs").VLANID, 9)
	same(t, "requests: a group for each, and one for all", op.Writes, 4)
	h.settled()
}

func TestScenario_V05(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{base_interface: eth0, vlan: {id: 10}}, {base_interface: eth1, vlan: {id: 10}}]`)
	same(t, "ids", []int{h.link("eth0.10").VLANID, h.link("eth1.10").VLANID}, "[10 10]")
	h.settled()
}

func TestScenario_V06(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(vlan10)
	h.refuse(`{"host_nics": [{"name": "again", "base_interface": "eth0", "vlan": {"id": 10}}]}`, "vlan-duplicate")
	h.absent("again")
	// The same against a VLAN of somebody else.
	h.hand().addVLAN("theirs", "eth0", 11)
	h.refuse(`{"host_nics": [{"name": "ours", "base_interface": "eth0", "vlan": {"id": 11}}]}`, "vlan-taken")
	h.absent("ours")
}

func TestScenario_V07(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`{"host_nics": [{"name": "net", "base_interface": "eth0", "vlan": {"id": 10}, "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}}]}`)
	h.apply(`{"host_nics": [{"name": "net", "base_interface": "eth1"}]}`)
	v := h.link("net")
	same(t, "base", v.Parent, h.link("eth1").Index)
	same(t, "MAC", v.MAC, h.mac("eth1"))
	same(t, "addresses", h.addresses("net"), "[192.0.2.10/24]")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev net]")
	h.settled()
	h.apply(`{"host_nics": [{"name": "net", "vlan": {"id": 11}}]}`)
	same(t, "another id", h.link("net").VLANID, 11)
	same(t, "addresses", h.addresses("net"), "[192.0.2.10/24]")
	h.settled()
}

func TestScenario_V08(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`{"host_nics": [{"name": "neta", "base_interface": "eth0", "vlan": {"id": 10}, "ip": {"address": "192.0.2.10", "netmask": "24"}}]}`)
	h.apply(`{"host_nics": [{"name": "netb", "base_interface": "eth0", "vlan": {"id": 10}, "ip": {"address": "198.51.100.10", "netmask": "24"}}, {"name": "neta", "base_interface": "eth1"}]}`)
	same(t, "base of neta", h.link("neta").Parent, h.link("eth1").Index)
	same(t, "base of netb", h.link("netb").Parent, h.link("eth0").Index)
	same(t, "addresses", append(h.addresses("neta"), h.addresses("netb")...), "[192.0.2.10/24 198.51.100.10/24]")
	h.settled()
	// The two change places.
	h.apply(`{"host_nics": [{"name": "neta", "base_interface": "eth0"}, {"name": "netb", "base_interface": "eth1"}]}`)
	same(t, "base of neta", h.link("neta").Parent, h.link("eth0").Index)
	same(t, "base of netb", h.link("netb").Parent, h.link("eth1").Index)
	h.settled()
}

// TestScenario_V08_Names changes names and ids on one base: one takes the id of the
// other and the other its, and one takes another name.
func TestScenario_V08_Names(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`host_nics: [{name: neta, base_interface: eth0, vlan: {id: 10}, ip: {address: 192.0.2.10, netmask: 24}}, {name: netb, base_interface: eth0, vlan: {id: 20}}]`)
	h.apply(`host_nics: [{name: neta, vlan: {id: 20}}, {name: netb, vlan: {id: 10}}]`)
	same(t, "ids", []int{h.link("neta").VLANID, h.link("netb").VLANID}, "[20 10]")
	same(t, "addresses", h.addresses("neta"), "[192.0.2.10/24]")
	h.settled()
	h.apply(`{"removed": ["neta"], "host_nics": [{"name": "netc", "base_interface": "eth0", "vlan": {"id": 20}, "ip": {"address": "192.0.2.10", "netmask": "24"}}]}`)
	h.absent("neta")
	same(t, "addresses", h.addresses("netc"), "[192.0.2.10/24]")
	h.settled()
}

func TestScenario_V09(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(vlan10)
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "198.51.100.1", "netmask": "24"}}]}`)
	before := h.look()
	log := h.watchLinks()
	h.apply(`{"host_nics": [{"name": "eth0", "ip": null}]}`)
	log.undisturbed("eth0", "eth0.10")
	unchanged(t, before, h.look(), "eth0.10")
	same(t, "addresses of eth0", h.addresses("eth0"), "[]")
	h.settled()
}

func TestScenario_V10(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(vlan10)
	h.refuse(bondOf("bond0", ``, `"eth0", "eth1"`), "slave-has-vlan")
	h.absent("bond0")
	h.hand().addVLAN("theirs", "eth2", 5)
	h.refuse(bondOf("bond0", ``, `"eth1", "eth2"`), "slave-has-vlan")
	h.absent("bond0")
	// The VLAN goes in the same request, or moves on to the bond.
	h.apply(`{"removed": ["eth0.10"], "host_nics": [{"name": "bond0", "bonding": {"slaves": ["eth0", "eth1"]}}]}`)
	h.absent("eth0.10")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	h.settled()
}

func TestScenario_V10_Move(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`{"host_nics": [{"name": "net", "base_interface": "eth0", "vlan": {"id": 10}, "ip": {"address": "192.0.2.10", "netmask": "24"}}]}`)
	h.apply(`{"host_nics": [{"name": "net", "base_interface": "bond0"}, {"name": "bond0", "bonding": {"slaves": ["eth0", "eth1"]}}]}`)
	same(t, "base", h.link("net").Parent, h.link("bond0").Index)
	same(t, "addresses", h.addresses("net"), "[192.0.2.10/24]")
	h.settled()
	h.apply(`{"host_nics": [{"name": "net", "base_interface": "eth1"}], "removed": ["bond0"]}`)
	same(t, "base", h.link("net").Parent, h.link("eth1").Index)
	h.settled()
}

func TestScenario_V13(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`{"host_nics": [{"name": "eth0.20", "base_interface": "eth0", "vlan": {"id": 10}}]}`)
	same(t, "id", h.link("eth0.20").VLANID, 10)
	h.settled()
}

func TestScenario_V14(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`{"host_nics": [{"name": "eth0.10", "base_interface": "eth0", "vlan": {"id": 10}, "mtu": 9000}]}`)
	same(t, "MTU", []int{h.link("eth0").MTU, h.link("eth0.10").MTU}, "[9000 9000]")
	h.settled()
	// Where the document gives the base an MTU of its own, it means that.
	h.refuse(`{"host_nics": [{"name": "eth1", "mtu": 1500}, {"name": "eth1.10", "base_interface": "eth1", "vlan": {"id": 10}, "mtu": 9000}]}`, "vlan-mtu")
	h.absent("eth1.10")
	h.apply(`{"removed": ["eth0.10"]}`)
	same(t, "MTU without the VLAN", h.link("eth0").MTU, 1500)
}

func TestScenario_V15(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	mtus := func() []int {
		return []int{h.link("bond0").MTU, h.link("eth1").MTU, h.link("bond0.7").MTU, h.link("bond0.8").MTU, h.link("bond0.9").MTU}
	}
	h.apply(`
host_nics:
- {base_interface: bond0, vlan: {id: 7}, mtu: 2000}
- {base_interface: bond0, vlan: {id: 8}, mtu: 9000}
- {base_interface: bond0, vlan: {id: 9}, mtu: 1400}
- {name: bond0, bonding: {slaves: [eth0, eth1]}}
`)
	same(t, "MTU", mtus(), "[9000 9000 2000 9000 1400]")
	h.settled()
	h.apply(`host_nics: [{name: bond0.8, mtu: 1600}]`)
	same(t, "MTU with the largest made smaller", mtus(), "[2000 2000 2000 1600 1400]")
	h.settled()
	h.apply(`host_nics: [{name: bond0.9, mtu: 5000}, {name: bond0.7, mtu: 5000}]`)
	same(t, "MTU with two made larger", mtus(), "[5000 5000 5000 1600 5000]")
	h.settled()
}

func TestScenario_V17(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`host_nics: [{name: eth0, mtu: 2000}, {base_interface: eth0, vlan: {id: 7}, mtu: 2000}, {base_interface: eth0, vlan: {id: 8}}]`)
	h.apply(`host_nics: [{name: eth0, mtu: 2200}]`)
	same(t, "MTU", []int{h.link("eth0").MTU, h.link("eth0.7").MTU}, "[2200 2000]")
	// A VLAN without an MTU of its own is as large as its base is said to be.
	same(t, "MTU of the VLAN without one", h.link("eth0.8").MTU, 2200)
	h.settled()
	h.refuse(`host_nics: [{name: eth0, mtu: 1900}]`, "vlan-mtu")
}

func TestScenario_V18(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}, {base_interface: bond0, vlan: {id: 7}}, {base_interface: eth2, vlan: {id: 7}},
 {base_interface: eth2, vlan: {id: 8}, mac: {address: "02:00:00:00:00:88"}}]`)
	h.apply(`host_nics: [{name: bond0, mac: {address: "02:00:00:00:00:01"}}, {name: eth2, mac: {address: "02:00:00:00:00:02"}}]`)
	same(t, "MAC", []string{h.mac("bond0.7"), h.mac("eth2.7"), h.mac("eth2.8")}, "[02:00:00:00:00:01 02:00:00:00:00:02 02:00:00:00:00:88]")
	h.settled()
	// The VLAN goes on following when the MAC changes because the slave that lent it
	// has left.
	h.apply(`host_nics: [{name: bond0, mac: null, bonding: {slaves: [eth1]}}, {name: eth2, mac: null}]`)
	same(t, "MAC", h.mac("bond0.7"), h.mac("bond0"))
	same(t, "MAC", h.mac("eth2.7"), h.mac("eth2"))
	h.settled()
}

// TestScenario_V18_FailOverMAC is a bond whose MAC moves with the active slave, with
// which no wish goes along.
func TestScenario_V18_FailOverMAC(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{name: bond0, bonding: {options: {mode: 1, fail_over_mac: 1, miimon: 10}, slaves: [eth0, eth1]}}, {base_interface: bond0, vlan: {id: 7}}]`)
	first := h.mac("bond0.7")
	h.far.Down(t, "p-eth0")
	eventually(t, "the bond has the MAC of eth1", func() bool { return h.mac("bond0") == h.mac("eth1") })
	same(t, "the VLAN has the first MAC", h.mac("bond0.7") == first, false)
	h.settled()
}

func TestScenario_V22(t *testing.T) {
	h := newHost(t, "enp130s0f1np1")
	doc := `{"host_nics": [{"base_interface": "enp130s0f1np1", "vlan": {"id": 4000}}]}`
	_, err := h.tryApply(doc)
	if err == nil || !hasRule(err, "name-length") || !strings.Contains(err.Error(), "vlan4000") {
		t.Fatalf("a name of 18 bytes: %v", err)
	}
	h.refuse(doc, "name-length")
	h.apply(strings.Replace(doc, `{"base`, `{"name": "vlan4000", "base`, 1))
	same(t, "id", h.link("vlan4000").VLANID, 4000)
}

// Refused: the kernel takes it for priority tags, but to a network it means untagged.
func TestScenario_V23(t *testing.T) {
	h := newHost(t, "eth0")
	h.refuse(`{"host_nics": [{"name": "eth0.0", "base_interface": "eth0", "vlan": {"id": 0}}]}`, "vlan-id")
	h.absent("eth0.0")
}

func TestScenario_V24(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`
host_nics:
- {name: bond0, bonding: {options: {mode: 1, miimon: 10}, slaves: [eth0]}}
- {base_interface: bond0, vlan: {id: 7}, ip: {address: 192.0.2.7, netmask: 24, gateway: 192.0.2.1}, ipv6: {address: "2001:db8::7", prefix: 64, gateway: "2001:db8::1"}}
`)
	h.oper("bond0.7", "up")
	routes := h.routes()
	h.far.Down(t, "p-eth0")
	h.oper("bond0.7", "lowerlayerdown")
	h.settled()
	h.far.Up(t, "p-eth0")
	h.oper("bond0.7", "up")
	same(t, "addresses", h.addresses("bond0.7"), "[192.0.2.7/24 2001:db8::7/64]")
	same(t, "routes", h.routes(), routes)
	same(t, "number of routes", len(routes), 2)
	h.settled()
}

func TestScenario_V25(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(vlan10)
	writes := h.kernel.Writes()
	h.far.Down(t, "p-eth0")
	h.oper("eth0.10", "lowerlayerdown")
	same(t, "carrier, up", []bool{h.link("eth0.10").Carrier, h.link("eth0.10").AdminUp}, "[false true]")
	same(t, "requests", h.kernel.Writes()-writes, 0)
	h.settled()
}

// TestScenario_V02_Kind gives the name of a VLAN to a VLAN on another base and of
// another id at once, and takes the base of two away with them.
func TestScenario_V02_Kind(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0]}}, {name: net, base_interface: bond0, vlan: {id: 7}, ip: {address: 192.0.2.7, netmask: 24}}]`)
	h.refuse(`{"removed": ["bond0"]}`, "base-removed")
	h.apply(`{"removed": ["bond0"], "host_nics": [{"name": "net", "base_interface": "eth1", "vlan": {"id": 9}}]}`)
	same(t, "id, base", []int{h.link("net").VLANID, h.link("net").Parent}, []int{9, h.link("eth1").Index})
	same(t, "addresses", h.addresses("net"), "[192.0.2.7/24]")
	h.absent("bond0")
	h.settled()
	same(t, "kinds", h.View().Memory.Owned.Links, map[string]netcfg.Kind{"net": netcfg.KindVLAN})
}
