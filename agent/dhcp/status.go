package dhcp

import (
	"net/netip"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

// Status is what there is to see of a client.
type Status struct {
	NIC   string
	State State
	// Ready is true while the link carries packets.
	Ready bool
	// Lease is in use; nil is none. It is replaced, never changed.
	Lease *netcfg.Lease
	// Server is the one that the client deals with; zero while it deals with all.
	Server netip.Addr
	// Tries are the messages sent in this state.
	Tries int
	// NextTry is when the client will do something of its own accord next, a reading of
	// the clock since boot; netcfg.LeaseForever is never.
	NextTry time.Duration
	// Refusal is the last of them, by a server or of one; nil is none yet.
	Refusal *Refusal
	// Trouble is what the kernel or the disk says that keeps the client from its work,
	// in words; empty while all is well.
	Trouble string
	// Ignored are packets that were no answer to us; Malformed are those that were
	// dropped for their form. Neither is news on its own.
	Ignored, Malformed uint64
}

// Status is what there is to see; NextTry leaves out what goes on beside the state.
func (m *Machine) Status() Status {
	s := Status{
		NIC: m.config.NIC, State: m.state, Lease: m.lease, Tries: m.tries,
		NextTry: min(m.next, m.chooseAt, m.nakAt), Refusal: m.refusal, Ignored: m.ignored,
	}
	switch {
	case m.state == Requesting:
		s.Server = m.selected.Server
	case m.state == Probing:
		s.Server = m.pending.Server
	case m.lease != nil:
		s.Server = m.lease.Server
	}
	switch m.state {
	case Selecting, Requesting, Rebooting, Renewing, Rebinding:
	default:
		s.Tries = 0
	}
	return s
}

// sameNews is true of statuses that nobody need be woken for.
func (s Status) sameNews(o Status) bool {
	s.Ignored, s.Malformed, o.Ignored, o.Malformed = 0, 0, 0, 0
	return s == o
}

// Needs are the sockets that a state cannot do without. Everything else that comes by
// the NIC wakes nobody.
type Needs struct {
	// Packet is a packet socket for DHCP: the NIC may have no address yet.
	Packet bool
	// UDP is a normal socket, for who has one.
	UDP bool
	// ARP is the address that others may speak of; zero is none. With Probing also
	// those count who only ask for it.
	ARP     netip.Addr
	Probing bool
}

// Needs are those of the state.
func (m *Machine) Needs() Needs {
	var n Needs
	switch m.state {
	case Selecting, Requesting, Rebooting, Rebinding:
		n.Packet = true
	}
	switch {
	case m.state == Renewing || m.state == Rebinding:
		n.UDP = true
	case m.state == Rebooting && m.lease != nil:
		n.UDP = true // the kernel would answer in its place that nobody is there
	}
	switch {
	case m.config.NoConflictDetection:
	case m.pending != nil:
		n.ARP, n.Probing = m.pending.Address.Addr(), true
	case m.lease != nil:
		n.ARP = m.lease.Address.Addr()
	}
	return n
}
