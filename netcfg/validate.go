package netcfg

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
)

// Limits are the settings of the host that widen or narrow what Validate takes.
type Limits struct {
	// ExtraBondNames are valid for bonds beside BondNames.
	ExtraBondNames []string
	// MaxNics is the greatest number of host_nics; 0 is no limit.
	MaxNics int
	// AllowOverlap lets two NICs have overlapping subnets. The same address twice
	// stays refused.
	AllowOverlap bool
}

// RuleDoc is a rule of Validate for the manual.
type RuleDoc struct {
	Name, Doc string
}

// Rules are the rules of Validate in the order in which they are checked.
func Rules() []RuleDoc {
	out := make([]RuleDoc, len(rules))
	for i, r := range rules {
		out[i] = RuleDoc{Name: r.name, Doc: r.doc}
	}
	return out
}

// Validate judges a whole configuration by itself: every rule is about the text
// alone, none about the host. What depends on the host (which NICs there are,
// what their drivers take, who owns a link) is judged where the host is known.
// All problems are reported at once, in the order of the NICs. c is expected in
// the form in which Merge leaves it: canonical, with names for references.
func (c Config) Validate(limits Limits) (problems, warnings Problems) {
	k := newChecker(c, limits)
	for i := range rules {
		k.rule = &rules[i]
		k.rule.check(k)
		if k.rule.gate && len(k.problems) > 0 {
			break
		}
	}
	return inOrder(k.problems), inOrder(k.warnings)
}

// rule is one row of the table rules.
type rule struct {
	name string
	// fault is the id of the test of this rule, TestFault_ or TestScenario_.
	fault string
	// doc is one sentence for the manual.
	doc   string
	check func(*checker)
	// basic marks a rule about the field itself. A field that breaks it is not
	// judged by later rules: one cause gives one problem.
	basic bool
	// gate marks a rule after which nothing more is judged when it is broken.
	gate bool
}

// checker is one run of Validate. It holds the configuration, and indexes over it
// that keep every rule linear.
type checker struct {
	config Config
	limits Limits
	nics   []*nic
	bonds  []*bond
	// byName finds the first NIC of a name, masters the first bond of a slave,
	// vlansOn the VLANs of a base.
	byName  map[string]*nic
	masters map[string]slot
	vlansOn map[string][]*nic
	// static are the static addresses that can be read, those of slaves left out.
	static    []placed
	bondNames []string

	rule     *rule
	settled  map[string]bool
	problems []found
	warnings []found
}

// nic is a HostNic in its place.
type nic struct {
	*HostNic
	order    int
	families [2]family
}

// bond is a NIC with bonding, its options read.
type bond struct {
	*nic
	mode string
	// modeRead is false where the mode is none; then nothing that depends on it
	// is judged.
	modeRead bool
	options  []option
}

// option is a bond option as given; spec and value are set where it is known.
type option struct {
	BondOption
	spec  OptionSpec
	known bool
	// value is canonical; err says why there is none.
	value string
	err   error
}

// slot is a place in a list of slaves.
type slot struct {
	bond  *bond
	index int
}

func (s slot) at() place { return s.bond.at("bonding.slaves[" + strconv.Itoa(s.index) + "]") }

// placed is a static address with the NIC and the field that give it.
type placed struct {
	*nic
	field  string
	prefix netip.Prefix
}

// place is a path, and where it comes in the configuration.
type place struct {
	path  string
	order int
}

// found is a problem with its place.
type found struct {
	Problem
	order int
}

// at is the place of a field. A NIC without a name is named by its number.
func (n *nic) at(field string) place {
	name := n.Name
	if name == "" {
		name = strconv.Itoa(n.order)
	}
	return place{NicPath(name, field), n.order}
}

// isVLAN is false for a NIC that is a bond as well, which is refused as such.
func (n *nic) isVLAN() bool { return n.VLAN != nil && n.Bonding == nil }

