package plan_test

import (
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// TestCast wants no more links on the stage than a plan can meet.
func TestCast(t *testing.T) {
	for _, c := range []struct{ name, to, want string }{
		{"a VLAN more", `host_nics: [{vlan: {id: 300}, base_interface: bond0}]`, "eth0 eth1 bond0"},
		{"a live option", `host_nics: [{name: bond0, bonding: {options: {mode: 802.3ad, miimon: 50}}}]`, "eth0 eth1 bond0"},
		{"the MTU of all", `host_nics: [{name: bond0, mtu: 9000}]`, "eth0 eth1 bond0 bond0.200"},
		{"a NIC alone", `host_nics: [{name: eth2, ip: {address: 198.51.100.1, netmask: "24"}}]`, "eth2"},
		{"the same default route", `host_nics: [{name: bond0.200, ip: {gateway: null}}, {name: eth3, ip: {gateway: 192.0.2.254}}]`, "eth0 eth1 eth3 bond0 bond0.200"},
		{"a VLAN less", `removed: [bond0.200]`, ""},
		{"a bond less", `removed: [bond0.200, bond0]`, "eth0 eth1 bond0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, p := change(t, managed, c.to)
			var got []string
			for _, l := range plan.Cast(before, p).Links {
				got = append(got, l.Name)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}
