package plan

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Intent is a configuration resolved for one host: which links, by index, are to
// have what, and what of the agent's own is to go. Build and Check both work from
// it and from nothing else.
type Intent struct {
	// Links in dependency order: NICs, bonds, VLANs.
	Links []Link
	// Routes are the wanted routes of the agent.
	Routes []Route
	// GoneLinks are the indexes of the agent's links that nobody wants any more.
	GoneLinks []int
	// GoneAddresses and GoneRoutes are the agent's on links that stay.
	GoneAddresses []state.Address
	GoneRoutes    []state.Route
	// Resolver is what the resolver's file is to be; nil leaves it as it is.
	Resolver *state.Resolver
	// ownsResolver says that the configuration is what fills that file.
	ownsResolver bool
	// Waiting are the NICs whose configuration has to wait, with the reason.
	Waiting []Waiting
	// Away are NICs of the configuration that somebody has taken.
	Away []Away
	// Left are the names of links that are to stay as they are; see Leaving.
	Left map[string]bool
	// Warnings tell what the operator should know before.
	Warnings netcfg.Problems
	// Memory is what the agent has to remember from the first write on.
	Memory Memory
	// Others is what others had on links that stay when the change began; nothing at
	// the first look.
	Others Others
}

// Others is what others have put onto links.
type Others struct {
	Addresses []state.Address
	Routes    []state.Route
}

// Link is a wanted link.
type Link struct {
	// Name in the configuration; KernelName differs when hardware was renamed.
	Name, KernelName string
	Kind             netcfg.Kind
	// Index of the link; New says that it is chosen for a link yet to be made.
	// Replaces is the index of the link of this name that has to go first.
	Index    int
	New      bool
	Replaces int
	// MAC and MTU are left as they are when empty and 0. A slave is to have the MAC
	// when it becomes one.
	MAC string
	MTU int
	// Up is the wanted administrative state.
	Up bool
	// Master is the index of the bond above, 0 for none. AnyMaster leaves a
	// foreign master alone.
	Master    int
	AnyMaster bool
	// Parent and VLANID of a VLAN.
	Parent, VLANID int
	// Options of a bond in canonical form, the full set that is valid in its mode.
	Options map[string]string
	// Slaves of a bond, in document order.
	Slaves []int
	// Addresses in the order in which to add them. Of a slave, none are wanted and
	// NoAddresses is set: whatever is there has to go.
	Addresses   []state.Address
	NoAddresses bool
	// AsBefore says that IPv6 addresses, too, are to stand in the order that this makes.
	AsBefore bool
	// Foreign are those of Addresses that are somebody else's: the agent had taken
	// them off, and gives them back.
	Foreign []netip.Prefix
	// NoLinkLocal is whether the kernel is to make no link-local IPv6 address; nil
	// leaves it as it is.
	NoLinkLocal *bool
	// DHCP says that the link is to have a lease, and FullMTU what MTU it would have
	// whatever that says. DHCP6 says the same of DHCPv6, and Informed that it is to be
	// asked for what goes with addresses, but not for any.
	DHCP            bool
	FullMTU         int
	DHCP6, Informed bool
	// Renewed says that its leases have been renewed, so that lifetimes are to be exact.
	Renewed bool
	// Discovery is what the kernel is to make of router advertisements; nil leaves that as
	// it is. Discovers says that it is to look for routers, else the agent gives back what
	// it has found.
	Discovery *state.Discovery
	Discovers bool
	// Restored marks a link that nobody configures any more and that is put back
	// as it was found.
	Restored bool
}

// Route is a wanted route through the link of that index.
type Route struct {
	state.Route
	// Nic is the name for paths and messages.
	Nic string
}

// Waiting is a NIC whose configuration cannot be completed yet.
type Waiting struct{ Nic, Reason string }

// Drift is one difference between an Intent and a Snapshot.
type Drift struct {
	Field, Wanted, Actual string
	// Outside marks a difference that no operation of the agent mends: another host
	// has the address, or somebody has put the NIC into a bridge of his own. Hint is
	// what to do about it.
	Outside bool
	Hint    string
}

