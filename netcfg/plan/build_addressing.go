package plan

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// keep notes what others have put onto links that stay.
func (b *builder) keep() {
	leaves := make(map[int]bool, len(b.in.GoneLinks))
	goneAddress, goneRoute := map[addressKey]bool{}, map[routeKey]bool{}
	for _, a := range b.in.GoneAddresses {
		goneAddress[keyOf(a)] = true
	}
	for _, r := range b.in.GoneRoutes {
		goneRoute[keyOfRoute(r)] = true
	}
	for _, i := range b.in.GoneLinks {
		leaves[i] = true
	}
	for i := range b.in.Links {
		if l := &b.in.Links[i]; l.NoAddresses {
			leaves[l.Index] = true
		}
	}
	b.keptAddrs = make([]state.Address, 0, len(b.before.Addresses))
	for _, a := range b.before.Addresses {
		if !leaves[a.Link] && !goneAddress[keyOf(a)] && !ofKernel(a) {
			b.keptAddrs = append(b.keptAddrs, a)
		}
	}
	for _, r := range b.before.Routes {
		if r.Link != 0 && !leaves[r.Link] && !goneRoute[keyOfRoute(r)] && r.Protocol != state.ProtocolKernel && r.Protocol != state.ProtocolRA {
			b.keptRoutes = append(b.keptRoutes, r)
		}
	}
	b.keepFrom(b.in.Others)
	b.plan.Others = Others{b.keptAddrs, b.keptRoutes}
	gatewaysLast(b.keptRoutes, func(r state.Route) state.Route { return r })
}

// keepFrom adds what earlier looks have found and this one does not: an operation
// that was to put it back has failed.
func (b *builder) keepFrom(earlier Others) {
	if len(earlier.Addresses)+len(earlier.Routes) == 0 {
		return
	}
	addresses, routes := map[addressKey]bool{}, map[routeKey]bool{}
	for _, a := range b.keptAddrs {
		addresses[keyOf(a)] = true
	}
	for _, r := range b.keptRoutes {
		routes[keyOfRoute(r)] = true
	}
	for _, a := range earlier.Addresses {
		if !addresses[keyOf(a)] {
			b.keptAddrs = append(b.keptAddrs, a)
		}
	}
	for _, r := range earlier.Routes {
		if !routes[keyOfRoute(r)] {
			b.keptRoutes = append(b.keptRoutes, r)
		}
	}
}

// gatewaysLast puts routes onto the link itself first: they may be what a gateway
// is reached by.
func gatewaysLast[T any](list []T, route func(T) state.Route) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(route(a).Gateway.BitLen(), route(b).Gateway.BitLen()) })
}

// ofKernel is true of an IPv6 address that the kernel makes by itself, and makes
// again: for the link, and from router advertisements.
func ofKernel(a state.Address) bool { return a.LinkLocal() || a.Learnt() }

func (b *builder) routesOut() {
	for _, r := range b.in.GoneRoutes {
		if b.replacedInPlace(r) {
			continue
		}
		b.do(Op{Action: RouteDel, Index: r.Link, Name: b.name(r.Link), Route: r})
	}
}

// replacedInPlace is true of a route of ours that another of ours takes the place
// of, in one request and without a gap.
func (b *builder) replacedInPlace(old state.Route) bool {
	return slices.ContainsFunc(b.in.Routes, func(w Route) bool { return takesPlace(w.Route, old) })
}

// addressesOut takes off what goes and need not wait for its successor, and what
// stands before an address that has to come first: the kernel's order of IPv4
// addresses tells which one is primary.
func (b *builder) addressesOut() {
	if len(b.in.GoneAddresses) > 0 {
		waits := b.successors()
		for _, a := range b.in.GoneAddresses {
			if !waits(a) {
				b.removeAddress(a, "")
			}
		}
	}
	for i := range b.in.Links {
		l := &b.in.Links[i]
		for _, a := range outOfOrder(b.now.addrs[l.Index], l.Addresses, netip.Addr.Is4) {
			b.removeAddress(a, "to come back in the order of the document")
		}
		if l.AsBefore {
			newestLast := slices.Clone(b.now.addrs[l.Index])
			slices.Reverse(newestLast)
			for _, a := range outOfOrder(newestLast, l.Addresses, netip.Addr.Is6) {
				b.removeAddress(a, "to come back in the order in which it was")
			}
		}
	}
}

