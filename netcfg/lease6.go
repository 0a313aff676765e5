package netcfg

import (
	"net/netip"
	"slices"
	"time"
)

// Lease6 is what a DHCPv6 server has lent to a NIC (RFC 8415), or only told it, where
// there are no addresses. What the server said is in it only as far as it was found fit
// for use. Times are readings of the clock since boot, as those of Lease.
type Lease6 struct {
	// Addresses are lent, in the server's order, at most 16. Routers say what is on the
	// link (RFC 8415 §18.2.10.1), so that none of them has a prefix.
	Addresses []LeaseAddress `json:"addresses,omitempty"`
	// ServerID is the DUID of the server, to which renewals are addressed.
	ServerID []byte `json:"server_id"`
	// Server is the address that it has answered from.
	Server netip.Addr `json:"server"`
	// DNS and NTP are addresses of servers, in the server's order (RFC 3646, RFC 5908).
	DNS []netip.Addr `json:"dns,omitempty"`
	NTP []netip.Addr `json:"ntp,omitempty"`
	// Search are the domains in which the resolver is to look: names by RFC 1123.
	Search []string `json:"search,omitempty"`
	// Obtained is when the request was sent that the server has granted.
	Obtained time.Duration `json:"obtained"`
	// RenewAt (T1) and RebindAt (T2) are when the client asks for more time, first this
	// server and then any; without addresses RenewAt is when it asks for news (RFC 8415
	// §21.23). LeaseForever is never.
	RenewAt  time.Duration `json:"renew_at"`
	RebindAt time.Duration `json:"rebind_at"`
}

// LeaseAddress is an address that was lent. From Preferred on it is not used for new
// connections, and at Expires it is not the host's any more; LeaseForever is never.
type LeaseAddress struct {
	Address   netip.Addr    `json:"address"`
	Preferred time.Duration `json:"preferred"`
	Expires   time.Duration `json:"expires"`
}

// Expires is when the last of the addresses ends, or LeaseForever; without addresses
// what was told does not end.
func (l *Lease6) Expires() time.Duration {
	if len(l.Addresses) == 0 {
		return LeaseForever
	}
	var last time.Duration
	for _, a := range l.Addresses {
		last = max(last, a.Expires)
	}
	return last
}

// Valid is true while there is something to be used.
func (l *Lease6) Valid(now time.Duration) bool { return l != nil && now < l.Expires() }

// Seconds is what is left of the address in whole seconds, rounded up as those of a
// Lease; 0xffffffff is for ever.
func (a LeaseAddress) Seconds(now time.Duration) (preferred, valid uint32) {
	return secondsTo(a.Preferred, now), secondsTo(a.Expires, now)
}

// SameFacts is true of leases that differ in their times at most: what a renewal
// without news gives.
func (l *Lease6) SameFacts(o *Lease6) bool {
	if l == nil || o == nil {
		return l == o
	}
	return slices.EqualFunc(l.Addresses, o.Addresses, func(a, b LeaseAddress) bool { return a.Address == b.Address }) &&
		slices.Equal(l.ServerID, o.ServerID) && l.Server == o.Server && slices.Equal(l.DNS, o.DNS) &&
		slices.Equal(l.NTP, o.NTP) && slices.Equal(l.Search, o.Search)
}
