package plan

import (
	"net/netip"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// OnDHCP6 is true of a NIC that is to have a lease of DHCPv6.
func OnDHCP6(n *netcfg.HostNic) bool {
	return n.IPv6Boot() == netcfg.BootDHCP || n.IPv6Boot() == netcfg.BootPolyDHCPAutoconf
}

// lease6 is what a NIC has been lent by DHCPv6; nil is nothing.
func (r *resolver) lease6(n *netcfg.HostNic) *netcfg.Lease6 {
	if l := r.Leases.Held6[n.Name]; OnDHCP6(n) && r.masterOf[n.Name] == "" && l.Valid(r.Leases.Now) && len(l.Addresses) > 0 {
		return l
	}
	return nil
}

// leasing6 gives a link the addresses that its NIC has been lent by DHCPv6. Each stands
// alone: routers say what else is on the link (RFC 8415 §18.2.10.1).
func (r *resolver) leasing6(n *netcfg.HostNic, w *Link, holders map[netip.Addr][]int) {
	l := r.lease6(n)
	if l == nil {
		return // discovery says what is waited for
	}
	for _, lent := range l.Addresses {
		preferred, valid := lent.Seconds(r.Leases.Now)
		r.lend(n, w, state.Address{Prefix: netip.PrefixFrom(lent.Address, lent.Address.BitLen()), Valid: valid, Preferred: preferred}, holders)
	}
}

// otherPrefix is an IPv6 address with another prefix length, where the link has it from
// somebody else, or from a router that still counts: the kernel has such an address once.
func (r *resolver) otherPrefix(name string, w *Link, p netip.Prefix) netip.Prefix {
	for _, a := range r.addrs[w.Index] {
		if a.Prefix.Addr() == p.Addr() && p.Addr().Is6() && a.Prefix != p && !r.ownsAddress(name, a) {
			return a.Prefix
		}
	}
	return netip.Prefix{}
}