func newChecker(c Config, limits Limits) *checker {
	k := &checker{
		config: c, limits: limits, settled: map[string]bool{},
		nics: make([]*nic, 0, len(c.HostNics)), static: make([]placed, 0, len(c.HostNics)),
		byName: make(map[string]*nic, len(c.HostNics)), masters: map[string]slot{}, vlansOn: map[string][]*nic{},
		bondNames: slices.Concat(BondNames, limits.ExtraBondNames),
	}
	all := make([]nic, len(c.HostNics))
	for i := range c.HostNics {
		n := &all[i]
		n.HostNic, n.order = &c.HostNics[i], i
		n.families = families(n.HostNic)
		k.nics = append(k.nics, n)
		if k.byName[n.Name] == nil {
			k.byName[n.Name] = n
		}
		if n.Bonding != nil {
			k.addBond(n)
		} else if n.VLAN != nil && n.BaseInterface != "" {
			k.vlansOn[n.BaseInterface] = append(k.vlansOn[n.BaseInterface], n)
		}
	}
	for _, n := range k.nics {
		if _, slave := k.masters[n.Name]; !slave {
			k.addStatic(n)
		}
	}
	return k
}

func (k *checker) addBond(n *nic) {
	b := &bond{nic: n, mode: n.Bonding.Mode(), modeRead: true}
	for _, given := range n.Bonding.Options {
		o := option{BondOption: given}
		if o.spec, o.known = BondOptionSpec(given.Name); o.known {
			o.value, o.err = o.spec.Canonical(given.Value)
		}
		if o.spec.Name == "mode" && o.err != nil {
			b.modeRead = false
		}
		b.options = append(b.options, o)
	}
	for i, s := range n.Bonding.Slaves {
		if _, taken := k.masters[s]; !taken {
			k.masters[s] = slot{b, i}
		}
	}
	k.bonds = append(k.bonds, b)
}

func (k *checker) addStatic(n *nic) {
	if p, ok := n.IP.Prefix(); ok {
		k.static = append(k.static, placed{n, "ip.address", p})
	}
	if p, ok := n.IPv6.AddressPrefix(); ok {
		k.static = append(k.static, placed{n, "ipv6.address", p})
	}
	for i, s := range n.AdditionalIPs {
		if p, err := netip.ParsePrefix(s); err == nil {
			k.static = append(k.static, placed{n, indexed("additional_ips", i), p})
		}
	}
}

// refuse reports a problem of the rule that is being checked. What comes from
// outside may stand in the message as it is.
func (k *checker) refuse(at place, p Problem) {
	if k.settled[at.path] {
		return
	}
	if k.rule.basic {
		k.settled[at.path] = true
	}
	k.problems = append(k.problems, k.finding(at, p))
}

// warn reports what is taken but is probably not meant.
func (k *checker) warn(at place, p Problem) {
	k.warnings = append(k.warnings, k.finding(at, p))
}

func (k *checker) finding(at place, p Problem) found {
	p.Path, p.Rule, p.Message = at.path, k.rule.name, Printable(p.Message)
	return found{p, at.order}
}

// inOrder sorts by NIC, so that what is wrong with one NIC stands together.
func inOrder(fs []found) Problems {
	slices.SortStableFunc(fs, func(a, b found) int { return cmp.Compare(a.order, b.order) })
	var out Problems
	for _, f := range fs {
		out = append(out, f.Problem)
	}
	return out
}

// beside is the place of something that is not a NIC; it comes after all NICs.
func (k *checker) beside(list string, i int, field string) place {
	path := indexed(list, i)
	if field != "" {
		path += "." + field
	}
	return place{path, len(k.nics)}
}

func indexed(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// option finds an option by its kernel name or an alias; nil when it is not given
// or cannot be read.
func (b *bond) option(name string) *option {
	for i := range b.options {
		if o := &b.options[i]; o.known && o.err == nil && o.spec.Name == name {
			return o
		}
	}
	return nil
}

// number is the value of a numeric option; 0 when it is not given.
func (b *bond) number(name string) int {
	o := b.option(name)
	if o == nil {
		return 0
	}
	n, _ := strconv.Atoi(o.value)
	return n
}

func (b *bond) optionAt(o *option) place { return b.at("bonding.options." + o.Name) }
