//go:build kernel

package scenario

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
)

func TestScenario_C02(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	h.commit()
	before := h.look()
	for range 2 {
		same(t, "requests after a restart", h.restart(), 0)
		h.unchanged(before)
	}
	h.reboot("another boot", "eth0", "eth1", "eth2")
	h.settled()
	same(t, "addresses", h.addresses("bond0.7"), "[198.51.100.7/24 2001:db8:7::7/64]")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev bond0]")
	same(t, "primary", h.option("bond0", "primary"), "eth0")
}

// TestScenario_C02_Uncommitted is the seed's rule: what was not committed goes with
// the boot, but not with the agent.
func TestScenario_C02_Uncommitted(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	h.commit()
	h.apply(bondOf("bond0", `"mode": 4`, `"eth0", "eth1", "eth2"`))
	same(t, "requests after a restart", h.restart(), 0)
	same(t, "mode after a restart", h.option("bond0", "mode"), "802.3ad")
	h.reboot("another boot", "eth0", "eth1", "eth2")
	same(t, "mode after a reboot", h.option("bond0", "mode"), "active-backup")
	same(t, "slaves after a reboot", h.slaves("bond0"), "[eth0 eth1]")
	// The candidate outlives the boot, as edits do.
	if _, err := h.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.settled()
}

func TestScenario_C03(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	before := h.look()
	h.refuse(strings.Replace(bonded, "203.0.113.9,", "203.0.113.255,", 1), "ipv4-host")
	h.absent("bond0", "bond0.7", "bond0.8", "eth2.9")
	// One that only the kernel refuses, after everything else has been made.
	h.withoutIPv6("default")
	op, err := h.tryApply(bonded)
	if err != nil || op.State != engine.RolledBack || op.Err == nil {
		t.Fatalf("an address that the kernel refuses: %v, %s, %v", err, op.State, op.Err)
	}
	h.unchanged(before)
	same(t, "running", h.View().Running, "{[] [] [] <nil>}")
	same(t, "requests after a restart", h.restart(), 0)
}

// withoutIPv6 makes the kernel refuse IPv6 addresses on a link, or on those that are
// yet to be made.
func (h *host) withoutIPv6(link string) {
	h.t.Helper()
	h.byHand("switch IPv6 off", func() error {
		fd, err := unix.Open("/proc/sys/net/ipv6/conf/"+link+"/disable_ipv6", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.Write(fd, []byte("1"))
		return err
	})
}

func TestScenario_C04(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}}]}`)
	h.hand().addAddress("eth1", "2001:db8:1::1/64", "203.0.113.1/24")
	before := h.look()
	h.refuse(bondOf("bond0", ``, `"eth0", "eth1"`), "slave-addressing")
	h.unchanged(before)
	// The address moves on to the bond, but the kernel refuses another one there.
	h.withoutIPv6("default")
	op, err := h.tryApply(`host_nics: [{name: eth0, ip: null}, {name: bond0, bonding: {slaves: [eth0, eth1]},
 ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}, ipv6: {address: "2001:db8::1", prefix: 64}}]`)
	if err != nil || op.State != engine.RolledBack {
		t.Fatalf("an address that the kernel refuses: %v, %s, %v", err, op.State, op.Err)
	}
	h.unchanged(before)
	h.absent("bond0")
}

func TestScenario_C07(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	h.apply(bonded)
	before, running := h.look(), h.View().Running
	log := h.watchLinks()
	h.withoutIPv6("eth3")
	op, err := h.tryApply(`host_nics: [{base_interface: bond0, vlan: {id: 20}, ip: {address: 10.20.0.1, netmask: 24}}, {name: eth3, ipv6: {address: "2001:db8:20::1", prefix: 64}}]`)
	if err != nil || op.State != engine.RolledBack {
		t.Fatalf("an address that the kernel refuses: %v, %s, %v", err, op.State, op.Err)
	}
	log.undisturbed("bond0", "bond0.7", "bond0.8", "eth0", "eth1", "eth2.9")
	h.absent("bond0.20")
	h.unchanged(before)
	same(t, "running", h.View().Running, running)
	if _, err := h.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.settled()
}

// TestScenario_C15 rolls back by command; the deadline takes the same way.
func TestScenario_C15(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	h.commit()
	h.apply(`{"removed": ["eth2.9"], "host_nics": [{"name": "bond0", "bonding": {"slaves": ["eth0"]}, "ip": {"address": "192.0.2.99"}}]}`)
	hand := h.hand()
	hand.del("eth1")
	hand.del("eth2")
	op := h.rollback()
	same(t, "waiting", op.Waiting, "[{eth1 there is no NIC eth1 on this host} {eth2 there is no NIC eth2 on this host} {eth2.9 its base interface eth2 is not there yet}]")
	same(t, "addresses", h.addresses("bond0"), "[192.0.2.10/24]")
	h.settled()
}

func TestScenario_C17(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	for range 2 {
		h.commit()
	}
	same(t, "revision with nothing ever committed", h.View().CommittedRevision, 0)
	h.apply(bonded)
	h.commit()
	writes := h.kernel.Writes()
	h.commit()
	same(t, "revision", h.View().CommittedRevision, 1)
	same(t, "requests", h.kernel.Writes()-writes, 0)
}

func TestScenario_C18(t *testing.T) {
	h := newHost(t, "eth0")
	mtus := func() []int { return []int{h.link("eth0").MTU, h.link("eth0.7").MTU, h.link("eth0.8").MTU} }
	h.apply(`host_nics: [{name: eth0, mtu: 2000}, {base_interface: eth0, vlan: {id: 7}, mtu: 2000}, {base_interface: eth0, vlan: {id: 8}, mtu: 2000}]`)
	h.commit()
	h.apply(`host_nics: [{name: eth0, mtu: 2200}, {name: eth0.7, mtu: 2200}, {name: eth0.8, mtu: 2200}]`)
	same(t, "MTU", mtus(), "[2200 2200 2200]")
	h.rollback()
	same(t, "MTU rolled back", mtus(), "[2000 2000 2000]")
	h.settled()
}

func TestScenario_C24(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}, "boot_protocol": "static"}]}`)
	h.commit()
	h.apply(`{"host_nics": [{"name": "eth0", "boot_protocol": "none"}]}`)
	same(t, "addresses with none", h.addresses("eth0"), "[]")
	h.rollback()
	same(t, "addresses", h.addresses("eth0"), "[192.0.2.10/24]")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth0]")
	h.settled()
}

