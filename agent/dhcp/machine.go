package dhcp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/hostnic/hostnic/netcfg"
)

// State is where the client is (RFC 2131 §4.4, with the states of RFC 5227 and 8925
// beside them).
type State string

// The states.
const (
	// Stopped wants nothing: not started, or released.
	Stopped State = "stopped"
	// Waiting has something to do as soon as the link is ready.
	Waiting State = "waiting"
	// Init is about to send a DISCOVER, after a pause.
	Init State = "init"
	// Selecting has sent a DISCOVER and waits for offers.
	Selecting State = "selecting"
	// Requesting has asked for what one server has offered.
	Requesting State = "requesting"
	// InitReboot will ask for an address that it had before, when the link is ready.
	InitReboot State = "init-reboot"
	// Rebooting has asked for it. With a lease in use it is only making sure, after
	// the link was away, that this is still the network that the lease is from.
	Rebooting State = "rebooting"
	// Probing looks whether somebody else uses the address that was granted.
	Probing State = "probing"
	// Bound has a lease and nothing to do.
	Bound State = "bound"
	// Renewing asks the server of the lease for more time, Rebinding any server.
	Renewing  State = "renewing"
	Rebinding State = "rebinding"
	// IPv6Only keeps off a network that has asked it to.
	IPv6Only State = "ipv6-only"
)

// never is a time that does not come.
const never = netcfg.LeaseForever

// Config is what a client is to do.
type Config struct {
	// NIC is the kernel's name of the link.
	NIC string
	// ClientID is option 61, see ClientID; nil leaves it to the server to go by the MAC.
	ClientID []byte
	// HostName is sent as option 12 unless empty.
	HostName string
	// Request are the options asked for; nil means DefaultRequest. Option 108 is added
	// with IPv6Only.
	Request []uint8
	// Servers are the server identifiers that are listened to; none means all.
	Servers []netip.Addr
	// Trusted says that the servers of this network may route what they like through
	// it (CVE-2024-3661). Otherwise routes of option 121 are refused that cover an
	// address of the control plane, are as good as a default route, or go into the subnet
	// of another NIC, whose neighbours they would take away from it.
	Trusted bool
	// AllowOverlap takes addresses, and routes, in the subnet of another NIC.
	AllowOverlap bool
	// NoConflictDetection leaves RFC 5227 out: an address is used at once, and nobody
	// looks whether somebody else has it.
	NoConflictDetection bool
	// KeepAddress defends the address for ever (RFC 5227 §2.4 (c)), instead of giving
	// it up to the second claim within 10 s.
	KeepAddress bool
	// RapidCommit lets a server that can do it save two messages (RFC 4039).
	RapidCommit bool
	// IPv6Only says that the host can do without IPv4 where the network wants it to
	// (RFC 8925).
	IPv6Only bool
	// Broadcast asks servers to broadcast their answers, for links that lose others.
	Broadcast bool
	// BoundServerNAK believes a NAK from nobody but the server of the lease.
	BoundServerNAK bool
}

// DefaultRequest is asked for unless Config says otherwise. 121 comes before 3 (RFC
// 3442). Some clouds do not answer who asks for 26; leave it out there.
func DefaultRequest() []uint8 { return []uint8{1, 121, 3, 6, 12, 15, 26, 28, 42, 51, 58, 59, 119} }

// Event is something that happens to a client: Start, Link, Around, Reply, ARP, Tick,
// Renew or Release.
type Event interface{ event() }

// Start begins: with what is on record of an earlier lease, or nil.
type Start struct {
	Link   Link
	Record *Record
	// Boot is the id of this boot, Wall the time of day.
	Boot string
	Wall time.Time
}

// Link is what a client has to know of its NIC's link.
type Link struct {
	// Index is the kernel's number of the link.
	Index int
	// Ready is true while the link carries packets: it is up, has a carrier, and
	// whatever else its kind has to wait for.
	Ready bool
	// Ups counts how often it got a carrier (IFLA_CARRIER_UP_COUNT); another number
	// says that it was away between two looks.
	Ups uint32
	MAC MAC
	MTU int
}

// Around is what a client has to know of the rest of the host.
type Around struct {
	// MACs of the host's NICs: what they say of an address is no conflict.
	MACs []MAC
	// Subnets on other NICs.
	Subnets []netip.Prefix
	// ControlPlane are the addresses that the host is managed from.
	ControlPlane []netip.Addr
}

// Tick says that it is time, see Machine.Wake. One too many does nothing.
type Tick struct{}

// Renew is an operator's wish: ask for the lease again, or start over without one.
type Renew struct{}

