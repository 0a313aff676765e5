package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/hostnic/hostnic/netcfg"
)

const (
	// firstDelay is the longest pause before the first message on a link. RFC 8415
	// §18.2.1, §18.2.3 and §18.2.6 recommend up to a second, for links on which all hosts
	// start at one time; these have been apart by up to a second since duplicate address
	// detection of their link-local addresses (RFC 4862 §5.4.2), and a host is to have its
	// address soon.
	firstDelay = 100 * time.Millisecond
	// setbackPause is the least time between two restarts that servers have caused,
	// setbackCalm the time after which the next one is a first one.
	setbackPause, longestPause = 10 * time.Second, 64 * time.Second
	setbackCalm                = 10 * time.Minute
)

// start goes on with a lease of this boot as if nothing had been, without a packet.
// After a reboot nobody knows where the cables go: somebody has to say that the addresses
// are of this link (§18.2.3), as long as they may still be ours.
func (m *Machine) start(s Start) {
	m.link = s.Link
	if m.duid == nil {
		m.duid = linkDUID(s.Link.MAC)
	}
	m.held = m.now + m.jitter(firstDelay)
	r := s.Record
	if r == nil || m.config.Stateless != (len(r.Lease.Addresses) == 0) || !m.fits(&r.Lease) {
		m.discover()
		return
	}
	m.hint, m.previous = addressesOf(&r.Lease), r.Lease.ServerID
	lease := r.Lease
	switch {
	case r.Boot == s.Boot && lease.Valid(m.now) && lease.Obtained <= m.now:
		m.lease = &lease
		m.info("the lease from before is still valid", "addresses", m.hint, "server", lease.Server)
		m.age()
		m.settle()
	case r.Boot != s.Boot && !m.config.Stateless:
		m.pending = moved(&lease, r.Expires, s.Wall, m.now)
		m.confirm()
	default:
		m.discover()
	}
}

// fits is true of a record that could have been made here.
func (m *Machine) fits(l *netcfg.Lease6) bool {
	return len(l.ServerID) > 0 && len(l.Addresses) <= mostAddresses &&
		!slices.ContainsFunc(l.Addresses, func(a netcfg.LeaseAddress) bool { return !isHost(a.Address) })
}

// linkDUID is a DUID-LL (§11.4).
func linkDUID(mac MAC) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(dhcpv6.DUID_LL))
	return append(binary.BigEndian.AppendUint16(b, uint16(iana.HWTypeEthernet)), mac[:]...)
}

// moved is a lease of another boot by the clock of this one, as far as the time of day
// tells; nil is one that has ended. A clock that was set back makes nothing longer than
// it ever was. Of a lease without an end only the addresses remain that have none either.
func moved(l *netcfg.Lease6, expires, wall time.Time, now time.Duration) *netcfg.Lease6 {
	by := time.Duration(0)
	end := l.Expires()
	if end != never {
		left := min(expires.Sub(wall), end-l.Obtained)
		if expires.IsZero() || left <= 0 {
			return nil
		}
		by = now + left - end
	}
	out := *l
	out.Obtained, out.Addresses = now, nil
	for _, a := range l.Addresses {
		if end == never && a.Expires != never {
			continue
		}
		a.Preferred, a.Expires = later(a.Preferred, by), later(a.Expires, by)
		if a.Expires > now {
			out.Addresses = append(out.Addresses, a)
		}
	}
	// Whether the server knows of it still, it alone can say, and soon. T1 and T2 are over
	// by then in any case.
	out.RenewAt, out.RebindAt = now, max(now, later(l.RebindAt, by))
	if len(out.Addresses) == 0 {
		return nil
	}
	return &out
}

func later(at, by time.Duration) time.Duration {
	if at == never {
		return never
	}
	return at + by
}

// linkIs takes in what has become of the link.
func (m *Machine) linkIs(l Link) {
	was := m.link
	m.link = l
	switch {
	case m.state == Stopped:
	case was.ready() && !l.ready():
		m.linkLost()
	case l.ready() && (!was.ready() || l.Ups != was.Ups || l.Index != was.Index):
		m.linkGained()
	case l.ready() && l.Local != was.Local && m.state.exchanging():
		m.exchange(m.state) // what is answered to the old address gets lost
	}
}

// linkLost keeps a lease, whose time goes on, and breaks off everything else.
func (m *Machine) linkLost() {
	switch {
	case m.state == Releasing:
		m.stop()
	case m.lease != nil:
		m.settle()
	default:
		m.calm()
		m.state = Waiting
	}
}

// linkGained starts with a fresh back-off. With a lease it makes sure that this is
// still the link that the lease is from, and uses the addresses meanwhile.
func (m *Machine) linkGained() {
	m.forgetBounds()
	m.held = max(m.held, m.now+m.jitter(firstDelay))
	switch {
	case m.state == Releasing:
		m.stop()
	case m.lease != nil && len(m.lease.Addresses) == 0:
		m.prepare(Informing)
	case m.lease != nil || m.pending != nil:
		m.confirm()
	default:
		m.discover()
	}
}

