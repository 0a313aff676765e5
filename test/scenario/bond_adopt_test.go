//go:build kernel

package scenario

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/hostnic/hostnic/agent/engine"
)

func TestScenario_B40(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	hand := h.hand()
	hand.addBond("bond0", netlink.BOND_MODE_ACTIVE_BACKUP, "eth0", "eth1")
	hand.must("MAC", hand.LinkSetHardwareAddr(hand.link("bond0"), []byte{2, 0, 0, 0, 0, 0x40}))
	// Taken over only with its slaves named: what somebody has put there is not lost
	// by leaving it out.
	h.refuse(bondOf("bond0", `"mode": 1`, `"eth0"`), "bond-foreign")
	log := h.watchLinks()
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	log.undisturbed("bond0", "eth0", "eth1")
	same(t, "MAC", h.mac("bond0"), "02:00:00:00:00:40")
	h.apply(bondOf("bond0", ``, `"eth0", "eth1", "eth2"`))
	log.undisturbed("bond0", "eth0", "eth1")
	same(t, "MAC", h.mac("bond0"), "02:00:00:00:00:40")
	h.settled()
	if n := h.restart(); n != 0 {
		t.Errorf("a restart wrote %d requests", n)
	}
	h.apply(`{"removed": ["bond0"]}`)
	h.absent("bond0")
}

// TestScenario_B40_Mode changes the mode of a bond that somebody else has made, while
// it is taken over, and adopts the empty one that the kernel module makes by itself.
func TestScenario_B40_Mode(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	hand := h.hand()
	hand.addBond("bond0", netlink.BOND_MODE_BALANCE_RR)
	hand.addBond("bond1", netlink.BOND_MODE_BALANCE_RR, "eth2")
	h.apply(bondOf("bond0", `"mode": 4`, `"eth0", "eth1"`))
	same(t, "mode", h.option("bond0", "mode"), "802.3ad")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	h.apply(bondOf("bond1", `"mode": 1`, `"eth2"`))
	same(t, "mode", h.option("bond1", "mode"), "active-backup")
	h.settled()
}

// TestScenario_B40_RolledBack takes bonds of others over in a request that fails, and
// leaves them as they were: their options too, and who watches their links.
func TestScenario_B40_RolledBack(t *testing.T) {
	for name, made := range map[string]func(*netlink.Bond){
		"as the kernel module makes it": func(*netlink.Bond) {},
		"with ARP monitoring":           func(b *netlink.Bond) { b.Mode, b.ArpInterval, b.ArpIpTargets = 1, 60000, []net.IP{{192, 0, 2, 1}} },
		"with MII monitoring":           func(b *netlink.Bond) { b.Mode, b.Miimon, b.UpDelay, b.DownDelay = 2, 70, 140, 70 },
		"with LACP":                     func(b *netlink.Bond) { b.Mode, b.LacpRate, b.AdSelect, b.MinLinks = 4, 1, 1, 1 },
		"with a MAC that moves":         func(b *netlink.Bond) { b.Mode, b.Miimon, b.FailOverMac = 1, 100, 1 },
		"with load balancing":           func(b *netlink.Bond) { b.Mode, b.TlbDynamicLb = 5, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "eth0", "eth1", "eth2")
			bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
			made(bond)
			hand := h.hand()
			hand.must("bond0", hand.LinkAdd(bond))
			hand.enslave("bond0", "eth0", "eth1")
			hand.up("bond0")
			hand.addAddress("bond0", "198.51.100.1/24", "2001:db8:1::1/64")
			before := h.look()
			for _, options := range []string{`mode: 4, updelay: 200, lacp_rate: fast`, `mode: 1, fail_over_mac: follow, primary: eth1, downdelay: 300`, `mode: 0, arp_interval: 50000, arp_ip_target: 192.0.2.9, arp_validate: all`} {
				h.withoutIPv6("eth2")
				op, err := h.tryApply(`host_nics: [{name: bond0, mtu: 3000, bonding: {options: {` + options + `}, slaves: [eth0, eth1]}}, {name: eth2, ipv6: {address: "2001:db8::1", prefix: 64}}]`)
				if err != nil || op.State != engine.RolledBack {
					t.Fatalf("%s: %v, %s, %v", options, err, op.State, op.Err)
				}
				h.unchanged(before)
			}
		})
	}
}
