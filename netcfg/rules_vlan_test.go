package netcfg

import (
	"fmt"
	"strings"
	"testing"
)

var groupC2 = ruleGroup{rules: []string{"vlan-id"}, cases: []ruleCase{
	{name: "first and last", config: host(aVLAN("a", "eth0", 1), aVLAN("b", "eth0", 4094))},
	{name: "zero", config: host(aVLAN("a", "eth0", 0)), want: []string{"vlan-id host_nics[a].vlan.id"}},
	{name: "4095", config: host(aVLAN("a", "eth0", 4095)), want: []string{"vlan-id host_nics[a].vlan.id"}},
	{name: "4096", config: host(aVLAN("a", "eth0", 4096)), want: []string{"vlan-id host_nics[a].vlan.id"}},
	{name: "negative", config: host(aVLAN("a", "eth0", -1)), want: []string{"vlan-id host_nics[a].vlan.id"}},
	{name: "missing", config: host(HostNic{Name: "a", VLAN: &VLAN{}, BaseInterface: "eth0"}), want: []string{"vlan-id host_nics[a].vlan.id"}},
}}

func TestFault_C2(t *testing.T) { groupC2.run(t) }

// What is no number at all ("bad id") does not get here: the codec refuses it.
func TestScenario_V11(t *testing.T) {
	for _, id := range []int{5000, 4095, -1} {
		problems, _ := host(aVLAN("v", "eth0", id)).Validate(Limits{})
		if len(problems) != 1 || problems[0].Rule != "vlan-id" || problems[0].Found != fmt.Sprint(id) || problems[0].Allowed != "1 to 4094" {
			t.Errorf("%d: got %v", id, problems)
		}
	}
	problems, _ := Config{Networks: []Network{{Name: "red", VLAN: &VLAN{ID: pointer(5000)}}}}.Validate(Limits{})
	if len(problems) != 1 || problems[0].Path != "networks[0].vlan.id" {
		t.Errorf("network: got %v", problems)
	}
}

// The kernel takes VLAN 0 and vdsm uses it for priority tags; the agent refuses it.
func TestScenario_V23(t *testing.T) {
	problems, _ := host(aVLAN("v", "eth0", 0)).Validate(Limits{})
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "untagged") {
		t.Errorf("got %v", problems)
	}
}

// An unknown parent is a matter of the host and judged elsewhere.
var groupV12 = ruleGroup{rules: []string{"vlan-base"}, cases: []ruleCase{
	{name: "with parent", config: host(aVLAN("v", "eth0", 5))},
	{name: "without", config: host(aVLAN("v", "", 5)), want: []string{"vlan-base host_nics[v].base_interface"}},
	{name: "parent without VLAN", config: host(HostNic{Name: "v", BaseInterface: "eth0"}), want: []string{"vlan-base host_nics[v].base_interface"}},
	{name: "bond with a parent", config: host(aBond("bond0", func(n *HostNic) { n.BaseInterface = "eth9" })), want: []string{"vlan-base host_nics[bond0].base_interface"}},
}}

func TestScenario_V12(t *testing.T) { groupV12.run(t) }

var groupC3 = ruleGroup{rules: []string{"vlan-duplicate"}, cases: []ruleCase{
	{name: "on two NICs", config: host(aVLAN("eth0.10", "eth0", 10), aVLAN("eth1.10", "eth1", 10))},
	{name: "two ids", config: host(aVLAN("eth0.10", "eth0", 10), aVLAN("eth0.11", "eth0", 11))},
	{name: "on one NIC", config: host(aVLAN("eth0.10", "eth0", 10), aVLAN("red", "eth0", 10)), want: []string{"vlan-duplicate host_nics[red].vlan.id"}},
	{name: "three times", config: host(aVLAN("a", "bond0", 10), aVLAN("b", "bond0", 10), aVLAN("c", "bond0", 10)),
		want: []string{"vlan-duplicate host_nics[b].vlan.id", "vlan-duplicate host_nics[c].vlan.id"}},
	{name: "wrong ids are wrong for that", config: host(aVLAN("a", "eth0", 0), aVLAN("b", "eth0", 0)),
		want: []string{"vlan-id host_nics[a].vlan.id", "vlan-id host_nics[b].vlan.id"}},
}}

func TestFault_C3(t *testing.T) {
	groupC3.run(t)
	problems, _ := host(aVLAN("eth0.10", "eth0", 10), aVLAN("red", "eth0", 10)).Validate(Limits{})
	for _, path := range []string{"host_nics[eth0.10].vlan.id", "host_nics[red].vlan.id"} {
		if !strings.Contains(problems[0].Message, path) {
			t.Errorf("%q does not name %s", problems[0].Message, path)
		}
	}
}

