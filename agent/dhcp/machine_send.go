package dhcp

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/hostnic/hostnic/netcfg"
)

// Action is something for the caller of Step to do: Send, SendARP, Save, Forget or
// Note.
type Action interface{ action() }

// Send is a DHCP message. Unicast goes from From to To by a socket that is bound to
// the NIC; everything else is broadcast by the packet socket, with From in its header.
type Send struct {
	Payload  []byte
	From, To netip.Addr
	Unicast  bool
}

// SendARP is an ARP request to everybody on the link.
type SendARP struct{ ARP ARP }

// Save puts the lease on record, Forget takes what is there off it.
type Save struct{ Lease *netcfg.Lease }

// Forget says that the lease on record is no longer ours.
type Forget struct{}

// Note is for the log.
type Note struct {
	Level slog.Level
	Text  string
	Args  []any
}

func (Send) action()    {}
func (SendARP) action() {}
func (Save) action()    {}
func (Forget) action()  {}
func (Note) action()    {}

const (
	// The delays of RFC 2131 §4.1 are 4, 8, 16, 32 and 64 s, each up to a second more
	// or less. Before them comes an early one, since a first packet that is lost has
	// most often been sent before a switch was ready to forward it.
	firstDelay, longestDelay = 4 * time.Second, 64 * time.Second
	earlyDelay               = 250 * time.Millisecond
	// leastRetry is the pause between two attempts to renew or rebind (§4.4.5).
	leastRetry = time.Minute
	// maxMessage is option 57: what fits a packet of 1500 bytes.
	maxMessage = 1500 - ipHeader - udpHeader
)

func (m *Machine) do(a Action) { m.out = append(m.out, a) }

func (m *Machine) info(text string, args ...any) { m.do(Note{slog.LevelInfo, text, args}) }
func (m *Machine) warn(text string, args ...any) { m.do(Note{slog.LevelWarn, text, args}) }

// jitter is a random time up to d.
func (m *Machine) jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(m.rand.Int64N(int64(d)))
}

// transmit sends what the state sends, again or for the first time, and sets the time
// for the next.
func (m *Machine) transmit() {
	m.tries++
	m.sent = m.now
	switch m.state {
	case Selecting:
		m.secs = m.seconds()
		m.broadcast(dhcpv4.MessageTypeDiscover, m.discoverOptions()...)
	case Requesting:
		// The relay agents are to treat it as they did the DISCOVER, so it has its secs.
		m.broadcast(dhcpv4.MessageTypeRequest, m.requestOptions(m.selected.Terms.address, m.selected.Server)...)
	case Rebooting:
		m.secs = m.seconds()
		m.broadcast(dhcpv4.MessageTypeRequest, m.requestOptions(m.hint, netip.Addr{})...)
	case Renewing, Rebinding:
		m.secs = m.seconds()
		m.extend()
	}
	m.next = m.now + m.delay()
}

// delay is how long to wait for an answer.
func (m *Machine) delay() time.Duration {
	switch {
	case m.state == Rebinding:
		return untilHalf(m.lease.Expires - m.now)
	case m.state == Renewing && !m.asked:
		return untilHalf(m.lease.RebindAt - m.now)
	case m.tries == 1:
		return earlyDelay + m.jitter(earlyDelay)
	}
	d := min(firstDelay<<min(m.tries-2, 4), longestDelay)
	return d - time.Second + m.jitter(2*time.Second)
}

// untilHalf is half of what remains, at least a minute, at most all.
func untilHalf(left time.Duration) time.Duration { return max(0, min(left, max(leastRetry, left/2))) }

// seconds since the client has begun. Some servers take 0 for a client that can wait.
func (m *Machine) seconds() uint16 { return uint16(min(max(1, (m.now-m.started)/time.Second), 0xffff)) }