// Memory is what the agent remembers of its own doing. It lives on disk and is
// written before the kernel is.
type Memory struct {
	// Owned is what the agent has put there.
	Owned Owned
	// Baseline is how links were before the agent first touched them, by name.
	Baseline map[string]Baseline
	// Identity is the hardware behind a configured name.
	Identity map[string]Identity
	// Discovery is how the switches for router advertisements were found on the links on
	// which the agent has taken them over.
	Discovery map[string]state.Discovery
	// Resolver is how the resolver's file was found when the agent took it over; nil when
	// it has not. Like the file it outlives a boot.
	Resolver *state.Resolver
}

// Owned is what the agent has put into the kernel, by names that outlive an index.
type Owned struct {
	// Links are bonds and VLANs.
	Links map[string]netcfg.Kind
	// Addresses by link.
	Addresses map[string][]netip.Prefix
	// Routes in the table main.
	Routes []OwnedRoute
}

// OwnedRoute is a route of the agent.
type OwnedRoute struct {
	Link    string
	Dst     netip.Prefix
	Gateway netip.Addr
	Metric  uint32
}

// Baseline is how a link was before the agent touched it, so that it can be left
// as it was found.
type Baseline struct {
	Link state.Link
	// Slaves are the names of a bond's slaves.
	Slaves []string
	// Master is the name of the link above.
	Master string
	// Addresses and Routes are those that somebody else had put on it.
	Addresses []state.Address
	Routes    []state.Route
	// Adopted and AdoptedRoutes were there just as the document wanted them. They
	// became the agent's, to change and to take off.
	Adopted       []state.Address
	AdoptedRoutes []state.Route
	// Fresh marks what was recorded by the operation that is under way. Rolling
	// back restores a fresh bond or VLAN, while removing an adopted one later
	// deletes it.
	Fresh bool
}

// Identity is what hardware keeps over renames and reboots.
type Identity struct{ PermMAC, BusPath string }

// Union is what either side owns.
func (o Owned) Union(p Owned) Owned {
	switch {
	case o.nothing():
		return p
	case p.nothing():
		return o
	}
	u := Owned{Links: union(o.Links, p.Links), Addresses: union(p.Addresses, o.Addresses), Routes: merge(o.Routes, p.Routes)}
	for name, list := range p.Addresses { // behind those of o
		u.Addresses[name] = merge(u.Addresses[name], list)
	}
	return u
}

func (o Owned) nothing() bool { return len(o.Links)+len(o.Addresses)+len(o.Routes) == 0 }

// union has the entries of both, and those of b where both have one.
func union[V any](a, b map[string]V) map[string]V {
	u := make(map[string]V, max(len(a), len(b)))
	maps.Copy(u, a)
	maps.Copy(u, b)
	return u
}

