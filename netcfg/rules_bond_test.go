package netcfg

import (
	"slices"
	"strings"
	"testing"
)

func bond0(options string, edits ...edit) Config {
	return host(aBond("bond0", slices.Concat([]edit{slaves("eth0", "eth1"), opts(options)}, edits)...))
}

func option0(name string) string { return "host_nics[bond0].bonding.options." + name }

var groupC23 = ruleGroup{
	rules: []string{"bond-option", "bond-option-twice", "bond-option-value", "bond-option-mode", "bond-no-monitor",
		"bond-arp-targets", "bond-arp-validate", "bond-delay", "bond-option-idle"},
	cases: slices.Concat([]ruleCase{
		{name: "no options", config: bond0("")},
		{name: "oVirt's usual ones", config: bond0("mode=4 miimon=100 xmit_hash_policy=2")},
		{name: "words", config: bond0("mode=802.3ad lacp_rate=fast ad_select=bandwidth min_links=2")},
		{name: "balance-rr", config: bond0("mode=0 packets_per_slave=2")},
		{name: "tlb", config: bond0("mode=5 tlb_dynamic_lb=0 primary=eth1 lp_interval=5")},

		{name: "unknown", config: bond0("speed=1"), want: []string{"bond-option " + option0("speed")}},
		{name: "misspelled", config: bond0("mimon=100"), want: []string{"bond-option " + option0("mimon")}},
		{name: "not configuration", config: bond0("mode=1 active_slave=eth0"), want: []string{"bond-option " + option0("active_slave")}},
		{name: "unknown twice", config: bond0("speed=1 speed=2"), want: []string{"bond-option " + option0("speed")}},

		{name: "twice", config: bond0("miimon=100 miimon=200"), want: []string{"bond-option-twice " + option0("miimon")}},
		{name: "two spellings", config: bond0("mode=1 num_grat_arp=1 num_unsol_na=1"), want: []string{"bond-option-twice " + option0("num_unsol_na")}},

		{name: "packets_per_slave elsewhere", config: bond0("mode=1 packets_per_slave=2"), want: []string{"bond-option-mode " + option0("packets_per_slave")}},
		{name: "LACP elsewhere", config: bond0("mode=2 lacp_rate=1"), want: []string{"bond-option-mode " + option0("lacp_rate")}},
		{name: "ARP with LACP, default", config: bond0("mode=4 arp_interval=0"), want: []string{"bond-option-mode " + option0("arp_interval")}},
		{name: "primary in balance-xor", config: bond0("mode=2 primary=eth0"), want: []string{"bond-option-mode " + option0("primary")}},
		{name: "bad mode hides what depends on it", config: bond0("mode=802.3 lacp_rate=1 primary=eth0"), want: []string{"bond-option-value " + option0("mode")}},

		{name: "nobody watches", config: bond0("mode=1 miimon=0"), want: []string{"bond-no-monitor " + option0("miimon")}},
		{name: "nobody watches, said twice", config: bond0("mode=1 miimon=0 arp_interval=0"), want: []string{"bond-no-monitor " + option0("miimon")}},
		{name: "ARP off leaves the default", config: bond0("mode=1 arp_interval=0")},
		{name: "ARP", config: bond0("mode=1 arp_interval=500 arp_ip_target=10.0.0.1 arp_validate=all")},
		{name: "ARP with miimon 0", config: bond0("mode=1 miimon=0 arp_interval=500 arp_ip_target=10.0.0.1")},
		{name: "NS", config: bond0("mode=1 arp_interval=500 ns_ip6_target=2001:db8::1")},
		{name: "ARP without target", config: bond0("mode=1 arp_interval=500"), want: []string{"bond-arp-targets " + option0("arp_interval")}},
		{name: "ARP with empty target", config: bond0("mode=1 arp_interval=500 arp_ip_target="), want: []string{"bond-arp-targets " + option0("arp_interval")}},
		{name: "ARP with bad target", config: bond0("mode=1 arp_interval=500 arp_ip_target=10.0.0"), want: []string{"bond-option-value " + option0("arp_ip_target")}},
		{name: "validate without ARP", config: bond0("mode=1 arp_validate=all"), want: []string{"bond-arp-validate " + option0("arp_validate")}},
		{name: "validate none", config: bond0("mode=1 arp_validate=none")},

		{name: "delays", config: bond0("miimon=100 updelay=200 downdelay=250 peer_notif_delay=0")},
		{name: "delay with the default miimon", config: bond0("updelay=200")},
		{name: "delay with ARP", config: bond0("mode=1 arp_interval=500 arp_ip_target=10.0.0.1 updelay=0"), want: []string{"bond-delay " + option0("updelay")}},
		{name: "delays with miimon 0", config: bond0("miimon=0 updelay=0 downdelay=100"),
			want: []string{"bond-no-monitor " + option0("miimon"), "bond-delay " + option0("updelay"), "bond-delay " + option0("downdelay")}},

		{name: "idle", config: bond0("mode=1 xmit_hash_policy=1"), warn: []string{"bond-option-idle " + option0("xmit_hash_policy")}},
		{name: "idle default", config: bond0("mode=1 xmit_hash_policy=0")},
	}, badValues(
		"mode=7", "mode=lacp", "miimon=-1", "miimon=1e3", "miimon=0100", "miimon=4294967296", "miimon=", "mode=4 lacp_rate=2",
		"use_carrier=yes", "num_grat_arp=256", "peer_notif_delay=300001", "mode=1 arp_missed_max=0", "packets_per_slave=65536",
		"mode=4 ad_actor_system=01:00:5e:00:00:01", "mode=4 ad_actor_system=52:54", "mode=4 ad_user_port_key=1024", "mode=4 ad_actor_sys_prio=0",
		"arp_ip_target=255.255.255.255", "arp_ip_target=fe80::1", "ns_ip6_target=10.0.0.1", "resend_igmp=x",
		"arp_ip_target="+strings.Repeat("10.0.0.1,", 3)+"0.0.0.0",
	)),
}

