//go:build kernel

package scenario

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Static routes, and tables and rules of networks (R10, R12), come with their own
// issues; here are default gateways and the routes of others.

func TestScenario_R01(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`
host_nics:
- {name: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}, ipv6: {address: "2001:db8::10", prefix: 64, gateway: "fe80::1"}}
- {name: eth1, ip: {address: 10.1.0.2, netmask: 24}}
`)
	h.settled()
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth0 ::/0 via fe80::1 dev eth0]")
	for _, r := range h.defaults() {
		same(t, "protocol", r.Protocol, state.ProtocolHostnic)
	}
}

// defaults are the default routes of the main table.
func (h *host) defaults() []state.Route {
	return slices.DeleteFunc(h.look().Routes, func(r state.Route) bool { return r.Dst.Bits() != 0 || r.Table != state.MainTable })
}

func TestScenario_R02(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}, "ipv6": {"address": "2001:db8::10", "prefix": 64, "gateway": "2001:db8::1"}}]}`)
	op := h.apply(`{"host_nics": [{"name": "eth0", "ip": {"gateway": "192.0.2.2"}, "ipv6": {"gateway": "2001:db8::2"}}]}`)
	h.settled()
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.2 dev eth0 ::/0 via 2001:db8::2 dev eth0]")
	same(t, "writes: one for each family, with no moment without a route", op.Writes, 2)
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "198.51.100.10", "gateway": "198.51.100.1"}, "ipv6": {"address": "2001:db8:1::10", "gateway": "2001:db8:1::1"}}]}`)
	h.settled()
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 198.51.100.1 dev eth0 ::/0 via 2001:db8:1::1 dev eth0]")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"gateway": null}, "ipv6": {"gateway": null}}]}`)
	h.settled()
	same(t, "routes", h.routes(), "[]")
}

// The default gateway moves to another NIC, and is never there twice.
func TestScenario_R02_anotherNIC(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`
host_nics:
- {name: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}, ipv6: {address: "2001:db8::10", prefix: 64, gateway: "2001:db8::1"}}
- {name: eth1, ip: {address: 10.1.0.2, netmask: 24}, ipv6: {address: "2001:db8:1::10", prefix: 64}}
`)
	h.apply(`
host_nics:
- {name: eth0, ip: {gateway: null}, ipv6: {gateway: null}}
- {name: eth1, ip: {gateway: 10.1.0.1}, ipv6: {gateway: "2001:db8:1::1"}}
`)
	h.settled()
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 10.1.0.1 dev eth1 ::/0 via 2001:db8:1::1 dev eth1]")
}

// A NIC without a gateway leaves the host's default route alone, whoever made it.
// One with a gateway does not take its place by force.
func TestScenario_R05(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.hand().up("eth1")
	h.hand().addAddress("eth1", "192.0.2.10/24", "2001:db8::10/64")
	h.hand().addRoute("0.0.0.0/0", "192.0.2.1", "eth1")
	h.hand().addRoute("::/0", "2001:db8::1", "eth1")
	before := h.defaults()
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "10.1.0.2", "netmask": "24"}, "ipv6": {"address": "2001:db8:1::2", "prefix": 64}}]}`)
	h.settled()
	same(t, "default routes", h.defaults(), before)
	h.refuse(`{"host_nics": [{"name": "eth0", "ip": {"gateway": "10.1.0.1"}}]}`, "route-taken")
	h.refuse(`{"host_nics": [{"name": "eth0", "ipv6": {"gateway": "2001:db8:1::1"}}]}`, "route-taken")
	same(t, "default routes", h.defaults(), before)
}

func TestScenario_R06(t *testing.T) {
	h := newHost(t, "eth0")
	h.hand().up("eth0")
	h.hand().addAddress("eth0", "192.0.2.10/24", "2001:db8::10/64")
	h.hand().addRoute("198.51.100.0/24", "192.0.2.1", "eth0", protocol(unix.RTPROT_BIRD))
	h.hand().addRoute("198.51.100.0/24", "192.0.2.2", "eth0", metric(7))
	h.hand().addRoute("203.0.113.0/24", "192.0.2.2", "eth0", protocol(unix.RTPROT_BGP), table(100))
	h.hand().addRoute("203.0.113.128/25", "", "eth0")
	h.hand().addRoute("2001:db8:5::/48", "2001:db8::1", "eth0", protocol(unix.RTPROT_OSPF))
	h.hand().addRoute("2001:db8:6::/48", "2001:db8::2", "eth0", table(100))
	before := h.others()
	for _, doc := range []string{
		`{"host_nics": [{"name": "eth0", "ip": {"address": "10.1.0.2", "netmask": "24", "gateway": "10.1.0.1"}}]}`,
		`{"host_nics": [{"name": "eth0", "ip": {"address": "10.2.0.2", "gateway": "10.2.0.1"}, "ipv6": {"address": "2001:db8:1::2", "prefix": 64, "gateway": "2001:db8:1::1"}, "mtu": 1400}]}`,
		`{"host_nics": [{"name": "eth0", "ip": null, "ipv6": null, "mac": {"address": "52:54:00:12:34:56"}}]}`,
		`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.20", "netmask": "24"}, "mac": null}]}`,
		`{"host_nics": [{"name": "eth0", "ip": null}]}`,
	} {
		h.apply(doc)
		h.settled()
		same(t, "routes of others after "+doc, h.others(), before)
	}
}

