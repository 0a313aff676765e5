package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Input is what Resolve works from.
type Input struct {
	// Config is validated and canonical.
	Config   netcfg.Config
	Snapshot state.Snapshot
	Memory   Memory
	// Lenient makes a missing NIC wait instead of being refused, for boot, healing
	// and rollback: the NIC may still come.
	Lenient bool
	// Known are configurations that have been in place. What they speak of may be
	// missing, or taken away by somebody, although the resolve is not lenient.
	Known Known
	// Leave are configured NICs that do not fit this host and were taken out of
	// Config for that: what the agent has put there stays as it is.
	Leave map[string]bool
	// Before, when rolling back, is the host as it was before the operation that is
	// undone: what others had on it comes back.
	Before *state.Snapshot
	// Leases are those of the NICs of Config, and of others.
	Leases Leases
}

// indexBase is where the indexes of links made by the agent begin. The kernel
// counts up from 1 for everybody else, so that an index chosen here is not taken
// by a tap that is born between the look and the write.
const indexBase = 1 << 20

// Resolve finds the links that a configuration speaks of and works out what each
// is to have. The problems are those that depend on this host: a NIC that is not
// there, a name that somebody else holds, a slave of a foreign bond. They come all
// at once; with any of them the Intent must not be used.
func Resolve(in Input) (Intent, netcfg.Problems) {
	r := newResolver(in)
	r.unimplemented()
	r.collect()
	r.findLinks()
	r.gone()
	r.bondsAndSlaves()
	r.vlans()
	r.mtus()
	r.macs()
	r.addressing()
	r.ipv6MTU()
	r.restore()
	r.discovery()
	r.giveBack()
	r.before()
	r.dns()
	r.goneAddressing()
	return r.finish(), r.problems
}

type resolver struct {
	Input
	byName   map[string]*state.Link
	children map[int][]*state.Link // VLANs and the like by parent
	slaves   map[int][]*state.Link // by master
	addrs    map[int][]state.Address
	routes   map[int][]state.Route

	nics     []*netcfg.HostNic // configured and implied, in dependency order
	byConfig map[string]*netcfg.HostNic
	want     map[string]*Link // by configured name
	names    map[int]string   // configured names by index
	masterOf map[string]string
	doomed   map[int]bool // indexes that go
	next     int          // next free index

	out      Intent
	problems netcfg.Problems
}

func newResolver(in Input) *resolver {
	links, nics := len(in.Snapshot.Links), len(in.Config.HostNics)
	r := &resolver{Input: in, next: indexBase,
		byName: make(map[string]*state.Link, links), children: map[int][]*state.Link{}, slaves: map[int][]*state.Link{},
		addrs: addressesByLink(in.Snapshot.Addresses), routes: routesByLink(in.Snapshot.Routes),
		byConfig: make(map[string]*netcfg.HostNic, nics), want: make(map[string]*Link, nics), names: make(map[int]string, min(links, nics)),
		masterOf: map[string]string{}, doomed: map[int]bool{}}
	for i := range in.Snapshot.Links {
		l := &in.Snapshot.Links[i]
		r.byName[l.Name] = l
		if l.Parent != 0 {
			r.children[l.Parent] = append(r.children[l.Parent], l)
		}
		if l.Master != 0 {
			r.slaves[l.Master] = append(r.slaves[l.Master], l)
		}
		r.next = max(r.next, l.Index+1)
	}
	r.out.Memory = Memory{Owned: in.Memory.Owned, Baseline: union(in.Memory.Baseline, nil), Identity: union(in.Memory.Identity, nil), Discovery: union(in.Memory.Discovery, nil),
		Resolver: in.Memory.Resolver}
	return r
}

func (r *resolver) refuse(kind netcfg.ProblemKind, path, rule, found, format string, args ...any) {
	r.problems = append(r.problems, netcfg.Problem{Kind: kind, Path: path, Rule: rule, Found: found, Message: fmt.Sprintf(format, args...)})
}