// Release is an operator's wish: give the lease back, and stop.
type Release struct{}

func (Start) event()   {}
func (Link) event()    {}
func (Around) event()  {}
func (Reply) event()   {}
func (ARP) event()     {}
func (Tick) event()    {}
func (Renew) event()   {}
func (Release) event() {}

// Machine is the client of one NIC without its sockets, clock and files. Nothing in
// it waits or fails, and all that it does is in what Step returns. Times are readings
// of the clock since boot.
type Machine struct {
	config Config
	rand   *rand.Rand
	now    time.Duration
	out    []Action

	state  State
	link   Link
	around Around

	// lease is in use. pending is granted, and is being probed.
	lease, pending *netcfg.Lease
	// hint is an address to ask for; previous the server that gave it, avoid one that
	// has failed us.
	hint, previous, avoid netip.Addr

	// Of the exchange under way: since when, its retransmissions, and when the last
	// message went out.
	xid      dhcpv4.TransactionID
	started  time.Duration
	secs     uint16
	tries    int
	sent     time.Duration
	offers   []Reply
	selected Reply
	// asked says that an operator wants the renewal, which then goes faster.
	asked bool

	// next is when the state goes on, chooseAt when the best offer is taken, nakAt when
	// a NAK counts unless an ACK comes, announceAt when the address is announced again.
	next, chooseAt, nakAt, announceAt time.Duration

	// held keeps restarts apart; naks and conflicts are how many led to it.
	held, lastNAK   time.Duration
	naks, conflicts int
	nak             Reply
	probes          int
	announced       int
	defended        time.Duration

	refusal *Refusal
	ignored uint64
}

// NewMachine is a client that is stopped until its Start. The random source has to be
// one that nobody else can foresee.
func NewMachine(c Config, r *rand.Rand) *Machine {
	m := &Machine{config: c, rand: r, state: Stopped, announceAt: never, defended: -never, lastNAK: -never}
	m.calm()
	return m
}

// calm forgets what was due.
func (m *Machine) calm() { m.next, m.chooseAt, m.nakAt = never, never, never }

// Step tells the machine what has happened and returns what is to be done, in that
// order. now never goes back.
func (m *Machine) Step(now time.Duration, e Event) []Action {
	m.now, m.out = now, nil
	if m.lease != nil && now >= m.lease.Expires {
		m.expire()
	}
	switch e := e.(type) {
	case Start:
		m.start(e)
	case Link:
		m.linkIs(e)
	case Around:
		m.around = e
	case Reply:
		m.reply(e)
	case ARP:
		m.heard(e)
	case Renew:
		m.renewNow()
	case Release:
		m.release()
	case Tick:
		m.tick()
	}
	return m.out
}

// Wake is when the machine wants its next Tick; netcfg.LeaseForever is never.
func (m *Machine) Wake() time.Duration {
	at := min(m.next, m.chooseAt, m.nakAt, m.announceAt)
	if m.lease != nil {
		at = min(at, m.lease.Expires)
	}
	return at
}

// tick does what is due.
func (m *Machine) tick() {
	switch {
	case m.now >= m.announceAt:
		m.announce()
	case m.now >= m.nakAt:
		m.restartAfterNAK()
	case m.now >= m.chooseAt:
		m.choose()
	case m.now >= m.next:
		m.goOn()
	}
}

// goOn is what each state does when its time has come.
func (m *Machine) goOn() {
	switch m.state {
	case Init, IPv6Only:
		m.discover()
	case Requesting:
		if m.tries < requestTries {
			m.transmit()
			return
		}
		m.refuse(m.selected.Server, "it does not answer the request for what it has offered")
		m.fail(m.selected.Server)
		m.discover()
	case Rebooting:
		m.rebootOn()
	case Probing:
		m.probe()
	case Bound:
		m.renew()
	case Renewing:
		m.renewOn()
	case Selecting, Rebinding:
		m.transmit()
	case Stopped, Waiting, InitReboot:
		m.next = never
	}
}

// drop ends the use of the lease.
func (m *Machine) drop() {
	m.lease, m.pending, m.announceAt, m.asked = nil, nil, never, false
}

// expire is the end of a lease that nobody has renewed (RFC 2131 §4.4.5).
func (m *Machine) expire() {
	m.warn("the lease has expired", "address", m.lease.Address, "server", m.lease.Server)
	m.hint = m.lease.Address.Addr()
	if m.state == Probing { // another address, which is as good as ours
		m.lease, m.announceAt = nil, never
		return
	}
	m.drop()
	m.discover()
}
