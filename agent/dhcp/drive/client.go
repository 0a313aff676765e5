package drive

import "time"

// Client is the client of one NIC: a machine, its sockets, and its shelf. Only the
// worker uses it, so that it need not know of goroutines.
type Client[E, A any, S ~string, L any] interface {
	// Begin is the first event. It is asked for when all that is known of the host has
	// been stepped through.
	Begin() E
	// Step tells the machine what has happened and returns what is to be done, in that
	// order. Wake is when it wants to be told that it is time; Never is never.
	Step(now time.Duration, e E) []A
	Wake() time.Duration
	// Open opens the sockets that the machine needs, and leaves open what it does not.
	// Trim closes those, which may take its time: the kernel waits for all processors
	// before a packet socket is gone.
	Open() error
	Trim()
	// Do sends, or writes to the log; Record does what is for the disk, when everybody
	// knows already. Each leaves alone what is the other's, and remembers its error for
	// Status.
	Do(a A)
	Record(now time.Duration, a A)
	// Received is what comes in. With an error the socket has ended: Drop it, and Open
	// gives another. Read makes an event of anything else, or an error of what is
	// malformed.
	Received() <-chan Inbound
	Read(in Inbound) (E, error)
	Drop(in Inbound)
	// Status is what there is to see.
	Status(h Health) Status[S, L]
	// Close closes everything and waits for who reads.
	Close()
}

// Health is what a worker knows of a client that the client does not.
type Health struct {
	// Sockets is why they cannot be had.
	Sockets error
	// Malformed counts packets that were dropped for their form.
	Malformed uint64
}
