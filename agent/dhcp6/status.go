package dhcp6

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
	// Lease is in use; nil is none. It is replaced, never changed. A client without
	// addresses has one of its information.
	Lease *netcfg.Lease6
	// Server is the address of the one that the client deals with; zero while it deals
	// with all.
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

// Refusal is the last time that the client would not have what a server sent, or the
// other way round.
type Refusal struct {
	At time.Duration
	// Server is the address that it came from; zero where none was asked alone.
	Server netip.Addr
	Reason string
}

// Status is what there is to see.
func (m *Machine) Status() Status {
	s := Status{
		NIC: m.config.NIC, State: m.state, Lease: m.lease, NextTry: min(m.next, m.doubtAt),
		Refusal: m.refusal, Ignored: m.ignored,
	}
	if m.state.exchanging() {
		s.Tries = m.tries
	}
	switch {
	case m.state == Requesting:
		s.Server = m.selected.From
	case m.state == Declining || m.state == Releasing:
		s.Server = m.given.server
	case m.lease != nil:
		s.Server = m.lease.Server
	}
	return s
}

// sameNews is true of statuses that nobody need be woken for.
func (s Status) sameNews(o Status) bool {
	s.Ignored, s.Malformed, o.Ignored, o.Malformed = 0, 0, 0, 0
	return s == o
}

// Listens is true while an answer is awaited. At any other time nothing that comes by the
// NIC wakes anybody.
func (m *Machine) Listens() bool { return m.state.exchanging() && m.link.ready() }
