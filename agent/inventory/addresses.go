package inventory

import (
	"net/netip"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// flagDeprecated is IFA_F_DEPRECATED.
const flagDeprecated = 0x20

// The values of IFA_PROTO by which the kernel marks its own addresses
// (include/uapi/linux/if_addr.h, since Linux 5.18).
const (
	protoLoopback  = 1
	protoLinkLocal = 3
)

// addressing describes the addresses of a link. name is the link's in the
// configuration.
func (b *builder) addressing(n *Nic, l *state.Link, name string, wish *netcfg.HostNic) {
	if wish == nil {
		wish = &netcfg.HostNic{}
	}
	var on []netip.Prefix
	for _, a := range b.addresses[l.Index] {
		n.Addresses = append(n.Addresses, Address{Prefix: a.Prefix.String(), Owner: b.ownerOf(name, a), State: stateOf(a), Protocol: b.protocolOf(name, a)})
		on = append(on, a.Prefix)
	}
	for _, text := range wish.AdditionalIPs {
		if p, err := netip.ParsePrefix(text); err == nil && slices.Contains(on, p) {
			n.AdditionalIPs = append(n.AdditionalIPs, text)
		}
	}
	rest := slices.DeleteFunc(on, func(p netip.Prefix) bool {
		return slices.Contains(n.AdditionalIPs, p.String()) || p.Addr().Is6() && p.Addr().IsLinkLocalUnicast()
	})
	want4, _ := wish.IP.Prefix()
	if p := pick(rest, want4, netip.Addr.Is4); p.IsValid() {
		n.IP = &netcfg.IP{Address: p.Addr().String(), Netmask: netcfg.Netmask(p.Bits()), Gateway: b.gateway(l.Index, wish, netip.Addr.Is4)}
	}
	want6, _ := wish.IPv6.AddressPrefix()
	if p := pick(rest, want6, netip.Addr.Is6); p.IsValid() {
		bits := p.Bits()
		n.IPv6 = &netcfg.IPv6{Address: p.Addr().String(), Prefix: &bits, Gateway: b.gateway(l.Index, wish, netip.Addr.Is6)}
	}
}

// pick is the address that is wanted, else the first of the family.
func pick(on []netip.Prefix, want netip.Prefix, family func(netip.Addr) bool) netip.Prefix {
	if slices.Contains(on, want) {
		return want
	}
	if i := slices.IndexFunc(on, func(p netip.Prefix) bool { return family(p.Addr()) }); i >= 0 {
		return on[i]
	}
	return netip.Prefix{}
}

// gateway is the default gateway through a link: the configured one where there
// is a route by it, else the one that the kernel prefers.
func (b *builder) gateway(index int, wish *netcfg.HostNic, family func(netip.Addr) bool) string {
	var best *state.Route
	for i := range b.gateways[index] {
		r := &b.gateways[index][i]
		switch {
		case !family(r.Gateway) || !family(r.Dst.Addr()):
		case slices.Contains(wish.Gateways(), r.Gateway):
			return r.Gateway.String()
		case best == nil || r.Metric < best.Metric:
			best = r
		}
	}
	if best == nil {
		return ""
	}
	return best.Gateway.String()
}

func (b *builder) ownerOf(name string, a state.Address) string {
	switch {
	case slices.Contains(b.Memory.Owned.Addresses[name], a.Prefix):
		return OwnerAgent
	case a.LinkLocal(), a.Learnt(), a.Proto >= protoLoopback && a.Proto <= protoLinkLocal:
		return OwnerKernel
	}
	return OwnerForeign
}

// stateOf is the worst that can be said of an address.
func stateOf(a state.Address) string {
	switch {
	case a.Flags&state.FlagDADFailed != 0:
		return "dad-failed"
	case a.Flags&state.FlagTentative != 0:
		return "tentative"
	case a.Flags&flagDeprecated != 0:
		return "deprecated"
	case a.Secondary():
		return "secondary"
	}
	return ""
}
