package dhcp6

import (
	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/netcfg"
)

// Status is what there is to see of a client.
type Status = drive.Status[State, netcfg.Lease6]

// Refusal is the last time that the client would not have what a server sent, or the
// other way round.
type Refusal = drive.Refusal

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

// Listens is true while an answer is awaited. At any other time nothing that comes by the
// NIC wakes anybody.
func (m *Machine) Listens() bool { return m.state.exchanging() && m.link.ready() }
