package netcfg

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var groupC1 = ruleGroup{rules: []string{"bond-name"}, cases: []ruleCase{
	{name: "all five", config: host(aBond("bond0"), aBond("bond1"), aBond("bond2"), aBond("bond3"), aBond("bond4"))},
	{name: "six", config: host(aBond("bond5")), want: []string{"bond-name host_nics[bond5].name"}},
	{name: "leading zero", config: host(aBond("bond00", slaves("eth0", "eth1"))), want: []string{"bond-name host_nics[bond00].name"}},
	{name: "filled in by the kernel", config: host(aBond("bond%d", slaves("eth0", "eth1"))), want: []string{"bond-name host_nics[bond%d].name"}},
	{name: "capital", config: host(aBond("Bond0", slaves("eth0", "eth1"))), want: []string{"bond-name host_nics[Bond0].name"}},
	{name: "no name", config: host(aBond("", slaves("eth0", "eth1"))), want: []string{"bond-name host_nics[0].name"}},
	{name: "widened by the host", config: host(aBond("bond7"), aBond("mgmt0", slaves("eth0", "eth1"))), limits: Limits{ExtraBondNames: []string{"bond7", "mgmt0"}}},
	{name: "widened badly", config: host(aBond("a/b", slaves("eth0", "eth1"))), limits: Limits{ExtraBondNames: []string{"a/b"}}, want: []string{"nic-name host_nics[a/b].name"}},
	{name: "name of a bond without bonding", config: host(aNic("bond7")), want: []string{"bond-name host_nics[bond7].name"}},
	{name: "valid name of a bond without bonding", config: host(aNic("bond0", ip4("10.0.0.1", "24"))), want: []string{"bond-name host_nics[bond0].bonding"}},
	{name: "a VLAN", config: host(aVLAN("bond1", "eth0", 7)), want: []string{"bond-name host_nics[bond1].name"}},
	{name: "a VLAN on a bond", config: host(aBond("bond0"), aVLAN("bond0.7", "bond0", 7))},
	{name: "a NIC that only begins so", config: host(aNic("bonded"), aNic("bond-a"))},
}}

func TestFault_C1(t *testing.T) {
	groupC1.run(t)
	problems, _ := host(aBond("bond5")).Validate(Limits{})
	if want := "bond0, bond1, bond2, bond3 and bond4 are the only valid names"; !strings.Contains(problems[0].Message, want) {
		t.Errorf("got %q, want it to say %q", problems[0].Message, want)
	}
	problems, _ = host(aBond("bond5")).Validate(Limits{ExtraBondNames: []string{"bond9"}})
	if want := "bond4 and bond9 are the only valid names"; !strings.Contains(problems[0].Message, want) {
		t.Errorf("got %q, want it to say %q", problems[0].Message, want)
	}
}