// oldAddressesOut takes off what has waited for its successor.
func (b *builder) oldAddressesOut() {
	for _, a := range b.in.GoneAddresses {
		b.removeAddress(a, "")
	}
}

// successors tells which addresses wait until another one of their family is on
// their link, so that it is never without: the kernel takes the routes along with
// the last one. None waits where it is wanted on another link, or where others of
// its subnet are to be on its own, which would stand behind it and go with it.
func (b *builder) successors() (waits func(old state.Address) bool) {
	type family struct {
		link int
		ipv4 bool
	}
	comes, wanted, subnets := map[family]bool{}, map[netip.Addr]bool{}, map[addressKey]bool{}
	for _, l := range b.in.Links {
		for _, a := range l.Addresses {
			comes[family{l.Index, a.Prefix.Addr().Is4()}] = true
			wanted[a.Prefix.Addr()] = true
			subnets[addressKey{l.Index, a.Prefix.Masked()}] = true
		}
	}
	for _, a := range b.keptAddrs {
		subnets[addressKey{a.Link, a.Prefix.Masked()}] = true
	}
	return func(old state.Address) bool {
		return comes[family{old.Link, old.Prefix.Addr().Is4()}] && !wanted[old.Prefix.Addr()] && !subnets[addressKey{old.Link, old.Prefix.Masked()}]
	}
}

// removeAddress leaves out what the kernel has taken along already.
func (b *builder) removeAddress(a state.Address, why string) {
	if contains(b.now.addrs[a.Link], a) {
		b.do(Op{Action: AddrDel, Index: a.Link, Name: b.name(a.Link), Address: a, Why: why})
	}
}

// outOfOrder are the present addresses of a family that stand where a wanted one of the
// same subnet has to come before them.
func outOfOrder(have, want []state.Address, family func(netip.Addr) bool) []state.Address {
	if len(want) < 2 {
		return nil
	}
	var out []state.Address
	missing := map[netip.Prefix]bool{} // subnets with a wanted address that is not there, or goes
	last := map[netip.Prefix]int{}
	for _, w := range want {
		if !family(w.Prefix.Addr()) {
			continue
		}
		subnet := w.Prefix.Masked()
		i := slices.IndexFunc(have, func(h state.Address) bool { return h.Prefix == w.Prefix })
		before, seen := last[subnet]
		if i >= 0 && (missing[subnet] || seen && i < before) {
			out = append(out, have[i])
			missing[subnet] = true
			continue
		}
		if i < 0 {
			missing[subnet] = true
			continue
		}
		last[subnet] = i
	}
	return out
}

func (b *builder) addressesIn() {
	b.room(1)
	for i := range b.in.Links {
		l := &b.in.Links[i]
		for _, a := range l.Addresses {
			why := ""
			if slices.Contains(l.Foreign, a.Prefix) {
				why = "somebody else's, was taken off"
			}
			b.addAddress(l.Index, a, why)
			b.renewAddress(l, a)
		}
	}
	for a := range asFound(b.keptAddrs) {
		b.addAddress(a.Link, a, "was lost with the link, somebody else's")
	}
}

// asFound is the order in which addresses that stood so in a look have to be added to
// stand so again. The kernel puts a new IPv6 address before those that are there, and
// takes the first that will do as the source of what it sends.
func asFound(found []state.Address) iter.Seq[state.Address] {
	return func(yield func(state.Address) bool) {
		for i := range found {
			if found[i].Prefix.Addr().Is4() && !yield(found[i]) {
				return
			}
		}
		for i := range slices.Backward(found) {
			if found[i].Prefix.Addr().Is6() && !yield(found[i]) {
				return
			}
		}
	}
}

