package kerneltest

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/state"
)

// protoLinkLocal is IFAPROT_KERNEL_LL.
const protoLinkLocal = 3

var (
	linkLocalNet = netip.MustParsePrefix("fe80::/64")
	loopback6    = netip.MustParsePrefix("::1/128")
)

// addrAdd6 is inet6_rtm_newaddr. An address is on a link once, whatever its prefix
// length: the same one with another length changes nothing.
func (f *Fake) addrAdd6(l *link, a state.Address) *refusal {
	ip := a.Prefix.Addr()
	if !l.v6 {
		if l.MTU < minMTUv6 {
			return refuse(syscall.EINVAL, "") // ipv6_add_dev
		}
		// The MTU has been restored without a word, by a bond that has gone.
		l.v6 = true
	}
	if has6(l, ip) {
		return refuse(syscall.EEXIST, "")
	}
	if ip.IsUnspecified() || ip.IsMulticast() || ip.IsLoopback() && l.Type != typeLoopback {
		return refuse(syscall.EADDRNOTAVAIL, "")
	}
	a.Flags = a.Flags&(state.FlagNoDAD|flagNoPrefixRoute) | permanentIf(a)
	a.Label, a.Broadcast = "", netip.Addr{}
	f.insert6(l, a)
	f.connect6(l, a)
	return nil
}

func has6(l *link, ip netip.Addr) bool {
	return slices.ContainsFunc(l.ip6, func(a state.Address) bool { return a.Prefix.Addr() == ip })
}

// insert6 is ipv6_link_dev_addr: the newest of a scope comes first, the wider
// scope before the narrower.
func (f *Fake) insert6(l *link, a state.Address) {
	a.Scope = scope6(a.Prefix.Addr())
	if a.Flags&state.FlagNoDAD == 0 && !l.ready {
		a.Flags |= state.FlagTentative
	}
	at := slices.IndexFunc(l.ip6, func(other state.Address) bool { return a.Scope <= other.Scope })
	if at < 0 {
		at = len(l.ip6)
	}
	l.ip6 = slices.Insert(l.ip6, at, a)
}

func scope6(a netip.Addr) int {
	switch {
	case a.IsLinkLocalUnicast():
		return scopeLink
	case a.IsLoopback():
		return scopeHost
	case netip.MustParsePrefix("fec0::/10").Contains(a):
		return scopeSite
	}
	return scopeGlobal
}

// addrDel6 is inet6_addr_del. The route onto the prefix goes with the last address
// in it; routes by way of a gateway stay, and lose the address as their source.
func (f *Fake) addrDel6(l *link, p netip.Prefix) *refusal {
	i := slices.IndexFunc(l.ip6, func(a state.Address) bool { return a.Prefix == p })
	if i < 0 {
		return refuse(syscall.EADDRNOTAVAIL, "")
	}
	gone := l.ip6[i]
	l.ip6 = slices.Delete(l.ip6, i, i+1)
	if gone.Flags&state.FlagPermanent != 0 && gone.Flags&flagNoPrefixRoute == 0 && !sharesPrefix(l, p) {
		f.disconnect6(l, p.Masked())
	}
	if f.local(p.Addr()) == nil {
		for i := range f.routes {
			if f.routes[i].Source == p.Addr() {
				f.routes[i].Source = netip.Addr{}
			}
		}
	}
	return nil
}

func sharesPrefix(l *link, p netip.Prefix) bool {
	return slices.ContainsFunc(l.ip6, func(a state.Address) bool {
		return a.Prefix.Masked() == p.Masked() && a.Flags&(state.FlagPermanent|flagNoPrefixRoute) != 0
	})
}

// connect6 is addrconf_prefix_route. A link that is down takes no route.
func (f *Fake) connect6(l *link, a state.Address) {
	if !l.Up() || a.Flags&flagNoPrefixRoute != 0 || l.Type == typeLoopback {
		return
	}
	metric := a.Metric
	if metric == 0 {
		metric = 256
	}
	f.insertRoute6(state.Route{Table: state.MainTable, Dst: a.Prefix.Masked(), Link: l.Index,
		Metric: metric, Protocol: state.ProtocolKernel, Type: typeUnicast}, appendRoute)
}

