//go:build kernel

package scenario

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestScenario_P02(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}, ip: {address: 192.0.2.10, netmask: 24}}, {base_interface: bond0, vlan: {id: 7}}]`)
	h.commit()
	hand := h.hand()
	hand.del("eth0")
	hand.del("eth1")
	h.apply(`{"removed": ["bond0", "bond0.7"]}`)
	h.absent("bond0", "bond0.7")
	h.settled()
	h.commit()
}

// TestScenario_P02_Some is a bond that has lost one of its slaves: it can still be
// changed, and takes the slave in when it comes back.
func TestScenario_P02_Some(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	h.hand().del("eth1")
	h.apply(bondOf("bond0", `"miimon": 50`, `"eth0", "eth1"`))
	same(t, "miimon", h.option("bond0", "miimon"), 50)
	h.plug("eth1")
	eventually(t, "the slave is back", func() bool { return len(h.slaves("bond0")) == 2 })
	eventually(t, "nobody waits", func() bool { return len(h.waits()) == 0 })
	h.settled()
}

func TestScenario_P03(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	doc := `host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}, {base_interface: bond0, vlan: {id: 7}, ip: {address: 192.0.2.7, netmask: 24, gateway: 192.0.2.1}}]`
	h.apply(doc)
	h.hand().del("bond0.7")
	same(t, "drift", h.drifts()[0], "host_nics[bond0.7]")
	h.apply(doc)
	same(t, "id", h.link("bond0.7").VLANID, 7)
	same(t, "addresses", h.addresses("bond0.7"), "[192.0.2.7/24]")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev bond0.7]")
	h.settled()
	h.hand().del("bond0")
	h.apply(doc)
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "addresses", h.addresses("bond0.7"), "[192.0.2.7/24]")
	h.settled()
}

// TestScenario_P06 moves a slave and a NIC with an address away and back again.
func TestScenario_P06(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}, {name: eth2, ip: {address: 192.0.2.2, netmask: 24}}]`)
	for _, nic := range []string{"eth1", "eth2"} {
		h.move(nic, true)
		eventually(t, nic+" waits", func() bool { return len(h.waits()) == 1 && h.waits()[0] == nic })
		h.move(nic, false)
		eventually(t, nic+" waits no more", func() bool { return len(h.waits()) == 0 })
		h.settled()
	}
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "addresses", h.addresses("eth2"), "[192.0.2.2/24]")
}

