package dhcp

import "net/netip"

// start goes on with a lease of this boot as if nothing had been, without a packet.
// After a reboot nobody knows where the cables go: the address is asked for again
// (INIT-REBOOT), as long as it may still be ours.
func (m *Machine) start(s Start) {
	m.link = s.Link
	r := s.Record
	if r == nil || !isHost(r.Lease.Address.Addr()) {
		m.discover()
		return
	}
	m.hint, m.previous = r.Lease.Address.Addr(), r.Lease.Server
	switch {
	case r.Boot == s.Boot && r.Lease.Valid(m.now) && r.Lease.Obtained <= m.now:
		lease := r.Lease
		m.lease = &lease
		m.info("the lease from before is still valid", "address", lease.Address, "server", lease.Server)
		m.settle()
	case r.Boot != s.Boot && (r.Expires.IsZero() || s.Wall.Before(r.Expires)):
		m.reboot()
	default:
		m.discover()
	}
}

// linkIs takes in what has become of the link.
func (m *Machine) linkIs(l Link) {
	was := m.link
	m.link = l
	switch {
	case m.state == Stopped:
	case was.Ready && !l.Ready:
		m.linkLost()
	case l.Ready && (!was.Ready || l.Ups != was.Ups || l.Index != was.Index):
		m.linkGained()
	case l.Ready && l.MAC != was.MAC:
		m.macChanged()
	}
}

// linkLost keeps a lease, whose time goes on, and breaks off everything else.
func (m *Machine) linkLost() {
	granted := m.pending != nil || m.state == Rebooting
	m.setAside()
	switch {
	case m.lease != nil && granted:
		m.settle()
	case m.lease != nil, m.state == IPv6Only:
	case granted:
		m.calm()
		m.state = InitReboot
	default:
		m.calm()
		m.state = Waiting
	}
}

// linkGained starts with a fresh back-off. With a lease it makes sure that this is
// still the network that the lease is from, and uses the address meanwhile.
func (m *Machine) linkGained() {
	granted := m.pending != nil || m.state == Rebooting || m.state == InitReboot
	m.setAside()
	switch {
	case m.lease != nil:
		m.hint = m.lease.Address.Addr()
		m.reboot()
	case granted:
		m.reboot()
	default:
		m.discover()
	}
}

// setAside gives up what is being probed, but not the hope of getting it.
func (m *Machine) setAside() {
	if m.pending != nil {
		m.hint, m.pending = m.pending.Address.Addr(), nil
	}
}

// macChanged: who has been asked for an answer to another MAC is asked again. The
// client id has not changed, so to the server we are the same.
func (m *Machine) macChanged() {
	switch m.state {
	case Selecting, Requesting:
		m.discover()
	case Rebooting:
		m.reboot()
	case Renewing, Rebinding:
		m.exchange(m.state)
	}
	if m.lease != nil && !m.config.NoConflictDetection {
		m.announced = 0
		m.announce()
	}
}

// exchange begins a new one: a new transaction, of which the first message goes out.
func (m *Machine) exchange(s State) {
	m.state = s
	m.calm()
	m.xid = m.newXID()
	m.started, m.tries, m.offers, m.selected = m.now, 0, nil, Reply{}
	m.transmit()
}

// discover starts over, or will when the link is ready and the pause is over.
func (m *Machine) discover() {
	m.calm()
	switch {
	case !m.link.Ready:
		m.state = Waiting
	case m.now < m.held:
		m.state, m.next = Init, m.held
	default:
		m.exchange(Selecting)
	}
}

// reboot asks for the address of the hint.
func (m *Machine) reboot() {
	if !m.link.Ready {
		m.calm()
		m.state = InitReboot
		if m.lease != nil {
			m.settle()
		}
		return
	}
	m.exchange(Rebooting)
}

// rebootOn: nobody has answered. A lease in use stays in use (RFC 2131 §3.2); without
// one it is time to ask for any address.
func (m *Machine) rebootOn() {
	switch {
	case m.lease != nil && m.tries >= requestTries:
		m.info("no server has confirmed the lease after the link was away; it is used until its end", "address", m.lease.Address)
		m.settle()
	case m.lease == nil && m.tries >= rebootTries:
		m.discover()
	default:
		m.transmit()
	}
}

// renewNow is the operator's wish.
func (m *Machine) renewNow() {
	m.held, m.refusal = 0, nil // an operator asks how it is now
	switch {
	case m.state == Probing || !m.link.Ready && m.state != Stopped:
	case m.lease == nil:
		m.discover()
	case m.state != Rebooting:
		m.asked = true
		m.exchange(Renewing)
	}
}

// release gives the lease back (RFC 2131 §4.4.6) and stops.
func (m *Machine) release() {
	if m.lease != nil {
		m.sendRelease()
	}
	m.drop()
	m.calm()
	m.state, m.hint, m.previous, m.refusal = Stopped, netip.Addr{}, netip.Addr{}, nil
	m.do(Forget{})
}
