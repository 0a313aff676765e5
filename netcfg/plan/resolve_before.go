package plan

import (
	"cmp"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// before wants back what others had on links that stay, when an operation is
// undone: addresses and routes that went with a link that was bounced or enslaved,
// and the MTU and state of somebody's VLAN above.
func (r *resolver) before() {
	if r.Before == nil {
		return
	}
	byIndex := make(map[int]*Link, len(r.want))
	for _, w := range r.want {
		byIndex[w.Index] = w
	}
	addrs, routes := addressesByLink(r.Before.Addresses), routesByLink(r.Before.Routes)
	for i := range r.Before.Links {
		was := &r.Before.Links[i]
		now := r.byName[was.Name]
		if now == nil || now.Kind != was.Kind || r.ownedKind(was.Name) != "" || r.doomed[now.Index] || was.Type == loopback {
			continue
		}
		w := byIndex[now.Index]
		if w == nil && r.disturbed(was, now, addrs[was.Index], routes[was.Index]) {
			w = &Link{Name: was.Name, KernelName: now.Name, Kind: netcfg.KindNIC, Index: now.Index, MTU: was.MTU, Up: was.AdminUp,
				AnyMaster: true, Restored: true}
			r.want[was.Name] = w
			r.nics = append(r.nics, &netcfg.HostNic{Name: was.Name})
		}
		if w != nil && !w.NoAddresses {
			r.beforeOn(w, was.Name, addrs[was.Index], routes[was.Index])
		}
	}
}

func (r *resolver) disturbed(was, now *state.Link, addrs []state.Address, routes []state.Route) bool {
	if was.MTU != now.MTU || was.AdminUp != now.AdminUp {
		return true
	}
	there := map[routeKey]bool{}
	for _, route := range r.routes[now.Index] {
		there[keyOfRoute(route)] = true
	}
	return slices.ContainsFunc(addrs, func(a state.Address) bool { return !r.has(now.Index, a) }) ||
		slices.ContainsFunc(routes, func(route state.Route) bool {
			route.Link = now.Index
			return route.Protocol != state.ProtocolKernel && !there[keyOfRoute(route)]
		})
}

func (r *resolver) has(index int, a state.Address) bool {
	return a.LinkLocal() || contains(r.addrs[index], a)
}

// beforeOn wants back what others had on the link of that name.
func (r *resolver) beforeOn(w *Link, name string, addrs []state.Address, routes []state.Route) {
	for a := range asFound(addrs) {
		if !ofKernel(a) && !r.ownsAddress(name, a) {
			w.giveBack(a)
		}
	}
	inOrderOf(slices.Collect(asFound(addrs)), w.Addresses)
	w.AsBefore = true
	wanted := map[routeKey]bool{}
	for _, route := range r.out.Routes {
		wanted[keyOfRoute(route.Route)] = true
	}
	for _, route := range routes {
		foreign := route.Protocol != state.ProtocolKernel && route.Protocol != state.ProtocolRA && !r.ownsRoute(name, route)
		route.Link = w.Index
		if foreign && !wanted[keyOfRoute(route)] {
			r.out.Routes = append(r.out.Routes, Route{route, w.Name})
		}
	}
}

// inOrderOf puts addresses back into the order in which they were added; those that
// were not there come last.
func inOrderOf(was, list []state.Address) {
	place := func(a state.Address) int {
		i := slices.IndexFunc(was, func(w state.Address) bool { return w.Prefix == a.Prefix })
		if i < 0 {
			return len(was)
		}
		return i
	}
	slices.SortStableFunc(list, func(a, b state.Address) int { return cmp.Compare(place(a), place(b)) })
}
