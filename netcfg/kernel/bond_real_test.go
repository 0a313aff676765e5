//go:build kernel

package kernel

import (
	"fmt"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// optionSamples are two values for each option that are not its default, in the
// order to try. An option that takes a delay is tried with miimon 50, and one of the
// ARP monitor with arp_interval 100.
var optionSamples = map[string][2]string{
	"miimon":            {"100", "250"},
	"updelay":           {"100", "50"},
	"downdelay":         {"200", "350"},
	"peer_notif_delay":  {"50", "300000"},
	"use_carrier":       {"off", "on"},
	"arp_interval":      {"250", "1000"},
	"arp_ip_target":     {"192.0.2.1,192.0.2.2", "198.51.100.7"},
	"ns_ip6_target":     {"2001:db8::1,2001:db8::2", "2001:db8::7"},
	"arp_validate":      {"all", "filter_backup"},
	"arp_all_targets":   {"all", "any"},
	"primary_reselect":  {"better", "failure"},
	"fail_over_mac":     {"active", "follow"},
	"xmit_hash_policy":  {"layer3+4", "vlan+srcmac"},
	"resend_igmp":       {"255", "0"},
	"num_grat_arp":      {"255", "0"},
	"all_slaves_active": {"on", "off"},
	"min_links":         {"2", "70000"},
	"lp_interval":       {"300", "70000"},
	"packets_per_slave": {"65535", "0"},
	"lacp_active":       {"off", "on"},
	"lacp_rate":         {"fast", "slow"},
	"ad_select":         {"bandwidth", "count"},
	"ad_actor_sys_prio": {"1", "40000"},
	"ad_user_port_key":  {"1023", "1"},
	"ad_actor_system":   {"02:00:00:00:00:01", "06:00:00:00:00:ff"},
	"tlb_dynamic_lb":    {"off", "on"},
	"arp_missed_max":    {"255", "1"},
}

// TestBondOptions sets every option in every mode in which it is valid, when the
// bond is made and later, and reads it back the way the agent does and the way sysfs
// tells it.
func TestBondOptions(t *testing.T) {
	need.Kernel(t, need.Bond)
	for _, mode := range netcfg.BondModes {
		t.Run(mode, func(t *testing.T) {
			ns := netns.New(t)
			k := open(t, ns, Options{})
			var specs []netcfg.OptionSpec
			var create, change []plan.Op
			for _, spec := range netcfg.BondOptions {
				if spec.ValidIn(mode) && spec.Type != netcfg.TypeSlave && spec.Name != "mode" {
					samples, ok := optionSamples[spec.Name]
					if !ok {
						t.Fatalf("no samples for %s", spec.Name)
					}
					index := 100 + len(specs)
					name := fmt.Sprint("b", index)
					specs = append(specs, spec)
					create = append(create, addBond(index, name, mode, withMonitor(spec, samples[0])...))
					change = append(change, setOptions(index, name, plan.Option{Name: spec.Name, Value: samples[1]}))
				}
			}
			apply(t, k, create...)
			checkOptions(t, ns, k, specs, mode, 0)
			apply(t, k, change...)
			checkOptions(t, ns, k, specs, mode, 1)
		})
	}
}

func withMonitor(spec netcfg.OptionSpec, value string) []plan.Option {
	options := []plan.Option{{Name: spec.Name, Value: value}}
	switch {
	case spec.NeedsMiimon:
		return append([]plan.Option{{Name: "miimon", Value: "50"}}, options...)
	case spec.Name == "arp_validate":
		return append([]plan.Option{{Name: "arp_interval", Value: "100"}}, options...)
	}
	return options
}

func checkOptions(t *testing.T, ns *netns.NS, k *Kernel, specs []netcfg.OptionSpec, mode string, sample int) {
	t.Helper()
	var paths []string
	path := func(i int, option string) string { return fmt.Sprintf("b%d/bonding/%s", 100+i, option) }
	for i, spec := range specs {
		if spec.Name != "ns_ip6_target" { // which sysfs does not have
			paths = append(paths, path(i, spec.Name))
		}
	}
	files := sysfs(t, ns, paths...)
	s := snapshot(t, k)
	for i, spec := range specs {
		want := optionSamples[spec.Name][sample]
		bond := s.Link(100 + i).Bond
		if got, told := bond.Options[spec.Name]; got != want || !told {
			t.Errorf("%s: snapshot has %q (told: %v), want %q", spec.Name, got, told, want)
		}
		if got := bond.Options["mode"]; got != mode {
			t.Errorf("mode: snapshot has %q", got)
		}
		file, ok := files[path(i, spec.Name)]
		if got, err := spec.Canonical(file); ok && got != want {
			t.Errorf("%s: sysfs has %q (%v), want %q", spec.Name, file, err, want)
		}
	}
}

// TestBondDefaults compares what the kernel tells of a bond that nobody has told
// anything with the defaults of the table. In the modes that need a monitor the
// kernel sets miimon by itself.
func TestBondDefaults(t *testing.T) {
	need.Kernel(t, need.Bond)
	k := open(t, netns.New(t), Options{})
	for i, mode := range netcfg.BondModes {
		apply(t, k, addBond(100+i, fmt.Sprint("b", i), mode))
	}
	s := snapshot(t, k)
	for i, mode := range netcfg.BondModes {
		got := s.Link(100 + i).Bond.Options
		for _, spec := range netcfg.BondOptions {
			want := spec.Default
			switch {
			case !spec.ValidIn(mode):
				continue
			case spec.Name == "mode":
				want = mode
			case spec.Name == "miimon" && i >= 4:
				want = "100"
			}
			if value, told := got[spec.Name]; value != want || !told {
				t.Errorf("%s: %s is %q (told: %v), want %q", mode, spec.Name, value, told, want)
			}
		}
	}
}

func TestPrimary(t *testing.T) {
	need.Kernel(t, need.Bond, need.Dummy)
	ns := netns.New(t)
	ns.Dummy(t, "eth0", "eth1")
	k := open(t, ns, Options{})
	eth0, eth1 := link(t, k, "eth0"), link(t, k, "eth1")
	add := addBond(100, "bond0", "active-backup", plan.Option{Name: "miimon", Value: "100"}, plan.Option{Name: "primary", Value: "eth1"})
	add.PrimaryIndex = eth1.Index
	apply(t, k, add)
	if got := link(t, k, "bond0").Bond.Options["primary"]; got != "" {
		t.Errorf("primary that is no slave yet: %q", got)
	}
	apply(t, k, setMaster(eth0, 100), setMaster(eth1, 100))
	if got := link(t, k, "bond0").Bond.Options["primary"]; got != "eth1" {
		t.Errorf("primary: %q", got)
	}
	if l, _, err := k.Link(t.Context(), 100, What{}); err != nil || l.Bond.Options["primary"] != "eth1" {
		t.Errorf("primary of the one link: %+v, %v", l, err)
	}
	set := setOptions(100, "bond0", plan.Option{Name: "primary", Value: "eth0"})
	set.PrimaryIndex = eth0.Index
	apply(t, k, set)
	if got := link(t, k, "bond0").Bond.Options["primary"]; got != "eth0" {
		t.Errorf("other primary: %q", got)
	}
	apply(t, k, setOptions(100, "bond0", plan.Option{Name: "primary", Value: ""}))
	if got, told := link(t, k, "bond0").Bond.Options["primary"]; got != "" || !told {
		t.Errorf("no primary: %q, told: %v", got, told)
	}
}

// TestTargetLists sees lists replaced and cleared.
func TestTargetLists(t *testing.T) {
	need.Kernel(t, need.Bond)
	k := open(t, netns.New(t), Options{})
	apply(t, k, addBond(100, "bond0", "active-backup",
		plan.Option{Name: "arp_ip_target", Value: "192.0.2.1,192.0.2.2,192.0.2.3"}, plan.Option{Name: "ns_ip6_target", Value: "2001:db8::1"}))
	for _, option := range []plan.Option{{Name: "arp_ip_target", Value: ""}, {Name: "ns_ip6_target", Value: ""}} {
		apply(t, k, setOptions(100, "bond0", option))
		if got, told := link(t, k, "bond0").Bond.Options[option.Name]; got != "" || !told {
			t.Errorf("%s: %q, told: %v", option.Name, got, told)
		}
	}
}