func TestScenario_C25(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	h.commit()
	want := h.View().Running
	h.apply(`{"removed": ["bond0", "bond0.7", "bond0.8"]}`)
	h.absent("bond0", "bond0.7", "bond0.8")
	h.rollback()
	same(t, "running", h.View().Running, want)
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "addresses", h.addresses("bond0.7"), "[198.51.100.7/24 2001:db8:7::7/64]")
	h.settled()
}

func TestScenario_X05(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond1", ``, `"eth0"`))
	h.refuse(bondOf("bond2", ``, `"eth0"`), "slave-shared")
	same(t, "slaves", h.slaves("bond1"), "[eth0]")
}

func TestScenario_X07(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24"}}]}`)
	h.refuse(bondOf("bond0", ``, `"eth0", "eth1"`), "slave-addressing")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": null}, {"name": "bond0", "bonding": {"slaves": ["eth0", "eth1"]}, "ip": {"address": "192.0.2.10", "netmask": "24"}}]}`)
	same(t, "addresses of bond0, eth0", append(h.addresses("bond0"), h.addresses("eth0")...), "[192.0.2.10/24]")
	h.settled()
}

func TestScenario_X09(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	before := h.look()
	h.refuse(`{"removed": ["bond0"]}`, "base-removed")
	h.unchanged(before)
	// Nor under a VLAN of somebody else.
	h.apply(`{"removed": ["bond0.7", "bond0.8"]}`)
	h.hand().addVLAN("theirs", "bond0", 5)
	before = h.look()
	h.refuse(`{"removed": ["bond0"]}`, "link-in-use")
	h.unchanged(before)
}

// TestScenario_C19 turns IPv6 on where there was none, and back.
func TestScenario_C19(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	h.commit()
	same(t, "IPv6", h.link("bond0").AddrGenModeNone, true)
	before := h.look()
	h.apply(`host_nics: [{name: bond0, ipv6: {address: "2001:db8:19::1", prefix: 64}}, {name: eth2, ipv6: {address: "2001:db8:20::1", prefix: 64}}]`)
	same(t, "no IPv6", h.link("bond0").AddrGenModeNone, false)
	h.rollback()
	same(t, "IPv6", h.link("bond0").AddrGenModeNone, true)
	h.unchanged(before)
}
