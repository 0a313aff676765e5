//go:build kernel

package scenario

import "testing"

// rack is the host of the front page.
const rack = `
host_nics:
- name: bond0
  mtu: 9000
  bonding:
    options: {mode: 802.3ad, lacp_rate: fast}
    slaves: [eth0, eth1]
- name: bond0.100
  vlan: {id: 100}
  base_interface: bond0
  ip: {address: 10.0.100.2, netmask: 255.255.255.0}
  ipv6: {address: "fd00:100::2", prefix: 64}
- name: bond0.200
  vlan: {id: 200}
  base_interface: bond0
  ip: {address: 10.0.200.2, netmask: 255.255.255.0}
  ipv6: {address: "fd00:200::2", prefix: 64}
- name: eth2
  ip: {address: 192.0.2.10, netmask: 255.255.255.0, gateway: 192.0.2.1}
`

func TestRack(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	before := h.look()
	h.apply(rack)
	h.settled()
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	same(t, "mode", h.option("bond0", "mode"), "802.3ad")
	same(t, "VLAN addresses", h.addresses("bond0.100"), "[10.0.100.2/24 fd00:100::2/64]")
	same(t, "slave MTU", h.link("eth1").MTU, 9000)
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth2]")
	h.commit()
	if n := h.restart(); n != 0 {
		t.Errorf("a restart wrote %d requests to the kernel", n)
	}
	h.settled()
	h.apply(`{"removed": ["bond0", "bond0.100", "bond0.200"], "host_nics": [{"name": "eth2", "ip": null}]}`)
	h.absent("bond0", "bond0.100", "bond0.200")
	for _, l := range before.Links {
		now := h.link(l.Name)
		same(t, l.Name+" MAC, MTU", []any{now.MAC, now.MTU}, []any{l.MAC, l.MTU})
	}
	same(t, "addresses of eth2", h.addresses("eth2"), "[]")
}
