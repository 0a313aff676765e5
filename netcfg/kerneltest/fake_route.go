package kerneltest

import (
	"cmp"
	"net/netip"
	"slices"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

const (
	typeUnicast = 1 // RTN_UNICAST

	flagLinkDown = 16   // RTNH_F_LINKDOWN
	metric6      = 1024 // IP6_RT_PRIO_USER
)

// how is what happens where the table has a route of the same destination and
// metric already.
type how int

const (
	addRoute     how = iota // NLM_F_EXCL
	replaceRoute            // NLM_F_REPLACE
	appendRoute             // NLM_F_APPEND, for the kernel's own
)

// routeAdd is RTM_NEWROUTE.
func (f *Fake) routeAdd(r state.Route, replace bool) *refusal {
	if !r.Dst.IsValid() {
		return refuse(syscall.EINVAL, "")
	}
	if r.Table == 0 {
		r.Table = state.MainTable
	}
	if r.Type == 0 {
		r.Type = typeUnicast
	}
	r.Flags &= plan.FlagOnlink
	mode := addRoute
	if replace {
		mode = replaceRoute
	}
	if r.Dst.Addr().Is4() {
		if r.Raw == nil {
			if refused := f.check4(&r); refused != nil {
				return refused
			}
		}
		return f.insert4(r, mode)
	}
	r.Dst = r.Dst.Masked()
	r.Scope = 0
	if r.Metric == 0 {
		r.Metric = metric6
	}
	if r.Protocol == 0 {
		r.Protocol = 3
	}
	if r.Raw == nil {
		if refused := f.check6(&r); refused != nil {
			return refused
		}
	}
	return f.insertRoute6(r, mode)
}

// group is the range of routes with the same table, destination and metric.
func (f *Fake) group(r *state.Route) (lo, hi int) {
	lo, _ = slices.BinarySearchFunc(f.routes, r, func(a state.Route, b *state.Route) int { return dumpOrder(&a, b) })
	for hi = lo; hi < len(f.routes) && dumpOrder(&f.routes[hi], r) == 0; hi++ {
	}
	return lo, hi
}

// insert4 is fib_table_insert (net/ipv4/fib_trie.c). What counts is destination
// and metric: a replace takes the place of the first of those, whoever put it
// there.
func (f *Fake) insert4(r state.Route, mode how) *refusal {
	lo, hi := f.group(&r)
	if lo < hi {
		same := slices.IndexFunc(f.routes[lo:hi], func(o state.Route) bool { return sameRoute(&o, &r) })
		switch {
		case mode == addRoute:
			return refuse(syscall.EEXIST, "")
		case same == 0 && mode == replaceRoute:
			return nil
		case same >= 0:
			return refuse(syscall.EEXIST, "")
		case mode == replaceRoute:
			f.routes[lo] = r
			return nil
		}
	}
	f.routes = slices.Insert(f.routes, hi, r)
	return nil
}

func sameRoute(a, b *state.Route) bool {
	return a.Gateway == b.Gateway && a.Link == b.Link && a.Source == b.Source && a.Protocol == b.Protocol &&
		a.Scope == b.Scope && a.Type == b.Type && a.Flags == b.Flags
}

// insertRoute6 is fib6_add_rt2node (net/ipv6/ip6_fib.c). A replace looks for a
// route of its own sort, with or without a gateway, and takes the first of the
// others when there is none. Routes by way of gateways are next hops of one route:
// a replace takes the place of all.
func (f *Fake) insertRoute6(r state.Route, mode how) *refusal {
	if l := f.byIndex[r.Link]; l != nil && !l.carrier {
		r.Flags |= flagLinkDown
	}
	lo, hi := f.group(&r)
	group := f.routes[lo:hi]
	switch {
	case mode == addRoute && len(group) > 0:
		return refuse(syscall.EEXIST, "")
	case mode == replaceRoute && len(group) > 0:
		at := max(0, slices.IndexFunc(group, func(o state.Route) bool { return o.Gateway.IsValid() == r.Gateway.IsValid() }))
		hops := group[at].Gateway.IsValid()
		group[at] = r
		for i := hi - 1; hops && i > lo+at; i-- {
			if f.routes[i].Gateway.IsValid() {
				f.routes = slices.Delete(f.routes, i, i+1)
			}
		}
		return nil
	case slices.ContainsFunc(group, func(o state.Route) bool { return o.Link == r.Link && o.Gateway == r.Gateway }):
		return refuse(syscall.EEXIST, "")
	}
	f.routes = slices.Insert(f.routes, hi, r)
	return nil
}

// routeDel is RTM_DELROUTE: the first route that fits. What is zero fits anything
// (fib_table_delete, ip6_route_del), but the scope of an IPv4 route by way of a
// gateway.
func (f *Fake) routeDel(r state.Route) *refusal {
	if r.Table == 0 {
		r.Table = state.MainTable
	}
	scoped := r.Dst.Addr().Is4() && (r.Gateway.IsValid() || r.Scope != 0 || r.Type > typeUnicast)
	i := slices.IndexFunc(f.routes, func(o state.Route) bool {
		return o.Dst == r.Dst.Masked() && o.Table == r.Table &&
			fits(o.Metric, r.Metric) && fits(o.Protocol, r.Protocol) && fits(o.Link, r.Link) &&
			fits(o.Gateway, r.Gateway) && (!scoped || o.Scope == r.Scope) &&
			(r.Dst.Addr().Is6() || fits(o.Source, r.Source) && fits(o.Type, r.Type))
	})
	if i < 0 {
		return refuse(syscall.ESRCH, "")
	}
	f.routes = slices.Delete(f.routes, i, i+1)
	return nil
}

func fits[T comparable](have, want T) bool {
	var zero T
	return want == zero || have == want
}

// flushRoutes takes out all routes of one family by way of the link, in all
// tables.
func (f *Fake) flushRoutes(l *link, ipv4 bool) {
	f.dropRoutes(func(r *state.Route) bool { return r.Link == l.Index && r.Dst.Addr().Is4() == ipv4 })
}

func (f *Fake) dropRoutes(gone func(*state.Route) bool) {
	kept := f.routes[:0]
	for i := range f.routes {
		if !gone(&f.routes[i]) {
			kept = append(kept, f.routes[i])
		}
	}
	f.routes = kept
}

// dumpOrder is the order in which the kernel dumps routes, 0 for two of the same
// table, destination and metric: IPv4 first; tables as in the hash of 256; within
// a table IPv4 by address (fn_trie_dump_leaf) and IPv6 with the narrower before
// the wider (fib6_walk_continue leaves a node after what is below it); the lowest
// metric first.
func dumpOrder(a, b *state.Route) int {
	v4 := a.Dst.Addr().Is4()
	if v4 != b.Dst.Addr().Is4() {
		if v4 {
			return -1
		}
		return 1
	}
	if c := cmp.Or(cmp.Compare(a.Table&255, b.Table&255), cmp.Compare(a.Table, b.Table)); c != 0 {
		return c
	}
	if v4 {
		return cmp.Or(a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(b.Dst.Bits(), a.Dst.Bits()), cmp.Compare(a.Metric, b.Metric))
	}
	if a.Dst != b.Dst && a.Dst.Overlaps(b.Dst) {
		return cmp.Compare(b.Dst.Bits(), a.Dst.Bits())
	}
	return cmp.Or(a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(a.Metric, b.Metric))
}

// lookup finds the route that a packet for dst takes in a table by way of the
// link, 0 being any: the longest prefix, then the lowest metric.
func (f *Fake) lookup(table int, dst netip.Addr, index int, scope uint8) *state.Route {
	var best *state.Route
	for i := range f.routes {
		r := &f.routes[i]
		if r.Table != table || r.Type != typeUnicast || r.Scope < scope || index != 0 && r.Link != index || !r.Dst.Contains(dst) {
			continue
		}
		if best == nil || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric {
			best = r
		}
	}
	return best
}