func (b *builder) addAddress(index int, a state.Address, why string) {
	if b.now.links[index] == nil || contains(b.now.addrs[index], a) {
		return
	}
	a.Link = index
	a.Flags &^= state.FlagSecondary | state.FlagTentative | state.FlagDADFailed
	b.do(Op{Action: AddrAdd, Index: index, Name: b.name(index), Address: a, Why: why})
}

// renewAddress gives an address that is there the lifetime that it ought to have.
func (b *builder) renewAddress(l *Link, a state.Address) {
	have := b.now.addrs[l.Index]
	i := slices.IndexFunc(have, func(h state.Address) bool { return h.Prefix == a.Prefix })
	if b.now.links[l.Index] == nil || i < 0 || b.left[l.Index] || l.wrongLifetime(a, have[i]) == "" {
		return
	}
	a.Link = l.Index
	b.do(Op{Action: AddrReplace, Index: l.Index, Name: b.name(l.Index), Address: a})
}

func (b *builder) routesIn() {
	if len(b.in.Routes) == 0 && len(b.keptRoutes) == 0 {
		return
	}
	there := map[routeKey]bool{}
	for _, list := range b.now.routes {
		for _, r := range list {
			there[keyOfRoute(r)] = true
		}
	}
	add := func(r state.Route, action Action, why string) {
		l := b.now.links[r.Link]
		if l == nil || !l.AdminUp || there[keyOfRoute(r)] {
			return
		}
		there[keyOfRoute(r)] = true
		b.do(Op{Action: action, Index: r.Link, Name: l.Name, Route: r, Why: why})
	}
	for _, w := range b.in.Routes {
		action := RouteAdd
		if w.Protocol != state.ProtocolHostnic && w.Raw == nil && !b.now.possible(w.Route) {
			// It was there without an address that its gateway is reached by.
			w.Flags |= FlagOnlink
		}
		if slices.ContainsFunc(b.in.GoneRoutes, func(old state.Route) bool { return b.present(old) && takesPlace(w.Route, old) }) {
			action = RouteReplace
		}
		add(w.Route, action, "")
	}
	for _, r := range b.keptRoutes {
		if there[keyOfRoute(r)] || b.now.possible(r) {
			add(r, RouteAdd, "was lost with the link or its address, somebody else's")
		} else {
			b.stranded(r)
		}
	}
}

// stranded warns of a route that nobody can put back without the address that it
// was reached by.
func (b *builder) stranded(r state.Route) {
	name := b.name(r.Link)
	b.plan.Warnings = append(b.plan.Warnings, netcfg.Problem{Path: netcfg.NicPath(name, ""), Rule: "route-stranded", Found: r.Dst.String(),
		Message: fmt.Sprintf("somebody else's route to %s via %s is lost with the address of %s that it was reached by", r.Dst, r.Gateway, name)})
}

func (b *builder) present(r state.Route) bool {
	return slices.ContainsFunc(b.now.routes[r.Link], func(have state.Route) bool { return sameRoute(have, r) })
}

// takesPlace is true of routes that the kernel keeps only one of.
func takesPlace(w, old state.Route) bool {
	return w.Table == old.Table && w.Dst == old.Dst && w.Metric == old.Metric
}

// addressKey and routeKey are identity as the kernel sees it.
type addressKey struct {
	link   int
	prefix netip.Prefix
}

type routeKey struct {
	table, link int
	dst         netip.Prefix
	gateway     netip.Addr
	metric      uint32
}

func keyOf(a state.Address) addressKey { return addressKey{a.Link, a.Prefix} }

func keyOfRoute(r state.Route) routeKey {
	return routeKey{r.Table, r.Link, r.Dst, r.Gateway, r.Metric}
}
