package dhcp

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/hostnic/hostnic/netcfg"
)

const (
	// requestTries are the transmissions of a REQUEST before another way is tried: 28 s.
	requestTries = 4
	// rebootTries are those for an address of another boot: 4 s.
	rebootTries = 2
	// collect is how long a strange server waits for a familiar one.
	collect = time.Second
	// mostOffers are kept of one DISCOVER.
	mostOffers = 8
	// nakGrace is how long a NAK of one server waits for the ACK of another.
	nakGrace = 250 * time.Millisecond
	// nakPause is the least time between two restarts after a NAK, nakCalm the time
	// after which the next one is a first one.
	nakPause, nakCalm = 10 * time.Second, 10 * time.Minute
	// leastV6OnlyWait is MIN_V6ONLY_WAIT of RFC 8925.
	leastV6OnlyWait = 300
)

// reply takes what answers the exchange under way, and nothing else.
func (m *Machine) reply(r Reply) {
	switch {
	case r.XID != m.xid || r.MAC != m.link.MAC,
		r.ClientID != nil && m.config.ClientID != nil && !bytes.Equal(r.ClientID, m.config.ClientID):
		m.ignored++
	case len(m.config.Servers) > 0 && !slices.Contains(m.config.Servers, r.Server):
		m.refuse(r.Server, "it is not among the servers that are allowed")
	case r.Kind == dhcpv4.MessageTypeOffer && m.state == Selecting:
		m.offer(r)
	case r.Kind == dhcpv4.MessageTypeAck && m.answers(r):
		m.ack(r)
	case r.Kind == dhcpv4.MessageTypeNak && m.answers(r):
		m.refused(r)
	default:
		m.ignored++
	}
}

// answers is true of an ACK or a NAK from a server that was asked, about what it was
// asked for.
func (m *Machine) answers(r Reply) bool {
	nak := r.Kind == dhcpv4.MessageTypeNak
	a := r.Terms.address
	switch m.state {
	case Selecting:
		return !nak && r.Rapid && m.config.RapidCommit
	case Requesting:
		return r.Server == m.selected.Server && (nak || a == m.selected.Terms.address)
	case Rebooting:
		return nak && m.mayNAK(r.Server) || !nak && a == m.hint
	case Renewing, Rebinding:
		// A server with several addresses may call itself by another one now; who was
		// not asked does not know the transaction.
		return !nak || m.mayNAK(r.Server)
	}
	return false
}

func (m *Machine) mayNAK(server netip.Addr) bool {
	return !m.config.BoundServerNAK || server == m.previous
}

// offer takes the first that is fit, unless there is a reason to wait for a better
// one: a rogue server is quick, and the one that we know is not a rogue.
func (m *Machine) offer(r Reply) {
	if why := m.judge(r); why != "" {
		m.refuse(r.Server, why)
		return
	}
	if len(m.offers) >= mostOffers && r.Server != m.previous {
		m.ignored++
		return
	}
	m.offers = append(m.offers, r)
	switch {
	case r.Server == m.previous, !m.previous.IsValid() && r.Server != m.avoid:
		m.choose()
	case m.chooseAt == never:
		m.chooseAt, m.next = m.now+collect, never
	}
}

// choose requests the best of the offers: the previous server's, then one with the
// previous address, then the first, and last that of a server that has failed us.
func (m *Machine) choose() {
	rank := func(r Reply) int {
		switch {
		case r.Server == m.previous:
			return 0
		case r.Server == m.avoid:
			return 3
		case r.Terms.address == m.hint:
			return 1
		}
		return 2
	}
	best := slices.MinFunc(m.offers, func(a, b Reply) int { return rank(a) - rank(b) })
	if m.previous.IsValid() && best.Server != m.previous {
		m.warn("the address comes from another server than before", "server", best.Server, "before", m.previous)
	}
	if best.V6Only && m.config.IPv6Only {
		m.keepOff(best)
		return
	}
	m.calm()
	m.state, m.selected, m.offers, m.tries = Requesting, best, nil, 0
	m.transmit()
}

