package netcfg

import (
	"strings"
	"testing"
)

var groupNeighbour = ruleGroup{rules: []string{"expected-neighbour"}, cases: []ruleCase{
	{name: "a NIC, a slave", config: Config{HostNics: []HostNic{
		{Name: "eth0", ExpectedNeighbour: &ExpectedNeighbour{SystemName: "leaf3", Required: pointer(true)}},
		{Name: "bond0", Bonding: &Bonding{Slaves: []string{"eth0", "eth1"}}},
	}}},
	{name: "as long as may be", config: expecting(ExpectedNeighbour{PortDescription: strings.Repeat("x", 255)})},
	{name: "longer", config: expecting(ExpectedNeighbour{PortDescription: strings.Repeat("x", 256)}), want: []string{"expected-neighbour host_nics[eth0].expected_neighbour.port_description"}},
	{name: "nobody", config: expecting(ExpectedNeighbour{Required: pointer(true)}), want: []string{"expected-neighbour host_nics[eth0].expected_neighbour"}},
	{name: "a bond", config: Config{HostNics: []HostNic{
		{Name: "bond0", Bonding: &Bonding{Slaves: []string{"eth0", "eth1"}}, ExpectedNeighbour: &ExpectedNeighbour{PortID: "1"}},
	}}, want: []string{"expected-neighbour host_nics[bond0].expected_neighbour"}},
	{name: "a VLAN", config: Config{HostNics: []HostNic{
		{Name: "eth0.5", VLAN: &VLAN{ID: pointer(5)}, BaseInterface: "eth0", ExpectedNeighbour: &ExpectedNeighbour{PortID: "1"}},
	}}, want: []string{"expected-neighbour host_nics[eth0.5].expected_neighbour"}},
}}

func expecting(e ExpectedNeighbour) Config {
	return Config{HostNics: []HostNic{{Name: "eth0", ExpectedNeighbour: &e}}}
}

func TestNeighbourRule(t *testing.T) { groupNeighbour.run(t) }

// The one that is expected is whoever says all that is expected, and may say more.
func TestAmong(t *testing.T) {
	heard := []Neighbour{
		{SystemName: "leaf4", ChassisID: "52:54:00:00:00:04", PortID: "Ethernet1"},
		{SystemName: "leaf3", ChassisID: "52:54:00:00:00:03", PortID: "Ethernet2", PortDescription: "to host1"},
	}
	for _, c := range []struct {
		expected ExpectedNeighbour
		heard    []Neighbour
		want     bool
	}{
		{ExpectedNeighbour{SystemName: "leaf3"}, heard, true},
		{ExpectedNeighbour{SystemName: "leaf3", PortID: "Ethernet2", ChassisID: "52:54:00:00:00:03", PortDescription: "to host1"}, heard, true},
		{ExpectedNeighbour{SystemName: "leaf3", PortID: "Ethernet1"}, heard, false}, // of two of them
		{ExpectedNeighbour{SystemName: "leaf"}, heard, false},
		{ExpectedNeighbour{SystemName: "leaf3"}, nil, false},
	} {
		if got := c.expected.Among(c.heard); got != c.want {
			t.Errorf("%s among %d: %v", &c.expected, len(c.heard), got)
		}
	}
	e := ExpectedNeighbour{SystemName: "leaf5", PortDescription: "x"}
	if got, want := e.Others(heard), "there is system_name leaf4, port_description unknown; system_name leaf3, port_description to host1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A document that says a part of it keeps the rest, and null unsets.
func TestMergeNeighbour(t *testing.T) {
	c := expecting(ExpectedNeighbour{SystemName: "leaf3", PortID: "1", Required: pointer(true)})
	merge := func(e NicEdit) *ExpectedNeighbour {
		t.Helper()
		e.Name = "eth0"
		next, problems := Merge(c, Document{Nics: []NicEdit{e}}, identity)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return next.HostNics[0].ExpectedNeighbour
	}
	for name, test := range map[string]struct {
		edit NicEdit
		want *ExpectedNeighbour
	}{
		"another port": {NicEdit{HostNic: HostNic{ExpectedNeighbour: &ExpectedNeighbour{PortID: "52-54-00-AA-00-01"}}}, &ExpectedNeighbour{SystemName: "leaf3", PortID: "52:54:00:aa:00:01", Required: pointer(true)}},
		"not required": {NicEdit{HostNic: HostNic{ExpectedNeighbour: &ExpectedNeighbour{Required: pointer(false)}}}, &ExpectedNeighbour{SystemName: "leaf3", PortID: "1", Required: pointer(false)}},
		"any port":     {NicEdit{Unset: []string{"expected_neighbour.port_id", "expected_neighbour.required"}}, &ExpectedNeighbour{SystemName: "leaf3"}},
		"anybody":      {NicEdit{Unset: []string{"expected_neighbour"}}, nil},
		"nothing left": {NicEdit{Unset: []string{"expected_neighbour.port_id", "expected_neighbour.required", "expected_neighbour.system_name"}}, nil},
	} {
		if got := merge(test.edit); !equalNeighbour(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if e := c.HostNics[0].ExpectedNeighbour; e.PortID != "1" || !*e.Required {
		t.Errorf("what was merged into has changed: %v", e)
	}
}
