package engine

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
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
	// valid, and Recorded6 that of DHCPv6; nil is none.
	Recorded(nic string) *netcfg.Lease
	Recorded6(nic string) *netcfg.Lease6
	// RecordedInformed is what DHCPv6 has told a NIC before in this boot without lending
	// an address; nil is nothing.
	RecordedInformed(nic string) *netcfg.Lease6
	// Renew has the clients of a NIC ask for their leases again, or for others, and
	// Release has them give the leases back. The error is *Error.
	Renew(ctx context.Context, nic string) error
	Release(ctx context.Context, nic string) error
	// Decline says that another host has an address that DHCPv6 has lent to a NIC. It waits
	// until the client has heard it, but not long for one that is busy, nor for the server.
	Decline(nic string, address netip.Addr)
}

// lending is what is known of leases. It is never changed, only replaced.
type lending struct {
	// held and held6 are valid, or were when they were last heard of: by NIC, also of NICs
	// that are not on dhcp for the moment, so that a rollback brings them back.
	held  map[string]*netcfg.Lease
	held6 map[string]*netcfg.Lease6
	// informed is what DHCPv6 has told without lending anything.
	informed map[string]*netcfg.Lease6
	// clients are those that run, and clients6 those of DHCPv6.
	clients, clients6 map[string]netcfg.LeaseStatus
	// duplicates are the addresses of links that another host was found to have last, by
	// the link's index.
	duplicates map[int]netip.Addr
}

// at are the leases of a moment.
func (l *lending) at(now time.Duration) plan.Leases {
	why := func(clients map[string]netcfg.LeaseStatus) map[string]string {
		out := make(map[string]string, len(clients))
		for nic, c := range clients {
			out[nic] = whyNone(c)
		}
		return out
	}
	return plan.Leases{Now: now, Held: l.held, Held6: l.held6, Informed: l.informed, Why: why(l.clients), Why6: why(l.clients6), Duplicates: l.duplicates}
}

// of are the clients of one of the protocols.
func (l *lending) of(v6 bool) map[string]netcfg.LeaseStatus {
	if v6 {
		return l.clients6
	}
	return l.clients
}

// waits is true while a client waits for its link.
func (l *lending) waits() bool {
	for _, clients := range []map[string]netcfg.LeaseStatus{l.clients, l.clients6} {
		for _, c := range clients {
			if !c.Ready {
				return true
			}
		}
	}
	return false
}

// copied is a copy that may be changed.
func (l *lending) copied() *lending {
	return &lending{cloned(l.held), cloned(l.held6), cloned(l.informed), cloned(l.clients), cloned(l.clients6), cloned(l.duplicates)}
}

// cloned is never nil.
func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// lent are the leases of now, for the loop.
func (e *Engine) lent() plan.Leases {
	out := e.lending.at(e.Clock())
	out.News = maps.Clone(e.unsettled)
	return out
}

// whyNone says, in a clause, why a client has no lease.
func whyNone(c netcfg.LeaseStatus) string {
	protocol := "DHCP"
	if c.V6 {
		protocol = "DHCPv6"
	}
	why := map[string]string{
		"stopped":     "its lease was given back: agentctl renew asks for one again",
		"releasing":   "its lease was given back: agentctl renew asks for one again",
		"waiting":     protocol + " waits until its link carries packets",
		"init-reboot": protocol + " waits until its link carries packets",
		"init":        protocol + " begins again after a pause",
		"selecting":   "no DHCP server has offered a lease yet",
		"soliciting":  "no DHCPv6 server has offered a lease yet",
		"requesting":  fmt.Sprintf("asking the %s server %s for what it has offered", protocol, c.Server),
		"rebooting":   "asking for the lease from before the reboot",
		"confirming":  "asking for the lease from before the reboot",
		"probing":     "looking whether somebody else has the address that the DHCP server has given",
		"declining":   "somebody else has the address that the DHCPv6 server has given",
		"ipv6-only":   "the network has asked to do without IPv4 (RFC 8925)",
	}[c.State]
	if why == "" {
		why = "there is no lease yet"
		if c.V6 {
			why = "there is no lease of DHCPv6 yet"
		}
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
		now, follows := next.of(s.V6)[s.NIC]
		if !follows {
			continue // of a client that has ended since
		}
		s.Index, s.Stateless = now.Index, now.Stateless
		next.of(s.V6)[s.NIC] = s
		if next.take(s) {
			changed = true
			e.unsettled[s.NIC] = true
		}
	}
	e.lending = next
	return changed
}