// merge is a list with what only the other one has behind it. Neither is changed.
func merge[T comparable](list, more []T) []T {
	list = slices.Clip(list)
	for _, x := range more {
		if !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

// of is what is owned on one link.
func (o Owned) of(name string) Owned {
	out := Owned{Links: map[string]netcfg.Kind{}, Addresses: map[string][]netip.Prefix{name: o.Addresses[name]}}
	if kind, ok := o.Links[name]; ok {
		out.Links[name] = kind
	}
	for _, r := range o.Routes {
		if r.Link == name {
			out.Routes = append(out.Routes, r)
		}
	}
	return out
}

// Union is a memory that knows what either side knows. Of a link that both have
// seen the earlier tells how it was found; what was taken off it adds up.
func (m Memory) Union(later Memory) Memory {
	u := Memory{Owned: m.Owned.Union(later.Owned), Baseline: maps.Clone(later.Baseline), Identity: maps.Clone(later.Identity), Discovery: union(later.Discovery, m.Discovery)}
	if u.Resolver = m.Resolver; u.Resolver == nil {
		u.Resolver = later.Resolver
	}
	if u.Baseline == nil {
		u.Baseline = map[string]Baseline{}
	}
	if u.Identity == nil {
		u.Identity = map[string]Identity{}
	}
	for name, b := range m.Baseline {
		for _, a := range later.Baseline[name].Addresses {
			b.Addresses = appendAddress(b.Addresses, a)
		}
		for _, r := range later.Baseline[name].Routes {
			b.Routes = appendRoute(b.Routes, r)
		}
		for _, a := range later.Baseline[name].Adopted {
			b.Adopted = appendAddress(b.Adopted, a)
		}
		for _, r := range later.Baseline[name].AdoptedRoutes {
			b.AdoptedRoutes = appendRoute(b.AdoptedRoutes, r)
		}
		u.Baseline[name] = b
	}
	maps.Copy(u.Identity, m.Identity)
	return u
}

// AsFound is the memory for a rollback: what was adopted is to be left as it was
// found, where removing it in a document would delete it.
func (m Memory) AsFound() Memory {
	out := m
	out.Baseline = make(map[string]Baseline, len(m.Baseline))
	for name, b := range m.Baseline {
		b.Fresh = true
		out.Baseline[name] = b
	}
	return out
}

// Settled is the memory after an operation has succeeded: only what the intent
// still speaks of is remembered, and no baseline is fresh any more.
func (i *Intent) Settled() Memory {
	m := Memory{Owned: i.owned(), Baseline: map[string]Baseline{}, Identity: map[string]Identity{}}
	wanted, links := make(map[string]bool, len(i.Links)), make(map[string]*Link, len(i.Links))
	for j := range i.Links {
		l := &i.Links[j]
		wanted[l.Name], links[l.Name] = !l.Restored, l
	}
	for _, a := range i.Away {
		wanted[a.Nic] = true
	}
	for _, w := range i.Waiting {
		wanted[w.Nic] = true
		if links[w.Nic] == nil { // elsewhere the intent tells what the agent owns
			m.Owned = m.Owned.Union(i.Memory.Owned.of(w.Nic))
		}
	}
	m.Discovery = i.discoverySettled(links, wanted)
	m.Resolver = i.resolverSettled()
	for name, b := range i.Memory.Baseline {
		if wanted[name] {
			m.Baseline[name] = b.settled(links[name])
		}
	}
	for name, id := range i.Memory.Identity {
		if wanted[name] {
			m.Identity[name] = id
		}
	}
	return m
}

// settled forgets what has been given back: from now on it is its owner's to keep
// or to remove. What the document wants as well stays remembered.
func (b Baseline) settled(l *Link) Baseline {
	b.Fresh = false
	if l == nil || l.NoAddresses {
		return b
	}
	b.Routes = nil
	b.Addresses = slices.DeleteFunc(slices.Clone(b.Addresses), func(a state.Address) bool {
		return slices.Contains(l.Foreign, a.Prefix) || !contains(l.Addresses, a)
	})
	return b
}

// contains tells whether the prefix of an address is in a list.
func contains(list []state.Address, a state.Address) bool {
	return slices.ContainsFunc(list, func(have state.Address) bool { return have.Prefix == a.Prefix })
}

// owned is what the intent puts there.
func (i *Intent) owned() Owned {
	o := Owned{Links: make(map[string]netcfg.Kind, len(i.Links)), Addresses: make(map[string][]netip.Prefix, len(i.Links))}
	for j := range i.Links {
		l := &i.Links[j]
		if l.Restored {
			continue
		}
		if l.Kind != netcfg.KindNIC {
			o.Links[l.Name] = l.Kind
		}
		for _, a := range l.Addresses {
			if !slices.Contains(l.Foreign, a.Prefix) {
				o.Addresses[l.Name] = append(o.Addresses[l.Name], a.Prefix)
			}
		}
	}
	for _, r := range i.Routes {
		if r.Protocol == state.ProtocolHostnic {
			o.Routes = append(o.Routes, OwnedRoute{Link: r.Nic, Dst: r.Dst, Gateway: r.Gateway, Metric: r.Metric})
		}
	}
	return o
}
