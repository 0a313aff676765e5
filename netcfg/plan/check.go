package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Check compares an intent with a fresh snapshot, field by field. It knows
// nothing of Build, so that a planner that is blind to something does not also
// declare it done. Drift found by Check is what a converge has to mend.
func Check(in Intent, s state.Snapshot) []Drift {
	c := &checker{snapshot: s, byIndex: make(map[int]*state.Link, len(s.Links)), byName: make(map[string]*state.Link, len(s.Links)),
		addrs: addressesByLink(s.Addresses), routes: routesByLink(s.Routes), names: make(map[int]string, len(in.Links))}
	for i := range s.Links {
		c.byIndex[s.Links[i].Index], c.byName[s.Links[i].Name] = &s.Links[i], &s.Links[i]
	}
	c.away = map[string][]string{}
	for _, a := range in.Away {
		c.away[a.Bond] = append(c.away[a.Bond], a.Nic)
		c.taken(a)
	}
	for i := range in.Links {
		c.names[in.Links[i].Index] = in.Links[i].KernelName
	}
	for i := range in.Links {
		c.link(&in.Links[i])
	}
	for _, r := range in.Routes {
		c.route(r)
	}
	c.gone(in)
	c.dns(in)
	return c.drift
}

type checker struct {
	snapshot state.Snapshot
	byIndex  map[int]*state.Link
	byName   map[string]*state.Link
	addrs    map[int][]state.Address
	routes   map[int][]state.Route
	// names are the wanted links' kernel names by wanted index: a link that was made
	// anew by somebody has another index, and is compared by name.
	names map[int]string
	// away are the slaves that somebody has taken, by bond.
	away  map[string][]string
	drift []Drift
}

func (c *checker) differ(nic, field, wanted, actual string) {
	if wanted != actual {
		c.drift = append(c.drift, Drift{Field: netcfg.NicPath(nic, field), Wanted: wanted, Actual: actual})
	}
}

func (c *checker) link(w *Link) {
	l := c.byName[w.KernelName]
	if l == nil {
		c.drift = append(c.drift, Drift{Field: netcfg.NicPath(w.Name, ""), Wanted: "present", Actual: "absent"})
		return
	}
	if w.Kind != netcfg.KindNIC {
		c.differ(w.Name, "kind", string(w.Kind), l.Kind)
	}
	c.differ(w.Name, "admin_state", upDown(w.Up || w.NoAddresses), upDown(l.AdminUp))
	if w.MTU != 0 {
		c.differ(w.Name, "mtu", itoa(w.MTU), itoa(l.MTU))
	}
	if w.MAC != "" && w.Master == 0 { // a slave has that of its bond
		c.differ(w.Name, "mac.address", w.MAC, l.MAC)
	}
	if !w.AnyMaster {
		c.differ(w.Name, "master", c.wantedName(w.Master), c.nameOf(l.Master))
	}
	if w.Kind == netcfg.KindVLAN {
		c.differ(w.Name, "base_interface", c.wantedName(w.Parent), c.nameOf(l.Parent))
		c.differ(w.Name, "vlan.id", itoa(w.VLANID), itoa(l.VLANID))
	}
	if w.Kind == netcfg.KindBond {
		c.bond(w, l)
	}
	if w.NoLinkLocal != nil {
		c.differ(w.Name, "ipv6.link_local", onOff(!*w.NoLinkLocal), onOff(!l.AddrGenModeNone))
	}
	c.discovery(w, l)
	c.addresses(w, l)
}

// wantedName is the name of a wanted link, or of one that is only stood upon.
func (c *checker) wantedName(index int) string {
	if n, ok := c.names[index]; ok {
		return n
	}
	return c.nameOf(index)
}

func (c *checker) nameOf(index int) string {
	if l := c.byIndex[index]; l != nil {
		return l.Name
	}
	return ""
}

