package dhcp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

const (
	// smallestMTU is what every IPv4 host takes.
	smallestMTU = 576
	// leastLease is the shortest lease that is believed; a shorter one, and none at
	// all, would have the client renew without end.
	leastLease = 30
	infinite   = 0xffffffff
	// widest is the shortest prefix of a route that an untrusted server may send: two
	// halves of the world are as good as a default route.
	widest = 8
	// mostRoutes and mostGateways are taken from one message; a server that sends more is
	// not in its right mind.
	mostRoutes   = 64
	mostGateways = 8
)

// refuse is news, but not with every packet.
func (m *Machine) refuse(server netip.Addr, why string) {
	if r := m.refusal; r != nil && r.Server == server && r.Reason == why && m.now-r.At < leastRetry {
		return
	}
	m.refusal = &Refusal{At: m.now, Server: server, Reason: why}
	m.warn("a server was refused, or has refused", "server", server, "reason", why)
}

// judge says why an address is not to be taken from a server, "" if it may.
func (m *Machine) judge(r Reply) string {
	t := &r.Terms
	subnet := netip.PrefixFrom(t.address, t.bits).Masked()
	switch {
	case !isHost(t.address):
		return fmt.Sprintf("%s cannot be the address of a host", t.address)
	case t.bits < 31 && (t.address == subnet.Addr() || t.address == lastOf(subnet)):
		return fmt.Sprintf("%s is the network or broadcast address of %s", t.address, subnet)
	case t.address == t.broadcast:
		return fmt.Sprintf("%s is the broadcast address too", t.address)
	case t.address == r.Server:
		return fmt.Sprintf("%s is the server's own address", t.address)
	case slices.Contains(t.gateways, t.address),
		slices.ContainsFunc(t.routes, func(route netcfg.LeaseRoute) bool { return route.Gateway == t.address }):
		return fmt.Sprintf("%s is the gateway's address too", t.address)
	case slices.Contains(m.around.ControlPlane, t.address):
		return fmt.Sprintf("%s is an address of the control plane", t.address)
	}
	if !m.config.AllowOverlap {
		if i := slices.IndexFunc(m.around.Subnets, subnet.Overlaps); i >= 0 {
			return fmt.Sprintf("%s overlaps with %s on another NIC", subnet, m.around.Subnets[i])
		}
	}
	return ""
}

// lastOf is the broadcast address of a subnet.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// lend makes a lease of an ACK. What is not fit for use is left out and noted.
func (m *Machine) lend(r Reply) *netcfg.Lease {
	t := r.Terms // its slices are shared, and only read
	t.ignored = slices.Clone(t.ignored)
	l := &netcfg.Lease{
		Address: netip.PrefixFrom(t.address, t.bits), Broadcast: t.broadcast, Server: r.Server,
		DNS: t.dns, NTP: t.ntp, Domain: t.domain, Search: t.search, HostName: t.hostName, MTU: t.mtu,
	}
	if l.Broadcast.IsValid() && l.Broadcast != lastOf(l.Address.Masked()) {
		t.ignore("the broadcast address %s, which is not that of %s", l.Broadcast, l.Address.Masked())
		l.Broadcast = netip.Addr{}
	}
	if m.link.MTU > 0 && l.MTU > m.link.MTU {
		t.ignore("an MTU of %d, more than the link's %d", l.MTU, m.link.MTU)
		l.MTU = m.link.MTU
	}
	m.route(l, &t)
	m.times(l, &t)
	// A renewal that says the same as before has been complained about.
	if len(t.ignored) > 0 && (m.lease == nil || !l.SameFacts(m.lease)) {
		m.warn("parts of what the server sent are ignored", "server", r.Server, "ignored", t.ignored)
	}
	return l
}

// route takes the routers, or instead of them the classless routes (RFC 3442). An
// untrusted server cannot by the latter do more than by the former: the same default
// route, and no detour for the control plane.
func (m *Machine) route(l *netcfg.Lease, t *terms) {
	l.Gateways = t.gateways
	if !t.hasRoutes {
		return
	}
	l.Gateways = nil
	for i, r := range t.routes {
		if i == mostRoutes {
			t.ignore("%d routes beyond the first %d", len(t.routes)-i, mostRoutes)
			return
		}
		if why := m.judgeRoute(r, t); why != "" {
			t.ignore("the route to %s: %s", r.Destination, why)
			continue
		}
		if r.Destination.Bits() == 0 {
			l.Gateways = append(l.Gateways, r.Gateway)
		} else {
			l.Routes = append(l.Routes, r)
		}
	}
}

func (m *Machine) judgeRoute(r netcfg.LeaseRoute, t *terms) string {
	dst := r.Destination
	isDefault := dst.Bits() == 0
	if !isDefault && !isHost(dst.Addr()) && dst.Addr().As4()[0] != 0 {
		return "no host is there"
	}
	if r.Gateway.IsValid() && !isHost(r.Gateway) || isDefault && !r.Gateway.IsValid() {
		return "its gateway cannot be a router"
	}
	if m.config.Trusted {
		return ""
	}
	switch {
	case isDefault:
		if !slices.Contains(t.gateways, r.Gateway) {
			return "the server names another default gateway in option 3, or none, and is not trusted"
		}
	case dst.Bits() < widest:
		return "it is nearly a default route, and the server is not trusted"
	default:
		if i := slices.IndexFunc(m.around.ControlPlane, dst.Contains); i >= 0 {
			return fmt.Sprintf("it covers %s of the control plane, and the server is not trusted", m.around.ControlPlane[i])
		}
		within := func(s netip.Prefix) bool { return s.Bits() <= dst.Bits() && s.Contains(dst.Addr()) }
		if i := slices.IndexFunc(m.around.Subnets, within); i >= 0 && !m.config.AllowOverlap {
			return fmt.Sprintf("it goes into %s on another NIC, and the server is not trusted", m.around.Subnets[i])
		}
	}
	return ""
}

// times are those of the server where they can be, and those of RFC 2131 §4.4.5
// elsewhere, T1 and T2 with a little fuzz, so that hosts that started together do not
// stay together.
func (m *Machine) times(l *netcfg.Lease, t *terms) {
	l.Obtained = m.sent
	if t.lifetime == infinite {
		l.RenewAt, l.RebindAt, l.Expires = never, never, never
		return
	}
	if t.lifetime < leastLease {
		t.ignore("a lease of %d s; it is taken for %d s", t.lifetime, leastLease)
	}
	lifetime := time.Duration(max(t.lifetime, leastLease)) * time.Second
	t1, t2 := time.Duration(t.t1)*time.Second, time.Duration(t.t2)*time.Second
	if t2 == 0 {
		t2 = lifetime / 8 * 7
	}
	if t1 == 0 {
		t1 = t2 / 7 * 4
	}
	if t1 >= t2 || t2 >= lifetime {
		t.ignore("T1 of %d s and T2 of %d s in a lease of %d s", t.t1, t.t2, t.lifetime)
		t1, t2 = lifetime/2, lifetime/8*7
	}
	t2 -= m.jitter(t2 / 20)
	t1 = min(t2, t1-t1/20+m.jitter(t1/10))
	l.RenewAt, l.RebindAt, l.Expires = l.Obtained+t1, l.Obtained+t2, l.Obtained+lifetime
}
