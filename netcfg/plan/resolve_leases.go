package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Leases are what DHCP servers have lent to the host. They are facts, as a look is.
type Leases struct {
	// Now is the time, by the clock since boot, as the times of leases are.
	Now time.Duration
	// Held are the leases by NIC, Held6 those of DHCPv6. One that has ended counts as none.
	Held  map[string]*netcfg.Lease
	Held6 map[string]*netcfg.Lease6
	// Informed is what DHCPv6 has told without lending anything, by NIC.
	Informed map[string]*netcfg.Lease6
	// News are the NICs whose leases have been renewed since they were last brought to the
	// host.
	News map[string]bool
	// Why and Why6 say, by NIC, why there is none, in a clause.
	Why, Why6 map[string]string
	// Duplicates are IPv6 addresses that another host was found to have, by the index of
	// the link on which the kernel had made them.
	Duplicates map[int]netip.Addr
}

// leaseMetric is the metric of what comes with the lease of the first NIC of the
// configuration that is on dhcp; the next one has one more. So a default route of the
// document goes before that of any lease, and of these the first NIC's is used.
const leaseMetric = 1000

// leased is true of a NIC that is to have a lease.
func leased(n *netcfg.HostNic) bool { return n.IPv4Boot() == netcfg.BootDHCP }

// lease is what a NIC has been lent; nil is nothing.
func (r *resolver) lease(n *netcfg.HostNic) *netcfg.Lease {
	if l := r.Leases.Held[n.Name]; leased(n) && r.masterOf[n.Name] == "" && l.Valid(r.Leases.Now) {
		return l
	}
	return nil
}

// leasing gives a link what its NIC has been lent.
func (r *resolver) leasing(n *netcfg.HostNic, w *Link, holders map[netip.Addr][]int) {
	if r.out.isAway(n.Name) {
		return
	}
	w.DHCP, w.DHCP6, w.Renewed = leased(n), OnDHCP6(n), r.Leases.News[n.Name]
	if w.DHCP {
		r.leasing4(n, w, holders)
	}
	if w.DHCP6 {
		r.leasing6(n, w, holders)
	}
}

// leasing4 gives a link the address of its lease of DHCPv4, and the routes.
func (r *resolver) leasing4(n *netcfg.HostNic, w *Link, holders map[netip.Addr][]int) {
	l := r.lease(n)
	if l == nil {
		r.wait(n.Name, cmp.Or(r.Leases.Why[n.Name], "there is no lease yet"))
		return
	}
	left := l.Seconds(r.Leases.Now)
	if !r.lend(n, w, state.Address{Prefix: l.Address, Broadcast: l.Broadcast, Valid: left, Preferred: left}, holders) {
		return
	}
	if len(l.Gateways) > 0 {
		r.leaseRoute(n, w, l, netcfg.LeaseRoute{Destination: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Gateway: l.Gateways[0]})
	}
	for _, route := range l.Routes {
		r.leaseRoute(n, w, l, route)
	}
}

// lend gives a link an address of a lease, unless somebody else has put it on the host,
// or it has ended, and says whether it did.
func (r *resolver) lend(n *netcfg.HostNic, w *Link, a state.Address, holders map[netip.Addr][]int) bool {
	if other := r.holder(w, a.Prefix, holders[a.Prefix.Addr()]); other != nil {
		r.wait(n.Name, fmt.Sprintf("the address of its lease, %s, is on %s already, where somebody else has put it", a.Prefix.Addr(), other.Name))
		return false
	}
	if p := r.otherPrefix(n.Name, w, a.Prefix); p.IsValid() {
		r.wait(n.Name, fmt.Sprintf("the address of its lease is on it already, as %s, which somebody else has put there", p))
		return false
	}
	if a.Valid == 0 {
		return false
	}
	if a.Valid == state.Forever {
		a.Flags = state.FlagPermanent
	}
	a.Link = w.Index
	w.Addresses = append(w.Addresses, a)
	r.adoptAddress(n.Name, w, a.Prefix)
	return true
}

