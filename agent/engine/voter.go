package engine

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// voter is one thing that is tested before a change and after it.
type voter struct {
	asked
	// link is the name of the link that led to a gateway before the change.
	link string
	// bond and the MAC of its LACP partner before the change.
	bond, partner string
	// nic is the one at whose end the expected neighbour is, link the kernel's name of it.
	nic      string
	expected *netcfg.ExpectedNeighbour
	// fresh is true of what comes with the change: there is nothing to test before.
	fresh bool
}

// name is what the operator reads.
func (v voter) name() string {
	switch v.kind {
	case gatewayProbe, neighbourProbe:
		name := "gateway"
		if v.address.IsValid() {
			name += " " + v.address.String()
		}
		if v.link != "" && v.address.Zone() == "" {
			name += " (" + v.link + ")"
		}
		return name
	case tcpProbe:
		return "tcp " + v.target
	case lacpProbe:
		return "lacp " + v.bond
	case lldpProbe:
		return "lldp " + v.nic
	case callerProbe:
	}
	return "caller"
}

// was is how it was before the change.
func (v voter) was() string {
	switch {
	case v.fresh:
		return "to come with the change"
	case v.kind == lacpProbe:
		return "partner " + v.partner + " before the change"
	case v.kind == lldpProbe:
		return "as expected before the change"
	case v.kind == tcpProbe:
		return "connected before the change"
	case v.kind == callerProbe:
		return "in contact before the change"
	}
	return "answered before the change"
}

// miss is a test that was not passed.
type miss struct {
	// what was to be seen and was not; why, where that is known.
	what, why string
	err       error
}

func (m *miss) Error() string {
	if m.why == "" {
		return m.what
	}
	return m.what + " (" + m.why + ")"
}

func (m *miss) Unwrap() error { return m.err }

// abstention is that there is nothing to test after a change, and that the
// configuration wants it so.
type abstention struct{ why string }

func (a *abstention) Error() string { return a.why }

// change is what voters judge.
type change struct {
	before state.Snapshot
	// owned is what was the agent's before it, intent what it leads to.
	owned  plan.Owned
	intent plan.Intent
	// running is the configuration before it, next the one after it.
	running, next netcfg.Config
}

// voters finds what the probes test on the host as it is, or will be where there is
// nothing yet. A probe that finds nothing has no voter.
func (c change) voters(list []asked) []voter {
	var out []voter
	for _, a := range list {
		var found []voter
		switch a.kind {
		case gatewayProbe:
			found = c.gatewayVoters(a)
		case neighbourProbe:
			found = []voter{c.neighbourVoter(a)}
		case lacpProbe:
			found = c.lacpVoters(a)
		case lldpProbe:
			found = c.lldpVoters(a)
		case tcpProbe, callerProbe:
			found = []voter{{asked: a}}
		}
		for _, v := range found {
			switch i := slices.IndexFunc(out, func(have voter) bool { return have.name() == v.name() }); {
			case i < 0:
				out = append(out, v)
			case v.kind == neighbourProbe: // which never abstains
				out[i] = v
			}
		}
	}
	return out
}

func (c change) gatewayVoters(a asked) []voter {
	var out []voter
	for _, h := range gateways(c.before) {
		one := a
		one.address = h.address
		out = append(out, voter{asked: one, link: h.link.Name})
	}
	wanted := slices.ContainsFunc(c.intent.Routes, func(r plan.Route) bool { return isDefault(r.Route) })
	if len(out) == 0 && wanted {
		out = append(out, voter{asked: a, fresh: true})
	}
	return out
}

func (c change) neighbourVoter(a asked) voter {
	if h, ok := hopTo(c.before, a.address); ok {
		return voter{asked: a, link: h.link.Name}
	}
	comes := slices.ContainsFunc(c.intent.Links, func(l plan.Link) bool {
		return l.Name == a.address.Zone() && l.New ||
			slices.ContainsFunc(l.Addresses, func(have state.Address) bool { return holds(have, a.address) })
	})
	return voter{asked: a, fresh: comes}
}

