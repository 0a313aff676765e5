package dhcp

import (
	"net/netip"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/netcfg"
)

// Status is what there is to see of a client.
type Status = drive.Status[State, netcfg.Lease]

// Refusal is the last time that the client would not have what a server sent, or the
// other way round.
type Refusal = drive.Refusal

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
