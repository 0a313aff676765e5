package dhcp

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
	shelf drive.Shelf[netcfg.Lease]
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

// Open opens what the machine needs.
func (c *client) Open() error { return c.wire.open(c.Needs(), c.link) }

// Trim closes the rest.
func (c *client) Trim() { c.wire.trim(c.Needs()) }

// Do sends and notes.
func (c *client) Do(a Action) {
	switch a := a.(type) {
	case Send:
		c.sending = c.wire.send(a, c.link)
	case SendARP:
		c.sending = c.wire.sendARP(a.ARP, c.link)
	case Note:
		c.log.Log(context.Background(), a.Level, a.Text, a.Args...)
	}
}

// Record saves and forgets.
func (c *client) Record(now time.Duration, a Action) {
	switch a := a.(type) {
	case Save:
		ends := never
		if a.Lease.Expires != never {
			ends = a.Lease.Expires - now
		}
		c.storing = c.shelf.Save(a.Lease, ends)
	case Forget:
		c.storing = c.shelf.Forget()
	}
}

// Received is what comes by any of the sockets.
func (c *client) Received() <-chan drive.Inbound { return c.wire.received() }

// Drop forgets a socket that has ended.
func (c *client) Drop(in drive.Inbound) { c.wire.drop(in) }

// Read reads a packet.
func (c *client) Read(in drive.Inbound) (Event, error) { return parse(in) }

// parse reads a packet of any of the sockets.
func parse(in drive.Inbound) (Event, error) {
	payload := in.Data
	switch in.Source {
	case byARP:
		return parseARP(in.Data)
	case bySocket:
		partial, vlan := auxiliary(in.Control)
		if vlan {
			return nil, malformed("a packet of a VLAN")
		}
		var err error
		if payload, _, err = parseUDP(in.Data, partial); err != nil {
			return nil, err
		}
	}
	return ParseReply(payload)
}

// Status is that of the machine, with what it does not know.
func (c *client) Status(h drive.Health) Status {
	s := c.Machine.Status()
	s.Ready, s.Malformed = c.link.Ready, h.Malformed
	if err := errors.Join(h.Sockets, c.sending, c.storing); err != nil {
		s.Trouble = err.Error()
	}
	return s
}

// Close closes all sockets.
func (c *client) Close() { c.wire.close() }