func badValues(options ...string) []ruleCase {
	var out []ruleCase
	for _, o := range options {
		last := o[strings.LastIndex(o, " ")+1:]
		name, _, _ := strings.Cut(last, "=")
		out = append(out, ruleCase{name: o, config: bond0(o), want: []string{"bond-option-value " + option0(name)}})
	}
	return out
}

func TestFault_C23(t *testing.T) { groupC23.run(t) }

func TestNearestOption(t *testing.T) {
	for name, want := range map[string]string{
		"mimon": "miimon", "MIIMON": "miimon", "lacp-rate": "lacp_rate", "xmit_hash_polcy": "xmit_hash_policy", "arp_ip_targets": "arp_ip_target",
		"speed": "", "x": "", "": "", strings.Repeat("m", 1000): "",
	} {
		if got := nearestOption(name); got != want {
			t.Errorf("%.20s: got %q, want %q", name, got, want)
		}
	}
}

var groupB22 = ruleGroup{rules: []string{"bond-monitors"}, cases: []ruleCase{
	{name: "both", config: bond0("mode=1 miimon=100 arp_interval=500 arp_ip_target=10.0.0.1"), want: []string{"bond-monitors " + option0("arp_interval")}},
	{name: "both, delays are not blamed", config: bond0("mode=1 miimon=100 arp_interval=500 arp_ip_target=10.0.0.1 updelay=200"), want: []string{"bond-monitors " + option0("arp_interval")}},
	{name: "one is 0", config: bond0("mode=1 miimon=100 arp_interval=0")},
}}

func TestScenario_B22(t *testing.T) { groupB22.run(t) }

// The order of the options is the document's, and lacp_rate may come before mode.
func TestScenario_B18(t *testing.T) {
	for _, o := range []string{"lacp_rate=1 miimon=100 mode=4", "mode=4 miimon=100 lacp_rate=1"} {
		if problems, _ := bond0(o).Validate(Limits{}); problems != nil {
			t.Errorf("%s: got %v", o, problems)
		}
	}
}

func TestScenario_B33(t *testing.T) {
	for _, test := range []struct{ options, rule, found, says string }{
		{"mode=1 fail_over_mak=1", "bond-option", "fail_over_mak", "did you mean fail_over_mac?"},
		{"mode=1 fail_over_mac=9", "bond-option-value", "9", "fail_over_mac"},
	} {
		problems, _ := bond0(test.options).Validate(Limits{})
		if len(problems) != 1 || problems[0].Rule != test.rule || problems[0].Found != test.found || !strings.Contains(problems[0].Message, test.says) {
			t.Errorf("%s: got %v", test.options, problems)
		}
	}
}

var groupB13 = ruleGroup{rules: []string{"bond-primary"}, cases: []ruleCase{
	{name: "a slave", config: bond0("mode=1 primary=eth1")},
	{name: "none", config: bond0("mode=1 primary=")},
	{name: "outside", config: bond0("mode=1 primary=eth7"), want: []string{"bond-primary " + option0("primary")}},
	{name: "the bond itself", config: bond0("mode=6 primary=bond0"), want: []string{"bond-primary " + option0("primary")}},
}}

func TestScenario_B13(t *testing.T) { groupB13.run(t) }

// Decided: refused, where the document says that the network is bridged.
var groupX22 = ruleGroup{rules: []string{"bridged-mode"}, cases: slices.Concat(
	[]ruleCase{
		{name: "not bridged", config: onRed("mode=0", pointer(false))},
		{name: "not said", config: onRed("mode=0", nil)},
		{name: "another network", config: func() Config {
			c := onRed("mode=0", pointer(true))
			c.HostNics[0].Network.Name = "blue"
			return c
		}()},
		{name: "on a VLAN", config: func() Config {
			c := onRed("mode=6", pointer(true))
			c.HostNics[0].Network = nil
			c.HostNics = append(c.HostNics, aVLAN("bond0.5", "bond0", 5, onNetwork("red")))
			return c
		}(), want: []string{"bridged-mode " + option0("mode")}},
		{name: "by id", config: func() Config {
			c := onRed("mode=5", pointer(true))
			c.Networks[0].ID = "e657d631"
			c.HostNics[0].Network = &Reference{ID: "e657d631"}
			return c
		}(), want: []string{"bridged-mode " + option0("mode")}},
		{name: "a NIC", config: Config{HostNics: []HostNic{aNic("eth0", onNetwork("red"))}, Networks: []Network{{Name: "red", Bridged: pointer(true)}}}},
	},
	same([]string{"", "mode=0", "mode=5", "mode=6"}, func(o string) Config { return onRed(o, pointer(true)) }, "bridged-mode "+option0("mode")),
	same([]string{"mode=1", "mode=2", "mode=3", "mode=4"}, func(o string) Config { return onRed(o, pointer(true)) }),
)}

func onRed(options string, bridged *bool) Config {
	c := bond0(options, onNetwork("red"))
	c.Networks = []Network{{Name: "red", Bridged: bridged}}
	return c
}

func TestScenario_X22(t *testing.T) { groupX22.run(t) }
