package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"sync"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// ip6DefaultMetric is what the kernel makes of metric 0 (IP6_RT_PRIO_USER in
// include/net/ip6_fib.h).
const ip6DefaultMetric = 1024

// addressing gives links their addresses and default routes.
func (r *resolver) addressing() {
	holders := make(map[netip.Addr][]int, len(r.Snapshot.Addresses))
	for _, a := range r.Snapshot.Addresses {
		holders[a.Prefix.Addr()] = append(holders[a.Prefix.Addr()], a.Link)
	}
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || w.NoAddresses {
			continue
		}
		ipv6 := false
		for _, p := range n.Addresses() {
			if r.out.isAway(n.Name) && !r.has(w.Index, state.Address{Prefix: p}) {
				continue // it would not work there
			}
			w.Addresses = append(w.Addresses, staticAddress(w.Index, p))
			ipv6 = ipv6 || p.Addr().Is6()
			r.addressTaken(n, w, p, holders[p.Addr()])
			r.adoptAddress(n.Name, w, p)
		}
		if _, found := r.out.Memory.Baseline[n.Name]; !found {
			none := !ipv6 && n.IPv6Boot() == netcfg.BootNone
			w.NoLinkLocal = &none
		}
		for _, gw := range n.Gateways() {
			r.defaultRoute(n, w, gw)
		}
		r.leasing(n, w, holders)
	}
}

// giveBack returns what somebody else had on a link and the agent took off, as soon
// as nothing stands against it: the link is no slave any more, and the address is
// not wanted elsewhere. What the agent took over comes back with the whole link
// only.
func (r *resolver) giveBack() {
	wanted := sync.OnceValue(r.addresses)
	for _, n := range r.nics {
		w, b := r.want[n.Name], r.out.Memory.Baseline[n.Name]
		if w == nil || w.NoAddresses {
			continue
		}
		if w.Restored || b.Fresh {
			b.Addresses = slices.Concat(b.Addresses, b.Adopted)
			b.Routes = slices.Concat(b.Routes, b.AdoptedRoutes)
		}
		for a := range asFound(b.Addresses) {
			if !wanted()[a.Prefix.Addr()] {
				w.giveBack(a)
			}
		}
		for _, route := range b.Routes {
			route.Link = w.Index
			r.out.Routes = append(r.out.Routes, Route{route, n.Name})
		}
	}
}

// addresses are all that the configuration wants.
func (r *resolver) addresses() map[netip.Addr]bool {
	wanted := make(map[netip.Addr]bool, len(r.nics))
	for _, n := range r.nics {
		for _, p := range n.Addresses() {
			wanted[p.Addr()] = true
		}
		if l := r.lease(n); l != nil {
			wanted[l.Address.Addr()] = true
		}
		if l := r.lease6(n); l != nil {
			for _, a := range l.Addresses {
				wanted[a.Address] = true
			}
		}
	}
	return wanted
}

// giveBack wants an address of somebody else on the link.
func (l *Link) giveBack(a state.Address) {
	if contains(l.Addresses, a) {
		return
	}
	a.Link = l.Index
	l.Addresses, l.Foreign = append(l.Addresses, a), append(l.Foreign, a.Prefix)
}

func staticAddress(index int, p netip.Prefix) state.Address {
	return state.Address{Link: index, Prefix: p, Flags: state.FlagPermanent, Valid: state.Forever, Preferred: state.Forever}
}

// addressTaken refuses an address that another link of this host holds and keeps.
func (r *resolver) addressTaken(n *netcfg.HostNic, w *Link, p netip.Prefix, holders []int) {
	if l := r.holder(w, p, holders); l != nil {
		r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, addressField(p)), "address-taken", p.String(),
			"%s is already on %s, where somebody else has put it; take it off there first", p.Addr(), l.Name)
	}
}

// holder is another link of this host that has the address and keeps it; nil is none.
func (r *resolver) holder(w *Link, p netip.Prefix, holders []int) *state.Link {
	for _, index := range holders {
		l := r.Snapshot.Link(index)
		if index == w.Index || l == nil || r.doomed[index] {
			continue
		}
		holder := r.want[r.nameOf(l)]
		leaves := holder != nil && holder.NoAddresses || r.ownsPrefixOn(r.nameOf(l), p.Addr())
		if !leaves {
			return l
		}
	}
	return nil
}

