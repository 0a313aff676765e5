package kerneltest

import (
	"net/netip"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// check4 is rtm_to_fib_config and fib_create_info (net/ipv4): is there a way to
// the next hop? It fills in the link and the scope.
func (f *Fake) check4(r *state.Route) *refusal {
	switch {
	case r.Dst != r.Dst.Masked():
		return refuse(syscall.EINVAL, "Invalid prefix for given prefix length")
	case r.Type != typeUnicast:
		if r.Gateway.IsValid() || r.Link != 0 {
			return refuse(syscall.EINVAL, "Gateway, device and multipath can not be specified for this route type")
		}
	case !r.Gateway.IsValid():
		if r.Scope == scopeGlobal {
			r.Scope = scopeLink // the door sends what ip route sends
		}
		l := f.byIndex[r.Link]
		if l == nil {
			return refuse(syscall.ENODEV, "")
		}
		if !l.Up() {
			return refuse(syscall.ENETDOWN, "Device for nexthop is not up")
		}
	default:
		if refused := f.checkGateway4(r); refused != nil {
			return refused
		}
	}
	if r.Source.IsValid() && f.local(r.Source) == nil {
		return refuse(syscall.EINVAL, "Invalid prefsrc address")
	}
	return nil
}

// checkGateway4 is fib_check_nh_v4_gw.
func (f *Fake) checkGateway4(r *state.Route) *refusal {
	if r.Flags&plan.FlagOnlink != 0 {
		l := f.byIndex[r.Link]
		switch {
		case r.Scope >= scopeLink:
			return refuse(syscall.EINVAL, "Nexthop has invalid scope")
		case l == nil:
			return refuse(syscall.ENODEV, "Nexthop device required for onlink")
		case !l.Up():
			return refuse(syscall.ENETDOWN, "Nexthop device is not up")
		case f.local(r.Gateway) != nil || f.broadcast(r.Gateway, 0):
			return refuse(syscall.EINVAL, "Nexthop has invalid gateway")
		}
		return nil
	}
	if r.Table != state.MainTable {
		if hop := f.lookup(r.Table, r.Gateway, r.Link, max(r.Scope+1, scopeLink)); hop != nil {
			r.Link = hop.Link
			return nil
		}
	}
	// The table local comes before main.
	if l := f.local(r.Gateway); l != nil && (r.Link == 0 || r.Link == l.Index) {
		r.Link = l.Index
		if !l.Up() {
			return refuse(syscall.ENETDOWN, "")
		}
		return nil
	}
	if f.broadcast(r.Gateway, r.Link) {
		return refuse(syscall.EINVAL, "Nexthop has invalid gateway")
	}
	hop := f.lookup(state.MainTable, r.Gateway, r.Link, max(r.Scope+1, scopeLink))
	if hop == nil {
		return refuse(syscall.ENETUNREACH, "Nexthop has invalid gateway")
	}
	r.Link = hop.Link
	return nil
}

// broadcast is true of the broadcast address of a subnet on a link that is up.
func (f *Fake) broadcast(ip netip.Addr, index int) bool {
	for _, l := range f.links {
		if !l.Up() || index != 0 && l.Index != index {
			continue
		}
		for _, a := range l.ip4 {
			if a.Broadcast == ip || !a.Secondary() && a.Prefix.Bits() < 31 && lastOf(network4(a)) == ip {
				return true
			}
		}
	}
	return false
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// check6 is ip6_route_info_create and fib6_nh_init (net/ipv6/route.c).
func (f *Fake) check6(r *state.Route) *refusal {
	if r.Type != typeUnicast {
		r.Gateway, r.Link = netip.Addr{}, 1 // reject routes are on lo
		return nil
	}
	var l *link
	if r.Link != 0 {
		if l = f.byIndex[r.Link]; l == nil || !l.v6 {
			return refuse(syscall.ENODEV, "")
		}
	}
	if r.Flags&plan.FlagOnlink != 0 {
		if l == nil {
			return refuse(syscall.ENODEV, "Nexthop device required for onlink")
		}
		if !l.Up() {
			return refuse(syscall.ENETDOWN, "Nexthop device is not up")
		}
	}
	if r.Gateway.IsValid() {
		if refused := f.checkGateway6(r, &l); refused != nil {
			return refused
		}
	}
	if l == nil {
		return refuse(syscall.ENODEV, "")
	}
	if !l.Up() {
		return refuse(syscall.ENETDOWN, "Nexthop device is not up")
	}
	r.Link = l.Index
	if r.Source.IsValid() && f.local(r.Source) == nil {
		return refuse(syscall.EINVAL, "Invalid source address")
	}
	return nil
}

// checkGateway6 is ip6_validate_gw.
func (f *Fake) checkGateway6(r *state.Route, l **link) *refusal {
	gw := r.Gateway
	switch {
	case gw.IsLinkLocalUnicast():
		if *l == nil {
			return refuse(syscall.EINVAL, "Egress device not specified")
		}
		if has6(*l, gw) {
			return refuse(syscall.EINVAL, "Gateway can not be a local address")
		}
		return nil
	case f.local(gw) != nil:
		return refuse(syscall.EINVAL, "Gateway can not be a local address")
	case gw.IsMulticast() || gw.IsUnspecified() || gw.IsLoopback():
		return refuse(syscall.EINVAL, "Invalid gateway address")
	case r.Flags&plan.FlagOnlink != 0:
		hop := f.lookup(state.MainTable, gw, 0, 0)
		if hop != nil && hop.Dst.Bits() > 0 && hop.Link != r.Link {
			return refuse(syscall.EINVAL, "Nexthop has invalid gateway or device mismatch")
		}
		return nil
	}
	hop := f.lookup(r.Table, gw, r.Link, 0)
	if hop == nil || hop.Gateway.IsValid() {
		hop = f.lookup(state.MainTable, gw, r.Link, 0)
	}
	if hop == nil || hop.Gateway.IsValid() {
		return refuse(syscall.EHOSTUNREACH, "")
	}
	*l = f.byIndex[hop.Link]
	return nil
}