// others are the routes that are neither the kernel's nor the agent's.
func (h *host) others() []state.Route {
	return slices.DeleteFunc(h.look().Routes, func(r state.Route) bool {
		return r.Protocol == state.ProtocolKernel || r.Protocol == state.ProtocolHostnic
	})
}

// A gateway that cannot be reached is refused with the document; one that the
// kernel does not take after all takes the address back with it.
func TestScenario_R07(t *testing.T) {
	h := newHost(t, "eth0")
	doc := `{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "%s"}}]}`
	h.refuse(fmt.Sprintf(doc, "198.51.100.1"), "gateway-outside")
	h.refuse(fmt.Sprintf(doc, "192.0.2.10"), "gateway-own")
	before := h.look()
	h.inject(func(op plan.Op) syscall.Errno {
		if op.Action == plan.RouteAdd {
			return unix.ENETUNREACH
		}
		return 0
	})
	h.rolledBack(fmt.Sprintf(doc, "192.0.2.1"))
	h.unchanged(before)
}

func TestScenario_R08(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`
host_nics:
- name: bond0
  bonding: {options: {mode: 802.3ad}, slaves: [eth0, eth1]}
- name: bond0.100
  vlan: {id: 100}
  base_interface: bond0
  ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}
  ipv6: {address: "2001:db8::10", prefix: 64, gateway: "2001:db8::1"}
`)
	want := "[0.0.0.0/0 via 192.0.2.1 dev bond0.100 ::/0 via 2001:db8::1 dev bond0.100]"
	same(t, "routes", h.routes(), want)
	h.far.Down(t, "p-eth0", "p-eth1")
	eventually(t, "the bond has lost its carrier", func() bool { return !h.link("bond0").Carrier })
	h.settled()
	same(t, "routes without a carrier", h.routes(), want)
	h.far.Up(t, "p-eth0", "p-eth1")
	eventually(t, "the bond has a carrier", func() bool { return h.link("bond0").Carrier })
	h.settled()
	same(t, "routes", h.routes(), want)
	// An option that the bond has to be down for.
	op := h.apply(`{"host_nics": [{"name": "bond0", "bonding": {"options": {"lacp_rate": "fast"}}}]}`)
	h.settled()
	same(t, "routes after the agent's own bounce", h.routes(), want)
	same(t, "disrupted", len(op.Disrupted), 2)
	// Somebody's hand: reported, and mended by the next apply.
	h.hand().down("bond0")
	h.hand().up("bond0")
	same(t, "routes after a bounce by hand", h.routes(), "[]")
	drift := fmt.Sprint(h.Drift(h.look()))
	same(t, "drift", drift, "[{host_nics[bond0.100].addresses[2001:db8::10/64] present absent false }"+
		" {host_nics[bond0.100].routes[0.0.0.0/0 via 192.0.2.1] present absent false } {host_nics[bond0.100].routes[::/0 via 2001:db8::1] present absent false }]")
	h.apply(`{}`)
	h.settled()
	same(t, "routes", h.routes(), want)
}