func (r *resolver) warn(path, rule, format string, args ...any) {
	r.out.Warnings = append(r.out.Warnings, netcfg.Problem{Path: path, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// unimplemented refuses what is read and kept but cannot be applied yet.
func (r *resolver) unimplemented() {
	whole := []struct {
		field string
		there bool
	}{{"networks", len(r.Config.Networks) > 0}, {"routes", len(r.Config.Routes) > 0}}
	for _, w := range whole {
		if w.there {
			r.refuse(netcfg.Unimplemented, w.field, "not-implemented", "",
				"this version of the agent keeps %s but cannot apply them yet; take them out of the document to apply the rest", w.field)
		}
	}
}

// collect puts the configured NICs into dependency order and adds those that are
// only implied, as slaves or below VLANs.
func (r *resolver) collect() {
	implied := []string{}
	for i := range r.Config.HostNics {
		n := &r.Config.HostNics[i]
		r.byConfig[n.Name] = n
		if n.BaseInterface != "" {
			implied = append(implied, n.BaseInterface)
		}
		if n.Bonding != nil {
			implied = append(implied, n.Bonding.Slaves...)
			for _, s := range n.Bonding.Slaves {
				r.masterOf[s] = n.Name
			}
		}
	}
	for _, name := range implied {
		if r.byConfig[name] == nil {
			n := &netcfg.HostNic{Name: name}
			r.byConfig[name] = n
			r.nics = append(r.nics, n)
		}
	}
	for i := range r.Config.HostNics {
		r.nics = append(r.nics, &r.Config.HostNics[i])
	}
	slices.SortStableFunc(r.nics, func(a, b *netcfg.HostNic) int { return kindRank(a.Kind()) - kindRank(b.Kind()) })
}

// kindRank is the order of dependency: what stands on something comes after it.
func kindRank(k netcfg.Kind) int {
	switch k {
	case netcfg.KindVLAN:
		return 2
	case netcfg.KindBond:
		return 1
	}
	return 0
}

// findLinks finds or chooses the link behind each name.
func (r *resolver) findLinks() {
	for _, n := range r.nics {
		switch n.Kind() {
		case netcfg.KindNIC:
			r.findNIC(n)
		default:
			r.findVirtual(n)
		}
	}
}

func (r *resolver) findNIC(n *netcfg.HostNic) {
	l, reason := r.hardware(n.Name)
	path := netcfg.NicPath(n.Name, "name")
	switch {
	case l == nil && r.ownedKind(n.Name) != "" || l != nil && (l.Kind == "bond" || l.Kind == "vlan") && r.ownedKind(n.Name) != "":
		// A bond or VLAN of ours that this configuration no longer makes.
		r.refuse(netcfg.Precondition, r.usePath(n.Name), "base-removed", n.Name,
			"%s is taken out by this change, but %s stays on it: remove that too, or keep %s", n.Name, r.users(n.Name), n.Name)
	case l == nil && (r.Lenient || r.Known.mention(n.Name)):
		r.out.Waiting = append(r.out.Waiting, Waiting{n.Name, reason})
	case l == nil:
		r.refuse(netcfg.NotFound, r.usePath(n.Name), "nic-unknown", n.Name,
			"%s; agentctl nics lists the NICs that are there", reason)
	case l.Type == loopback:
		r.refuse(netcfg.Precondition, path, "nic-loopback", n.Name, "%s is the loopback, which the agent leaves alone", n.Name)
	case l.Kind == "bridge" || l.Kind == "openvswitch" || l.Kind == "vrf" || l.Kind == "team":
		r.refuse(netcfg.Precondition, path, "nic-kind", l.Kind, "%s is a %s of somebody else, which the agent leaves alone; only NICs, bonds and VLANs can be configured", n.Name, l.Kind)
	default:
		r.claim(n, l)
	}
}

// usePath is where the configuration names the NIC: its own entry, or the first
// that uses it.
func (r *resolver) usePath(name string) string {
	for i := range r.Config.HostNics {
		n := &r.Config.HostNics[i]
		if n.Name == name {
			return netcfg.NicPath(name, "name")
		}
		if n.BaseInterface == name {
			return netcfg.NicPath(n.Name, "base_interface")
		}
		if n.Bonding != nil {
			if j := slices.Index(n.Bonding.Slaves, name); j >= 0 {
				return netcfg.NicPath(n.Name, fmt.Sprintf("bonding.slaves[%d]", j))
			}
		}
	}
	return netcfg.NicPath(name, "")
}

func (r *resolver) users(name string) string {
	var out []string
	for i := range r.Config.HostNics {
		n := &r.Config.HostNics[i]
		if n.BaseInterface == name || n.Bonding != nil && slices.Contains(n.Bonding.Slaves, name) {
			out = append(out, n.Name)
		}
	}
	return strings.Join(out, ", ")
}

// hardware finds the NIC of a configured name. The configuration follows the
// hardware, not the name: a NIC that was renamed is found by its permanent MAC,
// and a name that now belongs to hardware from another slot is not taken.
func (r *resolver) hardware(name string) (*state.Link, string) {
	l := r.byName[name]
	id, known := r.Memory.Identity[name]
	if !known || id.PermMAC == "" || l != nil && l.PermMAC == id.PermMAC {
		return l, fmt.Sprintf("there is no NIC %s on this host", name)
	}
	for i := range r.Snapshot.Links {
		if o := &r.Snapshot.Links[i]; o.PermMAC == id.PermMAC && o.Kind == "" {
			if o.Name != name && r.belongs(o) {
				break
			}
			return o, ""
		}
	}
	if l != nil && (id.BusPath == "" || l.BusPath == id.BusPath) {
		r.warn(netcfg.NicPath(name, "name"), "hardware-replaced", "%s is other hardware than before (%s, was %s) in the same slot; it is taken", name, l.PermMAC, id.PermMAC)
		return l, ""
	}
	if l != nil {
		return nil, fmt.Sprintf("the name %s now belongs to other hardware (%s) than the configuration was made for (%s)", name, l.PermMAC, id.PermMAC)
	}
	return nil, fmt.Sprintf("the NIC %s (%s) is not on this host", name, id.PermMAC)
}

// belongs is true of a NIC that its own name has a claim on: that is configured, and
// not known to stand for other hardware.
func (r *resolver) belongs(l *state.Link) bool {
	id, known := r.Memory.Identity[l.Name]
	return r.byConfig[l.Name] != nil && (!known || id.PermMAC == l.PermMAC)
}

// nameOf is the name under which a link is configured, or else its own.
func (r *resolver) nameOf(l *state.Link) string {
	if name, ok := r.names[l.Index]; ok {
		return name
	}
	return l.Name
}

func (r *resolver) ownedKind(name string) netcfg.Kind { return r.Memory.Owned.Links[name] }

// claim makes a wanted link of one that is there, and remembers how it was.
func (r *resolver) claim(n *netcfg.HostNic, l *state.Link) *Link {
	w := &Link{Name: n.Name, KernelName: l.Name, Kind: n.Kind(), Index: l.Index, Up: true}
	r.want[n.Name], r.names[l.Index] = w, n.Name
	if _, known := r.out.Memory.Baseline[n.Name]; !known && r.ownedKind(n.Name) == "" {
		r.out.Memory.Baseline[n.Name] = r.baseline(l)
	}
	if l.PermMAC != "" && n.Kind() == netcfg.KindNIC {
		r.out.Memory.Identity[n.Name] = Identity{l.PermMAC, l.BusPath}
	}
	return w
}

func (r *resolver) baseline(l *state.Link) Baseline {
	b := Baseline{Link: *l, Master: r.Snapshot.Name(l.Master), Fresh: true}
	b.Link.Counters = nil
	for _, s := range r.slaves[l.Index] {
		b.Slaves = append(b.Slaves, s.Name)
	}
	return b
}

// findVirtual finds the bond or VLAN of that name, or chooses an index for it.
func (r *resolver) findVirtual(n *netcfg.HostNic) {
	l, kind := r.byName[n.Name], string(n.Kind())
	mine := l != nil && r.ownedKind(n.Name) != ""
	switch {
	case l == nil:
		r.want[n.Name] = &Link{Name: n.Name, KernelName: n.Name, Kind: n.Kind(), Index: r.chooseIndex(), New: true, Up: true}
	case l.Kind != kind && !mine:
		r.refuse(netcfg.Exists, netcfg.NicPath(n.Name, "name"), "name-taken", n.Name,
			"%s is the name of a link that somebody else has made (%s); rename or remove that first", n.Name, kindWord(l))
	case l.Kind != kind:
		r.want[n.Name] = &Link{Name: n.Name, KernelName: n.Name, Kind: n.Kind(), Index: r.chooseIndex(), New: true, Up: true, Replaces: l.Index}
		r.doomed[l.Index] = true
	default:
		r.claim(n, l)
	}
}

func (r *resolver) chooseIndex() int {
	r.next++
	return r.next - 1
}

func kindWord(l *state.Link) string {
	if l.Kind == "" {
		return "a hardware NIC"
	}
	return "a " + l.Kind
}

// gone marks the agent's links that this configuration does not want.
func (r *resolver) gone() {
	for name, kind := range r.Memory.Owned.Links {
		l := r.byName[name]
		if l == nil || r.byConfig[name] != nil || r.Leave[name] || l.Kind != string(kind) || r.out.Memory.Baseline[name].Fresh {
			continue
		}
		r.doomed[l.Index] = true
	}
}

// finish sorts what was found into the Intent.
func (r *resolver) finish() Intent {
	r.out.Links = make([]Link, 0, len(r.nics))
	for _, n := range r.nics {
		if w := r.want[n.Name]; w != nil {
			r.out.Links = append(r.out.Links, *w)
		}
	}
	gatewaysLast(r.out.Routes, func(route Route) state.Route { return route.Route })
	slices.SortStableFunc(r.out.Links, func(a, b Link) int { return kindRank(a.Kind) - kindRank(b.Kind) })
	replaced := map[int]bool{}
	for _, w := range r.want {
		if w.Replaces != 0 {
			replaced[w.Replaces] = true
		}
	}
	for i := range r.Snapshot.Links {
		if l := &r.Snapshot.Links[i]; r.doomed[l.Index] {
			r.out.GoneLinks = append(r.out.GoneLinks, l.Index)
			r.foreignOn(l, replaced[l.Index])
		}
	}
	r.out.Memory.Owned = r.out.Memory.Owned.Union(r.out.owned())
	return r.out
}

// foreignOn refuses to delete a link that carries something of somebody else.
func (r *resolver) foreignOn(l *state.Link, replaced bool) {
	var on []string
	for _, c := range r.children[l.Index] {
		if !r.doomed[c.Index] {
			on = append(on, c.Name)
		}
	}
	if m := r.Snapshot.Link(l.Master); m != nil && !r.doomed[m.Index] && r.ownedKind(m.Name) == "" {
		on = append(on, m.Name)
	}
	if len(on) == 0 {
		return
	}
	verb := "removed"
	if replaced {
		verb = "made anew"
	}
	r.refuse(netcfg.Precondition, netcfg.NicPath(l.Name, ""), "link-in-use", l.Name,
		"%s cannot be %s while %s, which the agent does not own, stands on it; remove that first", l.Name, verb, strings.Join(on, ", "))
}