// take notes what a client has now, and says whether that is something else.
// What there was before a client asked for no addresses any more is kept for a way back.
func (l *lending) take(s netcfg.LeaseStatus) (changed bool) {
	if s.Stateless {
		return note(l.informed, s.NIC, s.Lease6, sameLease6)
	}
	if s.V6 {
		return note(l.held6, s.NIC, s.Lease6, sameLease6)
	}
	return note(l.held, s.NIC, s.Lease, sameLease)
}

func note[L any](held map[string]*L, nic string, lease *L, same func(a, b *L) bool) (changed bool) {
	if same(held[nic], lease) {
		return false
	}
	if held[nic] = lease; lease == nil {
		delete(held, nic)
	}
	return true
}

func sameLease(a, b *netcfg.Lease) bool {
	return a.SameFacts(b) && (a == nil || a.Expires == b.Expires)
}

func sameLease6(a, b *netcfg.Lease6) bool {
	return a.SameFacts(b) && (a == nil || slices.Equal(a.Addresses, b.Addresses))
}

// recallLeases loads the leases on record of NICs on dhcp that have no client.
func (e *Engine) recallLeases(configs ...netcfg.Config) {
	if e.Leaser == nil {
		return
	}
	next := e.lending.copied()
	for _, c := range configs {
		for i := range c.HostNics {
			nic := &c.HostNics[i]
			if _, runs := next.clients[nic.Name]; !runs && nic.IPv4Boot() == netcfg.BootDHCP {
				if l := e.Leaser.Recorded(nic.Name); l != nil {
					next.held[nic.Name] = l
				}
			}
			if _, runs := next.clients6[nic.Name]; !runs && plan.OnDHCP6(nic) {
				if l := e.Leaser.Recorded6(nic.Name); l != nil {
					next.held6[nic.Name] = l
				}
			}
			if _, runs := next.clients6[nic.Name]; !runs && nic.IPv6Boot() == netcfg.BootAutoconf {
				if l := e.Leaser.RecordedInformed(nic.Name); l != nil {
					next.informed[nic.Name] = l
				}
			}
		}
	}
	e.lending = next
}

// RenewLease has the lease of a NIC asked for again, or another one where there is
// none, also after a ReleaseLease. It does not wait for the server; the view tells then
// that it is asked, unless an operation is under way.
func (e *Engine) RenewLease(ctx context.Context, nic string) error {
	return e.ofClient(ctx, nic, func(nic string) error { return e.Leaser.Renew(ctx, nic) })
}

// ReleaseLease has the lease of a NIC given back. The NIC is without until RenewLease,
// or until the agent starts again; the view tells so, and its address is gone, unless an
// operation is under way.
func (e *Engine) ReleaseLease(ctx context.Context, nic string) error {
	return e.ofClient(ctx, nic, func(nic string) error { return e.Leaser.Release(ctx, nic) })
}

// heedLimit is how long the loop may be busy before nobody waits for it to hear what a
// client has been told.
const heedLimit = time.Second

// ofClient does something to the client of a NIC, named as the configuration or as the
// kernel has it, and has the loop hear of it.
func (e *Engine) ofClient(ctx context.Context, nic string, do func(nic string) error) error {
	v := e.View()
	for _, clients := range []map[string]netcfg.LeaseStatus{v.lending.clients, v.lending.clients6} {
		for name, c := range clients {
			if name == nic || c.Link == nic {
				if err := do(name); err != nil {
					return err
				}
				e.heedNow(ctx)
				return nil
			}
		}
	}
	return &Error{Kind: Precondition, Rule: "no-dhcp-client",
		Message: fmt.Sprintf("%s has no lease to speak of: it is not on dhcp (agentctl set %s boot_protocol=dhcp, or ipv6_boot_protocol=dhcp, then agentctl apply)", nic, nic)}
}

// heedNow is heed for those outside of the loop.
func (e *Engine) heedNow(ctx context.Context) {
	soon, cancel := context.WithTimeout(ctx, heedLimit)
	defer cancel()
	_ = e.call(soon, func() { // the loop hears of it in any case
		if e.heed() {
			e.observe(context.WithoutCancel(ctx))
		}
	})
}