// move puts a NIC into the namespace at the other end of the cables, or back.
func (h *host) move(nic string, away bool) {
	h.t.Helper()
	from, to := h.ns, h.far
	if !away {
		from, to = to, from
	}
	from.Do(func() {
		l, err := netlink.LinkByName(nic)
		if err != nil {
			h.t.Fatal(err)
		}
		fd, err := unix.Open(to.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := netlink.LinkSetNsFd(l, fd); err != nil {
			h.t.Fatal(err)
		}
	})
}

func TestScenario_P07(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.ns.Veth(t, "bond1", h.far, "p-bond1")
	h.hand().addVLAN("net", "eth1", 5)
	before := h.look()
	h.refuse(bondOf("bond1", ``, `"eth0"`), "name-taken")
	h.refuse(`{"host_nics": [{"name": "net", "bonding": {"slaves": ["eth0"]}}]}`, "bond-name")
	h.refuse(`{"host_nics": [{"name": "net", "base_interface": "eth0", "vlan": {"id": 5}}]}`, "name-taken")
	h.unchanged(before)
}

// Reported. What somebody has put into his bond or bridge is not torn out of it: an
// apply goes on without it, and says where it is and what gives it back. Between bonds
// of the agent's own it is taken back.
func TestScenario_P08(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.ns.Bridge(t, "br0")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}, {name: bond1, bonding: {slaves: [eth2]}}]`)
	hand := h.hand()
	hand.enslave("br0", "eth1")
	same(t, "drift", h.drifts(), "[host_nics[eth1].master host_nics[bond0].bonding.slaves]")
	h.refuse(`host_nics: [{name: bond0, bonding: {slaves: [eth0]}}, {name: bond1, bonding: {slaves: [eth2, eth1]}}]`, "slave-taken")
	op := h.apply(bondOf("bond0", `"miimon": 50`, `"eth0", "eth1"`))
	if !hasRule(op.Warnings, "nic-away") {
		t.Errorf("no warning: %v", op.Warnings)
	}
	same(t, "miimon", h.option("bond0", "miimon"), 50)
	same(t, "master", h.link("eth1").Master, h.link("br0").Index)
	same(t, "drift", h.drifts(), "[host_nics[eth1].master host_nics[bond0].bonding.slaves]")
	hand.must("give back", hand.LinkSetNoMaster(hand.link("eth1")))
	h.apply(`{}`)
	same(t, "slaves of bond0", h.slaves("bond0"), "[eth0 eth1]")
	h.settled()
	hand.enslave("bond1", "eth1")
	same(t, "drifts", len(h.drifts()) > 0, true)
	h.apply(bondOf("bond0", ``, `"eth0", "eth1"`))
	same(t, "slaves of bond0", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "slaves of bond1", h.slaves("bond1"), "[eth2]")
	h.settled()
	// Somebody puts a NIC of his own into a bond of the agent's: it goes out again.
	h.plug("eth3")
	hand.enslave("bond0", "eth3")
	same(t, "drift", h.drifts(), "[host_nics[bond0].bonding.slaves]")
	h.apply(bondOf("bond0", ``, `"eth0", "eth1"`))
	same(t, "slaves of bond0", h.slaves("bond0"), "[eth0 eth1]")
	h.settled()
}

// TestScenario_P09 takes the cable out and in, and the slave of a bond out and in,
// four times in a row.
func TestScenario_P09(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	doc := `host_nics: [{name: bond0, bonding: {options: {mode: 1, miimon: 10}, slaves: [eth0, eth1]}, ip: {address: 192.0.2.1, netmask: 24}, ipv6: {address: "2001:db8::1", prefix: 64}}]`
	h.apply(doc)
	hand := h.hand()
	for range 4 {
		h.far.Down(t, "p-eth0", "p-eth1")
		h.far.Up(t, "p-eth0", "p-eth1")
		hand.must("release", hand.LinkSetNoMaster(hand.link("eth1")))
		hand.enslave("bond0", "eth1")
	}
	h.oper("bond0", "up")
	same(t, "addresses", h.addresses("bond0"), "[192.0.2.1/24 2001:db8::1/64]")
	h.settled()
}

// Reported, and up again with the next apply.
func TestScenario_P11(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	doc := `host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}, {base_interface: bond0, vlan: {id: 7}, ipv6: {address: "2001:db8::7", prefix: 64}},
 {name: eth2, ip: {address: 192.0.2.2, netmask: 24, gateway: 192.0.2.1}}]`
	h.apply(doc)
	want := h.look()
	for nic, field := range map[string]string{"eth0": "host_nics[eth0].admin_state", "bond0": "host_nics[bond0].admin_state",
		"bond0.7": "host_nics[bond0.7].admin_state", "eth2": "host_nics[eth2].admin_state"} {
		h.hand().down(nic)
		same(t, "drift with "+nic+" down", h.drifts()[0], field)
		same(t, "reported", h.link(nic).OperState, "down")
		h.apply(doc)
		h.settled()
	}
	unchanged(t, want, h.look(), "bond0", "bond0.7", "eth0", "eth1", "eth2")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth2]")
}

// TestScenario_P06_Lender loses the slave that lent the bond its MAC. It is still a
// slave in the document, so that the MAC stays, for whoever knows the host by it.
func TestScenario_P06_Lender(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	mac := h.mac("eth0")
	h.move("eth0", true)
	eventually(t, "eth0 waits", func() bool { return len(h.waits()) == 1 })
	h.settled()
	h.apply(bondOf("bond0", `"miimon": 50`, `"eth0", "eth1"`))
	same(t, "MAC", h.mac("bond0"), mac)
	h.move("eth0", false)
	eventually(t, "two slaves", func() bool { return len(h.slaves("bond0")) == 2 })
	same(t, "MAC", h.mac("bond0"), mac)
	// Taken out of the document, it takes its MAC along.
	h.move("eth0", true)
	eventually(t, "eth0 waits", func() bool { return len(h.waits()) == 1 })
	h.apply(bondOf("bond0", ``, `"eth1"`))
	same(t, "MAC is still that of eth0", h.mac("bond0") == mac, false)
	h.settled()
}