// lacpVoters are the bonds in 802.3ad: those that have been, or where none of these
// has a partner, those that the change makes.
func (c change) lacpVoters(a asked) []voter {
	var out []voter
	found := false
	for _, l := range c.before.Links {
		if inLACP(&l) {
			out = append(out, voter{asked: a, bond: l.Name, partner: partnerOf(&l)})
			found = found || partnerOf(&l) != ""
		}
	}
	for _, l := range c.intent.Links {
		if !found && l.Kind == netcfg.KindBond && l.Options["mode"] == netcfg.Mode8023AD && !inLACP(c.before.ByName(l.KernelName)) {
			out = append(out, voter{asked: a, bond: l.Name, fresh: true})
		}
	}
	return out
}

func inLACP(l *state.Link) bool {
	return l != nil && l.Bond != nil && l.Bond.Options["mode"] == netcfg.Mode8023AD
}

// partnerOf is the MAC of a bond's LACP partner; empty while it has none.
func partnerOf(l *state.Link) string {
	if l.Bond == nil || l.Bond.AD == nil || l.Bond.AD.PartnerMAC == "00:00:00:00:00:00" {
		return ""
	}
	return l.Bond.AD.PartnerMAC
}

// hop is a neighbour and the link that leads to it.
type hop struct {
	address netip.Addr
	link    state.Link
}

func isDefault(r state.Route) bool {
	return r.Dst.IsValid() && r.Dst.Bits() == 0 && r.Gateway.IsValid() && r.Table == state.MainTable
}

// gateways are the default gateways, each once a link. One of a route with several
// next hops is not among them.
func gateways(s state.Snapshot) []hop {
	var out []hop
	for _, r := range s.Routes {
		l := s.Link(r.Link)
		if l == nil || !isDefault(r) {
			continue
		}
		h := hop{r.Gateway, *l}
		if !slices.ContainsFunc(out, h.same) {
			out = append(out, h)
		}
	}
	return out
}

func (h hop) same(o hop) bool { return h.address == o.address && h.link.Index == o.link.Index }

// hopTo finds the link that leads to a neighbour: that of its zone, that of a default
// route through it, or that whose subnet it is in, the narrowest.
func hopTo(s state.Snapshot, address netip.Addr) (hop, bool) {
	if zone := address.Zone(); zone != "" {
		if l := s.ByName(zone); l != nil {
			return hop{address, *l}, true
		}
		return hop{}, false
	}
	for _, h := range gateways(s) {
		if h.address == address {
			return h, true
		}
	}
	index, bits := 0, -1
	for _, a := range s.Addresses {
		if holds(a, address) && a.Prefix.Bits() > bits {
			index, bits = a.Link, a.Prefix.Bits()
		}
	}
	if l := s.Link(index); l != nil {
		return hop{address, *l}, true
	}
	return hop{}, false
}

// holds is true of an address in whose subnet the neighbour is.
func holds(a state.Address, neighbour netip.Addr) bool {
	return a.Peer == neighbour || !a.Peer.IsValid() && a.Prefix.Contains(neighbour) && a.Prefix.Addr() != neighbour
}

// hops are whom a gateway's vote asks on the host as it is now. The error is a
// *miss, or an *abstention when the configuration has taken the gateway out.
func (v voter) hops(c change, now state.Snapshot) ([]hop, error) {
	if v.kind == neighbourProbe {
		if h, ok := hopTo(now, v.address); ok {
			return []hop{h}, nil
		}
		return nil, &miss{what: "no link of the host that leads to it"}
	}
	all := gateways(now)
	if v.fresh {
		if len(all) == 0 {
			return nil, &miss{what: "no default gateway"}
		}
		return all, nil
	}
	still := keep(all, func(h hop) bool { return h.address == v.address })
	if len(still) > 0 {
		return prefer(still, v.link), nil
	}
	was := gateways(c.before)
	successors := keep(all, func(h hop) bool {
		return h.address.Is4() == v.address.Is4() && !slices.ContainsFunc(was, func(o hop) bool { return o.address == h.address })
	})
	if len(successors) > 0 {
		return prefer(successors, v.link), nil
	}
	if c.tookOut(v.address) {
		return nil, &abstention{"no default gateway any more, as the configuration has it"}
	}
	return nil, &miss{what: "no default route through it"}
}

