package netcfg

import (
	"fmt"
	"net/netip"
	"sync"
)

// eachGateway calls visit for every gateway that is given.
func (k *checker) eachGateway(visit func(n *nic, f *family, at place)) {
	k.eachFamily(func(n *nic, f *family) {
		if f.gateway != "" {
			visit(n, f, n.at(f.name+".gateway"))
		}
	})
}

// address is the gateway where it can be read and is of the right family.
func (f *family) gatewayAddr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(f.gateway)
	return a, err == nil && a.Is6() == (f.name == "ipv6")
}

func checkGatewayProtocol(k *checker) {
	k.eachGateway(func(n *nic, f *family, at place) {
		switch f.protocol {
		case BootDHCP, BootAutoconf, BootPolyDHCPAutoconf:
			k.refuse(at, Problem{Found: f.gateway,
				Message: fmt.Sprintf("%s is %s, which brings its own gateway: unset the gateway, or choose static and give an address", f.boot, f.protocol)})
		}
	})
}

func checkGateway(k *checker) {
	k.eachGateway(func(_ *nic, f *family, at place) {
		if fault := gatewayFault(f.gateway, f.name == "ipv6"); fault != "" {
			k.refuse(at, Problem{Found: f.gateway, Message: fault})
		}
	})
}

// gatewayFault says why the text is not the gateway of a route in the family.
func gatewayFault(s string, v6 bool) string {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return unreadable(s, v6)
	case a.Is6() != v6:
		return "the gateway is of the other family of addresses: give one of the same as the address"
	case unusable(a) != "":
		return unusable(a)
	case a.Zone() != "":
		return "a gateway is given without a zone, because its NIC is known: leave out the % and what follows"
	}
	return ""
}

// prefixes are the static subnets of a family on a NIC; ok is false while one of
// them has been refused.
func (n *nic) prefixes(f *family) (out []netip.Prefix, ok bool) {
	v6 := f.name == "ipv6"
	if f.address != "" {
		p, ok := n.IP.Prefix()
		if v6 {
			p, ok = n.IPv6.AddressPrefix()
		}
		if !ok || p.Bits() == 0 {
			return nil, false
		}
		out = append(out, p)
	}
	for _, i := range f.additional {
		p, err := netip.ParsePrefix(n.AdditionalIPs[i])
		if err != nil || p.Bits() == 0 {
			return nil, false
		}
		out = append(out, p)
	}
	return out, true
}

func checkGatewayOutside(k *checker) {
	k.eachGateway(func(n *nic, f *family, at place) {
		subnets, ok := n.prefixes(f)
		gw, readable := f.gatewayAddr()
		if !ok || !readable || len(subnets) == 0 || gw.Is6() && gw.IsLinkLocalUnicast() {
			return
		}
		var words []string
		for _, s := range subnets {
			if s.Contains(gw) && !s.IsSingleIP() {
				return
			}
			if !s.IsSingleIP() {
				words = append(words, s.Masked().String())
			}
		}
		p := Problem{Found: f.gateway, Allowed: "an address in " + joinWords(words, "or"),
			Message: "the gateway is in no subnet of " + n.Name + " and could not be reached: correct it, or the netmask of the address"}
		if len(words) == 0 {
			p.Allowed = "no gateway with such a netmask"
			p.Message = n.Name + " has an address without a subnet and so no neighbor to send to: widen the netmask, or unset the gateway"
		}
		k.refuse(at, p)
	})
}

func checkGatewayOwn(k *checker) {
	own := sync.OnceValue(func() map[netip.Addr]placed {
		own := make(map[netip.Addr]placed, len(k.static))
		for _, p := range k.static {
			own[p.prefix.Addr()] = p
		}
		return own
	})
	k.eachGateway(func(n *nic, f *family, at place) {
		gw, readable := f.gatewayAddr()
		if p, mine := own()[gw]; readable && mine {
			k.refuse(at, Problem{Found: f.gateway,
				Message: fmt.Sprintf("this is an address of the host itself (%s), and nothing leaves the host that way: give the address of the router", p.at(p.field).path)})
			return
		}
		subnets, _ := n.prefixes(f)
		for _, s := range subnets {
			if what := subnetEdge(s, gw); readable && what != "" {
				k.refuse(at, Problem{Found: f.gateway,
					Message: fmt.Sprintf("this is the %s address of %s and not that of a router: correct it", what, s.Masked())})
				return
			}
		}
	})
}

// checkDefaultGateway counts what would be a default route of the main table with
// no metric of its own.
func checkDefaultGateway(k *checker) {
	type first struct {
		at   place
		addr netip.Addr
		nic  string
	}
	byFamily := map[bool]first{}
	claim := func(c first) {
		f, taken := byFamily[c.addr.Is6()]
		switch {
		case !taken:
			byFamily[c.addr.Is6()] = c
		case f.addr == c.addr && (f.nic == c.nic || c.nic == ""):
			// The same route once more.
		default:
			k.refuse(c.at, Problem{Found: c.addr.String(),
				Message: fmt.Sprintf("there is a default gateway already (%s), and the host uses one only: unset one of the two, or make one a route with a metric", f.at.path)})
		}
	}
	k.eachGateway(func(n *nic, f *family, at place) {
		if gw, ok := f.gatewayAddr(); ok && !k.settled[at.path] {
			claim(first{at, gw, n.Name})
		}
	})
	for i, r := range k.config.Routes {
		gw, err := netip.ParseAddr(r.Gateway)
		if err == nil && r.isDefault() && (r.Metric == nil || *r.Metric == 0) && (r.Table == nil || *r.Table == mainTable) {
			claim(first{k.beside("routes", i, "gateway"), gw, r.NIC})
		}
	}
}

// mainTable is RT_TABLE_MAIN.
const mainTable = 254

func (r Route) isDefault() bool {
	return r.Destination == "default" || r.Destination == "0.0.0.0/0" || r.Destination == "::/0"
}