// keepOff does without IPv4 for as long as the network wants.
func (m *Machine) keepOff(r Reply) {
	m.info("the network does without IPv4", "server", r.Server)
	m.drop()
	m.calm()
	m.state = IPv6Only
	m.next = m.now + time.Duration(max(r.V6OnlySeconds, leastV6OnlyWait))*time.Second
}

// ack is a lease, if it is fit for use.
func (m *Machine) ack(r Reply) {
	if m.lease != nil && m.lease.Address.Addr() == r.Terms.address {
		m.confirmed(r)
		return
	}
	if why := m.judge(r); why != "" {
		m.decline(r.Server, r.Terms.address, why)
		return
	}
	if r.V6Only && m.config.IPv6Only && m.lease == nil && m.state != Requesting {
		m.keepOff(r)
		return
	}
	lease := m.lend(r)
	m.info("a server has granted an address", "address", lease.Address, "server", lease.Server)
	if m.config.NoConflictDetection {
		m.bind(lease)
		return
	}
	m.beginProbing(lease)
}

// confirmed is a renewal: the same address, other times, and perhaps other facts.
func (m *Machine) confirmed(r Reply) {
	lease := m.lend(r)
	if lease.Address != m.lease.Address {
		m.warn("the subnet of the lease has changed", "address", lease.Address, "before", m.lease.Address)
	}
	m.use(lease)
}

// bind begins to use an address.
func (m *Machine) bind(lease *netcfg.Lease) {
	m.use(lease)
	if !m.config.NoConflictDetection {
		m.announced, m.defended = 0, -never
		m.announce()
	}
}

// use takes the lease in place of what there was.
func (m *Machine) use(lease *netcfg.Lease) {
	m.lease, m.pending = lease, nil
	m.hint, m.previous, m.avoid = lease.Address.Addr(), lease.Server, netip.Addr{}
	m.do(Save{lease})
	m.settle()
}

// settle is BOUND, until T1.
func (m *Machine) settle() {
	m.calm()
	m.state, m.next, m.asked = Bound, m.lease.RenewAt, false
}

// renew is T1 (RFC 2131 §4.4.5), or later where nobody was there at T1.
func (m *Machine) renew() {
	if m.now >= m.lease.RebindAt {
		m.exchange(Rebinding)
		return
	}
	m.exchange(Renewing)
}

// renewOn goes on renewing. What an operator has asked for before its time ends
// without harm.
func (m *Machine) renewOn() {
	switch {
	case m.now >= m.lease.RebindAt:
		m.exchange(Rebinding)
	case m.asked && m.tries >= requestTries:
		m.refuse(m.lease.Server, "it does not answer")
		m.settle()
	default:
		m.transmit()
	}
}

// refused is a NAK. Where the request was broadcast another server may know better.
func (m *Machine) refused(r Reply) {
	m.nak = r
	if m.state == Rebooting || m.state == Rebinding {
		m.nakAt, m.next = min(m.nakAt, m.now+nakGrace), never
		return
	}
	m.restartAfterNAK()
}

// restartAfterNAK drops the address. The first time it starts over at once; who is
// refused again and again does so less and less often.
func (m *Machine) restartAfterNAK() {
	text := "it refuses the address"
	if m.nak.Text != "" {
		text += ": " + m.nak.Text
	}
	m.refuse(m.nak.Server, text)
	if m.now-nakCalm > m.lastNAK {
		m.naks = 0
	}
	if m.naks > 0 {
		m.held = m.now + min(nakPause<<min(m.naks-1, 3), longestDelay)
	}
	m.naks++
	m.lastNAK = m.now
	if m.state == Requesting {
		m.fail(m.nak.Server)
	}
	m.hint = netip.Addr{}
	m.do(Forget{})
	m.drop()
	m.discover()
}

// fail remembers a server that has not kept its offer.
func (m *Machine) fail(server netip.Addr) {
	m.avoid = server
	if m.previous == server {
		m.previous = netip.Addr{}
	}
}
