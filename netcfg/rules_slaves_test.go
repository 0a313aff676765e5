package netcfg

import (
	"strings"
	"testing"
)

var groupC20 = ruleGroup{rules: []string{"bond-slaves", "slave-twice", "slave-shared", "single-slave"}, cases: []ruleCase{
	{name: "two", config: host(aBond("bond0"))},
	{name: "none", config: host(aBond("bond0", slaves())), want: []string{"bond-slaves host_nics[bond0].bonding.slaves"}},
	{name: "one", config: host(aBond("bond0", slaves("eth0"))), warn: []string{"single-slave host_nics[bond0].bonding.slaves"}},
	{name: "twice", config: host(aBond("bond0", slaves("eth0", "eth1", "eth0"))), want: []string{"slave-twice host_nics[bond0].bonding.slaves[2]"}},
	{name: "three times", config: host(aBond("bond0", slaves("eth0", "eth0", "eth0"))),
		want: []string{"slave-twice host_nics[bond0].bonding.slaves[1]", "slave-twice host_nics[bond0].bonding.slaves[2]"}},
	{name: "in two bonds", config: host(aBond("bond0", slaves("eth0", "eth1")), aBond("bond1", slaves("eth2", "eth1"))),
		want: []string{"slave-shared host_nics[bond1].bonding.slaves[1]"}},
	{name: "in three bonds", config: host(aBond("bond0", slaves("e", "a")), aBond("bond1", slaves("e", "b")), aBond("bond2", slaves("c", "e"))),
		want: []string{"slave-shared host_nics[bond1].bonding.slaves[0]", "slave-shared host_nics[bond2].bonding.slaves[1]"}},
}}

func TestFault_C20(t *testing.T) {
	groupC20.run(t)
	problems, _ := host(aBond("bond0", slaves("eth0", "eth1")), aBond("bond1", slaves("eth2", "eth1"))).Validate(Limits{})
	if !strings.Contains(problems[0].Message, "host_nics[bond0].bonding.slaves[1]") {
		t.Errorf("%q does not say where else", problems[0].Message)
	}
}

// Decided: no slave is refused, one is taken with a warning.
func TestScenario_X02(t *testing.T) {
	problems, _ := host(aBond("bond0", slaves())).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "bond-slaves" {
		t.Errorf("none: got %v", problems)
	}
	problems, warnings := host(aBond("bond0", slaves("e0"))).Validate(Limits{})
	if problems != nil || len(warnings) != 1 || warnings[0].Rule != "single-slave" {
		t.Errorf("one: got %v, warnings %v", problems, warnings)
	}
}

// Decided: refused, not counted once.
func TestScenario_X03(t *testing.T) {
	problems, _ := host(aBond("bond0", slaves("e0", "e0"))).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "slave-twice" || problems[0].Found != "e0" {
		t.Errorf("got %v", problems)
	}
}

var groupX07 = ruleGroup{rules: []string{"slave-addressing", "slave-network"}, cases: []ruleCase{
	{name: "bare", config: host(aBond("bond0", slaves("e0", "e1")), aNic("e0"), aNic("e1", boot4(BootNone), boot6(BootNone)))},
	{name: "attached", config: host(aBond("bond0", slaves("e0", "e1")), aNic("e0", onNetwork("red"))), want: []string{"slave-network host_nics[e0].network"}},
	{name: "address", config: host(aBond("bond0", slaves("e0", "e1")), aNic("e0", ip4("10.0.0.1", "24"))), want: []string{"slave-addressing host_nics[e0].ip"}},
	{name: "both families and more", config: host(aBond("bond0", slaves("e0", "e1")), aNic("e0", ip4("10.0.0.1", "24"), ip6("2001:db8::1", 64), more("10.0.0.2/24"))),
		want: []string{"slave-addressing host_nics[e0].ip", "slave-addressing host_nics[e0].ipv6", "slave-addressing host_nics[e0].additional_ips"}},
	{name: "boot protocols", config: host(aBond("bond0", slaves("e0", "e1")), aNic("e1", boot4(BootDHCP), boot6(BootAutoconf))),
		want: []string{"slave-addressing host_nics[e1].boot_protocol", "slave-addressing host_nics[e1].ipv6_boot_protocol"}},
	{name: "the address moves to the bond", config: host(aBond("bond0", slaves("e0", "e1"), ip4("10.0.0.1", "24")), aNic("e0", ip4("10.0.0.1", "24"))),
		want: []string{"slave-addressing host_nics[e0].ip"}},
}}

func TestScenario_X07(t *testing.T) {
	groupX07.run(t)
	base, ps := Merge(Config{}, DocumentOf(host(aNic("e0", onNetwork("red"), ip4("10.0.0.1", "24")))), identity)
	if ps != nil {
		t.Fatal(ps)
	}
	doc := Document{Nics: []NicEdit{{HostNic: aBond("bond0", slaves("e0", "e1"))}, {HostNic: aNic("e0"), Unset: []string{"network", "ip"}}}}
	c, ps := Merge(base, doc, identity)
	if problems, _ := c.Validate(Limits{}); ps != nil || problems != nil {
		t.Errorf("taken away in the same request: got %v, %v", ps, problems)
	}
}

func TestScenario_X08(t *testing.T) {
	for name, c := range map[string]Config{
		"bond": host(aBond("bond0", slaves("e0", "bond1")), aBond("bond1")),
		"VLAN": host(aBond("bond0", slaves("e0", "e1.5")), aVLAN("e1.5", "e1", 5)),
	} {
		problems, _ := c.Validate(Limits{})
		if len(problems) != 1 || problems[0].Rule != "slave-kind" || problems[0].Path != "host_nics[bond0].bonding.slaves[1]" {
			t.Errorf("%s: got %v", name, problems)
		}
	}
}

var groupV10 = ruleGroup{rules: []string{"slave-has-vlan"}, cases: []ruleCase{
	{name: "VLANs on the bond", config: host(aBond("bond0", slaves("e0", "e1")), aVLAN("v", "bond0", 5))},
	{name: "VLAN on the slave", config: host(aBond("bond0", slaves("e0", "e1")), aVLAN("v", "e1", 5)),
		want: []string{"slave-has-vlan host_nics[bond0].bonding.slaves[1]", "vlan-on-slave host_nics[v].base_interface"}},
}}

func TestScenario_V10(t *testing.T) {
	groupV10.run(t)
	c := host(aBond("bond0", slaves("e0", "e1")))
	for id := range 9 {
		c.HostNics = append(c.HostNics, aVLAN("v"+string(rune('a'+id)), "e0", id+1))
	}
	problems, _ := c.Validate(Limits{})
	if !strings.Contains(problems[0].Message, "va, vb, vc and 6 more") {
		t.Errorf("got %q", problems[0].Message)
	}
}
