package dhcp6

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/hostnic/hostnic/netcfg"
)

const (
	// mostOffers are kept of one SOLICIT.
	mostOffers = 8
	// decided is the preference of a server that need not be compared (RFC 8415 §18.2.1).
	decided = 255
	// doubtGrace is how long the NotOnLink of one server waits for the Success of another.
	doubtGrace = 250 * time.Millisecond
)

// reply takes what answers the exchange under way, and nothing else (§16).
func (m *Machine) reply(r Reply) {
	switch {
	case !m.state.exchanging(), m.tries == 0, r.XID != m.xid, !bytes.Equal(r.ClientID, m.duid):
		m.ignored++
	case r.Kind == dhcpv6.MessageTypeAdvertise && m.state == Soliciting:
		m.learn(r)
		m.offer(r)
	case r.Kind == dhcpv6.MessageTypeReply && m.answers(r):
		m.learn(r)
		m.replied(r)
	default:
		m.ignored++
	}
}

// answers is true of a REPLY from a server that was asked.
func (m *Machine) answers(r Reply) bool {
	switch m.state {
	case Soliciting:
		return r.Rapid && m.config.RapidCommit
	case Requesting:
		return bytes.Equal(r.ServerID, m.selected.ServerID)
	case Renewing:
		return bytes.Equal(r.ServerID, m.lease.ServerID)
	case Declining, Releasing:
		return bytes.Equal(r.ServerID, m.given.serverID)
	}
	return true
}

// learn takes the bounds of back-off, where they are some (§21.24, §21.25).
func (m *Machine) learn(r Reply) {
	if r.solMaxRT >= leastMaxRT && r.solMaxRT <= mostMaxRT {
		m.solMaxRT = time.Duration(r.solMaxRT) * time.Second
	}
	if r.infMaxRT >= leastMaxRT && r.infMaxRT <= mostMaxRT {
		m.infMaxRT = time.Duration(r.infMaxRT) * time.Second
	}
}

func (m *Machine) replied(r Reply) {
	switch m.state {
	case Releasing:
		m.stop()
	case Declining:
		m.settle()
	case Confirming:
		m.confirmed(r)
	case Informing:
		m.informed(r)
	default:
		m.granted(r)
	}
}

// offer is an ADVERTISE (§18.2.9). Those of the first moments are compared; later the
// first that is fit is taken, and so is at any time one that need not be compared.
func (m *Machine) offer(r Reply) {
	a := r.association(m.config.IAID)
	switch {
	case r.status.code != iana.StatusSuccess:
		m.refuse(r.From, "it has nothing to offer: "+r.status.String())
		return
	case a == nil:
		m.refuse(r.From, "it offers no addresses")
		return
	case a.status.code != iana.StatusSuccess:
		m.refuse(r.From, "it has no addresses to offer: "+a.status.String())
		return
	}
	good, bad, _ := m.sort(r, a)
	if len(good) == 0 {
		m.refuse(r.From, "it offers no address that can be used"+bad.why)
		return
	}
	if i := slices.IndexFunc(m.offers, func(o Reply) bool { return bytes.Equal(o.ServerID, r.ServerID) }); i >= 0 {
		m.offers[i] = r
	} else if len(m.offers) < mostOffers {
		m.offers = append(m.offers, r)
	} else {
		m.ignored++
		return
	}
	if m.tries > 1 || r.Preference == decided && !bytes.Equal(r.ServerID, m.avoid) {
		m.choose()
	}
}

// solicitOn: the time for offers is over.
func (m *Machine) solicitOn() {
	if len(m.offers) > 0 {
		m.choose()
		return
	}
	m.transmit()
}

