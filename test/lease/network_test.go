//go:build kernel

package lease

import (
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

const onBond = `host_nics:
- {name: bond0, bonding: {options: {mode: active-backup, fail_over_mac: active}, slaves: [eth0, eth1]}, boot_protocol: dhcp}
- {name: bond0.100, vlan: {id: 100}, base_interface: bond0, boot_protocol: dhcp}
`

// bonded is a host whose two NICs end in a bridge br0, with VLAN 100 on it.
func bonded(t *testing.T) *host {
	t.Helper()
	need.Kernel(t, need.Bridge)
	h := newHost(t, 2, "")
	h.Far.Bridge(t, "br0", "s0", "s1")
	h.Far.IP(t, "link", "add", "link", "br0", "name", "br0.100", "type", "vlan", "id", "100")
	h.Far.Up(t, "br0.100")
	return h
}

// A server behind a VLAN on a bond, and one on the bond itself. Both name a router:
// there is a default route for each, and the first NIC's is used. The MTU that one asks
// for would lower the VLAN's, and is not taken.
func TestScenario_D02(t *testing.T) { // and TestScenario_D07, TestScenario_D16, TestFault_E25
	t.Parallel()
	h := bonded(t)
	parent := h.dnsmasq("br0", "198.51.100.1/24", "198.51.100.100,198.51.100.150", "--dhcp-option=option:mtu,1400")
	vlan := h.dnsmasq("br0.100", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onBond, "--wait", "30s")
	bond, tagged := h.leased("bond0", "198.51.100.1"), h.leased("bond0.100", "192.0.2.1")
	same(t, "routes", h.routes(), "0.0.0.0/0 via 198.51.100.1 dev bond0 metric 1000\n0.0.0.0/0 via 192.0.2.1 dev bond0.100 metric 1001")
	same(t, "MTU", []int{h.show("bond0").MTU, h.show("bond0.100").MTU}, []int{1500, 1500})
	h.settled()

	// The active slave fails, and the bond has another MAC: to the server it is the same
	// client.
	discovered := parent.Count("DHCPDISCOVER(") + vlan.Count("DHCPDISCOVER(")
	mac := h.macOf("bond0")
	h.Far.Down(t, "s0")
	h.eventually("the other slave is active", func() bool { return h.macOf("bond0") != mac })
	before := h.show("bond0.100").Lease.Obtained
	h.run("renew", "bond0.100")
	h.eventually("the lease is renewed", func() bool { return h.show("bond0.100").Lease.Obtained.After(before) })
	same(t, "addresses", h.addresses("bond0")+" "+h.addresses("bond0.100"), bond+" "+tagged)
	same(t, "discovered", parent.Count("DHCPDISCOVER(")+vlan.Count("DHCPDISCOVER("), discovered)

	// The bond goes, and everything with it.
	h.Stage(`removed: [bond0, bond0.100]`)
	h.run("apply")
	same(t, "routes", h.routes(), "")
	h.settled()
}

func (h *host) macOf(nic string) string {
	s := h.look()
	if l := s.ByName(nic); l != nil {
		return l.MAC
	}
	return ""
}

// Nobody speaks LACP at the other end: the bond is used all the same, after a while.
func TestLeaseWithoutLACP(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(`host_nics: [{name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth0]}, boot_protocol: dhcp}]`)
	h.eventually("the client waits", func() bool { return h.show("bond0").Lease.State == "waiting" })
	same(t, "discovered", d.Count("DHCPDISCOVER("), 0)
	h.leased("bond0", "192.0.2.1")
}

// The server is silent after the lease: at its end the address and the routes go within
// a second, and when it comes back there is a lease again.
func TestFault_E11(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.NS.Up(t, "eth0") // or the server has nothing to listen to
	d := h.kea("s0", "192.0.2.1/24", "192.0.2.0/24", "192.0.2.100", "192.0.2.150", 30)
	h.apply(onDHCP, "--wait", "30s")
	d.Pause()
	end := h.show("eth0").Lease.Expires
	h.eventually("the address is gone", func() bool { return h.addresses("eth0") == "" && h.routes() == "" })
	late := time.Since(end)
	if h.eventually("the client asks again", func() bool { return h.show("eth0").Lease.State == "selecting" }); late < -time.Second || late > 10*time.Second {
		t.Errorf("the address went %v after the end of the lease", late)
	}
	d.Resume()
	h.leased("eth0", "192.0.2.1")
	h.settled()
}

// The pool moves to another subnet: the server says NAK, the old address goes with its
// routes, and another one comes. The link is lost and found again in between.
func TestScenario_D18(t *testing.T) { // and TestFault_E4, TestFault_E12
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onDHCP, "--wait", "30s")
	have := h.addresses("eth0")
	h.Far.Down(t, "s0")
	h.eventually("the carrier is lost", func() bool { return strings.Contains(h.run("nics"), "no carrier") })
	same(t, "addresses without a carrier", h.addresses("eth0"), have)
	d.Stop()
	h.Far.IP(t, "addr", "flush", "dev", "s0")
	h.Far.Up(t, "s0")
	h.dnsmasq("s0", "198.51.100.1/24", "198.51.100.100,198.51.100.150")
	h.leased("eth0", "198.51.100.1")
	h.eventually("only the new routes are there", func() bool { return h.routes() == "0.0.0.0/0 via 198.51.100.1 dev eth0 metric 1000" })
	h.settled()
}