// "bond bad" and jamesbond007 are refused as the others are: by the one rule on
// names of bonds, whatever else is wrong with them.
func TestScenario_X01(t *testing.T) {
	for _, name := range []string{"bond", "bond5", "bond04", "bond0.1", "Bond0", "bond bad", "jamesbond007"} {
		problems, _ := host(aBond(name, slaves("eth0", "eth1"))).Validate(Limits{})
		if got, want := places(problems), []string{"bond-name host_nics[" + name + "].name"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

var groupC4 = ruleGroup{rules: []string{"name-length"}, cases: []ruleCase{
	{name: "fifteen bytes", config: host(aVLAN("enp130s0f1.4094", "enp130s0f1", 4094))},
	{name: "eighteen bytes", config: host(aVLAN("enp130s0f1np1.4094", "enp130s0f1np1", 4094)), want: []string{"name-length host_nics[enp130s0f1np1.4094].name"}},
	{name: "another name for it", config: host(aVLAN("vlan4094", "enp130s0f1np1", 4094))},
	{name: "a NIC", config: host(aNic("sixteen-letters-")), want: []string{"name-length host_nics[sixteen-letters-].name"}},
	{name: "a VLAN without id", config: host(HostNic{Name: "sixteen-letters-", VLAN: &VLAN{}, BaseInterface: "eth0"}),
		want: []string{"name-length host_nics[sixteen-letters-].name", "vlan-id host_nics[sixteen-letters-].vlan.id"}},
}}

func TestFault_C4(t *testing.T) {
	groupC4.run(t)
	message := func(vlan HostNic, others ...HostNic) string {
		problems, _ := host(append(others, vlan)...).Validate(Limits{})
		if len(problems) == 0 || problems[0].Rule != "name-length" {
			t.Fatalf("got %v, want name-length", problems)
		}
		return problems[0].Message
	}
	long := aVLAN("enp130s0f1np1.4094", "enp130s0f1np1", 4094)
	taken := aVLAN("vlan4094", "eth7", 4094)
	for _, test := range []struct{ name, got, want string }{
		{"simple", message(long), "name it vlan4094"},
		{"taken", message(long, taken), "name it enp130s0f1.4094"},
		{"all taken", message(long, taken, aNic("enp130s0f1.4094")), "name it differently"},
		{"an id too long", message(aVLAN("eth0.100000000000000", "eth0", 100000000000000)), "name it differently"},
	} {
		if !strings.Contains(test.got, test.want) {
			t.Errorf("%s: got %q, want it to say %q", test.name, test.got, test.want)
		}
	}
}

var groupC6 = ruleGroup{rules: []string{"nic-name", "nic-unique"}, cases: slices.Concat(
	[]ruleCase{
		{name: "usual names", config: host(aNic("eth0"), aNic("enp3s0f1np1"), aNic("ens1"), aNic("wl_p-0.5"), aNic("ALL"), aNic("loop"))},
		{name: "empty", config: host(aNic("")), want: []string{"nic-name host_nics[0].name"}},
		{name: "nameless VLAN", config: host(aVLAN("", "eth0", 5)), want: []string{"nic-name host_nics[0].name"}},
		{name: "slave", config: host(aBond("bond0", slaves("eth0", "a b"))), want: []string{"nic-name host_nics[bond0].bonding.slaves[1]"}},
		{name: "empty slave", config: host(aBond("bond0", slaves("eth0", ""))), want: []string{"nic-name host_nics[bond0].bonding.slaves[1]"}},
		{name: "loopback slave", config: host(aBond("bond0", slaves("eth0", "lo"))), want: []string{"nic-name host_nics[bond0].bonding.slaves[1]"}},
		{name: "base", config: host(aVLAN("v5", "eth/0", 5)), want: []string{"nic-name host_nics[v5].base_interface"}},
		{name: "nic of a route", config: Config{Routes: []Route{{Destination: "10.0.0.0/8", NIC: "eth:1"}}}, want: []string{"nic-name routes[0].nic"}},
		{name: "twice", config: host(aNic("eth0"), aNic("eth1"), aNic("eth0")), want: []string{"nic-unique host_nics[eth0].name"}},
		{name: "control character", config: host(aNic("eth\x07")), want: []string{"text host_nics[eth\x07].name"}},
	},
	namesRefused("a/b", "/", ".", "..", "all", "default", "lo", "bonding_masters", "a b", " ", "eth0:1", "eth%d", "%", "-eth0", "éth", "网卡0"),
)}

func namesRefused(names ...string) []ruleCase {
	var out []ruleCase
	for _, n := range names {
		out = append(out, ruleCase{name: fmt.Sprintf("%q", n), config: host(aNic(n)), want: []string{"nic-name host_nics[" + n + "].name"}})
	}
	return out
}

func TestFault_C6(t *testing.T) { groupC6.run(t) }

var groupC29 = ruleGroup{rules: []string{"nic-count"}, cases: []ruleCase{
	{name: "no limit", config: host(aNic("eth0"), aNic("eth1"), aNic("eth2"))},
	{name: "at the limit", config: host(aNic("eth0"), aNic("eth1"), aNic("eth2")), limits: Limits{MaxNics: 3}},
	// The bad name is not spoken of: a document that is too large is not judged.
	{name: "over it", config: host(aNic("eth0"), aNic("eth1"), aNic("a/b")), limits: Limits{MaxNics: 2}, want: []string{"nic-count host_nics"}},
}}

func TestFault_C29(t *testing.T) {
	groupC29.run(t)
	for _, test := range []struct{ nics, problems int }{{1024, 0}, {10000, 1}} {
		c := benchmarkConfig(test.nics)
		start := time.Now()
		problems, _ := c.Validate(Limits{MaxNics: 1024})
		if took := time.Since(start); len(problems) != test.problems || took > time.Second {
			t.Errorf("%d: %d problems in %v", test.nics, len(problems), took)
		}
	}
}

var groupC30 = ruleGroup{rules: []string{"text"}, cases: []ruleCase{
	{name: "umlauts, other scripts and symbols", config: host(aNic("eth0", onNetwork("Büro 東京 €")))},
	{name: "NUL", config: host(aNic("eth0", onNetwork("a\x00b"))), want: []string{"text host_nics[eth0].network.name"}},
	{name: "invalid UTF-8", config: host(aNic("eth0", onNetwork("a\xffb"))), want: []string{"text host_nics[eth0].network.name"}},
	{name: "right-to-left override", config: host(aNic("eth0", onNetwork("a\u202eb"))), want: []string{"text host_nics[eth0].network.name"}},
	{name: "Arabic letter mark", config: host(aNic("eth0", onNetwork("a\u061cb"))), want: []string{"text host_nics[eth0].network.name"}},
	{name: "line separator", config: host(aNic("eth0", onNetwork("a\u2028b"))), want: []string{"text host_nics[eth0].network.name"}},
	{name: "terminal escape", config: host(aNic("eth0", onNetwork("\x1b[2Jx"))), want: []string{"text host_nics[eth0].network.name"}},
	{name: "C1 control", config: host(aNic("eth0", onNetwork("a\u009bb"))), want: []string{"text host_nics[eth0].network.name"}},
	{name: "one problem for one field", config: host(aNic("eth0", ip4("10.0.0.1\n", "24"))), want: []string{"text host_nics[eth0].ip.address"}},
}}

func TestFault_C30(t *testing.T) {
	groupC30.run(t)
	problems, _ := host(aBond("bond0", opts("\x1b[31mmiimon=1"))).Validate(Limits{})
	if s := problems.Error(); strings.ContainsRune(s, 0x1b) {
		t.Errorf("the escape gets through: %q", s)
	}
}
