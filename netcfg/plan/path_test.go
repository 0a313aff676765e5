package plan_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// managed is a host that is managed over bond0.200, with a second way out.
const managed = `
host_nics:
- {name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth0, eth1]}}
- {name: bond0.200, vlan: {id: 200}, base_interface: bond0, ip: {address: 10.2.0.2, netmask: "24", gateway: 10.2.0.1}}
- {name: eth3, ip: {address: 192.0.2.1, netmask: "24"}, ipv6: {address: "2001:db8::2", prefix: 64, gateway: "2001:db8::1"}}
`

func TestCuts(t *testing.T) {
	const (
		far, near, six = "203.0.113.9 to 10.2.0.2", "192.0.2.77 to 192.0.2.1", "2001:db8:ffff::9"
	)
	for _, c := range []struct{ name, to, path, want string }{
		{"nothing to do", `host_nics: [{name: eth3}]`, far, ""},
		{"a live option", `host_nics: [{name: bond0, bonding: {options: {mode: 802.3ad, miimon: 50}}}]`, far, ""},
		{"something else", `host_nics: [{name: eth3, mtu: 1400}]`, far, ""},
		{"one slave of two", `host_nics: [{name: bond0, bonding: {slaves: [eth0, eth2]}}]`, far, ""},
		{"both slaves", `host_nics: [{name: bond0, bonding: {slaves: [eth2]}}]`, far, "bond0.200: all slaves of bond0 are replaced"},
		{"the mode", `host_nics: [{name: bond0, bonding: {options: {mode: active-backup}}}]`, far,
			"bond0.200: bond0.200 goes down for a moment: its base interface bond0 goes down for a moment"},
		{"the gateway", `host_nics: [{name: bond0.200, ip: {gateway: 10.2.0.254}}]`, far, "bond0.200: the gateway to 203.0.113.9 changes from 10.2.0.1 to 10.2.0.254"},
		{"the gateway, from its own subnet", `host_nics: [{name: bond0.200, ip: {gateway: 10.2.0.254}}]`, "10.2.0.77 to 10.2.0.2", ""},
		{"another address", `host_nics: [{name: bond0.200, ip: {address: 10.2.0.3}}]`, far, "bond0.200: 10.2.0.2 is taken off the host"},
		{"another address, any will do", `host_nics: [{name: bond0.200, ip: {address: 10.2.0.3}}]`, "203.0.113.9", ""},
		{"all of it", `removed: [bond0.200, bond0]`, far, "bond0.200: no route leads to 203.0.113.9 any more, for good"},
		{"the other way", `removed: [bond0.200, bond0]`, near, ""},
		{"moved to a bond", `host_nics: [{name: eth3, ip: null, ipv6: null}, {name: bond0, bonding: {slaves: [eth0, eth1, eth3]}, ip: {address: 192.0.2.1, netmask: "24"}}]`, near,
			"eth3: the way to 192.0.2.77 moves from eth3 to bond0"},
		{"IPv6", `host_nics: [{name: eth3, ipv6: null}]`, six, "eth3: no route leads to 2001:db8:ffff::9 any more, for good"},
		{"IPv6 kept", `host_nics: [{name: eth3, ip: null}]`, six, ""},
		{"link-local", `host_nics: [{name: eth3, mac: {address: "52:54:00:00:00:99"}}]`, "fe80::9%eth0", ""},
		{"not our address", `removed: [bond0.200, bond0]`, "203.0.113.9 to 198.18.0.1", ""},
		{"ourselves", `removed: [bond0.200, bond0]`, "10.2.0.2 to 10.2.0.2", ""},
		{"mapped", `removed: [bond0.200, bond0]`, "::ffff:203.0.113.9 to ::ffff:10.2.0.2", "bond0.200: no route leads to 203.0.113.9 any more, for good"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, p := change(t, managed, c.to)
			got := ""
			for _, cut := range plan.Cuts(before, p, []plan.Path{pathOf(t, c.path)}) {
				got += fmt.Sprintf("%s: %s", cut.Nic, cut.Reason)
				if cut.ForGood {
					got += ", for good"
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func pathOf(t *testing.T, text string) plan.Path {
	t.Helper()
	var client, host string
	if n, _ := fmt.Sscanf(text, "%s to %s", &client, &host); n == 1 {
		return plan.Path{Client: netip.MustParseAddr(client)}
	}
	return plan.Path{Client: netip.MustParseAddr(client), Host: netip.MustParseAddr(host)}
}

// change plans from one document to another on a fake host with eth0 to eth3.
func change(t *testing.T, from, to string) (before state.Snapshot, p plan.Plan) {
	t.Helper()
	host := kerneltest.NewFake()
	for i := range 4 {
		host.AddNIC(fmt.Sprintf("eth%d", i), kerneltest.NIC{MAC: fmt.Sprintf("52:54:00:00:00:%02x", i)})
	}
	first := config(t, netcfg.Config{}, from)
	done, err := converge.Run(t.Context(), host, converge.Target{Config: first})
	if err != nil {
		t.Fatal(err)
	}
	if before, err = host.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	intent, problems := plan.Resolve(plan.Input{Config: config(t, first, to), Snapshot: before, Memory: done.Intent.Settled()})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return before, plan.Build(intent, before)
}