// ownsPrefixOn is true of an address that the agent has put there and will take
// off unless the configuration, which is free of duplicates, wants it.
func (r *resolver) ownsPrefixOn(link string, a netip.Addr) bool {
	return slices.ContainsFunc(r.Memory.Owned.Addresses[link], func(p netip.Prefix) bool { return p.Addr() == a })
}

func addressField(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "ip.address"
	}
	return "ipv6.address"
}

// adoptAddress remembers an address that somebody else had put where the document
// wants it: it stays when the agent lets go.
func (r *resolver) adoptAddress(name string, w *Link, p netip.Prefix) {
	b, ok := r.out.Memory.Baseline[name]
	if !ok || r.ownsAddress(name, state.Address{Prefix: p}) {
		return
	}
	for _, a := range r.addrs[w.Index] {
		if a.Prefix == p {
			b.Adopted = appendAddress(b.Adopted, a)
			r.out.Memory.Baseline[name] = b
		}
	}
}

// ipv6MTU refuses an MTU with which the kernel takes IPv6 off the link, where only
// the host tells: the MTU was found there, or the addresses are somebody else's.
func (r *resolver) ipv6MTU() {
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || w.NoAddresses || w.MTU == 0 || w.MTU >= minIPv6MTU {
			continue
		}
		stay := slices.Clone(w.Addresses)
		for _, a := range r.addrs[w.Index] {
			if !ofKernel(a) && !r.ownsAddress(n.Name, a) {
				stay = append(stay, a)
			}
		}
		if i := slices.IndexFunc(stay, func(a state.Address) bool { return a.Prefix.Addr().Is6() }); i >= 0 {
			r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, "mtu"), "mtu-ipv6", strconv.Itoa(w.MTU),
				"below an MTU of %d the kernel takes IPv6 off a link, and %s has the address %s; give it a larger mtu, or take the address off",
				minIPv6MTU, n.Name, stay[i].Prefix)
		}
	}
}

// adoptRoute remembers a route that somebody else had made just as the document
// wants it: it stays when the agent lets go.
func (r *resolver) adoptRoute(name string, route state.Route) {
	if b, ok := r.out.Memory.Baseline[name]; ok && !r.ownsRoute(name, route) {
		b.AdoptedRoutes = appendRoute(b.AdoptedRoutes, route)
		r.out.Memory.Baseline[name] = b
	}
}

func (r *resolver) defaultRoute(n *netcfg.HostNic, w *Link, gw netip.Addr) {
	field, dst, metric := "ip.gateway", netip.PrefixFrom(netip.IPv4Unspecified(), 0), uint32(0)
	if gw.Is6() {
		field, dst, metric = "ipv6.gateway", netip.PrefixFrom(netip.IPv6Unspecified(), 0), ip6DefaultMetric
	}
	want := state.Route{Table: state.MainTable, Dst: dst, Gateway: gw.WithZone(""), Link: w.Index, Metric: metric,
		Protocol: state.ProtocolHostnic, Type: 1}
	there := false
	for _, have := range r.Snapshot.Routes {
		if sameRoute(have, want) {
			there = true
			r.adoptRoute(n.Name, have)
		}
		if have.Table != state.MainTable || have.Dst != dst || have.Metric != metric || have.Link == w.Index && have.Gateway == want.Gateway {
			continue
		}
		l := r.Snapshot.Link(have.Link)
		if l == nil || r.doomed[have.Link] || r.ownsRoute(r.nameOf(l), have) || r.want[r.nameOf(l)] != nil && r.want[r.nameOf(l)].NoAddresses {
			continue
		}
		r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, field), "route-taken", gw.String(),
			"somebody else has a default route via %s dev %s; remove it first (ip route del default via %s dev %s)", have.Gateway, l.Name, have.Gateway, l.Name)
	}
	if there || !r.out.isAway(n.Name) {
		r.out.Routes = append(r.out.Routes, Route{want, n.Name})
	}
}

// restore puts links that nobody configures any more back as they were found.
func (r *resolver) restore() {
	names := make([]string, 0, len(r.out.Memory.Baseline))
	for name := range r.out.Memory.Baseline {
		if r.byConfig[name] == nil && !r.Leave[name] {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		return rankOf(r.out.Memory.Baseline[names[i]]) < rankOf(r.out.Memory.Baseline[names[j]])
	})
	for _, name := range names {
		b := r.out.Memory.Baseline[name]
		l, _ := r.hardware(name)
		if l == nil || r.doomed[l.Index] || kindOf(b.Link.Kind) != netcfg.KindNIC && !b.Fresh {
			continue
		}
		r.restoreLink(name, b, l)
	}
}

