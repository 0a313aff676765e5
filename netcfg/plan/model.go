package plan

import (
	"maps"
	"net/netip"
	"slices"
	"sort"
	"strconv"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Project foretells what the operations make of a snapshot, side effects of the
// kernel included as far as planning depends on them: what a link that goes down
// loses, what goes with a deleted link or address, what a master does to its
// slaves. Routes that the kernel makes for addresses are not followed.
func Project(s state.Snapshot, ops []Op) state.Snapshot {
	m := newModel(s)
	for i := range ops {
		m.do(&ops[i])
	}
	return m.snapshot()
}

// model is a snapshot that operations can be tried on, with the indexes that make
// each of them cheap.
type model struct {
	links    map[int]*state.Link
	children map[int][]int
	// orphaned are parents that have lost a child since their list was cleaned: one
	// pass over it serves for many.
	orphaned map[int]bool
	slaves   map[int][]int
	addrs    map[int][]state.Address
	routes   map[int][]state.Route
	// formerMTU is the MTU that a slave gets back, where it was enslaved here. Of
	// others only the driver knows.
	formerMTU map[int]int
	resolver  *state.Resolver
}

func newModel(s state.Snapshot) *model {
	// Clones, as the operations write into what they change.
	links, addresses, routes := slices.Clone(s.Links), slices.Clone(s.Addresses), slices.Clone(s.Routes)
	m := &model{links: make(map[int]*state.Link, len(links)), children: map[int][]int{}, orphaned: map[int]bool{}, slaves: map[int][]int{},
		addrs: addressesByLink(addresses), routes: routesByLink(routes), formerMTU: map[int]int{}, resolver: s.Resolver}
	for i := range links {
		l := &links[i]
		if l.Bond != nil {
			b := *l.Bond
			b.Options = maps.Clone(b.Options)
			l.Bond = &b
		}
		m.put(l)
	}
	return m
}

func addressesByLink(list []state.Address) map[int][]state.Address {
	return byLink(list, func(a *state.Address) int { return a.Link })
}

func routesByLink(list []state.Route) map[int][]state.Route {
	return byLink(list, func(r *state.Route) int { return r.Link })
}

// byLink takes a list apart by link, each part in its order. Parts that stood
// together stay in their place in memory, with no room to grow.
func byLink[T any](list []T, link func(*T) int) map[int][]T {
	out := make(map[int][]T, len(list))
	for i := 0; i < len(list); {
		index, end := link(&list[i]), i+1
		for end < len(list) && link(&list[end]) == index {
			end++
		}
		if part := list[i:end:end]; out[index] == nil {
			out[index] = part
		} else {
			out[index] = append(out[index], part...)
		}
		i = end
	}
	return out
}

func (m *model) put(l *state.Link) {
	m.links[l.Index] = l
	if l.Parent != 0 {
		m.children[l.Parent] = append(m.children[l.Parent], l.Index)
	}
	if l.Master != 0 {
		m.slaves[l.Master] = append(m.slaves[l.Master], l.Index)
	}
}

// childrenOf are the links on a link.
func (m *model) childrenOf(index int) []int {
	if m.orphaned[index] {
		delete(m.orphaned, index)
		m.children[index] = slices.DeleteFunc(m.children[index], func(i int) bool { return m.links[i] == nil })
	}
	return m.children[index]
}

func (m *model) snapshot() state.Snapshot {
	s := state.Snapshot{Resolver: m.resolver}
	for _, i := range slices.Sorted(maps.Keys(m.links)) {
		s.Links = append(s.Links, *m.links[i])
		s.Addresses = append(s.Addresses, m.addrs[i]...)
	}
	for _, i := range slices.Sorted(maps.Keys(m.routes)) {
		s.Routes = append(s.Routes, m.routes[i]...)
	}
	sort.SliceStable(s.Routes, func(i, j int) bool { return s.Routes[i].Table < s.Routes[j].Table })
	return s
}

func (m *model) do(op *Op) {
	switch op.Action {
	case LinkAdd:
		m.add(op)
	case LinkSet:
		if l := m.links[op.Index]; l != nil {
			m.set(l, op)
		}
	case LinkDel:
		m.remove(op.Index)
	case GroupDel:
		for i, l := range m.links {
			if l.Group == op.Group {
				m.remove(i)
			}
		}
	case AddrAdd:
		m.addAddress(op.Address)
	case DiscoverySet:
		for _, s := range op.Options {
			if l := m.links[op.Index]; l != nil {
				l.Discovery.Set(s.Name, s.Value)
				l.AddrGenModeNone = l.AddrGenModeNone && s.Name != switchAddrGenMode
			}
		}
	case ResolverSet:
		m.resolver = op.Resolver
	case AddrReplace:
		list := m.addrs[op.Index]
		for i := range list {
			if list[i].Prefix == op.Address.Prefix {
				list[i].Valid, list[i].Preferred = op.Address.Valid, op.Address.Preferred
			}
		}
	case AddrDel:
		m.removeAddress(op.Address)
	case RouteAdd:
		m.routes[op.Route.Link] = append(m.routes[op.Route.Link], op.Route)
	case RouteReplace:
		for i, list := range m.routes {
			m.routes[i] = slices.DeleteFunc(list, func(r state.Route) bool {
				return r.Table == op.Route.Table && r.Dst == op.Route.Dst && r.Metric == op.Route.Metric
			})
		}
		m.routes[op.Route.Link] = append(m.routes[op.Route.Link], op.Route)
	case RouteDel:
		m.routes[op.Route.Link] = slices.DeleteFunc(m.routes[op.Route.Link], func(r state.Route) bool { return sameRoute(r, op.Route) })
	}
}

func (m *model) add(op *Op) {
	l := state.Link{Index: op.Index, Name: op.Name, Kind: op.Kind, Type: 1, MAC: op.MAC, MTU: op.MTU, Group: op.Group,
		Parent: op.Parent, VLANID: op.VLANID, AdminUp: op.Up != nil && *op.Up, Discovery: state.UsualDiscovery()}
	parent := m.links[op.Parent]
	if l.MTU == 0 {
		l.MTU = ethernetMTU
		if parent != nil {
			l.MTU = parent.MTU
		}
	}
	if l.MAC == "" && parent != nil {
		l.MAC = parent.MAC
	}
	if op.Kind == "bond" {
		l.Bond = &state.Bond{Options: map[string]string{}}
		mode := netcfg.ModeRoundRobin
		for _, o := range op.Options {
			if o.Name == "mode" {
				mode = o.Value
			}
		}
		for _, s := range netcfg.BondOptions {
			if s.ValidIn(mode) {
				l.Bond.Options[s.Name] = s.Default
			}
		}
		m.options(&l, op.Options)
	}
	m.put(&l)
}

// set follows the kernel's order within one request: bond options first
// (rtnl_newlink), then address, MTU, group, master, flags (do_setlink in
// net/core/rtnetlink.c).
func (m *model) set(l *state.Link, op *Op) {
	if len(op.Options) > 0 && l.Bond != nil {
		m.options(l, op.Options)
	}
	if op.MAC != "" {
		m.setMAC(l, op.MAC)
	}
	if op.MTU != 0 {
		m.setMTU(l, op.MTU)
	}
	if op.Group != 0 {
		l.Group = op.Group
	}
	if op.Master != nil {
		m.setMaster(l, *op.Master)
	}
	if op.Up != nil && *op.Up {
		m.up(l)
	} else if op.Up != nil {
		m.down(l)
	}
	if op.AddrGenModeNone != nil {
		l.AddrGenModeNone = *op.AddrGenModeNone
	}
}

// options does what the driver does besides setting the value: a mode brings its
// own monitor, and either monitor switches the other off
// (drivers/net/bonding/bond_options.c).
func (m *model) options(l *state.Link, opts []Option) {
	have := l.Bond.Options
	for _, o := range opts {
		if o.Name == "miimon" {
			rescale(have, o.Value)
		}
		have[o.Name] = o.Value
		on := o.Value != "0" && o.Value != ""
		switch {
		case o.Name == "mode" && (o.Value == netcfg.Mode8023AD || o.Value == netcfg.ModeTLB || o.Value == netcfg.ModeALB):
			delete(have, "arp_interval")
			if have["miimon"] == "0" || have["miimon"] == "" {
				have["miimon"] = "100"
			}
		case o.Name == "miimon" && on:
			if _, ok := have["arp_interval"]; ok {
				have["arp_interval"], have["arp_validate"] = "0", "none"
			}
		case o.Name == "arp_interval" && on:
			rescale(have, "0")
			have["miimon"] = "0"
		}
	}
	mode := have["mode"]
	for name := range have {
		if s, ok := netcfg.BondOptionSpec(name); ok && !s.ValidIn(mode) {
			delete(have, name)
		}
	}
}

func (m *model) setMAC(l *state.Link, mac string) {
	old := l.MAC
	l.MAC = mac
	for _, c := range m.childrenOf(l.Index) {
		if m.links[c].MAC == old {
			m.setMAC(m.links[c], mac)
		}
	}
	if l.Bond != nil {
		for _, s := range m.slaves[l.Index] {
			m.links[s].MAC = mac
		}
	}
}

const minIPv6MTU = 1280

func (m *model) setMTU(l *state.Link, mtu int) {
	l.MTU = mtu
	if mtu < minIPv6MTU {
		m.dropIPv6(l.Index)
	}
	for _, c := range m.childrenOf(l.Index) {
		if m.links[c].MTU > mtu {
			m.setMTU(m.links[c], mtu)
		}
	}
	if l.Bond != nil {
		for _, s := range m.slaves[l.Index] {
			m.setMTU(m.links[s], mtu)
		}
	}
}

func (m *model) setMaster(l *state.Link, master int) {
	if old := l.Master; old != 0 {
		m.slaves[old] = slices.DeleteFunc(m.slaves[old], func(i int) bool { return i == l.Index })
		m.released(l)
	}
	l.Master = master
	bond := m.links[master]
	if bond == nil {
		return
	}
	m.slaves[master] = append(m.slaves[master], l.Index)
	if bond.Bond == nil {
		return
	}
	m.formerMTU[l.Index] = l.MTU
	l.Slave = &state.Slave{PermMAC: l.MAC}
	l.MTU, l.MAC, l.AdminUp = bond.MTU, bond.MAC, true
	m.dropIPv6(l.Index)
}

func (m *model) released(l *state.Link) {
	if l.Slave == nil {
		return
	}
	if l.Slave.PermMAC != "" {
		l.MAC = l.Slave.PermMAC
	}
	l.MTU = m.formerMTU[l.Index] // 0 is unknown
	l.Slave, l.AdminUp = nil, false
	m.dropIPv6(l.Index)
	delete(m.routes, l.Index)
}

// up takes the VLANs above along, even those that were meant to stay down
// (vlan_device_event in net/8021q/vlan.c).
func (m *model) up(l *state.Link) {
	l.AdminUp = true
	for _, c := range m.childrenOf(l.Index) {
		m.up(m.links[c])
	}
}

// down loses IPv6 addresses and routes, here and on the VLANs above. Routes that
// the kernel makes come back with the link and are not followed.
func (m *model) down(l *state.Link) {
	l.AdminUp = false
	m.dropIPv6(l.Index)
	delete(m.routes, l.Index)
	for _, c := range m.childrenOf(l.Index) {
		m.down(m.links[c])
	}
}

func (m *model) dropIPv6(index int) {
	m.addrs[index] = slices.DeleteFunc(m.addrs[index], func(a state.Address) bool { return a.Prefix.Addr().Is6() })
	m.routes[index] = slices.DeleteFunc(m.routes[index], func(r state.Route) bool { return r.Dst.Addr().Is6() })
}

func (m *model) remove(index int) {
	l := m.links[index]
	if l == nil {
		return
	}
	for _, c := range slices.Clone(m.childrenOf(index)) {
		m.remove(c)
	}
	for _, s := range slices.Clone(m.slaves[index]) {
		m.setMaster(m.links[s], 0)
	}
	m.orphaned[l.Parent] = true
	m.slaves[l.Master] = slices.DeleteFunc(m.slaves[l.Master], func(i int) bool { return i == index })
	delete(m.links, index)
	delete(m.addrs, index)
	delete(m.routes, index)
}

func (m *model) addAddress(a state.Address) {
	list := m.addrs[a.Link]
	if contains(list, a) {
		return
	}
	a.Flags &^= state.FlagSecondary
	if a.Prefix.Addr().Is4() && slices.ContainsFunc(list, func(have state.Address) bool {
		return have.Prefix.Masked() == a.Prefix.Masked() && !have.Secondary()
	}) {
		a.Flags |= state.FlagSecondary
	}
	m.addrs[a.Link] = append(list, a)
}

// removeAddress takes the secondaries along: promote_secondaries is off by default
// (net/ipv4/devinet.c). Routes through the subnet stay, but the last IPv4 address
// takes all IPv4 routes of the link along (fib_inetaddr_event in
// net/ipv4/fib_frontend.c).
func (m *model) removeAddress(a state.Address) {
	list := m.addrs[a.Link]
	i := slices.IndexFunc(list, func(have state.Address) bool { return have.Prefix == a.Prefix })
	if i < 0 {
		return
	}
	ipv4 := func(p netip.Prefix) bool { return p.Addr().Is4() }
	primary := ipv4(a.Prefix) && !list[i].Secondary()
	m.addrs[a.Link] = slices.DeleteFunc(list, func(have state.Address) bool {
		return have.Prefix == a.Prefix || primary && have.Secondary() && have.Prefix.Masked() == a.Prefix.Masked()
	})
	last := !slices.ContainsFunc(m.addrs[a.Link], func(have state.Address) bool { return ipv4(have.Prefix) })
	m.routes[a.Link] = slices.DeleteFunc(m.routes[a.Link], func(r state.Route) bool {
		return ipv4(r.Dst) && ipv4(a.Prefix) && (last || r.Source == a.Prefix.Addr())
	})
}

// possible is true of a route that the kernel takes: its source is an address of
// this host, and its gateway is reached through the link.
func (m *model) possible(r state.Route) bool {
	if r.Source.IsValid() && !m.local(r.Source) {
		return false
	}
	return !r.Gateway.IsValid() || r.Flags&FlagOnlink != 0 || r.Gateway.IsLinkLocalUnicast() ||
		slices.ContainsFunc(m.addrs[r.Link], func(a state.Address) bool { return a.Prefix.Contains(r.Gateway) }) ||
		slices.ContainsFunc(m.routes[r.Link], func(have state.Route) bool {
			return !have.Gateway.IsValid() && have.Dst.Contains(r.Gateway) && have.Protocol != state.ProtocolKernel
		})
}

func (m *model) local(a netip.Addr) bool {
	for _, list := range m.addrs {
		if slices.ContainsFunc(list, func(have state.Address) bool { return have.Prefix.Addr() == a }) {
			return true
		}
	}
	return false
}

func itoa(n int) string { return strconv.Itoa(n) }
