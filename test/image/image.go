// Package image writes a look at a host in lines: what two looks at the same host have
// in common. Tests only.
package image

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Of has a line for each link, address and route. It leaves out what changes by
// itself: indexes, carriers, counters, lifetimes, and the link-local addresses of IPv6.
func Of(s state.Snapshot) string {
	var out []string
	for _, l := range s.Links {
		line := fmt.Sprintf("%s %s mac %s mtu %d up %v group %d", l.Name, l.Kind, mac(l), l.MTU, l.AdminUp, l.Group)
		if l.Master != 0 {
			line += " master " + s.Name(l.Master)
		}
		if l.Kind == "vlan" {
			line += fmt.Sprintf(" on %s id %d", s.Name(l.Parent), l.VLANID)
		}
		if l.Bond != nil {
			line += " " + effective(l.Bond.Options)
		}
		out = append(out, line+addresses(s.AddressesOf(l.Index)))
	}
	for _, r := range s.Routes {
		if r.Protocol == state.ProtocolKernel && r.Dst.Addr().IsLinkLocalUnicast() {
			continue
		}
		out = append(out, fmt.Sprintf("route %s via %s on %s table %d metric %d proto %d scope %d type %d src %s onlink %v", r.Dst, r.Gateway, s.Name(r.Link),
			r.Table, r.Metric, r.Protocol, r.Scope, r.Type, r.Source, r.Flags&onlink != 0))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// mac leaves out what the bonding driver moves about: the MACs of slaves, of which the
// one that they get back counts, and those that follow them.
func mac(l state.Link) string {
	switch {
	case l.Slave != nil:
		return l.Slave.PermMAC
	case l.Kind == "vlan", l.Bond != nil && l.Bond.Options["fail_over_mac"] != "none":
		return "any"
	}
	return l.MAC
}

// onlink is RTNH_F_ONLINK.
const onlink = 4

// addresses keeps the order of IPv4 addresses within a subnet, by which the kernel tells
// primary from secondary.
func addresses(all []state.Address) string {
	key := func(a state.Address) netip.Prefix {
		if a.Prefix.Addr().Is4() {
			return a.Prefix.Masked()
		}
		return a.Prefix
	}
	all = slices.DeleteFunc(all, state.Address.LinkLocal)
	slices.SortStableFunc(all, func(a, b state.Address) int { return key(a).Compare(key(b)) })
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "\n  %s flags %#x scope %d label %s", a.Prefix, a.Flags&^state.FlagTentative, a.Scope, a.Label)
	}
	return b.String()
}

// effective are the options that do something in the bond's mode: others linger from
// former modes.
func effective(options map[string]string) string {
	var out []string
	for name, v := range options {
		if s, ok := netcfg.BondOptionSpec(name); ok && s.ValidIn(options["mode"]) {
			out = append(out, name+" "+v)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