func (m *Machine) message(kind dhcpv4.MessageType, o ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: m.link.MAC[:],
		TransactionID: m.xid, NumSeconds: m.secs, Options: dhcpv4.OptionsFromList(o...),
	}
	p.UpdateOption(dhcpv4.OptMessageType(kind))
	if m.config.ClientID != nil {
		p.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, m.config.ClientID))
	}
	return p
}

// wishes are the options of every message that asks for a lease.
func (m *Machine) wishes() []dhcpv4.Option {
	request := m.config.Request
	if request == nil {
		request = DefaultRequest()
	}
	if m.config.IPv6Only {
		request = append(request[:len(request):len(request)], dhcpv4.OptionIPv6OnlyPreferred.Code())
	}
	size := uint16(maxMessage)
	if m.link.MTU > 0 {
		size = uint16(min(maxMessage, max(smallestMTU, m.link.MTU-ipHeader-udpHeader)))
	}
	o := []dhcpv4.Option{
		dhcpv4.OptGeneric(dhcpv4.OptionParameterRequestList, request),
		dhcpv4.OptMaxMessageSize(size),
	}
	if m.config.HostName != "" {
		o = append(o, dhcpv4.OptHostName(m.config.HostName))
	}
	return o
}

func (m *Machine) discoverOptions() []dhcpv4.Option {
	o := m.wishes()
	if m.hint.IsValid() {
		o = append(o, dhcpv4.OptRequestedIPAddress(m.hint.AsSlice()))
	}
	if m.config.RapidCommit {
		o = append(o, dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil))
	}
	return o
}

func (m *Machine) requestOptions(a, server netip.Addr) []dhcpv4.Option {
	o := append(m.wishes(), dhcpv4.OptRequestedIPAddress(a.AsSlice()))
	if server.IsValid() {
		o = append(o, dhcpv4.OptServerIdentifier(server.AsSlice()))
	}
	return o
}

var anyHost, everyHost = netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{255, 255, 255, 255})

// broadcast sends a message of a client that has no address yet.
func (m *Machine) broadcast(kind dhcpv4.MessageType, o ...dhcpv4.Option) {
	p := m.message(kind, o...)
	if m.config.Broadcast {
		p.SetBroadcast()
	}
	m.send(p, anyHost, everyHost, false)
}

// extend asks for more time: the server of the lease, or everybody.
func (m *Machine) extend() {
	p := m.message(dhcpv4.MessageTypeRequest, m.wishes()...)
	from := m.lease.Address.Addr()
	p.ClientIPAddr = from.AsSlice()
	if m.state == Renewing {
		m.send(p, from, m.lease.Server, true)
		return
	}
	m.send(p, from, everyHost, false)
}

func (m *Machine) send(p *dhcpv4.DHCPv4, from, to netip.Addr, unicast bool) {
	if m.link.Ready {
		m.do(Send{Payload: p.ToBytes(), From: from, To: to, Unicast: unicast})
	}
}

// sendRelease has no answer.
func (m *Machine) sendRelease() {
	from := m.lease.Address.Addr()
	m.xid, m.secs = m.newXID(), 0
	p := m.message(dhcpv4.MessageTypeRelease, dhcpv4.OptServerIdentifier(m.lease.Server.AsSlice()))
	p.ClientIPAddr = from.AsSlice()
	m.send(p, from, m.lease.Server, true)
}

// sendDecline has none either (RFC 2131 §4.4.4).
func (m *Machine) sendDecline(server, a netip.Addr, why string) {
	m.xid, m.secs = m.newXID(), 0
	m.send(m.message(dhcpv4.MessageTypeDecline,
		dhcpv4.OptRequestedIPAddress(a.AsSlice()), dhcpv4.OptServerIdentifier(server.AsSlice()),
		dhcpv4.OptMessage(why)), anyHost, everyHost, false)
}

// newXID is a number that nobody who has not seen it can guess.
func (m *Machine) newXID() dhcpv4.TransactionID {
	r := m.rand.Uint32()
	return dhcpv4.TransactionID{byte(r >> 24), byte(r >> 16), byte(r >> 8), byte(r)}
}
