package dhcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

// The times of RFC 5227 §1.1.
const (
	probeWait, probeLeast, probeMost = time.Second, time.Second, 2 * time.Second
	probeNum, announceNum            = 3, 2
	announceWait                     = 2 * time.Second
	announceInterval                 = 2 * time.Second
	defendInterval                   = 10 * time.Second
	maxConflicts                     = 10
	rateLimit                        = time.Minute
	// powerOn is how long after its boot a host is one of those that were powered on at
	// the same time.
	powerOn = 5 * time.Minute
	// declinePause is what RFC 2131 §3.1 wants between a DECLINE and starting over.
	declinePause = 10 * time.Second
)

// beginProbing looks for others with the address before it is used. RFC 5227 §2.1.1 says
// what the first wait, up to PROBE_WAIT, is for: that hosts which are powered on at the
// same time do not probe at the same time. Later there is nothing to wait for: the server
// has answered one after the other, and the waits between probes are drawn for each.
func (m *Machine) beginProbing(lease *netcfg.Lease) {
	m.calm()
	m.state, m.pending, m.probes, m.next = Probing, lease, 0, m.now
	if m.now < powerOn {
		m.next += m.jitter(probeWait)
	}
}

// probe asks who has the address, and takes it when nobody has said so for long
// enough.
func (m *Machine) probe() {
	if m.probes == probeNum {
		m.conflicts = 0
		m.bind(m.pending)
		return
	}
	m.probes++
	m.sendARP(ARP{Sender: m.link.MAC, SenderIP: anyHost, TargetIP: m.pending.Address.Addr()})
	m.next = m.now + announceWait
	if m.probes < probeNum {
		m.next = m.now + probeLeast + m.jitter(probeMost-probeLeast)
	}
}

// announce says whose the address is now (RFC 5227 §2.3).
func (m *Machine) announce() {
	m.announceAt = never
	m.claim()
	if m.announced++; m.announced < announceNum {
		m.announceAt = m.now + announceInterval
	}
}

func (m *Machine) claim() {
	a := m.lease.Address.Addr()
	m.sendARP(ARP{Sender: m.link.MAC, SenderIP: a, TargetIP: a})
}

func (m *Machine) sendARP(a ARP) {
	if m.link.Ready {
		m.do(SendARP{a})
	}
}

// heard is an ARP packet from the link. A host with two NICs in one network answers
// with either for both; that is not somebody else.
func (m *Machine) heard(a ARP) {
	switch {
	case m.config.NoConflictDetection, a.Sender == m.link.MAC, slices.Contains(m.around.MACs, a.Sender):
		m.ignored++
	case m.pending != nil && claims(a, m.pending.Address.Addr()):
		m.decline(m.pending.Server, m.pending.Address.Addr(), "the address is in use by "+a.Sender.String())
	case m.lease != nil && a.SenderIP == m.lease.Address.Addr():
		m.defend(a)
	default:
		m.ignored++
	}
}

// claims is true of who has the address, and of who probes for it as we do.
func claims(a ARP, address netip.Addr) bool {
	return a.SenderIP == address || !a.Reply && a.SenderIP.IsUnspecified() && a.TargetIP == address
}

// defend says once that the address is ours. Who claims it again within 10 s gets it
// (RFC 5227 §2.4 (b)), unless it is to be kept at any price.
func (m *Machine) defend(a ARP) {
	early := m.now-defendInterval < m.defended
	switch {
	case !early:
		m.warn("somebody else claims our address", "address", m.lease.Address, "mac", a.Sender)
		m.defended = m.now
		m.claim()
	case !m.config.KeepAddress:
		m.decline(m.lease.Server, m.lease.Address.Addr(), "the address is in use by "+a.Sender.String())
	}
}

// decline gives an address back that cannot be used, and starts over after a pause.
func (m *Machine) decline(server, a netip.Addr, why string) {
	m.sendDecline(server, a, why)
	m.refuse(server, why)
	pause := declinePause
	if m.conflicts++; m.conflicts > maxConflicts {
		pause = rateLimit
	}
	m.held = m.now + pause
	m.hint, m.previous, m.avoid = netip.Addr{}, netip.Addr{}, server
	m.do(Forget{})
	m.drop()
	m.discover()
}
