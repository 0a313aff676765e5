package kerneltest

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// The address flags and scopes that state does not name (linux/if_addr.h,
// linux/rtnetlink.h).
const (
	flagNoPrefixRoute = 0x200

	scopeGlobal = 0
	scopeSite   = 200
	scopeLink   = 253
	scopeHost   = 254
)

// addrAdd is RTM_NEWADDR with NLM_F_CREATE, as the door sends it: what is there
// already is as wanted, but for the lifetimes of an address on loan.
func (f *Fake) addrAdd(op plan.Op) *refusal {
	a := op.Address
	l := f.byIndex[op.Index]
	if !a.Prefix.IsValid() {
		return refuse(syscall.EINVAL, "")
	}
	if l == nil {
		return refuse(syscall.ENODEV, "")
	}
	a.Link = l.Index
	if a.Valid == 0 {
		a.Valid, a.Preferred = state.Forever, state.Forever
	}
	if there := l.find(a); there != nil {
		there.Valid, there.Preferred = a.Valid, a.Preferred
		there.Flags = there.Flags&^state.FlagPermanent | permanentIf(a)
		return nil
	}
	if a.Prefix.Addr().Is4() {
		return f.addrAdd4(l, a)
	}
	return f.addrAdd6(l, a)
}

// addrDel is RTM_DELADDR.
func (f *Fake) addrDel(op plan.Op) *refusal {
	l := f.byIndex[op.Index]
	if l == nil {
		return refuse(syscall.ENODEV, "")
	}
	p := op.Address.Prefix
	if p.Addr().Is6() {
		if !l.v6 {
			return refuse(syscall.ENXIO, "")
		}
		return f.addrDel6(l, p)
	}
	i := slices.IndexFunc(l.ip4, func(a state.Address) bool { return a.Prefix == p && a.Peer == op.Address.Peer })
	if i < 0 {
		return refuse(syscall.EADDRNOTAVAIL, "")
	}
	f.delete4(l, i)
	return nil
}

// find finds an address with its prefix length and its other end.
func (l *link) find(a state.Address) *state.Address {
	list := l.ip4
	if a.Prefix.Addr().Is6() {
		list = l.ip6
	}
	for i := range list {
		if list[i].Prefix == a.Prefix && list[i].Peer == a.Peer {
			return &list[i]
		}
	}
	return nil
}

// network4 is the subnet of an address: ifa_address is the other end where there
// is one.
func network4(a state.Address) netip.Prefix {
	if a.Peer.IsValid() {
		return netip.PrefixFrom(a.Peer, a.Prefix.Bits()).Masked()
	}
	return a.Prefix.Masked()
}

// addrAdd4 is __inet_insert_ifa (net/ipv4/devinet.c). The first address of a
// subnet goes behind the other first ones, a further one is secondary and goes to
// the end.
func (f *Fake) addrAdd4(l *link, a state.Address) *refusal {
	if l.MTU < minMTUv4 {
		return refuse(syscall.ENOBUFS, "")
	}
	if a.Prefix.Addr().IsUnspecified() {
		return nil // taken and thrown away
	}
	a.Flags = a.Flags&flagNoPrefixRoute | permanentIf(a)
	if a.Label == "" {
		a.Label = l.Name
	}
	net := network4(a)
	at := 0
	for i, other := range l.ip4 {
		if !other.Secondary() && a.Scope <= other.Scope {
			at = i + 1
		}
		if network4(other) != net {
			continue
		}
		if other.Prefix.Addr() == a.Prefix.Addr() {
			return refuse(syscall.EEXIST, "")
		}
		if other.Scope != a.Scope {
			return refuse(syscall.EINVAL, "")
		}
		a.Flags |= state.FlagSecondary
	}
	if a.Secondary() {
		at = len(l.ip4)
	}
	l.ip4 = slices.Insert(l.ip4, at, a)
	f.connect4(l, a)
	return nil
}

func permanentIf(a state.Address) uint32 {
	if a.Valid == state.Forever {
		return state.FlagPermanent
	}
	return 0
}

// delete4 is __inet_del_ifa without promote_secondaries: the secondaries of the
// subnet go with their primary.
func (f *Fake) delete4(l *link, at int) {
	gone := l.ip4[at]
	if !gone.Secondary() {
		net := network4(gone)
		for i := len(l.ip4) - 1; i > at; i-- {
			if a := l.ip4[i]; a.Secondary() && network4(a) == net {
				l.ip4 = slices.Delete(l.ip4, i, i+1)
				f.addressGone(a.Prefix.Addr())
			}
		}
	}
	l.ip4 = slices.Delete(l.ip4, at, at+1)
	if !gone.Secondary() && gone.Flags&flagNoPrefixRoute == 0 {
		f.disconnect4(l, gone)
	}
	f.addressGone(gone.Prefix.Addr())
	if len(l.ip4) == 0 {
		// fib_inetaddr_event: with the last address all IPv4 routes of the link go.
		f.flushRoutes(l, true)
	}
}

// addressGone is fib_sync_down_addr: routes of the table main whose source is no
// longer an address of this host go, those of other tables stay.
func (f *Fake) addressGone(a netip.Addr) {
	if f.local(a) == nil {
		f.dropRoutes(func(r *state.Route) bool { return r.Source == a && r.Table == state.MainTable })
	}
}

// local finds the link that has the address.
func (f *Fake) local(a netip.Addr) *link {
	for _, l := range f.links {
		list := l.ip4
		if a.Is6() {
			list = l.ip6
		}
		for i := range list {
			if list[i].Prefix.Addr() == a {
				return l
			}
		}
	}
	return nil
}

// connect4 is fib_add_ifaddr: the route onto the subnet of an address.
func (f *Fake) connect4(l *link, a state.Address) {
	net := network4(a)
	if !l.Up() || a.Secondary() || a.Flags&flagNoPrefixRoute != 0 || l.Type == typeLoopback {
		return
	}
	if net.Addr().IsUnspecified() || net.Bits() == 32 && net.Addr() == a.Prefix.Addr() {
		return
	}
	f.insert4(connected4(l, a), appendRoute)
}

func (f *Fake) disconnect4(l *link, a state.Address) {
	want := connected4(l, a)
	for i, r := range f.routes {
		if r.Dst == want.Dst && r.Table == want.Table && r.Link == l.Index && r.Protocol == want.Protocol &&
			r.Source == want.Source && r.Scope == want.Scope && r.Type == want.Type {
			f.routes = slices.Delete(f.routes, i, i+1)
			return
		}
	}
}

func connected4(l *link, a state.Address) state.Route {
	return state.Route{Table: state.MainTable, Dst: network4(a), Link: l.Index, Source: a.Prefix.Addr(),
		Metric: a.Metric, Protocol: state.ProtocolKernel, Scope: scopeLink, Type: typeUnicast}
}

// addConnected4 brings the routes back when the link comes up, and lo's address.
func (f *Fake) addConnected4(l *link) {
	if l.Type == typeLoopback && len(l.ip4) == 0 {
		l.ip4 = append(l.ip4, state.Address{Link: l.Index, Prefix: netip.MustParsePrefix("127.0.0.1/8"), Scope: scopeHost,
			Label: l.Name, Flags: state.FlagPermanent, Valid: state.Forever, Preferred: state.Forever})
	}
	for _, a := range l.ip4 {
		f.connect4(l, a)
	}
}
