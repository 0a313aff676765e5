package netcfg

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

// LeaseForever is the time at which something ends that does not.
const LeaseForever time.Duration = math.MaxInt64

// Lease is what a DHCPv4 server has lent to a NIC: an address and what comes with
// it. What the server said is in it only as far as it was found fit for use. Times
// are readings of the clock since boot, which goes on while the machine sleeps.
type Lease struct {
	// Address with the prefix length of its subnet, host bits kept.
	Address netip.Prefix `json:"address"`
	// Broadcast address that the server named; zero means the subnet's own.
	Broadcast netip.Addr `json:"broadcast,omitzero"`
	// Server is the server identifier (RFC 2132 §9.7), to which renewals go.
	Server netip.Addr `json:"server"`
	// Gateways for the default route. The first is meant to be used; the others are
	// kept for show.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// Routes beyond the default route (RFC 3442), in the server's order, at most 64.
	Routes []LeaseRoute `json:"routes,omitempty"`
	// DNS and NTP are addresses of servers, in the server's order.
	DNS []netip.Addr `json:"dns,omitempty"`
	NTP []netip.Addr `json:"ntp,omitempty"`
	// Domain is the domain of the host, Search are the domains in which the resolver
	// is to look (RFC 3397), HostName is the name that the server has for the host.
	// All of them are names by RFC 1123, or empty.
	Domain   string   `json:"domain,omitempty"`
	Search   []string `json:"search,omitempty"`
	HostName string   `json:"host_name,omitempty"`
	// MTU in bytes, 576 to the link's own; 0 means that the server named none.
	MTU int `json:"mtu,omitempty"`
	// Obtained is when the request was sent that the server has granted.
	Obtained time.Duration `json:"obtained"`
	// RenewAt (T1) and RebindAt (T2) are when the client asks for more time, first this
	// server and then any. At Expires the address is not the host's any more.
	// LeaseForever in all three means that it stays.
	RenewAt  time.Duration `json:"renew_at"`
	RebindAt time.Duration `json:"rebind_at"`
	Expires  time.Duration `json:"expires"`
}

// LeaseRoute is a route that came with a lease.
type LeaseRoute struct {
	Destination netip.Prefix `json:"destination"`
	// Gateway is zero where the destination is on the link itself.
	Gateway netip.Addr `json:"gateway,omitzero"`
}

// Valid is true while the address may be used.
func (l *Lease) Valid(now time.Duration) bool { return l != nil && now < l.Expires }

// Seconds is what is left of the lease in whole seconds, rounded up, so that the
// kernel does not take the address away before the agent does; 0xffffffff is for
// ever.
func (l *Lease) Seconds(now time.Duration) uint32 { return secondsTo(l.Expires, now) }

func secondsTo(end, now time.Duration) uint32 {
	if end == LeaseForever {
		return math.MaxUint32
	}
	left := max(0, end-now)
	return uint32(min((left+time.Second-1)/time.Second, math.MaxUint32-1))
}

// Domains are those in which the resolver is to look: the host's own where the server
// names no others.
func (l *Lease) Domains() []string {
	if len(l.Search) == 0 && l.Domain != "" {
		return []string{l.Domain}
	}
	return l.Search
}

// SameFacts is true of leases that differ in their times at most: what a renewal
// without news gives.
func (l *Lease) SameFacts(o *Lease) bool {
	if l == nil || o == nil {
		return l == o
	}
	return l.Address == o.Address && l.Broadcast == o.Broadcast && l.Server == o.Server &&
		slices.Equal(l.Gateways, o.Gateways) && slices.Equal(l.Routes, o.Routes) &&
		slices.Equal(l.DNS, o.DNS) && slices.Equal(l.NTP, o.NTP) &&
		l.Domain == o.Domain && slices.Equal(l.Search, o.Search) && l.HostName == o.HostName && l.MTU == o.MTU
}

// LeaseStatus is where the DHCP client of a NIC stands.
type LeaseStatus struct {
	// NIC is its name in the configuration, Link the kernel's.
	NIC, Link string
	// Index is the kernel's of the link.
	Index int
	// V6 is true of a client of DHCPv6, Stateless of one that asks for no addresses.
	V6, Stateless bool
	// State of the client: stopped (the lease was given back), waiting (for the link),
	// init, bound, renewing, rebinding; of DHCPv4 also selecting, requesting, init-reboot,
	// rebooting, probing (RFC 2131 §4.4) or ipv6-only (RFC 8925); of DHCPv6 soliciting,
	// requesting, confirming, releasing, declining, informing or informed (RFC 8415 §18.2).
	State string
	// Ready is true while the link carries packets.
	Ready bool
	// Lease is in use, or Lease6 of a client of DHCPv6; nil is none. They are replaced,
	// never changed.
	Lease  *Lease
	Lease6 *Lease6
	// Server is the one that the client deals with; zero while it deals with all.
	Server netip.Addr
	// Tries are the messages sent in this state.
	Tries int
	// NextTry is when the client does something of its own accord next, a reading of the
	// clock since boot; LeaseForever is never.
	NextTry time.Duration
	// Refusal is why a server was refused last, or has refused; Trouble what the kernel or
	// the disk says that keeps the client from its work. Both are empty where all is well.
	Refusal, Trouble string
}
