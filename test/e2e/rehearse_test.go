//go:build kernel

package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestRehearsal asks for what only the kernel knows to be impossible: IPv6 on a NIC
// where somebody has switched it off, in the middle of a larger change. The rehearsal
// finds it while the host is untouched; without one the change is begun and taken
// back.
func TestRehearsal(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	h.ns.Do(func() {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth3/disable_ipv6", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	})
	h.start()
	h.stage(bonded)
	if out, code := h.try("check"); code != 10 || !strings.Contains(out, "the kernel takes all of it") || !strings.Contains(out, "not told by it: whether LACP finds a partner for bond0") {
		t.Errorf("check of what is possible: exit code %d\n%s", code, out)
	}
	h.run("commit")
	before := h.look()
	h.stage(`host_nics: [{name: bond0, mtu: 4000}, {name: bond0.10, mtu: 4000}, {name: bond0.20, mtu: 1500}, {name: eth3, ipv6: {address: "2001:db8:3::1", prefix: 64}}]`)
	const refusal = "ip addr add 2001:db8:3::1/64 dev eth3: kernel: "
	for _, command := range [][]string{{"check"}, {"apply"}, {"commit"}, {"apply", "--revert-after", "60s"}} {
		if out := h.refused("refuses the change in a rehearsal", before, command...); !strings.Contains(out, refusal) {
			t.Errorf("agentctl %v does not give the kernel's words:\n%s", command, out)
		}
	}
	if out, code := h.try("apply", "--no-rehearse"); code != 4 || !strings.Contains(out, refusal) {
		t.Errorf("without a rehearsal: exit code %d\n%s", code, out)
	}
	if now := h.look(); now != before {
		t.Errorf("not taken back:\n%s", now)
	}
}

// TestRehearsalNotPermitted is a daemon that may change the network but not make
// namespaces: it says so, and goes on without.
func TestRehearsalNotPermitted(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.wrapper = []string{"setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"}
	h.start()
	h.stage(bonded)
	if out, code := h.try("check"); code != 10 || !strings.Contains(out, "not rehearsed: there can be no rehearsal: new network namespace: operation not permitted") {
		t.Errorf("check: exit code %d\n%s", code, out)
	}
	if out := h.run("commit"); !strings.Contains(out, "rehearsing   skipped: ") {
		t.Errorf("commit:\n%s", out)
	}
}
