package drive

import (
	"net/netip"
	"time"
)

// Status is what there is to see of a client.
type Status[S ~string, L any] struct {
	NIC   string
	State S
	// Ready is true while the link carries packets.
	Ready bool
	// Lease is in use; nil is none. It is replaced, never changed. A client that asks for
	// no addresses has one of its information.
	Lease *L
	// Server is the one that the client deals with; zero while it deals with all.
	Server netip.Addr
	// Tries are the messages sent in this state.
	Tries int
	// NextTry is when the client will do something of its own accord next, a reading of
	// the clock since boot, or Never.
	NextTry time.Duration
	// Refusal is the last of them, by a server or of one; nil is none yet, or none since an
	// operator has asked for a lease again or given it back.
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
	// Server is the address of the one; zero where none was asked alone.
	Server netip.Addr
	Reason string
}

// sameNews is true of statuses that nobody need be woken for.
func (s Status[S, L]) sameNews(o Status[S, L]) bool {
	s.Ignored, s.Malformed, o.Ignored, o.Malformed = 0, 0, 0, 0
	return s == o
}
