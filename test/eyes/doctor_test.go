//go:build kernel

package eyes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/test/need"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// diagnosis is what agentctl doctor finds, by rule and NIC.
func (h *host) diagnosis() map[string]*hostnicv1.Finding {
	h.T.Helper()
	var answer hostnicv1.ExamineResponse
	h.read(&answer, "doctor")
	found := map[string]*hostnicv1.Finding{}
	for _, f := range answer.GetFindings() {
		found[strings.TrimSpace(f.GetRule()+" "+f.GetNic())] = f
	}
	return found
}

// The doctor finds nothing on a host that is well; and each thing that goes wrong there,
// with what was seen, until it is right again.
func TestDoctor(t *testing.T) {
	need.Kernel(t, need.Own, need.LACP)
	h := newHost(t, "eth0", "eth1", "eth2")
	h.start()
	h.commit(`host_nics:
- {name: bond0, bonding: {options: {mode: active-backup}, slaves: [eth0, eth1]}, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}}`)
	h.eventually("a host that is well", func() bool {
		found := h.diagnosis()
		delete(found, "clock-free") // user-mode Linux has nobody for it
		return len(found) == 0
	})
	index := h.nic("bond0").GetIndex()
	for _, test := range []struct {
		name, rule, seen string
		do, undo         func()
	}{
		{"a cable pulled", "slave-down eth1", "mii_status down", func() { h.Far.Down(t, "p-eth1") }, func() { h.Far.Up(t, "p-eth1") }},
		{"another manager", "other-manager bond0", "ADMIN_STATE=configured", func() {
			h.writeAt("/run/systemd/units/invocation:systemd-networkd.service", "")
			h.writeAt(fmt.Sprint("/run/systemd/netif/links/", index), "ADMIN_STATE=configured\n")
		}, func() { h.writeAt(fmt.Sprint("/run/systemd/netif/links/", index), "ADMIN_STATE=unmanaged\n") }},
		{"another default route", "several-default-routes", "192.0.2.253", func() {
			h.NS.IP(t, "route", "append", "default", "via", "192.0.2.253", "dev", "bond0")
		}, func() { h.NS.IP(t, "route", "del", "default", "via", "192.0.2.253", "dev", "bond0") }},
		{"a MAC twice", "duplicate-mac bond0", "eth2", func() {
			h.NS.IP(t, "link", "set", "eth2", "address", h.nic("bond0").GetMac().GetAddress())
		}, func() { h.NS.IP(t, "link", "set", "eth2", "address", "02:00:00:00:00:77") }},
		{"nobody watches", "bond-unmonitored bond0", "miimon 0", func() { h.NS.IP(t, "link", "set", "bond0", "type", "bond", "miimon", "0") },
			func() { h.NS.IP(t, "link", "set", "bond0", "type", "bond", "miimon", "100") }},
		{"drift", "drift bond0", "1400", func() { h.NS.IP(t, "link", "set", "bond0", "mtu", "1400") }, func() { h.NS.IP(t, "link", "set", "bond0", "mtu", "1500") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.T = t
			test.do()
			h.eventually(test.rule, func() bool {
				f := h.diagnosis()[test.rule]
				return f != nil && strings.Contains(strings.Join(f.GetEvidence(), "; "), test.seen) && f.GetRemedy() != ""
			})
			test.undo()
			h.eventually("no more "+test.rule, func() bool { return h.diagnosis()[test.rule] == nil })
		})
	}
	h.T = t
	h.commit(`host_nics: [{name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth0, eth1]}}]`)
	h.eventually("nobody at the other end", func() bool { return h.diagnosis()["lacp-no-partner bond0"] != nil })
	out, code := h.Try("doctor")
	if code != 10 || !strings.Contains(out, "error: bond0: nobody answers LACP at the other end") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