func (r *resolver) wait(nic, reason string) {
	r.out.Waiting = append(r.out.Waiting, Waiting{nic, reason})
}

// leaseRoute wants a route of a lease. A gateway outside of the address's subnet is on
// the link all the same: no server would send it otherwise. What somebody else has put
// in its place stays, as a lease is no reason to refuse a configuration.
func (r *resolver) leaseRoute(n *netcfg.HostNic, w *Link, l *netcfg.Lease, route netcfg.LeaseRoute) {
	want := state.Route{Table: state.MainTable, Dst: route.Destination.Masked(), Gateway: route.Gateway, Link: w.Index, Metric: r.metric(n.Name),
		Protocol: state.ProtocolHostnic, Type: 1}
	if route.Gateway.IsValid() && !l.Address.Contains(route.Gateway) {
		want.Flags |= FlagOnlink
	}
	for _, have := range r.Snapshot.Routes {
		link := r.Snapshot.Link(have.Link)
		if takesPlace(want, have) && !sameRoute(want, have) && link != nil && !r.doomed[have.Link] && !r.ownsRoute(r.nameOf(link), have) {
			r.warn(netcfg.NicPath(n.Name, "lease"), "route-taken", "the lease comes with a route to %s via %s, in the place of which somebody else has one via %s dev %s, which stays",
				want.Dst, want.Gateway, have.Gateway, link.Name)
			return
		}
	}
	if !slices.ContainsFunc(r.out.Routes, func(other Route) bool { return takesPlace(want, other.Route) }) {
		r.out.Routes = append(r.out.Routes, Route{want, n.Name})
	}
}

// metric is that of what comes with the lease of a NIC.
func (r *resolver) metric(nic string) uint32 {
	metric := uint32(leaseMetric)
	for i := range r.Config.HostNics {
		n := &r.Config.HostNics[i]
		if n.Name == nic {
			break
		}
		if leased(n) {
			metric++
		}
	}
	return metric
}

// leaseMTU lowers an MTU that the document is silent about to that of the lease. It
// does not where VLANs stand on the link, which the kernel would lower along with it,
// and never so far that the kernel would take IPv6 off.
func (r *resolver) leaseMTU(n *netcfg.HostNic, w *Link) {
	l := r.lease(n)
	if l == nil || l.MTU == 0 || n.MTU != nil {
		return
	}
	for _, other := range r.nics {
		if other.BaseInterface == n.Name {
			return
		}
	}
	if slices.ContainsFunc(r.children[w.Index], func(c *state.Link) bool { return !r.doomed[c.Index] }) {
		return
	}
	w.MTU = min(w.MTU, max(l.MTU, minIPv6MTU))
}

// lifetimeSlack is how many seconds the lifetime of an address may differ from what it
// ought to be: that of the lease is rounded, and a look takes its time.
const lifetimeSlack = 5

// renewedSlack is the same of an address whose lease has just been renewed. What little
// that has brought would be more than the slack at another moment.
const renewedSlack = 1

// wrongLifetime says how the lifetime of an address differs from what it ought to be;
// empty if it does not. That of somebody else's is his own, once it is there.
func (l *Link) wrongLifetime(want, have state.Address) string {
	lent, slack := want.Valid != 0, uint64(lifetimeSlack)
	if l.Renewed {
		slack = renewedSlack
	}
	switch {
	case slices.Contains(l.Foreign, want.Prefix):
		return ""
	case !lent && have.Valid != 0:
		return wrongTime(state.Forever, have.Valid, slack)
	case !lent:
		return ""
	}
	if have.Valid == 0 {
		have.Valid, have.Preferred = state.Forever, state.Forever
	}
	return cmp.Or(wrongTime(want.Valid, have.Valid, slack), wrongTime(want.Preferred, have.Preferred, slack))
}

func wrongTime(want, have uint32, slack uint64) string {
	switch {
	case want == have:
		return ""
	case have == state.Forever:
		return "for ever"
	case want == state.Forever:
		return "for a time"
	case uint64(have)+slack < uint64(want):
		return "too short"
	case uint64(want)+slack < uint64(have):
		return "too long"
	}
	return ""
}
