package inventory_test

import (
	"testing"

	"github.com/hostnic/hostnic/netcfg/state"
)

// The rule of speed for every mode; see proto, HostNic.speed.
func TestSpeedOfBond(t *testing.T) {
	tests := []struct {
		name   string
		links  []state.Link
		want   int64 // 0 is not known
		reason string
	}{
		{"active-backup is the active slave's", []state.Link{
			nic(2, "e0", speed(gigabit), slave(9, 0)), nic(3, "e1", speed(10*gigabit), slave(9, 0)), bond(9, "bond0", "active-backup", active(3))}, 10 * gigabit, ""},
		{"active-backup without an active slave", []state.Link{
			nic(2, "e0", slave(9, 0)), bond(9, "bond0", "active-backup")}, 0, "no slave is active"},
		{"broadcast is the lowest", []state.Link{
			nic(2, "e0", speed(10*gigabit), slave(9, 0)), nic(3, "e1", speed(gigabit), slave(9, 0)), nic(4, "e2", speed(25*gigabit), slave(9, 0)),
			bond(9, "bond0", "broadcast")}, gigabit, ""},
		{"broadcast leaves out a slave without a link", []state.Link{
			nic(2, "e0", speed(10*gigabit), slave(9, 0)), nic(3, "e1", speed(gigabit), unplugged, slave(9, 0)), bond(9, "bond0", "broadcast")}, 10 * gigabit, ""},
		{"802.3ad is the active aggregator's", []state.Link{
			nic(2, "e0", slave(9, 1)), nic(3, "e1", slave(9, 1)), nic(4, "e2", speed(10*gigabit), slave(9, 2)),
			bond(9, "bond0", "802.3ad", aggregator(1, "aa:bb:cc:00:00:01"))}, 2 * gigabit, ""},
		{"802.3ad leaves out a port without a link", []state.Link{
			nic(2, "e0", slave(9, 1)), nic(3, "e1", unplugged, slave(9, 1)), bond(9, "bond0", "802.3ad", aggregator(1, ""))}, gigabit, ""},
		{"802.3ad without an aggregator", []state.Link{nic(2, "e0", slave(9, 1)), bond(9, "bond0", "802.3ad")}, 0, "no aggregator is active"},
		{"balance-rr is the sum", []state.Link{
			nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0)), bond(9, "bond0", "balance-rr")}, 2 * gigabit, ""},
		{"balance-xor is the sum of those with a link", []state.Link{
			nic(2, "e0", slave(9, 0)), nic(3, "e1", unplugged, slave(9, 0)), bond(9, "bond0", "balance-xor")}, gigabit, ""},
		{"balance-tlb sends through all, whoever is active", []state.Link{
			nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0)), bond(9, "bond0", "balance-tlb", active(2))}, 2 * gigabit, ""},
		{"balance-alb too", []state.Link{
			nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0)), bond(9, "bond0", "balance-alb", active(2))}, 2 * gigabit, ""},
		{"a slave that monitoring holds down does not count", []state.Link{
			nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0), func(l *state.Link) { l.Slave.MIIStatus = "down" }), bond(9, "bond0", "balance-rr")}, gigabit, ""},
		{"one unknown makes the sum unknown", []state.Link{
			nic(2, "e0", slave(9, 0)), nic(3, "e1", noSpeed, slave(9, 0)), bond(9, "bond0", "balance-rr")}, 0, "the speed of its slave e1 is not known"},
		{"no slave", []state.Link{bond(9, "bond0", "balance-rr")}, 0, "none of its slaves has a link"},
		{"down", []state.Link{nic(2, "e0", slave(9, 0)), bond(9, "bond0", "balance-rr", down)}, 0, "administratively down"},
		{"the driver's own word does not count", []state.Link{
			nic(2, "e0", slave(9, 0)), bond(9, "bond0", "balance-rr", speed(7*gigabit))}, gigabit, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			n := find(t, build(tc.links...), "bond0")
			if tc.want == 0 {
				if n.Speed != nil {
					t.Errorf("speed %d, want none", *n.Speed)
				}
				wantAbsent(t, n, "speed", tc.reason)
				return
			}
			if n.Speed == nil || *n.Speed != tc.want || n.Absent["speed"] != "" {
				t.Errorf("speed %v (%q), want %d", n.Speed, n.Absent["speed"], tc.want)
			}
		})
	}
}

func TestSpeedOfVLAN(t *testing.T) {
	nics := build(
		nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0)), bond(9, "bond0", "balance-rr"),
		vlan(10, "bond0.7", 9, 7), vlan(11, "bond0.7.8", 10, 8), vlan(12, "far.9", 77, 9), vlan(13, "loop", 13, 1))
	for _, name := range []string{"bond0.7", "bond0.7.8"} {
		if n := find(t, nics, name); n.Speed == nil || *n.Speed != 2*gigabit {
			t.Errorf("%s: speed %v, want that of bond0", name, n.Speed)
		}
	}
	wantAbsent(t, find(t, nics, "far.9"), "speed", "another network namespace")
	wantAbsent(t, find(t, nics, "far.9"), "base_interface", "another network namespace")
	wantAbsent(t, find(t, nics, "loop"), "speed", "too many links")
	if n := find(t, build(nic(2, "e0"), vlan(10, "e0.7", 2, 7)), "e0.7"); n.Duplex != "full" {
		t.Errorf("duplex %q, want that of e0", n.Duplex)
	}
}

// A NIC without a known speed: absent, never −1, 4294967295 or 0.
func TestScenario_E05(t *testing.T) {
	for name, link := range map[string]state.Link{
		"dummy":          nic(2, "x", virtual("dummy")),
		"bridge":         nic(2, "x", virtual("bridge")),
		"unknown":        nic(2, "x", noSpeed),
		"zero":           nic(2, "x", speed(0)),
		"minus one":      nic(2, "x", speed(-1)),
		"down":           nic(2, "x", down),
		"without a plug": nic(2, "x", unplugged),
	} {
		n := find(t, build(link), "x")
		if n.Speed != nil {
			t.Errorf("%s: speed %d", name, *n.Speed)
		}
		if n.Absent["speed"] == "" {
			t.Errorf("%s: no reason for the lack of a speed", name)
		}
	}
}

// A veth has 10 000 Mbit/s.
func TestScenario_E06(t *testing.T) {
	n := find(t, build(nic(2, "v0", virtual("veth"), speed(10_000_000_000))), "v0")
	if n.Speed == nil || *n.Speed != 10_000_000_000 {
		t.Errorf("speed %v, want 10000000000", n.Speed)
	}
}

// Admin down, no carrier, operstate unknown with carrier: down, down, up.
func TestScenario_E07(t *testing.T) {
	unknown := func(l *state.Link) { l.OperState = "unknown" }
	nics := build(nic(2, "a", down), nic(3, "b", unplugged), nic(4, "c", unknown))
	for name, up := range map[string]bool{"a": false, "b": false, "c": true} {
		if n := find(t, nics, name); n.Up != up {
			t.Errorf("%s: up is %v, want %v", name, n.Up, up)
		}
	}
	wantAbsent(t, find(t, nics, "a"), "carrier", "administratively down")
	if c := find(t, nics, "b").Carrier; c == nil || *c {
		t.Errorf("b: carrier %v, want false", c)
	}
}
