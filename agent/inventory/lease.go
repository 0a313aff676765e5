package inventory

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Lease is where the DHCP client of a NIC stands, and what it was lent. Times are
// readings of the clock since boot; 0 is none.
type Lease struct {
	State, Address, Server string
	Gateways, Routes       []string
	DNS, NTP, Search       []string
	Domain, HostName       string
	// MTU is nil where the server names none.
	MTU                                           *int
	Obtained, RenewAt, RebindAt, Expires, NextTry time.Duration
	Tries                                         int
	Refusal, Trouble                              string
	// Addresses and ServerID are those of a lease of DHCPv6, which has no Address.
	Addresses []LeaseAddress
	ServerID  string
}

// LeaseAddress is an address that DHCPv6 has lent.
type LeaseAddress struct {
	Address            string
	Preferred, Expires time.Duration
}

// leaseOf describes a client.
func leaseOf(s netcfg.LeaseStatus) *Lease {
	l := &Lease{State: s.State, Server: addressText(s.Server), NextTry: end(s.NextTry), Tries: s.Tries, Refusal: s.Refusal, Trouble: s.Trouble}
	if s.Lease6 != nil {
		l.lent6(s.Lease6)
	}
	from := s.Lease
	if from == nil {
		return l
	}
	l.Address = from.Address.String()
	l.Gateways, l.DNS, l.NTP = texts(from.Gateways), texts(from.DNS), texts(from.NTP)
	for _, r := range from.Routes {
		words := r.Destination.String()
		if r.Gateway.IsValid() {
			words += " via " + r.Gateway.String()
		}
		l.Routes = append(l.Routes, words)
	}
	l.Domain, l.Search, l.HostName = from.Domain, from.Search, from.HostName
	if from.MTU != 0 {
		l.MTU = &from.MTU
	}
	l.Obtained, l.RenewAt, l.RebindAt, l.Expires = from.Obtained, end(from.RenewAt), end(from.RebindAt), end(from.Expires)
	return l
}

func (l *Lease) lent6(from *netcfg.Lease6) {
	for _, a := range from.Addresses {
		l.Addresses = append(l.Addresses, LeaseAddress{a.Address.String(), end(a.Preferred), end(a.Expires)})
	}
	l.Server, l.ServerID = addressText(from.Server), hex.EncodeToString(from.ServerID)
	l.DNS, l.NTP, l.Search = texts(from.DNS), texts(from.NTP), from.Search
	l.Obtained, l.RenewAt, l.RebindAt, l.Expires = from.Obtained, end(from.RenewAt), end(from.RebindAt), end(from.Expires())
}

// end is 0 for what has none.
func end(t time.Duration) time.Duration {
	if t == netcfg.LeaseForever {
		return 0
	}
	return t
}

func texts(all []netip.Addr) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// Protocols are where addresses come from.
const (
	protocolStatic   = string(netcfg.BootStatic)
	protocolDHCP     = string(netcfg.BootDHCP)
	protocolAutoconf = string(netcfg.BootAutoconf)
)

// protocolOf is where an address comes from; empty where that is not known.
func (b *builder) protocolOf(name string, a state.Address) string {
	lease, lease6 := b.Leases[name].Lease, b.Leases6[name].Lease6
	switch {
	case lease != nil && lease.Address == a.Prefix:
		return protocolDHCP
	case lease6 != nil && a.Prefix.IsSingleIP() && slices.ContainsFunc(lease6.Addresses, func(l netcfg.LeaseAddress) bool { return l.Address == a.Prefix.Addr() }):
		return protocolDHCP
	case b.ownerOf(name, a) == OwnerAgent:
		return protocolStatic
	case a.Learnt():
		return protocolAutoconf
	}
	return ""
}
