package plan

import (
	"fmt"
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
	if !OnDHCP6(n) || r.out.isAway(n.Name) {
		return
	}
	w.DHCP6, w.Renewed = true, r.Leases.News[n.Name]
	l := r.lease6(n)
	if l == nil {
		return // discovery says what is waited for
	}
	for _, lent := range l.Addresses {
		p := netip.PrefixFrom(lent.Address, lent.Address.BitLen())
		if other := r.holder(w, p, holders[lent.Address]); other != nil {
			r.wait(n.Name, fmt.Sprintf("the address of its lease, %s, is on %s already, where somebody else has put it", lent.Address, other.Name))
			continue
		}
		if p := r.otherPrefix(n.Name, w, p); p.IsValid() {
			r.wait(n.Name, fmt.Sprintf("the address of its lease is on it already, as %s, which somebody else has put there", p))
			continue
		}
		preferred, valid := lent.Seconds(r.Leases.Now)
		if valid == 0 {
			continue
		}
		a := state.Address{Link: w.Index, Prefix: p, Valid: valid, Preferred: preferred}
		if valid == state.Forever {
			a.Flags = state.FlagPermanent
		}
		w.Addresses = append(w.Addresses, a)
		r.adoptAddress(n.Name, w, p)
	}
}

// otherPrefix is the address with another prefix length, where the link has it from
// somebody else, or from a router that still counts: the kernel has an address once.
func (r *resolver) otherPrefix(name string, w *Link, p netip.Prefix) netip.Prefix {
	for _, a := range r.addrs[w.Index] {
		if a.Prefix.Addr() == p.Addr() && a.Prefix != p && !r.ownsAddress(name, a) {
			return a.Prefix
		}
	}
	return netip.Prefix{}
}
