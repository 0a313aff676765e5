package plan

import (
	"maps"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Leaving is the intent for a Build that touches nothing of some links, named as in the
// configuration, and nothing that cannot be had without them; Left names both. The
// other links are brought to what is wanted, and Check finds of it what is to be done.
// What the agent owns, and how the host differs in all, the whole intent says. The empty
// name stands for what is no link's, the resolver.
func (i Intent) Leaving(leave map[string]bool, s state.Snapshot) Intent {
	if len(leave) == 0 {
		return i
	}
	l := leaver{snapshot: s, left: maps.Clone(leave), byIndex: map[int]*state.Link{}, indexes: map[int]bool{}}
	for j := range s.Links {
		l.byIndex[s.Links[j].Index] = &s.Links[j]
		l.indexes[s.Links[j].Index] = leave[s.Links[j].Name]
	}
	l.without(i.Links)
	out := i
	out.Left, out.Links, out.Routes = l.left, nil, nil
	if leave[""] {
		out.Resolver = nil
	}
	for _, w := range i.Links {
		l.indexes[w.Index], l.indexes[w.Replaces] = l.left[w.Name], l.left[w.Name]
	}
	delete(l.indexes, 0)
	for _, w := range i.Links {
		switch {
		case !l.left[w.Name]:
			w.Slaves = l.slaves(w)
			w.Options = l.options(w)
			if bond := l.byIndex[w.Master]; bond != nil && l.indexes[w.Master] {
				w.MTU = bond.MTU
			}
			out.Links = append(out.Links, w)
		case l.byIndex[w.Index] != nil:
			out.Links = append(out.Links, l.asItIs(w))
		}
	}
	for _, r := range i.Routes {
		if !l.indexes[r.Link] || slices.ContainsFunc(s.Routes, func(have state.Route) bool { return sameRoute(have, r.Route) }) {
			out.Routes = append(out.Routes, r)
		}
	}
	keep := func(index int) bool { return !l.indexes[index] }
	out.GoneLinks = filter(i.GoneLinks, keep)
	out.GoneAddresses = filter(i.GoneAddresses, func(a state.Address) bool { return keep(a.Link) })
	out.GoneRoutes = filter(i.GoneRoutes, func(r state.Route) bool { return keep(r.Link) })
	return out
}

type leaver struct {
	snapshot state.Snapshot
	byIndex  map[int]*state.Link
	left     map[string]bool
	indexes  map[int]bool // of what is left
}

// without leaves, too, the slaves of a bond that is left and not there, and the VLANs
// that the kernel would refuse on what their base is left as.
func (l *leaver) without(links []Link) {
	bases := map[int]bool{}
	for _, w := range links {
		bases[w.Index] = l.left[w.Name]
	}
	for _, w := range links {
		base := l.byIndex[w.Parent]
		if bases[w.Master] && l.byIndex[w.Master] == nil || bases[w.Parent] && (base == nil || !base.AdminUp || base.MTU < w.MTU) {
			l.left[w.Name] = true
		}
	}
}

// asItIs wants of a link what it has, so that what another link's change costs it is
// put back.
func (l *leaver) asItIs(w Link) Link {
	have := l.byIndex[w.Index]
	out := Link{Name: w.Name, KernelName: w.KernelName, Kind: w.Kind, Index: w.Index, Up: have.AdminUp,
		Master: have.Master, Parent: have.Parent, VLANID: have.VLANID, Foreign: w.Foreign, Slaves: l.slaves(w)}
	if w.Kind == netcfg.KindBond {
		out.MTU = have.MTU // which its slaves are to have
	}
	for a := range asFound(l.snapshot.AddressesOf(w.Index)) {
		if contains(w.Addresses, a) {
			out.Addresses = append(out.Addresses, a)
		}
	}
	return out
}

// slaves are those that a bond is to have: of those that are left, the ones that are in
// it, and of a bond that is left, whatever is in it.
func (l *leaver) slaves(w Link) []int {
	in := func(index int) bool { s := l.byIndex[index]; return s != nil && s.Master == w.Index }
	out := filter(w.Slaves, func(index int) bool { return !l.indexes[index] || in(index) })
	if w.Kind != netcfg.KindBond {
		return out
	}
	for j := range l.snapshot.Links {
		index := l.snapshot.Links[j].Index
		if in(index) && !slices.Contains(out, index) && (l.left[w.Name] || l.indexes[index]) {
			out = append(out, index)
		}
	}
	return out
}

// options leave out a primary that is left outside of its bond.
func (l *leaver) options(w Link) map[string]string {
	name := w.Options["primary"]
	if name == "" || slices.ContainsFunc(w.Slaves, func(index int) bool { return l.byIndex[index].Name == name }) {
		return w.Options
	}
	out := maps.Clone(w.Options)
	out["primary"] = ""
	return out
}

func filter[T any](list []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return !keep(v) })
}