func TestScenario_V06(t *testing.T) {
	problems, _ := host(aNic("e0"), aVLAN("e0.10", "e0", 10), aVLAN("other", "e0", 10)).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "vlan-duplicate" {
		t.Errorf("got %v", problems)
	}
}

// V05: the same id on two NICs is fine. V13: the id wins, whatever the name says.
func TestScenario_V13(t *testing.T) {
	c := host(aVLAN("e0.20", "e0", 10), aVLAN("e1.10", "e1", 10))
	if problems, _ := c.Validate(Limits{}); problems != nil {
		t.Errorf("got %v", problems)
	}
}

var groupC22 = ruleGroup{rules: []string{"vlan-on-vlan", "vlan-on-slave", "vlan-and-bonding"}, cases: []ruleCase{
	{name: "on a NIC and on a bond", config: host(aBond("bond0"), aVLAN("a", "bond0", 5), aVLAN("b", "eth7", 5))},
	{name: "on a VLAN", config: host(aVLAN("eth0.5", "eth0", 5), aVLAN("qinq", "eth0.5", 6)), want: []string{"vlan-on-vlan host_nics[qinq].base_interface"}},
	{name: "three deep", config: host(aVLAN("a", "eth0", 5), aVLAN("b", "a", 6), aVLAN("c", "b", 7)),
		want: []string{"vlan-on-vlan host_nics[b].base_interface", "vlan-on-vlan host_nics[c].base_interface"}},
	{name: "on a slave", config: host(aBond("bond0"), aVLAN("a", "eth00", 5)),
		want: []string{"slave-has-vlan host_nics[bond0].bonding.slaves[0]", "vlan-on-slave host_nics[a].base_interface"}},
	{name: "VLAN and bond at once", config: host(aBond("bond0", func(n *HostNic) { n.VLAN, n.BaseInterface = &VLAN{ID: pointer(5)}, "eth9" })),
		want: []string{"vlan-and-bonding host_nics[bond0].vlan"}},
}}

func TestFault_C22(t *testing.T) { groupC22.run(t) }

var groupC21 = ruleGroup{rules: []string{"cycle", "slave-kind"}, cases: []ruleCase{
	{name: "NICs only", config: host(aBond("bond0"), aBond("bond1"))},
	{name: "a bond as slave", config: host(aBond("bond0"), aBond("bond1", slaves("eth5", "bond0"))), want: []string{"slave-kind host_nics[bond1].bonding.slaves[1]"}},
	{name: "a bond that the document does not have", config: host(aBond("bond1", slaves("eth5", "bond0"))), want: []string{"slave-kind host_nics[bond1].bonding.slaves[1]"}},
	{name: "a bond as slave of itself", config: host(aBond("bond0", slaves("eth0", "bond0"))), want: []string{"cycle host_nics[bond0].bonding.slaves[1]"}},
	{name: "its own VLAN", config: host(aBond("bond0", slaves("eth0", "bond0.5")), aVLAN("bond0.5", "bond0", 5)), want: []string{"cycle host_nics[bond0].bonding.slaves[1]"}},
	{name: "two bonds in each other", config: host(aBond("bond0", slaves("bond1")), aBond("bond1", slaves("bond0"))),
		want: []string{"cycle host_nics[bond0].bonding.slaves[0]", "slave-kind host_nics[bond1].bonding.slaves[0]"},
		warn: []string{"single-slave host_nics[bond0].bonding.slaves", "single-slave host_nics[bond1].bonding.slaves"}},
	{name: "a VLAN on itself", config: host(aVLAN("a", "a", 5)), want: []string{"cycle host_nics[a].base_interface"}},
	{name: "two VLANs on each other", config: host(aVLAN("a", "b", 5), aVLAN("b", "a", 6)),
		want: []string{"cycle host_nics[a].base_interface", "vlan-on-vlan host_nics[b].base_interface"}},
	{name: "the same NIC below both is none", config: host(aBond("bond0", slaves("eth0", "eth1")), aVLAN("a", "bond0", 5), aVLAN("b", "bond0", 6))},
}}

func TestFault_C21(t *testing.T) {
	groupC21.run(t)
	problems, _ := host(aVLAN("bond0.5", "bond0", 5), aBond("bond0", slaves("eth0", "bond0.5"))).Validate(Limits{})
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "bond0.5 → bond0 → bond0.5") {
		t.Errorf("got %v, want the cycle", problems)
	}
	var long []HostNic
	for i := range 50 {
		long = append(long, aVLAN(fmt.Sprintf("v%d", i), fmt.Sprintf("v%d", (i+1)%50), i+1))
	}
	problems, _ = host(long...).Validate(Limits{})
	if problems[0].Rule != "cycle" || !strings.Contains(problems[0].Message, "v7 → (42 more) → v0") {
		t.Errorf("got %v, want a cycle cut short", problems[0])
	}
}
