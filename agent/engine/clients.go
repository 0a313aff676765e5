package engine

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Client is what a DHCP client has to know of its NIC.
type Client struct {
	// NIC is its name in the configuration, Link the kernel's, with that index.
	NIC, Link string
	Index     int
	// V6 is true of a client of DHCPv6, and Stateless of one that asks for no addresses.
	V6, Stateless bool
	// Base is the NIC or bond, VLAN the id of the VLAN on it, or 0.
	Base string
	VLAN int
	// Ready is true while the link carries packets; Ups counts how often it came to that.
	Ready bool
	Ups   uint32
	MAC   string
	// Local is the link-local address that DHCPv6 goes by; zero while there is none of use.
	Local netip.Addr
	// MTU is the largest that a lease may ask for.
	MTU int
}

// Around is what DHCP clients have to know of the host.
type Around struct {
	// MACs of all its NICs.
	MACs []string
	// Subnets of IPv4 and Addresses of IPv6 by the kernel's names of links.
	Subnets   map[string][]netip.Prefix
	Addresses map[string][]netip.Addr
}

// follow has a client run on each NIC of an intent that is to have a lease, and tells
// them how their links are.
func (e *Engine) follow(intent plan.Intent, s snapshot) {
	if e.Leaser == nil || e.writable() != nil {
		return
	}
	clients, next := e.clients(intent, s), e.lending.copied()
	wanted := map[bool]map[string]bool{false: {}, true: {}}
	for _, c := range clients {
		wanted[c.V6][c.NIC] = true
		if now, runs := next.of(c.V6)[c.NIC]; runs && now.Stateless == c.Stateless {
			now.Index = c.Index
			next.of(c.V6)[c.NIC] = now
			continue
		}
		begins := netcfg.LeaseStatus{NIC: c.NIC, Link: c.Link, Index: c.Index, V6: c.V6, Stateless: c.Stateless, NextTry: netcfg.LeaseForever}
		switch {
		case !c.V6:
			begins.Lease = next.held[c.NIC]
		case !c.Stateless:
			begins.Lease6 = next.held6[c.NIC]
		}
		next.of(c.V6)[c.NIC] = begins
	}
	for v6, names := range wanted {
		maps.DeleteFunc(next.of(v6), func(nic string, _ netcfg.LeaseStatus) bool { return !names[nic] })
	}
	maps.DeleteFunc(next.duplicates, func(index int, _ netip.Addr) bool {
		l := s.Link(index)
		return l == nil || !l.Carrier || slices.ContainsFunc(s.AddressesOf(index), state.Address.Learnt)
	})
	none := len(clients)+len(e.lending.clients)+len(e.lending.clients6) == 0
	if e.lending = next; none {
		return
	}
	e.Leaser.Follow(clients, around(s))
}

// clients are those that are to run.
func (e *Engine) clients(intent plan.Intent, s snapshot) []Client {
	var out []Client
	for i := range intent.Links {
		w := &intent.Links[i]
		l := s.Link(w.Index)
		if l == nil || !w.DHCP && !w.DHCP6 && !w.Informed {
			continue
		}
		c := Client{NIC: w.Name, Link: l.Name, Index: l.Index, Base: w.Name, Ready: e.carries(l, &s), Ups: l.CarrierUps, MAC: l.MAC, MTU: w.FullMTU}
		if w.Kind == netcfg.KindVLAN {
			c.Base, c.VLAN = s.Name(w.Parent), w.VLANID
		}
		if w.DHCP {
			out = append(out, c)
		}
		if w.DHCP6 || w.Informed {
			c.V6, c.Stateless, c.Local = true, !w.DHCP6, localOf(s, l.Index)
			c.Ready = c.Ready && c.Local.IsValid()
			out = append(out, c)
		}
	}
	return out
}

// localOf is the link-local address of a link, once the kernel has found that nobody
// else has it; zero is none.
func localOf(s snapshot, index int) netip.Addr {
	for _, a := range s.AddressesOf(index) {
		if a.LinkLocal() && a.Flags&(state.FlagTentative|state.FlagDADFailed) == 0 {
			return a.Prefix.Addr()
		}
	}
	return netip.Addr{}
}

// Duplicate is an address of a link that another host has, too. The kernel has found it
// (RFC 4862 §5.4.5), and does not use the address.
type Duplicate struct {
	Index   int
	Address netip.Addr
}

// duplicate tells the client of DHCPv6 that has got the address, and remembers it of an
// address that the kernel has made, and has taken away again.
func (e *Engine) duplicate(d Duplicate) {
	address := d.Address
	if e.lending.duplicates[d.Index] != address {
		e.Log.Warn("another host on the link has the address, which the kernel therefore does not use", "ifindex", d.Index, "address", address)
		e.lending = e.lending.copied()
		e.lending.duplicates[d.Index] = address
		e.eye.news()
	}
	for nic, lease := range e.lending.held6 {
		c, runs := e.lending.clients6[nic]
		if runs && c.Index == d.Index && slices.ContainsFunc(lease.Addresses, func(a netcfg.LeaseAddress) bool { return a.Address == address }) {
			e.Leaser.Decline(nic, address)
		}
	}
}

func around(s snapshot) Around {
	a := Around{Subnets: map[string][]netip.Prefix{}, Addresses: map[string][]netip.Addr{}}
	for i := range s.Links {
		if mac := s.Links[i].MAC; mac != "" {
			a.MACs = append(a.MACs, mac)
		}
	}
	for _, address := range s.Addresses {
		switch name, ip := s.Name(address.Link), address.Prefix.Addr(); {
		case ip.IsLoopback(), ip.IsLinkLocalUnicast() && ip.Is6():
		case ip.Is4():
			a.Subnets[name] = append(a.Subnets[name], address.Prefix.Masked())
		default:
			a.Addresses[name] = append(a.Addresses[name], ip)
		}
	}
	return a
}

// lacpPatience is how long a bond waits for somebody to speak LACP before it is used
// without: a switch whose end is set up later, or not at all, may still forward.
const lacpPatience = 10 * time.Second

// carries is true of a link over which packets get through, as far as this host can
// tell: it has a carrier, and so has what it stands on, and LACP has come to an end.
func (e *Engine) carries(l *state.Link, s *snapshot) bool {
	if !l.AdminUp || !l.Carrier {
		delete(e.carrying, l.Index)
		return false
	}
	if below := s.Link(l.Parent); below != nil && l.Kind == string(netcfg.KindVLAN) && !e.carries(below, s) {
		return false
	}
	if plan.Aggregated(l) {
		delete(e.carrying, l.Index)
		return true
	}
	since, known := e.carrying[l.Index]
	if !known {
		since = e.Clock()
		e.carrying[l.Index] = since
	}
	left := since + lacpPatience - e.Clock()
	if left > 0 {
		e.eye.again(left)
	}
	return left <= 0
}
