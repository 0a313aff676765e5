package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

func drifting(fields ...string) []plan.Drift {
	var out []plan.Drift
	for _, f := range fields {
		out = append(out, plan.Drift{Field: f, Wanted: "this", Actual: "that"})
	}
	return out
}

// A link is given up when it differs once more after five corrections within a minute,
// and only then.
func TestDamping(t *testing.T) {
	second := func(list ...int) (out []time.Duration) {
		for _, n := range list {
			out = append(out, time.Duration(n)*time.Second)
		}
		return out
	}
	for _, c := range []struct {
		name string
		// at is when the link differs, and with what.
		at     []time.Duration
		fields []string
		// fight is which time it is given up; -1 is never.
		fight int
	}{
		{"six at once", second(0, 0, 0, 0, 0, 0), []string{"host_nics[eth0].mtu"}, 5},
		{"five", second(0, 1, 2, 3, 4), []string{"host_nics[eth0].mtu"}, -1},
		{"one every twelve seconds", second(0, 12, 24, 36, 48, 60, 72, 84), []string{"host_nics[eth0].mtu"}, -1},
		{"one every ten seconds", second(0, 10, 20, 30, 40, 50), []string{"host_nics[eth0].mtu"}, 5},
		{"five, and one when the first counts no more", second(0, 1, 2, 3, 4, 60), []string{"host_nics[eth0].mtu"}, -1},
		{"five, and two then", second(0, 1, 2, 3, 4, 60, 60), []string{"host_nics[eth0].mtu"}, 6},
		{"two fields of a link, and few corrections", second(0, 1, 2), []string{"host_nics[eth0].mtu", "host_nics[eth0].admin_state"}, -1},
		{"many long after many", second(0, 0, 0, 0, 0, 600, 600, 600, 600, 600, 600), []string{"host_nics[eth0]"}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d damping
			for i, at := range c.at {
				fights := d.fights(at, drifting(c.fields...))
				if lost := len(fights) > 0; lost != (i == c.fight) {
					t.Errorf("time %d: given up: %v", i, lost)
				}
				if i == c.fight {
					if !strings.Contains(fights[0], c.fields[0]) || !d.leave()["eth0"] {
						t.Errorf("fights %v, left %v", fights, d.leave())
					}
					return
				}
				d.corrected(at, map[string]string{"eth0": ""})
			}
		})
	}
}

// Links are given up one by one, and for good.
func TestDampingOfOneLink(t *testing.T) {
	var d damping
	for i := range mostCorrections {
		d.corrected(time.Duration(i), map[string]string{"eth0": "", "eth1": ""})
	}
	if got := d.fights(10, drifting("host_nics[eth0].mtu", "host_nics[eth2].mtu")); len(got) != 1 || !strings.HasPrefix(got[0], "eth0 ") {
		t.Errorf("fights %v", got)
	}
	if got := d.fights(time.Hour, drifting("host_nics[eth0].mtu")); len(got) != 0 || !d.leave()["eth0"] {
		t.Errorf("an hour later: %v, left %v", got, d.leave())
	}
	alarms := d.alarms()
	for _, want := range []string{"eth0", "host_nics[eth0].mtu", `"this"`, `"that"`, "agentctl apply"} {
		if len(alarms) != 1 || !strings.Contains(alarms[0], want) {
			t.Errorf("%q is not in %q", want, alarms)
		}
	}
	// What counts no more is forgotten.
	d.corrected(time.Hour, nil)
	if len(d.corrections)+len(d.refusals) != 0 {
		t.Errorf("remembered: %v, %v", d.corrections, d.refusals)
	}
}

// What the kernel does not take is no fight, and the alarm has its words.
func TestDampingOfRefusals(t *testing.T) {
	var d damping
	for i := range mostCorrections {
		d.corrected(time.Duration(i), map[string]string{"eth0": "kernel: no"})
	}
	if got := d.fights(10, drifting("host_nics[eth0].mtu")); len(got) != 1 || !strings.Contains(got[0], "kernel: no") || strings.Contains(got[0], "who changes it") {
		t.Errorf("alarm %q", got)
	}
}

func TestStack(t *testing.T) {
	c := netcfg.Config{HostNics: []netcfg.HostNic{
		{Name: "bond0", Bonding: &netcfg.Bonding{Slaves: []string{"eth0", "eth1"}}},
		{Name: "bond0.7", BaseInterface: "bond0"}, {Name: "eth2"}, {Name: "eth2.7", BaseInterface: "eth2"}, {Name: "eth3"}}}
	for of, want := range map[string]string{"eth0": "bond0 bond0.7 eth0 eth1", "bond0.7": "bond0 bond0.7 eth0 eth1", "eth2.7": "eth2 eth2.7", "eth3": "eth3"} {
		var got []string
		for name := range stack(c, []string{of}) {
			got = append(got, name)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", of, got, want)
		}
	}
}

// The resolver's file is no link's, and is told of all the same.
func TestDampingOfTheResolver(t *testing.T) {
	var d damping
	for i := range mostCorrections {
		d.corrected(time.Duration(i), map[string]string{"": ""})
	}
	if got := d.fights(10, drifting("dns")); len(got) != 1 || !strings.HasPrefix(got[0], "dns is left alone") {
		t.Errorf("fights %q", got)
	}
	if got := d.leftAlone(); !slices.Equal(got, []string{"dns"}) || !d.leave()[""] || len(d.alarms()) != 1 {
		t.Errorf("left alone %q, leave %v, alarms %q", got, d.leave(), d.alarms())
	}
}
