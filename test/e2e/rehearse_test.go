//go:build kernel

package e2e

import (
	"os"
	"strings"
	"testing"
)

const bonded = `
host_nics:
- {name: eth0, mtu: 9000, ip: {address: 192.0.2.1, netmask: '24'}}
- {name: bond0, mtu: 9000, bonding: {options: {mode: 802.3ad}, slaves: [eth1, eth2]}}
- {name: bond0.10, vlan: {id: 10}, base_interface: bond0, ip: {address: 10.1.0.1, netmask: '24', gateway: 10.1.0.254}, ipv6: {address: "2001:db8:1::1", prefix: 64}}
- {name: bond0.20, vlan: {id: 20}, base_interface: bond0, ip: {address: 10.2.0.1, netmask: '24'}, additional_ips: [10.2.0.2/24]}
`

// TestRehearsal asks for what only the kernel knows to be impossible: IPv6 on a NIC
// where somebody has switched it off, in the middle of a larger change. The rehearsal
// finds it while the host is untouched; without one the change is begun and taken
// back.
func TestRehearsal(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	h.NS.Do(func() {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth3/disable_ipv6", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	})
	h.Start()
	h.Stage(bonded)
	if out, code := h.Try("check"); code != 10 || !strings.Contains(out, "the kernel takes all of it") || !strings.Contains(out, "not told by it: whether LACP finds a partner for bond0") {
		t.Errorf("check of what is possible: exit code %d\n%s", code, out)
	}
	h.Run("commit")
	before := h.Look()
	h.Stage(`host_nics: [{name: bond0, mtu: 4000}, {name: bond0.10, mtu: 4000}, {name: bond0.20, mtu: 1500}, {name: eth3, ipv6: {address: "2001:db8:3::1", prefix: 64}}]`)
	const refusal = "ip addr add 2001:db8:3::1/64 dev eth3: kernel: "
	for _, command := range [][]string{{"check"}, {"apply"}, {"commit"}, {"apply", "--revert-after", "60s"}} {
		if out := h.refused("refuses the change in a rehearsal", before, command...); !strings.Contains(out, refusal) {
			t.Errorf("agentctl %v does not give the kernel's words:\n%s", command, out)
		}
	}
	if out, code := h.Try("apply", "--no-rehearse"); code != 4 || !strings.Contains(out, refusal) {
		t.Errorf("without a rehearsal: exit code %d\n%s", code, out)
	}
	if now := h.Look(); now != before {
		t.Errorf("not taken back:\n%s", now)
	}
}

// TestRehearsalNotPermitted is a daemon that may change the network but not make
// namespaces: it says so, and goes on without.
func TestRehearsalNotPermitted(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.Wrapper = []string{"setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"}
	h.Start()
	h.Stage(bonded)
	if out, code := h.Try("check"); code != 10 || !strings.Contains(out, "not rehearsed: there can be no rehearsal: new network namespace: operation not permitted") {
		t.Errorf("check: exit code %d\n%s", code, out)
	}
	if out := h.Run("commit"); !strings.Contains(out, "rehearsing   skipped: ") {
		t.Errorf("commit:\n%s", out)
	}
}