// disconnect6 is cleanup_prefix_route: the first route onto the prefix without a
// gateway, whoever put it there.
func (f *Fake) disconnect6(l *link, dst netip.Prefix) {
	i := slices.IndexFunc(f.routes, func(r state.Route) bool {
		return r.Dst == dst && r.Table == state.MainTable && r.Link == l.Index && !r.Gateway.IsValid()
	})
	if i >= 0 {
		f.routes = slices.Delete(f.routes, i, i+1)
	}
}

// ipv6Up is NETDEV_UP of addrconf_notify. IPv6 leaves slaves of bonds alone.
func (f *Fake) ipv6Up(l *link) {
	if l.slave != nil {
		return
	}
	if !l.v6 && l.MTU >= minMTUv6 {
		l.v6 = true
	}
	if l.Type == typeLoopback && len(l.ip6) == 0 {
		f.insert6(l, state.Address{Link: l.Index, Prefix: loopback6, Flags: state.FlagPermanent | state.FlagNoDAD,
			Valid: state.Forever, Preferred: state.Forever})
		l.ip6[0].Flags = state.FlagPermanent
	}
	for _, a := range l.ip6 {
		if a.Flags&state.FlagPermanent != 0 {
			f.connect6(l, a)
		}
	}
}

// ipv6Down is addrconf_ifdown: all addresses go, but static ones where
// keep_addr_on_down is set.
func (f *Fake) ipv6Down(l *link) {
	f.flushRoutes(l, false)
	l.ready = false
	kept := l.ip6[:0]
	for _, a := range l.ip6 {
		if f.KeepAddrOnDown && a.Flags&state.FlagPermanent != 0 && !a.LinkLocal() && a.Scope != scopeHost {
			if a.Flags&state.FlagNoDAD == 0 {
				a.Flags |= state.FlagTentative
			}
			kept = append(kept, a)
		}
	}
	l.ip6 = kept
}

// dropIPv6 is addrconf_ifdown with unregister: IPv6 leaves the link altogether.
func (f *Fake) dropIPv6(l *link) {
	l.v6, l.ready, l.ip6, l.AddrGenModeNone = false, false, nil, false
	f.flushRoutes(l, false)
}

// becomeReady is the moment when a link that is up has carrier for the first time
// (IF_READY): it gets a link-local address made of its MAC, and addresses are
// looked for on the wire, which takes no time here.
func (f *Fake) becomeReady(l *link) {
	if l.slave != nil {
		return
	}
	if l.MTU < minMTUv6 {
		f.dropIPv6(l)
		return
	}
	l.ready = true
	for i := range l.ip6 {
		l.ip6[i].Flags &^= state.FlagTentative
	}
	f.linkLocal(l)
}

// linkLocal is addrconf_init_auto_addrs: the address that the kernel makes by itself.
func (f *Fake) linkLocal(l *link) {
	if l.AddrGenModeNone || l.Type != typeEthernet || !l.ready {
		return
	}
	a := state.Address{Link: l.Index, Prefix: netip.PrefixFrom(eui64(l.MAC), 64), Flags: state.FlagPermanent,
		Valid: state.Forever, Preferred: state.Forever, Proto: protoLinkLocal}
	if !has6(l, a.Prefix.Addr()) {
		f.insert6(l, a)
		f.connect6(l, a)
	}
}

// eui64 is the link-local address of a MAC (RFC 4291 appendix A).
func eui64(mac string) netip.Addr {
	var m [6]byte
	for i := range m {
		m[i] = hexDigit(mac[3*i])<<4 | hexDigit(mac[3*i+1])
	}
	a := linkLocalNet.Addr().As16()
	copy(a[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	return netip.AddrFrom16(a)
}
