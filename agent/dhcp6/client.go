package dhcp6

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/netcfg"
)

// client is a machine with its wire and its shelf, as a worker drives it.
type client struct {
	*Machine
	wire  wire
	shelf drive.Shelf[netcfg.Lease6]
	log   *slog.Logger
	link  Link
	// sending and storing are the errors of the last time that it was tried.
	sending, storing error
}

// Begin is the machine's Start.
func (c *client) Begin() Event {
	return Start{Link: c.link, Record: c.shelf.Load(), Boot: c.shelf.Boot, Wall: time.Now()}
}

// Step notes what becomes of the link.
func (c *client) Step(now time.Duration, e Event) []Action {
	if l, ok := e.(Link); ok {
		c.link = l
	}
	return c.Machine.Step(now, e)
}

// Open opens the socket if the machine needs it.
func (c *client) Open() error { return c.wire.open(c.Listens(), c.link) }

// Trim closes it if it does not.
func (c *client) Trim() { c.wire.trim(c.Listens()) }

// Do sends and notes.
func (c *client) Do(a Action) {
	switch a := a.(type) {
	case Send:
		if c.sending = c.wire.send(a); c.sending != nil {
			c.unsent()
		}
	case Note:
		c.log.Log(context.Background(), a.Level, a.Text, a.Args...)
	}
}

// Record saves and forgets.
func (c *client) Record(now time.Duration, a Action) {
	switch a := a.(type) {
	case Save:
		ends := a.Lease.Expires()
		if ends != never {
			ends -= now
		}
		c.storing = c.shelf.Save(a.Lease, ends)
	case Forget:
		c.storing = c.shelf.Forget()
	}
}

// Received is what comes by the socket.
func (c *client) Received() <-chan drive.Inbound { return c.wire.received() }

// Drop forgets a socket that has ended.
func (c *client) Drop(in drive.Inbound) { c.wire.drop(in) }

// Read reads a packet.
func (c *client) Read(in drive.Inbound) (Event, error) { return ParseReply(in.Data, in.From) }

// Status is that of the machine, with what it does not know.
func (c *client) Status(h drive.Health) Status {
	s := c.Machine.Status()
	s.Ready, s.Malformed = c.link.ready(), h.Malformed
	if err := errors.Join(h.Sockets, c.sending, c.storing); err != nil {
		s.Trouble = err.Error()
	}
	return s
}

// Close closes the socket.
func (c *client) Close() { c.wire.close() }