func keep(list []hop, which func(hop) bool) []hop {
	return slices.DeleteFunc(slices.Clone(list), func(h hop) bool { return !which(h) })
}

// prefer takes those on the link where there are any.
func prefer(list []hop, link string) []hop {
	if on := keep(list, func(h hop) bool { return h.link.Name == link }); len(on) > 0 {
		return on
	}
	return list
}

// tookOut is true of a default gateway that was the agent's, or that it has the kernel
// forget, and is not wanted any more. One that somebody else had set is lost when it is
// gone.
func (c change) tookOut(gateway netip.Addr) bool {
	owned := slices.ContainsFunc(c.owned.Routes, func(r plan.OwnedRoute) bool { return r.Dst.Bits() == 0 && r.Gateway == gateway })
	gone := slices.ContainsFunc(c.intent.GoneRoutes, func(r state.Route) bool { return isDefault(r) && r.Gateway == gateway })
	return (owned || gone) &&
		!slices.ContainsFunc(c.intent.Routes, func(r plan.Route) bool { return isDefault(r.Route) && r.Gateway == gateway })
}

// answered judges what came of asking a hop. It returns what was seen, in a few
// words.
func (v voter) answered(h hop, n state.Neighbour) (string, error) {
	who := ""
	if v.elsewhere(h) {
		who = fmt.Sprintf("%s (%s) ", h.address, h.link.Name)
	}
	switch {
	case n.Permanent:
		return who + "not asked, the neighbour entry is permanent", nil
	case n.Answered:
		return who + "answers as " + n.MAC, nil
	}
	return "", v.silent(h, "")
}

// elsewhere is true of a hop that is not the one of before the change.
func (v voter) elsewhere(h hop) bool { return h.address != v.address || h.link.Name != v.link }

// silent is that a hop does not answer.
func (v voter) silent(h hop, why string) *miss {
	what := "no ARP reply"
	if h.address.Is6() {
		what = "no ND reply"
	}
	if v.elsewhere(h) {
		what += fmt.Sprintf(" from %s (%s)", h.address, h.link.Name)
	}
	return &miss{what: what, why: why}
}

// partnerNow judges the bond on the host as it is now.
func (v voter) partnerNow(c change, now state.Snapshot) (string, error) {
	l := now.ByName(v.bond)
	if !inLACP(l) {
		return "", v.withoutLACP(c)
	}
	switch mac := partnerOf(l); {
	case mac == "":
		return "", &miss{what: "no LACP partner"}
	case v.partner != "" && mac != v.partner:
		return "", &miss{what: "another LACP partner", why: mac}
	default:
		return "partner " + mac, nil
	}
}

// withoutLACP is why there is no such bond in 802.3ad any more.
func (v voter) withoutLACP(c change) error {
	for _, l := range c.intent.Links {
		if l.KernelName != v.bond && l.Name != v.bond {
			continue
		}
		if mode := l.Options["mode"]; l.Kind == netcfg.KindBond && mode != netcfg.Mode8023AD {
			return &abstention{"in the mode " + mode + ", as the configuration has it"}
		}
		return &miss{what: "no bond in mode 802.3ad"}
	}
	if _, ours := c.owned.Links[v.bond]; ours {
		return &abstention{"removed, as the configuration has it"}
	}
	return &miss{what: "no bond in mode 802.3ad"}
}
