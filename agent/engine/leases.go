package engine

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Leaser gets leases from DHCP servers. It owns its clients and all that goes on in
// them; the loop says which there are to be, and takes what they have got, as data.
type Leaser interface {
	// Follow has these clients run and no others. What runs already goes on. It does
	// not wait for servers.
	Follow(clients []Client, around Around)
	// Changed has a token when Take has something to give.
	Changed() <-chan struct{}
	// Take is where those clients stand now that have news.
	Take() []netcfg.LeaseStatus
	// Recorded is the lease that a NIC has had before in this boot, as long as it is
	// valid; nil is none.
	Recorded(nic string) *netcfg.Lease
	// Renew has the client of a NIC ask for its lease again, or for another one, and
	// Release has it give the lease back. The error is *Error.
	Renew(ctx context.Context, nic string) error
	Release(ctx context.Context, nic string) error
}

// Client is what a DHCP client has to know of its NIC.
type Client struct {
	// NIC is its name in the configuration, Link the kernel's, with that index.
	NIC, Link string
	Index     int
	// Base is the NIC or bond, VLAN the id of the VLAN on it, or 0.
	Base string
	VLAN int
	// Ready is true while the link carries packets; Ups counts how often it came to that.
	Ready bool
	Ups   uint32
	MAC   string
	// MTU is the largest that a lease may ask for.
	MTU int
}

// Around is what DHCP clients have to know of the host.
type Around struct {
	// MACs of all its NICs.
	MACs []string
	// Subnets by the kernel's names of links.
	Subnets map[string][]netip.Prefix
}

// lending is what is known of leases. It is never changed, only replaced.
type lending struct {
	// held are valid, or were when they were last heard of: by NIC, also of NICs that are
	// not on dhcp for the moment, so that a rollback brings them back.
	held map[string]*netcfg.Lease
	// clients are those that run.
	clients map[string]netcfg.LeaseStatus
}

// at are the leases of a moment.
func (l *lending) at(now time.Duration) plan.Leases {
	out := plan.Leases{Now: now, Held: l.held, Why: make(map[string]string, len(l.clients))}
	for nic, c := range l.clients {
		out.Why[nic] = whyNone(c)
	}
	return out
}

// waits is true while a client waits for its link.
func (l *lending) waits() bool {
	for _, c := range l.clients {
		if !c.Ready {
			return true
		}
	}
	return false
}

// copied is a copy that may be changed.
func (l *lending) copied() *lending {
	c := &lending{maps.Clone(l.held), maps.Clone(l.clients)}
	if c.held == nil {
		c.held = map[string]*netcfg.Lease{}
	}
	if c.clients == nil {
		c.clients = map[string]netcfg.LeaseStatus{}
	}
	return c
}

// lent are the leases of now, for the loop.
func (e *Engine) lent() plan.Leases { return e.lending.at(e.Clock()) }

// whyNone says, in a clause, why a client has no lease.
func whyNone(c netcfg.LeaseStatus) string {
	why := map[string]string{
		"stopped":     "its lease was given back: agentctl renew asks for one again",
		"waiting":     "DHCP waits until its link carries packets",
		"init-reboot": "DHCP waits until its link carries packets",
		"init":        "DHCP begins again after a pause",
		"selecting":   "no DHCP server has offered a lease yet",
		"requesting":  fmt.Sprintf("asking the DHCP server %s for what it has offered", c.Server),
		"rebooting":   "asking for the lease from before the reboot",
		"probing":     "looking whether somebody else has the address that the DHCP server has given",
		"ipv6-only":   "the network has asked to do without IPv4 (RFC 8925)",
	}[c.State]
	if why == "" {
		why = "there is no lease yet"
	}
	if c.Tries > 1 {
		why += fmt.Sprintf(", asked %d times", c.Tries)
	}
	for _, more := range []string{c.Refusal, c.Trouble} {
		if more != "" {
			why += "; " + more
		}
	}
	return why
}

// leaseNews receives when clients have something to tell.
func (e *Engine) leaseNews() <-chan struct{} {
	if e.Leaser == nil {
		return nil
	}
	return e.Leaser.Changed()
}