// prepare is an exchange that begins soon.
func (m *Machine) prepare(s State) {
	m.calm()
	m.state, m.next = s, m.now+m.jitter(firstDelay)
	m.newXID()
}

// exchange begins a new one: a new transaction, of which the first message goes out.
func (m *Machine) exchange(s State) {
	m.calm()
	m.state, m.offers = s, nil
	m.newXID()
	m.transmit()
}

// discover starts over, or will when the link is ready and the pause is over.
func (m *Machine) discover() {
	m.calm()
	switch {
	case !m.link.ready():
		m.state = Waiting
	case m.now < m.held:
		m.state, m.next = Init, m.held
	case m.config.Stateless:
		m.exchange(Informing)
	default:
		m.exchange(Soliciting)
	}
}

// confirm asks whether addresses are of this link, when it is ready.
func (m *Machine) confirm() {
	switch {
	case m.lease == nil && m.pending == nil:
		m.discover()
	case m.link.ready():
		m.prepare(Confirming)
	default:
		m.calm()
		m.state = Waiting
	}
}

// confirmOn: nobody has answered. The addresses are used, since only who knows better
// has to say so (§18.2.3).
func (m *Machine) confirmOn() {
	switch {
	case m.tries == 0 || m.now < m.began+confirmLasts:
		m.transmit()
	case m.lease != nil:
		m.info("no server has confirmed the lease after the link was away; it is used until its end")
		m.settle()
	default:
		m.info("no server has confirmed the lease from before; it is used until its end")
		m.adopt()
	}
}

// adopt uses the lease of another boot, and asks its server at once.
func (m *Machine) adopt() {
	rest, _ := without(m.pending, func(a netcfg.LeaseAddress) bool { return m.now >= a.Expires })
	m.pending = nil
	if len(rest.Addresses) == 0 {
		m.discover()
		return
	}
	m.use(rest)
}

// startOver looks for a server after one has refused us. The first time that is at once;
// who is refused again and again does so less and less often.
func (m *Machine) startOver() {
	m.setback(0)
	m.discover()
}

// setback puts the next start off, at least by so much.
func (m *Machine) setback(least time.Duration) {
	if m.now-setbackCalm > m.lastSetback {
		m.setbacks = 0
	}
	if m.setbacks > 0 {
		least = max(least, min(setbackPause<<min(m.setbacks-1, 3), longestPause))
	}
	m.held = m.now + least
	m.setbacks++
	m.lastSetback = m.now
}

// renewNow is the operator's wish.
func (m *Machine) renewNow() {
	m.held, m.refusal = 0, nil // an operator asks how it is now
	switch {
	case m.state == Stopped || m.state == Releasing:
		m.discover()
	case !m.link.ready(), m.state == Declining, m.pending != nil:
	case m.lease == nil:
		m.discover()
	case m.state != Confirming && m.state != Requesting:
		m.asked = true
		m.renew()
	}
}

// release gives the lease back (§18.2.7). The addresses are not used from now on,
// whatever the server says, and whether it says anything.
func (m *Machine) release() {
	if m.state == Releasing {
		return
	}
	lease := m.lease
	m.drop()
	m.hint, m.previous, m.refusal = nil, nil, nil
	m.do(Forget{})
	if lease == nil || len(lease.Addresses) == 0 || !m.link.ready() {
		m.stop()
		return
	}
	m.given = given{addressesOf(lease), lease.ServerID, lease.Server}
	m.exchange(Releasing)
}

func (m *Machine) stop() {
	m.calm()
	m.state = Stopped
}

// taken: somebody else has the address.
func (m *Machine) taken(a netip.Addr) {
	if m.lease == nil || !slices.Contains(addressesOf(m.lease), a) {
		return
	}
	l := m.lease
	rest, _ := without(l, func(o netcfg.LeaseAddress) bool { return o.Address == a })
	m.lease, m.hint = rest, addressesOf(rest)
	if len(rest.Addresses) == 0 {
		m.drop()
		m.do(Forget{})
	} else {
		m.do(Save{rest})
	}
	m.decline(given{[]netip.Addr{a}, l.ServerID, l.Server}, "somebody else has "+a.String())
}

// decline tells a server of addresses that cannot be used (§18.2.8). Who has nothing left
// starts over after a pause.
func (m *Machine) decline(g given, why string) {
	m.refuse(g.server, why)
	if m.state == Declining && slices.Equal(m.given.serverID, g.serverID) {
		g.addresses = append(m.given.addresses, g.addresses...)
	}
	m.given = g
	m.setback(setbackPause)
	if !m.link.ready() {
		m.settle()
		return
	}
	m.exchange(Declining)
}