func rankOf(b Baseline) string {
	return fmt.Sprintf("%d%s", kindRank(kindOf(b.Link.Kind)), b.Link.Name)
}

func kindOf(kernel string) netcfg.Kind {
	switch kernel {
	case "bond":
		return netcfg.KindBond
	case "vlan":
		return netcfg.KindVLAN
	}
	return netcfg.KindNIC
}

func (r *resolver) restoreLink(name string, b Baseline, l *state.Link) {
	w := &Link{Name: name, KernelName: l.Name, Kind: kindOf(b.Link.Kind), Index: l.Index, MAC: b.Link.MAC, MTU: b.Link.MTU,
		Up: b.Link.AdminUp, Parent: b.Link.Parent, VLANID: b.Link.VLANID, Restored: true}
	if b.Link.Bond != nil {
		w.Options = maps.Clone(b.Link.Bond.Options)
		maps.DeleteFunc(w.Options, func(name, _ string) bool {
			// The kernel tells some that it does not take.
			s, ok := netcfg.BondOptionSpec(name)
			return !ok || !s.ValidIn(w.Options["mode"])
		})
		for _, s := range b.Slaves {
			if sl := r.byName[s]; sl != nil {
				w.Slaves = append(w.Slaves, sl.Index)
			}
		}
	}
	if m := r.byName[b.Master]; m != nil && !r.doomed[m.Index] {
		w.Master, w.NoAddresses = m.Index, m.Kind == "bond"
	} else if b.Link.Slave != nil && b.Link.Slave.PermMAC != "" {
		// Its bond of then is gone, and with it the MAC and the flags it lent.
		w.MAC = b.Link.Slave.PermMAC
	}
	if w.Master == 0 && l.Master != 0 && r.ownedKind(r.Snapshot.Name(l.Master)) == "" {
		w.AnyMaster = true
	}
	if w.NoAddresses { // a bond gives its slaves both
		w.MAC, w.MTU = "", 0
	}
	r.want[name] = w
	r.nics = append(r.nics, &netcfg.HostNic{Name: name})
}

// goneAddressing lists what the agent has put onto links that stay and that is not
// wanted any more. What goes by itself, with its link, is not listed.
func (r *resolver) goneAddressing() {
	byIndex := make(map[int]*Link, len(r.want))
	for _, w := range r.want {
		byIndex[w.Index] = w
	}
	for _, a := range r.Snapshot.Addresses {
		l := r.Snapshot.Link(a.Link)
		if l == nil || r.doomed[a.Link] || r.Leave[r.nameOf(l)] {
			continue
		}
		w := byIndex[a.Link]
		if w == nil {
			if r.ownsAddress(r.nameOf(l), a) {
				r.out.GoneAddresses = append(r.out.GoneAddresses, a)
			}
			continue
		}
		wanted := contains(w.Addresses, a)
		if w.NoLinkLocal != nil && *w.NoLinkLocal && !l.AddrGenModeNone && a.MadeLinkLocal() && !slices.ContainsFunc(r.out.Memory.Baseline[w.Name].Addresses, func(b state.Address) bool { return b.Prefix == a.Prefix }) {
			r.out.GoneAddresses = append(r.out.GoneAddresses, a)
			continue
		}
		if !wanted && !a.LinkLocal() && (w.NoAddresses || r.ownsAddress(w.Name, a) || w.unlearns() && a.Learnt()) {
			r.out.GoneAddresses = append(r.out.GoneAddresses, a)
		}
	}
	for _, route := range r.Snapshot.Routes {
		l := r.Snapshot.Link(route.Link)
		if l == nil || r.doomed[route.Link] || r.Leave[r.nameOf(l)] || route.Protocol == state.ProtocolKernel {
			continue
		}
		w := byIndex[route.Link]
		learnt := w != nil && w.letsGo() && route.Protocol == state.ProtocolRA
		if !learnt && !r.ownsRoute(r.nameOf(l), route) {
			continue
		}
		if !slices.ContainsFunc(r.out.Routes, func(w Route) bool { return sameRoute(w.Route, route) }) {
			r.out.GoneRoutes = append(r.out.GoneRoutes, route)
		}
	}
}
