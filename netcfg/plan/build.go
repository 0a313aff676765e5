package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Plan is what is to be done, in order. The operations of one phase may be sent
// together; a phase begins when the one before it has been acknowledged.
type Plan struct {
	Phases   []Phase
	Forecast []Forecast
	// Warnings tell what of others is lost for good.
	Warnings netcfg.Problems
	// Others is what the plan keeps, for the Intent of the next look.
	Others Others
}

// Phase is a step of a plan with a name for progress.
type Phase struct {
	Name string
	Ops  []Op
}

// Forecast is what a plan does to the traffic of one link.
type Forecast struct {
	Nic string
	// Disruption is its word, or "removed".
	Disruption string
	Reason     string
}

// Ops are all operations in order.
func (p Plan) Ops() []Op {
	var out []Op
	for _, ph := range p.Phases {
		out = append(out, ph.Ops...)
	}
	return out
}

// Empty is true of a plan that does nothing.
func (p Plan) Empty() bool { return len(p.Phases) == 0 }

// Build works out the operations that lead from a snapshot to an intent. Each
// phase compares what is wanted with what the phases before it leave, so that
// whatever an earlier operation costs by the way (addresses of a bounced link,
// secondaries of a removed address) is put back by a later one. What somebody
// else owns on links that stay is kept or put back as it was.
func Build(in Intent, s state.Snapshot) Plan {
	b := &builder{in: in, before: s, now: newModel(s), touched: map[int]bounce{}}
	b.keep()
	for _, phase := range []struct {
		name string
		run  func()
	}{
		{"remove routes", b.routesOut},
		{"remove addresses", b.addressesOut},
		{"remove links", b.linksOut},
		{"release slaves", b.release},
		{"lower MTU", b.lowerMTU},
		{"bonds", b.bonds},
		{"enslave", b.enslave},
		{"NICs and bonds up", b.basesUp},
		{"VLANs", b.vlans},
		{"VLANs up", b.vlansUp},
		{"addresses", b.addressesIn},
		{"routes", b.routesIn},
		{"remove old addresses", b.oldAddressesOut},
		{"links down", b.downs},
	} {
		b.ops = nil
		phase.run()
		if len(b.ops) > 0 {
			b.plan.Phases = append(b.plan.Phases, Phase{phase.name, b.ops})
		}
	}
	b.forecast()
	return b.plan
}

type builder struct {
	in     Intent
	before state.Snapshot
	now    *model
	ops    []Op
	plan   Plan

	keptAddrs  []state.Address
	keptRoutes []state.Route
	// touched are links whose traffic is interrupted, by index.
	touched map[int]bounce
}

type bounce struct {
	class  Disruption
	reason string
}

// do adds an operation and lets it take effect on what later phases see.
func (b *builder) do(op Op) {
	b.ops = append(b.ops, op)
	b.now.do(op)
}

// disrupt notes that a link that was there loses traffic, and with it the VLANs
// above.
func (b *builder) disrupt(index int, class Disruption, reason string) {
	if have, ok := b.touched[index]; !ok || have.class < class {
		b.touched[index] = bounce{class, reason}
	}
	for _, c := range b.now.children[index] {
		b.disrupt(c, LinkDown, "its base interface "+b.now.links[index].Name+" goes down for a moment")
	}
}

// keep notes what others have put onto links that stay.
func (b *builder) keep() {
	leaves := map[int]bool{}
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
	for _, l := range b.in.Links {
		leaves[l.Index] = leaves[l.Index] || l.NoAddresses
	}
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
// again: for the link, and from router advertisements. The flag of the temporary
// ones means secondary on IPv4.
func ofKernel(a state.Address) bool {
	const temporary, manageTemporary = 0x01, 0x100 // IFA_F_TEMPORARY, IFA_F_MANAGETEMPADDR
	return a.LinkLocal() || a.Prefix.Addr().Is6() && a.Flags&(temporary|manageTemporary) != 0
}

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

func (b *builder) name(index int) string {
	if l := b.now.links[index]; l != nil {
		return l.Name
	}
	return ""
}

// addressesOut takes off what goes and need not wait for its successor, and what
// stands before an address that has to come first: the kernel's order of IPv4
// addresses tells which one is primary.
func (b *builder) addressesOut() {
	waits := b.successors()
	for _, a := range b.in.GoneAddresses {
		if !waits(a) {
			b.removeAddress(a, "")
		}
	}
	for _, l := range b.in.Links {
		for _, a := range outOfOrder(b.now.addrs[l.Index], l.Addresses) {
			b.removeAddress(a, "to come back in the order of the document")
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

// outOfOrder are the present IPv4 addresses that stand where a wanted one of the
// same subnet has to come before them.
func outOfOrder(have, want []state.Address) []state.Address {
	var out []state.Address
	missing := map[string]bool{} // subnets with a wanted address that is not there, or goes
	last := map[string]int{}
	for _, w := range want {
		if !w.Prefix.Addr().Is4() {
			continue
		}
		subnet := w.Prefix.Masked().String()
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
	for _, l := range b.in.Links {
		for _, a := range l.Addresses {
			why := ""
			if slices.Contains(l.Foreign, a.Prefix) {
				why = "somebody else's, was taken off"
			}
			b.addAddress(l.Index, a, why)
		}
	}
	for _, a := range b.keptAddrs {
		b.addAddress(a.Link, a, "was lost with the link, somebody else's")
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

func (b *builder) routesIn() {
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

// downs lets go of links that were found down, and of somebody's VLANs that were down
// and have come up with their base interface. It is last, so that nothing that needs
// them up comes after it.
func (b *builder) downs() {
	wanted := map[int]bool{}
	for _, l := range b.in.Links {
		wanted[l.Index] = true
		if have := b.now.links[l.Index]; have != nil && !l.Up && have.AdminUp && l.Master == 0 {
			b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Up: no(), Why: "was down when it was found"})
		}
	}
	for _, was := range b.before.Links {
		now := b.now.links[was.Index]
		if was.Kind == "vlan" && !was.AdminUp && !wanted[was.Index] && now != nil && now.AdminUp {
			b.do(Op{Action: LinkSet, Index: was.Index, Name: was.Name, Up: no(), Why: "was down before its base interface came up"})
		}
	}
}

// forecast tells which links that carry something are interrupted. A link that
// was down or is new has nothing to lose.
func (b *builder) forecast() {
	recreated := map[string]bool{}
	for _, w := range b.in.Links {
		recreated[w.Name] = w.New && w.Replaces != 0
	}
	for _, l := range b.before.Links {
		after, hit := b.now.links[l.Index], b.touched[l.Index]
		switch {
		case after == nil && recreated[l.Name]:
			b.plan.Forecast = append(b.plan.Forecast, Forecast{l.Name, Recreated.String(), "its kind, its base interface or its id changes"})
		case after == nil:
			b.plan.Forecast = append(b.plan.Forecast, Forecast{l.Name, "removed", ""})
		case hit.class != Live && l.AdminUp:
			b.plan.Forecast = append(b.plan.Forecast, Forecast{l.Name, hit.class.String(), hit.reason})
		}
	}
}

func yes() *bool { v := true; return &v }
func no() *bool  { v := false; return &v }

func isVLAN(l Link) bool { return l.Kind == netcfg.KindVLAN }
