package dhcp6

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/iana"

	"github.com/hostnic/hostnic/netcfg"
)

const (
	// mostAddresses are taken of one lease.
	mostAddresses = 16
	// leastLease is the shortest time, in seconds, that is believed of an address that is
	// not to end at once; a shorter one would have the client renew without end.
	leastLease = 30
	infinite   = 0xffffffff
	// leastRenew is the earliest T1.
	leastRenew = 10 * time.Second
	// leastRepeat is the time after which the same refusal is news again.
	leastRepeat = time.Minute
)

// refuse is news, but not with every packet.
func (m *Machine) refuse(server netip.Addr, why string) {
	if r := m.refusal; r != nil && r.Server == server && r.Reason == why && m.now-r.At < leastRepeat {
		return
	}
	m.refusal = &Refusal{At: m.now, Server: server, Reason: why}
	m.warn("a server was refused, or has refused", "server", server, "reason", why)
}

// association is the one of ours; nil is none.
func (r *Reply) association(id uint32) *association {
	for i := range r.ias {
		if r.ias[i].id == id {
			return &r.ias[i]
		}
	}
	return nil
}

// unfit are addresses that cannot be used, and why the first of them cannot.
type unfit struct {
	addresses []netip.Addr
	why       string
}

// sort tells addresses that can be used from those that cannot, and from those whose
// time has ended. What is against the form of the option is none of them (RFC 8415
// §21.6), and neither is one that the server has something against.
func (m *Machine) sort(r Reply, a *association) (good []lent, bad unfit, ended []netip.Addr) {
	for _, l := range a.addresses {
		why := m.judge(l.address, r.From)
		switch {
		case l.preferred > l.valid, l.status.code != iana.StatusSuccess:
		case l.valid == 0:
			ended = append(ended, l.address)
		case why != "":
			bad.addresses = append(bad.addresses, l.address)
			if bad.why == "" {
				bad.why = ": " + why
			}
		case len(good) < mostAddresses:
			good = append(good, l)
		}
	}
	return good, bad, ended
}

// judge says why an address is not to be taken from a server, "" if it may.
func (m *Machine) judge(a, server netip.Addr) string {
	switch {
	case !isHost(a):
		return fmt.Sprintf("%s cannot be the address of a host", a)
	case a == server:
		return fmt.Sprintf("%s is the server's own address", a)
	case slices.Contains(m.around.ControlPlane, a):
		return fmt.Sprintf("%s is an address of the control plane", a)
	case slices.Contains(m.around.Addresses, a):
		return fmt.Sprintf("%s is on another NIC", a)
	}
	return ""
}

// complain notes what was left out of a lease. A renewal that says the same as before
// has been complained about.
func (m *Machine) complain(r Reply, l *netcfg.Lease6) {
	if len(r.ignored) > 0 && (m.lease == nil || !l.SameFacts(m.lease)) {
		m.warn("parts of what the server sent are ignored", "server", r.From, "ignored", r.ignored)
	}
}

// span is a number of seconds, of which the last is for ever (§7.7).
func span(seconds uint32) time.Duration {
	if seconds == infinite {
		return never
	}
	return time.Duration(seconds) * time.Second
}

// at is so many seconds after a time.
func at(from time.Duration, seconds uint32) time.Duration { return later(span(seconds), from) }

// lifetimes count from the request, which was before the grant.
func (m *Machine) lifetimes(l lent) netcfg.LeaseAddress {
	return netcfg.LeaseAddress{
		Address: l.address, Preferred: at(m.sent, l.preferred), Expires: at(m.sent, max(l.valid, leastLease)),
	}
}

// times are T1 and T2 of the server where they can be, and elsewhere those that §21.4
// recommends: a half and four fifths of the shortest preferred lifetime, or where nothing
// is preferred of the shortest valid one.
func (m *Machine) times(l *netcfg.Lease6, a *association, good []lent) {
	if len(good) == 0 { // nothing is extended: what remains is asked for again as before
		l.RenewAt, l.RebindAt = max(m.lease.RenewAt, later(leastRenew, m.now)), max(m.lease.RebindAt, later(leastRenew, m.now))
		return
	}
	preferred, valid := never, never
	for _, one := range good {
		if one.preferred > 0 {
			preferred = min(preferred, span(one.preferred))
		}
		valid = min(valid, span(max(one.valid, leastLease)))
	}
	preferred = min(preferred, valid)
	t1, t2 := span(a.t1), span(a.t2)
	if a.t2 == 0 || t2 > valid || t1 > t2 && a.t1 != 0 {
		t2 = part(preferred, 4, 5)
	}
	if a.t1 == 0 || t1 > t2 {
		t1 = min(part(preferred, 1, 2), part(t2, 5, 8))
	}
	t1 = max(t1, leastRenew)
	l.RenewAt, l.RebindAt = later(t1, m.sent), later(max(t1, t2), m.sent)
}

func part(d time.Duration, of, whole int64) time.Duration {
	if d == never {
		return never
	}
	return time.Duration(int64(d) / whole * of)
}