// choose requests the best of the offers: by the preference that they give themselves,
// then the previous server's, then one with addresses from before, then the first; and
// last that of a server that has failed us.
func (m *Machine) choose() {
	better := func(a, b Reply) int {
		rank := func(r Reply) int {
			switch {
			case bytes.Equal(r.ServerID, m.avoid):
				return -1
			case bytes.Equal(r.ServerID, m.previous):
				return 2 + int(r.Preference)*3
			case slices.ContainsFunc(r.association(m.config.IAID).addresses, func(l lent) bool { return slices.Contains(m.hint, l.address) }):
				return 1 + int(r.Preference)*3
			}
			return int(r.Preference) * 3
		}
		return rank(b) - rank(a)
	}
	best := slices.MinFunc(m.offers, better)
	if m.previous != nil && !bytes.Equal(best.ServerID, m.previous) {
		m.warn("the addresses come from another server than before", "server", best.From)
	}
	m.selected = best
	m.exchange(Requesting)
}

// requestOn: the server has not answered. With a lease that it knew nothing of, anybody
// else may.
func (m *Machine) requestOn() {
	if m.tries < paces[Requesting].count {
		m.transmit()
		return
	}
	m.refuse(m.selected.From, "it does not answer the request for what it has offered")
	m.fail(m.selected.ServerID)
	if m.lease != nil {
		m.exchange(Rebinding)
		return
	}
	m.discover()
}

// fail remembers a server that has not kept its offer.
func (m *Machine) fail(serverID []byte) {
	m.avoid = serverID
	if bytes.Equal(m.previous, serverID) {
		m.previous = nil
	}
}

// granted is a REPLY to a request for addresses, for the first time or again
// (§18.2.10.1). Where it is not a lease the exchange goes on, unless there is a better way.
func (m *Machine) granted(r Reply) {
	a := r.association(m.config.IAID)
	said := r.status
	if said.code == iana.StatusSuccess && a != nil {
		said = a.status
	}
	extending := m.state == Renewing || m.state == Rebinding
	switch {
	case said.code == iana.StatusNoBinding && extending:
		m.refuse(r.From, "it knows nothing of our lease: "+said.String())
		m.selected = r
		m.exchange(Requesting)
	case said.code == iana.StatusUnspecFail || said.code != iana.StatusSuccess && m.state != Requesting:
		m.refuse(r.From, "it refuses: "+said.String())
	case said.code != iana.StatusSuccess:
		m.refuse(r.From, "it refuses: "+said.String())
		m.turnedDown(r)
	case a == nil:
		m.refuse(r.From, "it says nothing of our addresses")
	default:
		m.lend(r, a)
	}
}

// turnedDown: what was asked for is not to be had from this server.
func (m *Machine) turnedDown(r Reply) {
	m.fail(r.ServerID)
	m.lose()
	m.startOver()
}

// lose gives the lease up.
func (m *Machine) lose() {
	m.hint = nil
	m.drop()
	m.do(Forget{})
}

// lend makes a lease of a grant. In a renewal what the server does not name keeps its
// time, and what it gives no time ends at once.
func (m *Machine) lend(r Reply, a *association) {
	good, bad, ended := m.sort(r, a)
	l := &netcfg.Lease6{ServerID: r.ServerID, Server: r.From, DNS: r.dns, NTP: r.ntp, Search: r.search, Obtained: m.sent}
	for _, one := range good {
		l.Addresses = append(l.Addresses, m.lifetimes(one))
		if one.valid < leastLease {
			r.ignore("a lifetime of %d s of %s; it is taken for %d s", one.valid, one.address, leastLease)
		}
	}
	if n := len(a.addresses) - len(good) - len(ended); n > 0 {
		r.ignore("%d of %d addresses%s", n, len(a.addresses), bad.why)
	}
	extending := m.state == Renewing || m.state == Rebinding
	switch {
	case len(good) == 0 && len(bad.addresses) > 0 && !extending:
		m.lose()
		m.decline(given{bad.addresses, r.ServerID, r.From}, "it gives no address that can be used"+bad.why)
		return
	case len(good) == 0 && !extending:
		m.refuse(r.From, "it gives no address")
		m.turnedDown(r)
		return
	case len(good) == 0 && len(ended) == 0:
		m.refuse(r.From, "it says nothing of our addresses that can be used"+bad.why)
		return
	}
	if extending {
		m.keepOthers(l, ended)
	}
	if len(l.Addresses) == 0 {
		m.refuse(r.From, "it has taken our addresses back")
		m.lose()
		m.startOver()
		return
	}
	m.times(l, a, good)
	m.complain(r, l)
	if !l.SameFacts(m.lease) {
		m.info("a server has lent addresses", "addresses", addressesOf(l), "server", l.Server)
	}
	m.use(l)
}

