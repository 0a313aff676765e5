package dhcp6

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/hostnic/hostnic/netcfg"
)

// Event is something that happens to a client: Start, Link, Around, Reply, Tick, Renew,
// Release or Decline.
type Event interface{ event() }

// Start begins: with what is on record of an earlier lease, or nil.
type Start struct {
	Link   Link
	Record *Record
	// Boot is the id of this boot, Wall the time of day.
	Boot string
	Wall time.Time
}

// Around is what a client has to know of the rest of the host.
type Around struct {
	// Addresses on other NICs.
	Addresses []netip.Addr
	// ControlPlane are the addresses that the host is managed from.
	ControlPlane []netip.Addr
}

// Tick says that it is time, see Machine.Wake. One too many does nothing.
type Tick struct{}

// Renew is an operator's wish: ask for the lease again, or start over without one.
type Renew struct{}

// Release is an operator's wish: give the lease back, and stop.
type Release struct{}

// Decline says that somebody else has an address of the lease.
type Decline struct{ Address netip.Addr }

func (Start) event()   {}
func (Link) event()    {}
func (Around) event()  {}
func (Reply) event()   {}
func (Tick) event()    {}
func (Renew) event()   {}
func (Release) event() {}
func (Decline) event() {}

// Machine is the client of one NIC without its socket, clock and files. Nothing in it
// waits or fails, and all that it does is in what Step returns. Times are readings of the
// clock since boot.
type Machine struct {
	config Config
	duid   []byte
	rand   *rand.Rand
	now    time.Duration
	out    []Action

	state  State
	link   Link
	around Around

	// lease is in use. pending is that of another boot, which is not until somebody has
	// said that this is still its link, or nobody anything.
	lease, pending *netcfg.Lease6
	// hint are addresses to ask for; previous the server that gave them, avoid one that
	// has failed us.
	hint            []netip.Addr
	previous, avoid []byte

	// Of the exchange under way: since when, its transmissions, when the last of them went
	// out, and how long it waits for an answer.
	xid    dhcpv6.TransactionID
	began  time.Duration
	tries  int
	sent   time.Duration
	wait   time.Duration
	offers []Reply
	// selected is the offer that was chosen. given are addresses that go back to a server,
	// declined or released.
	selected Reply
	given    given
	// asked says that an operator wants the renewal, which then goes faster.
	asked bool

	// next is when the state goes on, doubtAt when it counts that the addresses are not of
	// this link, unless somebody says otherwise; doubt is who says so.
	next, doubtAt time.Duration
	doubt         Reply

	// solMaxRT and infMaxRT bound the back-off on this link.
	solMaxRT, infMaxRT time.Duration
	// held keeps restarts apart; setbacks are how many led to it.
	held, lastSetback time.Duration
	setbacks          int

	refusal *Refusal
	ignored uint64
}

// given are addresses and the server that they are from.
type given struct {
	addresses []netip.Addr
	serverID  []byte
	server    netip.Addr
}

// NewMachine is a client that is stopped until its Start. The random source has to be
// one that nobody else can foresee.
func NewMachine(c Config, r *rand.Rand) *Machine {
	m := &Machine{config: c, duid: c.DUID, rand: r, state: Stopped, lastSetback: -never}
	m.calm()
	m.forgetBounds()
	return m
}

// calm forgets what was due.
func (m *Machine) calm() { m.next, m.doubtAt, m.tries = never, never, 0 }

func (m *Machine) forgetBounds() { m.solMaxRT, m.infMaxRT = maxRT, maxRT }

// Step tells the machine what has happened and returns what is to be done, in that
// order. now never goes back.
func (m *Machine) Step(now time.Duration, e Event) []Action {
	m.now, m.out = now, nil
	m.age()
	switch e := e.(type) {
	case Start:
		m.start(e)
	case Link:
		m.linkIs(e)
	case Around:
		m.around = e
	case Reply:
		m.reply(e)
	case Renew:
		m.renewNow()
	case Release:
		m.release()
	case Decline:
		m.taken(e.Address)
	case Tick:
		m.tick()
	}
	return m.out
}

// Wake is when the machine wants its next Tick; netcfg.LeaseForever is never.
func (m *Machine) Wake() time.Duration {
	at := min(m.next, m.doubtAt)
	if m.lease != nil {
		for _, a := range m.lease.Addresses {
			at = min(at, a.Expires)
		}
	}
	return at
}

// tick does what is due.
func (m *Machine) tick() {
	switch {
	case m.now >= m.doubtAt:
		m.notOnLink(m.doubt)
	case m.now >= m.next:
		m.goOn()
	}
}

// goOn is what each state does when its time has come.
func (m *Machine) goOn() {
	switch m.state {
	case Init:
		m.discover()
	case Soliciting:
		m.solicitOn()
	case Requesting:
		m.requestOn()
	case Confirming:
		m.confirmOn()
	case Bound, Informed:
		m.renew()
	case Renewing:
		m.renewOn()
	case Rebinding, Informing:
		m.transmit()
	case Releasing:
		m.tryAgainOr(m.stop)
	case Declining:
		m.tryAgainOr(m.settle)
	case Stopped, Waiting:
		m.next = never
	}
}

// tryAgainOr transmits as often as the state may.
func (m *Machine) tryAgainOr(done func()) {
	if m.tries < paces[m.state].count {
		m.transmit()
		return
	}
	done()
}

// exchanging is true of a state that has asked something.
func (s State) exchanging() bool {
	switch s {
	case Soliciting, Requesting, Confirming, Renewing, Rebinding, Releasing, Declining, Informing:
		return true
	}
	return false
}

// drop ends the use of the lease.
func (m *Machine) drop() { m.lease, m.pending, m.asked = nil, nil, false }

// without is the lease without some of its addresses, and whether there were any.
func without(l *netcfg.Lease6, gone func(netcfg.LeaseAddress) bool) (*netcfg.Lease6, bool) {
	if !slices.ContainsFunc(l.Addresses, gone) {
		return l, false
	}
	rest := *l
	rest.Addresses = slices.DeleteFunc(slices.Clone(l.Addresses), gone)
	return &rest, true
}

// age takes from the lease what has ended. A client that has nothing left starts over,
// if it is not about to get something.
func (m *Machine) age() {
	if m.lease == nil {
		return
	}
	rest, some := without(m.lease, func(a netcfg.LeaseAddress) bool { return m.now >= a.Expires })
	if !some {
		return
	}
	m.warn("addresses of the lease have expired", "left", len(rest.Addresses), "server", m.lease.Server)
	if len(rest.Addresses) > 0 {
		m.lease = rest
		m.do(Save{rest})
		return
	}
	m.hint = addressesOf(m.lease)
	m.drop()
	if m.state != Requesting && m.state != Declining {
		m.discover()
	}
}

func addressesOf(l *netcfg.Lease6) []netip.Addr {
	var out []netip.Addr
	for _, a := range l.Addresses {
		out = append(out, a.Address)
	}
	return out
}
