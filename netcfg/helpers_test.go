package netcfg

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ruleGroup is the table of one fault or scenario: cases that break its rules and
// cases that come close and do not.
type ruleGroup struct {
	// rules are the names of the rules that the group is about.
	rules []string
	cases []ruleCase
}

// ruleCase is one configuration and all that Validate is to say of it.
type ruleCase struct {
	name   string
	config Config
	limits Limits
	// want and warn are "rule path" of every problem and every warning.
	want, warn []string
}

func (g ruleGroup) run(t *testing.T) {
	t.Helper()
	for _, c := range g.cases {
		t.Run(c.name, func(t *testing.T) {
			problems, warnings := c.config.Validate(c.limits)
			if diff := cmp.Diff(c.want, places(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s%v", diff, problems)
			}
			if diff := cmp.Diff(c.warn, places(warnings)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s%v", diff, warnings)
			}
			for _, p := range slices.Concat(problems, warnings) {
				checkSentence(t, p)
			}
		})
	}
}

// places are "rule path" of each problem.
func places(ps Problems) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Rule+" "+p.Path)
	}
	return out
}

// checkSentence holds a message to one sentence that says what is wrong and, after
// a colon or a comma, what to do.
func checkSentence(t *testing.T, p Problem) {
	t.Helper()
	m := p.Message
	switch {
	case len(m) < 25, !strings.ContainsAny(m, ":,"):
		t.Errorf("%s: the message says too little: %q", p.Rule, m)
	case strings.HasSuffix(m, "."), strings.Contains(m, ". "), strings.Contains(m, "\n"):
		t.Errorf("%s: the message is not one sentence: %q", p.Rule, m)
	case strings.Contains(m, "  "), strings.Contains(m, " ,"), strings.Contains(m, "%!"), strings.Contains(m, "()"):
		t.Errorf("%s: something is missing in the message: %q", p.Rule, m)
	case Printable(m) != m:
		t.Errorf("%s: the message is not safe to print: %q", p.Rule, m)
	}
}

type edit func(*HostNic)

func host(nics ...HostNic) Config { return Config{HostNics: nics} }

func aNic(name string, edits ...edit) HostNic {
	n := HostNic{Name: name}
	for _, e := range edits {
		e(&n)
	}
	return n
}

// aBond is a bond with two slaves of its own, unless others are given: bond1 has
// eth10 and eth11.
func aBond(name string, edits ...edit) HostNic {
	number := strings.TrimPrefix(name, "bond")
	return aNic(name, slices.Concat([]edit{slaves("eth"+number+"0", "eth"+number+"1")}, edits)...)
}

func aVLAN(name, base string, id int, edits ...edit) HostNic {
	return aNic(name, slices.Concat([]edit{func(n *HostNic) { n.BaseInterface, n.VLAN = base, &VLAN{ID: &id} }}, edits)...)
}

func bonding(n *HostNic) *Bonding {
	if n.Bonding == nil {
		n.Bonding = &Bonding{}
	}
	return n.Bonding
}

func slaves(names ...string) edit { return func(n *HostNic) { bonding(n).Slaves = names } }

// opts are given as oVirt does: mode=4 miimon=100.
func opts(s string) edit {
	return func(n *HostNic) {
		for word := range strings.FieldsSeq(s) {
			name, value, _ := strings.Cut(word, "=")
			bonding(n).Options = append(bonding(n).Options, BondOption{Name: name, Value: value})
		}
	}
}

func ip4(address, netmask string) edit {
	return func(n *HostNic) { setIP(n).Address, n.IP.Netmask = address, netmask }
}

func gw4(gateway string) edit { return func(n *HostNic) { setIP(n).Gateway = gateway } }

func setIP(n *HostNic) *IP {
	if n.IP == nil {
		n.IP = &IP{}
	}
	return n.IP
}

func ip6(address string, prefix int) edit {
	return func(n *HostNic) { setIPv6(n).Address, n.IPv6.Prefix = address, &prefix }
}

func gw6(gateway string) edit { return func(n *HostNic) { setIPv6(n).Gateway = gateway } }

func setIPv6(n *HostNic) *IPv6 {
	if n.IPv6 == nil {
		n.IPv6 = &IPv6{}
	}
	return n.IPv6
}

func boot4(p BootProtocol) edit { return func(n *HostNic) { n.BootProtocol = p } }

func boot6(p BootProtocol) edit { return func(n *HostNic) { n.IPv6BootProtocol = p } }

func more(prefixes ...string) edit { return func(n *HostNic) { n.AdditionalIPs = prefixes } }

func mtu(m int) edit { return func(n *HostNic) { n.MTU = &m } }

func mac(s string) edit { return func(n *HostNic) { n.MAC = &MAC{Address: s} } }

func onNetwork(name string) edit { return func(n *HostNic) { n.Network = &Reference{Name: name} } }

// same turns a list of values into cases that all want the same.
func same(values []string, config func(string) Config, want ...string) []ruleCase {
	var out []ruleCase
	for _, v := range values {
		out = append(out, ruleCase{name: "value " + v, config: config(v), want: want})
	}
	return out
}