// bond compares what the kernel tells. An option that it does not tell is one that
// it does not have.
func (c *checker) bond(w *Link, l *state.Link) {
	if l.Bond == nil {
		return
	}
	for _, s := range netcfg.BondOptions {
		want, ok := w.Options[s.Name]
		have, told := l.Bond.Options[s.Name]
		if ok && told {
			c.differ(w.Name, "bonding.options."+s.Name, want, have)
		}
	}
	var want, have []string
	for _, s := range w.Slaves {
		want = append(want, c.wantedName(s))
	}
	for _, s := range c.snapshot.Links {
		if s.Master == l.Index {
			have = append(have, s.Name)
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	c.slaves(w.Name, want, have)
}

// slaves tells those that somebody has taken from those that can be put in or out.
func (c *checker) slaves(bond string, want, have []string) {
	all := slices.Sorted(slices.Values(append(c.away[bond], want...)))
	switch {
	case !slices.Equal(want, have):
		c.differ(bond, "bonding.slaves", strings.Join(all, ","), strings.Join(have, ","))
	case len(all) > len(want):
		c.drift = append(c.drift, Drift{Field: netcfg.NicPath(bond, "bonding.slaves"), Wanted: strings.Join(all, ","), Actual: strings.Join(have, ","),
			Outside: true, Hint: "somebody has taken " + strings.Join(c.away[bond], ", ")})
	}
}

// addresses wants each address to be there and IPv4 in the right order, and a
// duplicate found by the kernel to be known.
func (c *checker) addresses(w *Link, l *state.Link) {
	have := c.addrs[l.Index]
	last := map[netip.Prefix]int{}
	for _, a := range w.Addresses {
		i := slices.IndexFunc(have, func(h state.Address) bool { return h.Prefix == a.Prefix })
		if i < 0 {
			c.differ(w.Name, addressPath(a), "present", "absent")
			continue
		}
		if wrong := w.wrongLifetime(a, have[i]); wrong != "" {
			c.differ(w.Name, addressPath(a)+".lifetime", lifetimeWord(a), wrong)
		}
		if have[i].Flags&state.FlagDADFailed != 0 {
			c.drift = append(c.drift, Drift{Field: netcfg.NicPath(w.Name, addressPath(a)), Wanted: "present",
				Actual: "a duplicate: another host on the link has it", Outside: true, Hint: "give either host another address"})
		}
		subnet := a.Prefix.Masked()
		if before, ok := last[subnet]; ok && a.Prefix.Addr().Is4() && i < before {
			c.differ(w.Name, addressPath(a), "in the order of the document", "before its predecessor")
		}
		last[subnet] = i
	}
	if !w.NoAddresses {
		return
	}
	for _, a := range have {
		if !a.LinkLocal() {
			c.differ(w.Name, addressPath(a), "absent", "present")
		}
	}
}

func lifetimeWord(a state.Address) string {
	if a.Valid == state.Forever {
		return "for ever"
	}
	return "that of the lease"
}

func addressPath(a state.Address) string { return "addresses[" + a.Prefix.String() + "]" }

func (c *checker) route(w Route) {
	l := c.byName[w.Nic]
	if n, ok := c.names[w.Link]; ok {
		l = c.byName[n]
	}
	if l == nil || !l.AdminUp {
		return
	}
	for _, have := range c.routes[l.Index] {
		have.Link = w.Link
		if sameRoute(have, w.Route) {
			return
		}
	}
	c.differ(w.Nic, fmt.Sprintf("routes[%s via %s]", w.Dst, w.Gateway), "present", "absent")
}

func (c *checker) gone(in Intent) {
	for _, i := range in.GoneLinks {
		if l := c.byIndex[i]; l != nil {
			c.differ(l.Name, "", "absent", "present")
		}
	}
	for _, a := range in.GoneAddresses {
		if slices.ContainsFunc(c.addrs[a.Link], func(h state.Address) bool { return h.Prefix == a.Prefix }) {
			c.differ(c.nameOf(a.Link), addressPath(a), "absent", "present")
		}
	}
	for _, r := range in.GoneRoutes {
		if slices.ContainsFunc(c.routes[r.Link], func(h state.Route) bool { return sameRoute(h, r) }) {
			c.differ(c.nameOf(r.Link), fmt.Sprintf("routes[%s via %s]", r.Dst, r.Gateway), "absent", "present")
		}
	}
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