// keepOthers adds the addresses of the lease in use that the server has not spoken of.
func (m *Machine) keepOthers(l *netcfg.Lease6, ended []netip.Addr) {
	for _, old := range m.lease.Addresses {
		spoken := slices.Contains(ended, old.Address) || slices.Contains(addressesOf(l), old.Address)
		if !spoken && len(l.Addresses) < mostAddresses {
			l.Addresses = append(l.Addresses, old)
		}
	}
}

// use takes the lease in place of what there was.
func (m *Machine) use(lease *netcfg.Lease6) {
	m.lease, m.pending = lease, nil
	m.hint, m.previous, m.avoid = addressesOf(lease), lease.ServerID, nil
	m.do(Save{lease})
	m.settle()
}

// settle rests with a lease until T1, or with information until it is to be asked for
// again, and starts over without either.
func (m *Machine) settle() {
	m.calm()
	m.asked = false
	switch {
	case m.lease == nil:
		m.discover()
		return
	case len(m.lease.Addresses) == 0:
		m.state = Informed
	default:
		m.state = Bound
	}
	if m.link.ready() { // when it is, it is confirmed first
		m.next = m.lease.RenewAt
	}
}

// renew is T1 (§18.2.4), or later where nobody was there at T1.
func (m *Machine) renew() {
	switch {
	case len(m.lease.Addresses) == 0:
		m.exchange(Informing)
	case m.now >= m.lease.RebindAt:
		m.exchange(Rebinding)
	default:
		m.exchange(Renewing)
	}
}

// renewOn goes on renewing. What an operator has asked for before its time ends
// without harm.
func (m *Machine) renewOn() {
	switch {
	case m.now >= m.lease.RebindAt:
		m.exchange(Rebinding)
	case m.asked && m.tries >= askedPace.count:
		m.refuse(m.lease.Server, "it does not answer")
		m.settle()
	default:
		m.transmit()
	}
}

// confirmed is a REPLY to a CONFIRM. Some server may be of another link, and not know it:
// one that says yes is right.
func (m *Machine) confirmed(r Reply) {
	switch {
	case r.status.code == iana.StatusNotOnLink:
		m.doubt, m.doubtAt, m.next = r, min(m.doubtAt, m.now+doubtGrace), never
	case r.status.code != iana.StatusSuccess:
		m.refuse(r.From, "it does not confirm the lease: "+r.status.String())
	case m.lease != nil:
		m.settle()
	default:
		m.adopt()
	}
}

// notOnLink is the end of a lease of another link.
func (m *Machine) notOnLink(r Reply) {
	m.refuse(r.From, "the addresses are not of this link: "+r.status.String())
	m.lose()
	m.startOver()
}

// informed is a REPLY to an INFORMATION-REQUEST (§18.2.10.4).
func (m *Machine) informed(r Reply) {
	if r.status.code != iana.StatusSuccess {
		m.refuse(r.From, "it does not tell: "+r.status.String())
		return
	}
	l := &netcfg.Lease6{ServerID: r.ServerID, Server: r.From, DNS: r.dns, NTP: r.ntp, Search: r.search, Obtained: m.sent}
	if !r.hasRefresh {
		r.refresh = defaultRefresh
	} else if r.refresh < leastRefresh {
		r.ignore("a refresh time of %d s; it is taken for %d s", r.refresh, leastRefresh)
	}
	l.RenewAt, l.RebindAt = at(m.sent, max(r.refresh, leastRefresh)), never
	m.complain(r, l)
	m.use(l)
}