// Another server than those that are allowed is not listened to, and a route that covers
// the control plane is not taken.
func TestFault_E7(t *testing.T) { // and TestFault_E14
	t.Parallel()
	h := newHost(t, 2, "dhcp: {conflict_detection: false, servers: [192.0.2.1]}\ncontrol_plane: [10.9.8.7]")
	h.Far.Bridge(t, "br0", "s0")
	h.dnsmasq("br0", "192.0.2.1/24", "192.0.2.100,192.0.2.150", "--dhcp-option=121,10.9.0.0/16,192.0.2.9,10.10.0.0/16,192.0.2.9,0.0.0.0/0,192.0.2.1")
	h.dnsmasq("s1", "198.51.100.1/24", "198.51.100.100,198.51.100.150")
	h.apply(`host_nics: [{name: eth0, boot_protocol: dhcp}, {name: eth1, boot_protocol: dhcp}]`, "--force")
	h.leased("eth0", "192.0.2.1")
	h.eventually("the routes are there", func() bool {
		return h.routes() == "0.0.0.0/0 via 192.0.2.1 dev eth0 metric 1000\n10.10.0.0/16 via 192.0.2.9 dev eth0 metric 1000"
	})
	h.eventually("the refusal is shown", func() bool { return strings.HasPrefix(h.show("eth1").Lease.Refusal, "198.51.100.1: ") })
	same(t, "addresses of eth1", h.addresses("eth1"), "")
}

// As things are unless somebody sets them otherwise: the address that is offered first
// is somebody else's, and another one is taken. Two NICs of the host in the same network
// are not taken for others.
func TestScenario_D22(t *testing.T) { // and TestFault_E8, TestFault_E24
	t.Parallel()
	h := newHost(t, 2, "allow_overlap: true")
	other := netns.New(t)
	other.Veth(t, "o0", h.Far, "s9")
	other.Up(t, "o0")
	other.IP(t, "addr", "add", "192.0.2.100/24", "dev", "o0")
	h.Far.Bridge(t, "br0", "s0", "s1", "s9")
	h.Far.Up(t, "s0", "s1", "s9")
	d := h.kea("br0", "192.0.2.1/24", "192.0.2.0/24", "192.0.2.100", "192.0.2.105", 600)
	h.apply(`host_nics: [{name: eth0, boot_protocol: dhcp}, {name: eth1, boot_protocol: dhcp}]`)
	first, second := h.leased("eth0", "192.0.2.10"), h.leased("eth1", "192.0.2.10")
	if first == second || strings.HasPrefix(first, "192.0.2.100/") || strings.HasPrefix(second, "192.0.2.100/") {
		t.Errorf("addresses %s and %s", first, second)
	}
	same(t, "declined", d.Count("DHCP4_DECLINE_LEASE "), 1)
	h.settled()
}
