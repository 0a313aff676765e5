//go:build kernel

package dhcp

import (
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/test/need"
)

// bonded makes bond0 of eth0 and eth1, eth0 active, with VLAN 100 on it; the other ends
// are ports of br0, which has VLAN 100 too.
func bonded(t *testing.T) *bed {
	t.Helper()
	need.Kernel(t, need.Bond, need.VLAN, need.Bridge)
	b := newBed(t, 2)
	b.host.Down(t, "eth0", "eth1")
	b.host.IP(t, "link", "add", "bond0", "type", "bond", "mode", "active-backup", "miimon", "100", "fail_over_mac", "active")
	b.host.IP(t, "link", "set", "eth0", "master", "bond0")
	b.host.IP(t, "link", "set", "eth1", "master", "bond0")
	b.host.Up(t, "bond0")
	b.host.IP(t, "link", "add", "link", "bond0", "name", "bond0.100", "type", "vlan", "id", "100")
	b.host.Up(t, "bond0.100")
	b.far.Bridge(t, "br0", "s0", "s1")
	b.far.IP(t, "link", "add", "link", "br0", "name", "br0.100", "type", "vlan", "id", "100")
	b.far.Up(t, "br0.100")
	b.eventually("eth0 is active", func() bool { return b.look("bond0").MAC == b.look("eth0").MAC && b.look("bond0").Ready })
	return b
}

// failOver pulls the cable of the active slave. With fail_over_mac the bond then has
// the MAC of the other one.
func (b *bed) failOver() {
	b.Helper()
	b.far.Down(b, "s0")
	b.eventually("eth1 is active", func() bool { return b.look("bond0").MAC == b.look("eth1").MAC })
	for _, nic := range []string{"bond0", "bond0.100"} {
		b.Link(nic, b.look(nic))
	}
}

// A server behind a VLAN on a bond, and another one on the bond itself: each client
// gets what is meant for it.
func TestScenario_D02(t *testing.T) {
	b := bonded(t)
	parent := b.dnsmasq("br0", "198.51.100.1/24", "198.51.100.100,198.51.100.150")
	vlan := b.dnsmasq("br0.100", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	b.begin("bond0.100", nil)
	b.begin("bond0", nil)
	b.bound("bond0.100", "192.0.2.1")
	b.bound("bond0", "198.51.100.1")
	same(t, "both were asked", parent.Count("DHCPACK(") > 0 && vlan.Count("DHCPACK(") > 0, true)
}

// The active slave fails in the middle of an exchange, and later with a lease in use.
func TestFault_E25_Real(t *testing.T) {
	b := bonded(t)
	d := b.dnsmasq("br0.100", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	d.Pause()
	b.begin("bond0.100", nil)
	b.until("bond0.100", Selecting)
	b.failOver()
	d.Resume()
	lease := b.bound("bond0.100", "192.0.2.1")
	b.far.Up(t, "s0")
	b.eventually("eth0 has a link", func() bool { return b.look("eth0").Ready })
	b.far.Down(t, "s1")
	b.eventually("eth0 is active", func() bool { return b.look("bond0").MAC == b.look("eth0").MAC })
	b.Link("bond0.100", b.look("bond0.100"))
	if err := b.Renew(t.Context(), "bond0.100"); err != nil {
		t.Fatal(err)
	}
	b.boundWhen("bond0.100", lease.Address.String(), func(l *netcfg.Lease) bool { return l.Obtained > lease.Obtained })
	same(t, "history", b.history("bond0.100"), "- "+lease.Address.String())
}