// heed takes in what the clients tell, and says whether leases have come, changed or
// gone. Those of them are still to be brought to the host.
func (e *Engine) heed() (changed bool) {
	next := e.lending.copied()
	for _, s := range e.Leaser.Take() {
		if _, follows := next.clients[s.NIC]; !follows {
			continue // of a client that has ended since
		}
		next.clients[s.NIC] = s
		if sameLease(next.held[s.NIC], s.Lease) {
			continue
		}
		changed = true
		e.unsettled[s.NIC] = true
		if next.held[s.NIC] = s.Lease; s.Lease == nil {
			delete(next.held, s.NIC)
		}
	}
	e.lending = next
	return changed
}

func sameLease(a, b *netcfg.Lease) bool {
	return a.SameFacts(b) && (a == nil || a.Expires == b.Expires)
}

// recallLeases loads the leases on record of NICs on dhcp that have no client.
func (e *Engine) recallLeases(configs ...netcfg.Config) {
	if e.Leaser == nil {
		return
	}
	next := e.lending.copied()
	for _, c := range configs {
		for i := range c.HostNics {
			nic := c.HostNics[i].Name
			if _, runs := next.clients[nic]; runs || c.HostNics[i].IPv4Boot() != netcfg.BootDHCP {
				continue
			}
			if l := e.Leaser.Recorded(nic); l != nil {
				next.held[nic] = l
			}
		}
	}
	e.lending = next
}

// follow has a client run on each NIC of an intent that is to have a lease, and tells
// them how their links are.
func (e *Engine) follow(intent plan.Intent, s snapshot) {
	if e.Leaser == nil || e.writable() != nil {
		return
	}
	var clients []Client
	next := e.lending.copied()
	wanted := map[string]bool{}
	for i := range intent.Links {
		w := &intent.Links[i]
		l := s.Link(w.Index)
		if !w.DHCP || l == nil {
			continue
		}
		c := Client{NIC: w.Name, Link: l.Name, Index: l.Index, Base: w.Name, Ready: e.carries(l, &s), Ups: l.CarrierUps, MAC: l.MAC, MTU: w.FullMTU}
		if w.Kind == netcfg.KindVLAN {
			c.Base, c.VLAN = s.Name(w.Parent), w.VLANID
		}
		clients, wanted[w.Name] = append(clients, c), true
		if _, runs := next.clients[w.Name]; !runs {
			next.clients[w.Name] = netcfg.LeaseStatus{NIC: w.Name, Link: l.Name, Lease: next.held[w.Name], NextTry: netcfg.LeaseForever}
		}
	}
	maps.DeleteFunc(next.clients, func(nic string, _ netcfg.LeaseStatus) bool { return !wanted[nic] })
	if len(clients)+len(e.lending.clients) == 0 {
		return
	}
	e.lending = next
	e.Leaser.Follow(clients, around(s))
}

func around(s snapshot) Around {
	a := Around{Subnets: map[string][]netip.Prefix{}}
	for i := range s.Links {
		if mac := s.Links[i].MAC; mac != "" {
			a.MACs = append(a.MACs, mac)
		}
	}
	for _, address := range s.Addresses {
		if name := s.Name(address.Link); address.Prefix.Addr().Is4() && !address.Prefix.Addr().IsLoopback() {
			a.Subnets[name] = append(a.Subnets[name], address.Prefix.Masked())
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

// RenewLease has the lease of a NIC asked for again, or another one where there is
// none, also after a ReleaseLease. It does not wait for the server.
func (e *Engine) RenewLease(ctx context.Context, nic string) error {
	return e.ofClient(nic, func(nic string) error { return e.Leaser.Renew(ctx, nic) })
}

// ReleaseLease has the lease of a NIC given back. The NIC is without until RenewLease,
// or until the agent starts again.
func (e *Engine) ReleaseLease(ctx context.Context, nic string) error {
	return e.ofClient(nic, func(nic string) error { return e.Leaser.Release(ctx, nic) })
}

// ofClient does something to the client of a NIC, named as the configuration or as the
// kernel has it.
func (e *Engine) ofClient(nic string, do func(nic string) error) error {
	v := e.View()
	for name, c := range v.lending.clients {
		if name == nic || c.Link == nic {
			return do(name)
		}
	}
	return &Error{Kind: Precondition, Rule: "no-dhcp-client",
		Message: fmt.Sprintf("%s has no lease to speak of: it is not on dhcp (agentctl set %s boot_protocol=dhcp, then agentctl apply)", nic, nic)}
}