// The very route that the document asks for is there already: no error, and one
// route. When the agent lets go of the NIC, it is left as it was found.
func TestScenario_R09(t *testing.T) {
	h := newHost(t, "eth0")
	h.hand().up("eth0")
	h.hand().addAddress("eth0", "192.0.2.10/24")
	h.hand().addRoute("0.0.0.0/0", "192.0.2.1", "eth0")
	before := h.look()
	doc := `{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}}]}`
	op := h.apply(doc)
	h.settled()
	same(t, "writes", op.Writes, 0)
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth0]")
	same(t, "writes of the second apply", h.apply(doc).Writes, 0)
	h.replace(`{}`)
	h.unchanged(before)
	// What was taken over can be changed, too.
	h.apply(doc)
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"gateway": "192.0.2.2"}}]}`)
	h.settled()
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.2 dev eth0]")
	h.replace(`{}`)
	h.unchanged(before)
}

// Routes of others live on the agent's own addresses: they stay when the address
// changes, within the subnet and to another one.
func TestScenario_R06_ownAddress(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}, "ipv6": {"address": "2001:db8::10", "prefix": 64}}]}`)
	h.hand().addRoute("198.51.100.0/24", "192.0.2.1", "eth0", protocol(unix.RTPROT_BIRD))
	h.hand().addRoute("203.0.113.128/25", "", "eth0")
	h.hand().addRoute("10.77.0.0/16", "203.0.113.129", "eth0", table(100))
	h.hand().addRoute("2001:db8:5::/48", "2001:db8::1", "eth0", protocol(unix.RTPROT_BIRD))
	before := h.others()
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.11"}, "ipv6": {"address": "2001:db8::11"}}]}`)
	h.settled()
	same(t, "routes of others after a change within the subnet", h.others(), before)
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "10.1.0.2", "gateway": "10.1.0.1"}, "ipv6": {"address": "2001:db8:1::2"}}]}`)
	h.settled()
	same(t, "routes of others after a change of the subnet", h.others(), before)
	same(t, "addresses", h.addresses("eth0"), "[10.1.0.2/24 2001:db8:1::2/64]")
	// Put back after that, the route says that its gateway is on the link.
	h.failOnce(plan.RouteAdd, unix.EINVAL)
	h.rolledBack(`{"host_nics": [{"name": "eth0", "ip": null}]}`)
	after := h.others()
	for i := range after {
		if after[i].Gateway == prefix("192.0.2.1/32").Addr() {
			same(t, "flags", after[i].Flags, plan.FlagOnlink)
			after[i].Flags = 0
		}
	}
	same(t, "routes of others after a rollback", after, before)
}

// With its last IPv4 address a link loses its IPv4 routes. Those of others that need
// no gateway are put back; the others cannot be, and a warning says so. Undone, all
// of them come back.
func TestScenario_R06_lastAddress(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}}]}`)
	h.hand().addRoute("198.51.100.0/24", "192.0.2.1", "eth0", protocol(unix.RTPROT_BIRD))
	h.hand().addRoute("203.0.113.128/25", "", "eth0")
	h.hand().addRoute("10.77.0.0/16", "203.0.113.129", "eth0", table(100))
	h.warns(`{"host_nics": [{"name": "eth0", "ip": null}]}`, plan.RouteAdd, "route-stranded")
	var left []string
	for _, r := range h.others() {
		left = append(left, r.Dst.String())
	}
	same(t, "routes of others left", left, "[10.77.0.0/16 203.0.113.128/25]")
}

func TestScenario_R11(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.hand().up("eth1")
	h.hand().addAddress("eth1", "10.5.0.2/24")
	h.hand().addRoute("10.6.0.0/16", "10.5.0.1", "eth1")
	before := h.look().Routes
	h.apply(`
host_nics:
- {name: eth0.5, vlan: {id: 5}, base_interface: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.1}}
- {name: eth0.6, vlan: {id: 6}, base_interface: eth0, ip: {address: 10.1.0.2, netmask: 24}}
`)
	h.apply(`{"removed": ["eth0.5"]}`)
	h.settled()
	same(t, "routes", h.routes(), "[10.6.0.0/16 via 10.5.0.1 dev eth1]")
	h.apply(`{"removed": ["eth0.6"]}`)
	same(t, "IPv4 routes", ipv4(h.look().Routes), ipv4(before))
}

func ipv4(routes []state.Route) []state.Route {
	return slices.DeleteFunc(slices.Clone(routes), func(r state.Route) bool { return r.Dst.Addr().Is6() })
}

// A route deleted by hand is reported, and put back by the next apply.
func TestScenario_R13(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "192.0.2.1"}, "ipv6": {"address": "2001:db8::10", "prefix": 64, "gateway": "2001:db8::1"}}]}`)
	h.hand().delRoute("0.0.0.0/0", "192.0.2.1", "eth0", protocol(state.ProtocolHostnic))
	h.hand().delRoute("::/0", "2001:db8::1", "eth0", protocol(state.ProtocolHostnic))
	same(t, "drift", h.Drift(h.look()), "[{host_nics[eth0].routes[0.0.0.0/0 via 192.0.2.1] present absent false } {host_nics[eth0].routes[::/0 via 2001:db8::1] present absent false }]")
	h.apply(`{}`)
	h.settled()
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth0 ::/0 via 2001:db8::1 dev eth0]")
}

func TestScenario_R14(t *testing.T) {
	h := newHost(t, "eth0")
	h.refuse(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.10", "netmask": "24", "gateway": "2001:db8::1"}}]}`, "gateway")
	h.refuse(`{"host_nics": [{"name": "eth0", "ipv6": {"address": "2001:db8::10", "prefix": 64, "gateway": "192.0.2.1"}}]}`, "gateway")
	h.refuse(`{"routes": [{"destination": "198.51.100.0/24", "gateway": "2001:db8::1"}]}`, "route-family")
	same(t, "routes", h.routes(), "[]")
}
