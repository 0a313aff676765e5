//go:build kernel

package scenario

import (
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// bonded is a bond with two VLANs and a NIC with one, and addresses all over.
const bonded = `
host_nics:
- {name: bond0, mtu: 2000, bonding: {options: {mode: active-backup, primary: eth0}, slaves: [eth0, eth1]}, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}}
- {base_interface: bond0, vlan: {id: 7}, ip: {address: 198.51.100.7, netmask: 24}, ipv6: {address: "2001:db8:7::7", prefix: 64}}
- {base_interface: bond0, vlan: {id: 8}, mtu: 1600}
- {base_interface: eth2, vlan: {id: 9}, ip: {address: 203.0.113.9, netmask: 24}}
`

// reboot is a restart on a machine that has forgotten what was done to it: the links
// that the agent has made are gone, and its NICs are as they come.
func (h *host) reboot(boot string, nics ...string) {
	h.t.Helper()
	h.stop()
	h.boot = boot
	hand := h.hand()
	for _, l := range h.look().Links {
		if l.Kind == "bond" || l.Kind == "vlan" {
			hand.del(l.Name)
		}
	}
	for _, n := range nics {
		hand.del(n)
		h.plug(n)
	}
	h.start()
}

func TestScenario_S02(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	h.commit()
	before := h.look()
	h.stop()
	h.hand().del("bond0") // and its VLANs with it
	h.start()
	h.settled()
	for _, n := range []string{"bond0", "bond0.7", "bond0.8", "eth2.9"} {
		was, is := before.ByName(n), h.link(n)
		same(t, n, []any{is.MAC, is.MTU, is.AdminUp, h.addresses(n)}, []any{was.MAC, was.MTU, was.AdminUp, prefixes(before.AddressesOf(was.Index))})
	}
	same(t, "the VLAN that was left is the same", h.link("eth2.9").Index, before.ByName("eth2.9").Index)
	same(t, "primary", h.option("bond0", "primary"), "eth0")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev bond0]")
}

// TestScenario_S02_Reboot starts on a machine that has rebooted, where what is left
// over is somebody else's until the configuration names it.
func TestScenario_S02_Reboot(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	h.commit()
	h.stop()
	h.boot = "another boot"
	hand := h.hand()
	hand.del("bond0")
	left := h.link("eth2.9").Index
	h.start()
	h.settled()
	same(t, "the VLAN that was left is the same", h.link("eth2.9").Index, left)
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "addresses", h.addresses("bond0.7"), "[198.51.100.7/24 2001:db8:7::7/64]")
}

func TestScenario_S03(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	h.commit()
	h.stop()
	hand := h.hand()
	hand.del("eth1")
	hand.del("eth2")
	hand.del("bond0")
	h.start()
	same(t, "waiting", h.waits(), "[eth1 eth2 eth2.9]")
	same(t, "slaves", h.slaves("bond0"), "[eth0]")
	same(t, "addresses", h.addresses("bond0.7"), "[198.51.100.7/24 2001:db8:7::7/64]")
	log := h.watchLinks()
	h.plug("eth1")
	h.plug("eth2")
	eventually(t, "nobody waits", func() bool { return len(h.waits()) == 0 })
	log.undisturbed("bond0", "bond0.7", "eth0")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "addresses", h.addresses("eth2.9"), "[203.0.113.9/24]")
	h.settled()
}

// TestScenario_S03_All is a bond none of whose slaves is there at boot.
func TestScenario_S03_All(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}}]`)
	h.commit()
	h.stop()
	hand := h.hand()
	for _, n := range []string{"bond0", "eth0", "eth1"} {
		hand.del(n)
	}
	h.boot = "another boot"
	h.start()
	same(t, "waiting", h.waits(), "[bond0 eth0 eth1]")
	h.settled()
	h.plug("eth1")
	eventually(t, "one slave", func() bool { return len(h.waits()) == 1 })
	same(t, "MAC", h.mac("bond0"), h.mac("eth1"))
	h.plug("eth0")
	eventually(t, "two slaves", func() bool { return len(h.waits()) == 0 })
	h.settled()
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev bond0]")
}

// TestScenario_S03_Cut ends the agent while it configures a NIC that has come: what it
// has put there by then is still its own.
func TestScenario_S03_Cut(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{name: eth1, ip: {address: 192.0.2.1, netmask: 24, gateway: 192.0.2.254}}, {base_interface: eth1, vlan: {id: 7}, ip: {address: 198.51.100.7, netmask: 24}}]`)
	h.commit()
	h.stop()
	h.hand().del("eth1")
	h.boot = "another boot"
	h.start()
	h.inject(func(op plan.Op) syscall.Errno {
		if op.Action == plan.RouteAdd {
			return syscall.EINVAL
		}
		return 0
	})
	h.plug("eth1")
	eventually(t, "the address is there", func() bool { s := h.look(); return s.ByName("eth1.7") != nil && len(h.addresses("eth1")) == 1 })
	h.stop()
	h.inject(nil)
	h.start()
	h.settled()
	h.replace(`host_nics: []`)
	h.absent("eth1.7")
	same(t, "addresses", h.addresses("eth1"), "[]")
	same(t, "eth1 is up, as it was not when it came", h.link("eth1").AdminUp, false)
}

func TestScenario_S06(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	before, writes := h.look(), h.kernel.Writes()
	log := h.watchLinks()
	h.stop()
	log.undisturbed("bond0", "bond0.7", "eth0", "eth1", "eth2.9")
	h.unchanged(before)
	same(t, "requests", h.kernel.Writes()-writes, 0)
}

func TestScenario_S08(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.stop()
	hand := h.hand()
	hand.up("eth0", "eth1")
	hand.addAddress("eth0", "192.0.2.77/24", "2001:db8::77/64")
	hand.addRoute("198.51.100.0/24", "192.0.2.1", "eth0")
	before := h.look()
	h.start()
	h.unchanged(before)
	h.commit()
	same(t, "requests after a restart", h.restart(), 0)
	// Nor when the NIC is configured, and left alone again.
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "203.0.113.1", "netmask": "24"}}]}`)
	same(t, "addresses", h.addresses("eth0"), "[192.0.2.77/24 203.0.113.1/24 2001:db8::77/64]")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": null}]}`)
	h.unchanged(before)
}

func TestScenario_S09(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	h.stop()
	h.ns.Bridge(t, "br0", "eth0")
	hand := h.hand()
	hand.addBond("bond1", netlink.BOND_MODE_ACTIVE_BACKUP, "eth1")
	hand.addTap("tap0")
	hand.enslave("br0", "tap0")
	hand.addVLAN("bond1.5", "bond1", 5)
	hand.addAddress("bond1", "192.0.2.1/24")
	before := h.look()
	h.start()
	h.restart()
	h.unchanged(before)
	log := h.watchLinks()
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth2, eth3]}}]`)
	h.apply(`{"removed": ["bond0"]}`)
	log.undisturbed("bond1", "eth1", "br0", "eth0")
	h.unchanged(before)
}
