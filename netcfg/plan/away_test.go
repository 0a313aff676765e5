package plan_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

const awayDoc = `host_nics:
  - {name: bond0, bonding: {options: {mode: active-backup, primary: eth0}, slaves: [eth0, eth1]}, ip: {address: 192.0.2.1, netmask: 24}}
  - {name: eth2, ip: {address: 198.51.100.1, netmask: 24}}
`

// awayRig is a host at awayDoc, of which somebody has then put a slave and a NIC with
// an address into his bridge.
func awayRig(t *testing.T) *rig {
	r := newRig(t, awayDoc, map[string]kerneltest.NIC{
		"eth0": {MAC: "52:54:00:00:00:01"}, "eth1": {MAC: "52:54:00:00:00:02"},
		"eth2": {MAC: "52:54:00:00:00:03"}})
	bridge := r.AddBridge("br0")
	for _, nic := range []string{"eth0", "eth2"} {
		if err := r.Foreign(plan.Op{Action: plan.LinkSet, Index: r.Index(nic), Master: &bridge}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// What somebody has put into his bridge stays there, is told, and stands in the way
// of no change of anything else.
func TestAway(t *testing.T) {
	r := awayRig(t)
	running := r.config
	r.config = config(t, running, `host_nics: [{name: bond0, bonding: {options: {miimon: 50}}}]`)
	s, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	apply := func() converge.Report {
		t.Helper()
		rep, err := converge.Run(t.Context(), r.Fake, converge.Target{Config: r.config, Memory: r.memory, Known: plan.Known{running}})
		if err != nil {
			t.Fatalf("a change of something else: %v", err)
		}
		return rep
	}
	rep := apply()
	after, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := after.ByName("bond0").Bond.Options["miimon"]; got != "50" {
		t.Errorf("miimon is %s", got)
	}
	for _, nic := range []string{"eth0", "eth2"} {
		was, is := s.ByName(nic), after.ByName(nic)
		if was.Master != is.Master || was.MTU != is.MTU || was.AdminUp != is.AdminUp || was.MAC != is.MAC {
			t.Errorf("%s was %+v, is %+v", nic, was, is)
		}
	}
	// No MAC is on two links outside of one bond: eth0 has taken its own along.
	if mac := after.ByName("bond0").MAC; mac != "52:54:00:00:00:02" {
		t.Errorf("the MAC of bond0 is %s", mac)
	}
	var drift []string
	for _, d := range rep.Drift {
		drift = append(drift, fmt.Sprint(d.Field, " ", d.Wanted, " ", d.Actual, " ", d.Outside))
		if !strings.Contains(d.Hint, "eth") {
			t.Errorf("%s: hint %q", d.Field, d.Hint)
		}
	}
	slices.Sort(drift)
	if want := []string{"host_nics[bond0].bonding.slaves eth0,eth1 eth1 true", "host_nics[eth0].master bond0 br0 true", "host_nics[eth2].master  br0 true"}; !slices.Equal(drift, want) {
		t.Errorf("drift %q, want %q", drift, want)
	}
	for _, w := range rep.Warnings {
		if w.Rule == "nic-away" && !strings.Contains(w.Message, "ip link set dev "+w.Path[10:14]+" nomaster") {
			t.Errorf("no command in %q", w.Message)
		}
	}
	settled := rep.Intent.Settled()
	if _, known := settled.Baseline["eth0"]; !known || settled.Identity["eth0"].PermMAC == "" {
		t.Error("eth0 is forgotten while it is away")
	}
	// Given back, it is put in again.
	r.memory = settled
	if err := r.Foreign(plan.Op{Action: plan.LinkSet, Index: r.Index("eth0"), Master: new(int)}); err != nil {
		t.Fatal(err)
	}
	apply()
	after, err = r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m := after.Name(after.ByName("eth0").Master); m != "bond0" {
		t.Errorf("eth0 stands in %q", m)
	}
}

// At the start of the agent, too, a bond comes up with the slaves that are there, and
// nothing is put where it would not work.
func TestAwayAtStart(t *testing.T) {
	r := awayRig(t)
	r.memory = plan.Memory{}
	r.Remove("bond0")
	eth2 := r.Index("eth2")
	if err := r.Foreign(plan.Op{Action: plan.AddrDel, Index: eth2, Address: state.Address{Link: eth2, Prefix: netip.MustParsePrefix("198.51.100.1/24")}}); err != nil {
		t.Fatal(err)
	}
	r.converge(true)
	s, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.SlavesOf(s.ByName("bond0").Index); len(got) != 1 || s.Name(got[0]) != "eth1" {
		t.Errorf("slaves %v", got)
	}
	if got := s.AddressesOf(eth2); slices.ContainsFunc(got, func(a state.Address) bool { return !a.LinkLocal() }) {
		t.Errorf("addresses were put onto a port of somebody's bridge: %v", got)
	}
}

// A change that asks for the NIC itself is refused, and says where it stands and what
// to type.
func TestAwayAskedFor(t *testing.T) {
	for _, c := range []struct{ doc, rule string }{
		{`host_nics: [{name: bond1, bonding: {slaves: [eth2]}}]`, "slave-taken"},
		{`host_nics: [{name: eth2, ip: {address: 198.51.100.1, netmask: 24}}]`, "nic-enslaved"},
		{awayDoc, "slave-taken"},
	} {
		r := awayRig(t)
		s, err := r.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// What has run so far speaks of the NICs, but not in this way.
		known := config(t, netcfg.Config{}, `host_nics: [{name: bond0, bonding: {slaves: [eth1]}}, {name: eth0}, {name: eth2, mtu: 1500}]`)
		_, problems := plan.Resolve(plan.Input{Config: config(t, netcfg.Config{}, c.doc), Snapshot: s, Memory: r.memory, Known: plan.Known{known}})
		i := slices.IndexFunc(problems, func(p netcfg.Problem) bool { return p.Rule == c.rule })
		if i < 0 || !strings.Contains(problems[i].Message, "br0") || !strings.Contains(problems[i].Message, "nomaster") {
			t.Errorf("%s: %v", c.rule, problems)
		}
	}
}

// A VLAN that somebody has put onto a slave of the agent's stands in nobody's way.
func TestVLANOnSlave(t *testing.T) {
	r := newRig(t, awayDoc, map[string]kerneltest.NIC{"eth0": {}, "eth1": {}, "eth2": {}})
	if _, err := r.AddVLAN("guests", "eth1", 7); err != nil {
		t.Fatal(err)
	}
	r.config = config(t, r.config, `host_nics: [{name: bond0, bonding: {options: {miimon: 50}}}]`)
	r.converge(false)
	if s, err := r.Snapshot(t.Context()); err != nil || s.ByName("guests") == nil || s.ByName("guests").Parent != r.Index("eth1") {
		t.Errorf("the VLAN is gone: %v", err)
	}
}
