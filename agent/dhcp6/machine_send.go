package dhcp6

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/hostnic/hostnic/netcfg"
)

// Action is something for the caller of Step to do: Send, Save, Forget or Note.
type Action interface{ action() }

// Send is a DHCPv6 message to all servers and relay agents of the link. Nothing is ever
// sent to one server alone (RFC 8415 §18.4 is for servers that want that).
type Send struct{ Payload []byte }

// Save puts the lease on record, Forget takes what is there off it.
type Save struct{ Lease *netcfg.Lease6 }

// Forget says that the lease on record is no longer ours.
type Forget struct{}

// Note is for the log.
type Note struct {
	Level slog.Level
	Text  string
	Args  []any
}

func (Send) action()   {}
func (Save) action()   {}
func (Forget) action() {}
func (Note) action()   {}

// pace is how the messages of a state are sent again (RFC 8415 §15): first is IRT, most
// is MRT, and count is MRC, 0 for as long as the state lasts.
type pace struct {
	first, most time.Duration
	count       int
}

// The values of §7.6. maxRT is the default of SOL_MAX_RT and INF_MAX_RT.
var paces = map[State]pace{
	Soliciting: {first: time.Second, most: maxRT},
	Requesting: {first: time.Second, most: 30 * time.Second, count: 10},
	Confirming: {first: time.Second, most: 4 * time.Second},
	Renewing:   {first: 10 * time.Second, most: 10 * time.Minute},
	Rebinding:  {first: 10 * time.Second, most: 10 * time.Minute},
	Informing:  {first: time.Second, most: maxRT},
	Releasing:  {first: time.Second, count: 4},
	Declining:  {first: time.Second, count: 4},
}

// askedPace is that of a renewal for which somebody waits.
var askedPace = pace{first: time.Second, count: 4}

const (
	maxRT = time.Hour
	// leastMaxRT and mostMaxRT are what servers may make of it, in seconds.
	leastMaxRT, mostMaxRT = 60, 86400
	// confirmLasts is CNF_MAX_RD.
	confirmLasts = 10 * time.Second
	// leastRefresh and defaultRefresh are IRT_MINIMUM and IRT_DEFAULT, in seconds.
	leastRefresh, defaultRefresh = 600, 86400
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

// tenth is a random time within a tenth of d (§15: RAND).
func (m *Machine) tenth(d time.Duration) time.Duration { return d - d/10 + m.jitter(d/5) }

// transmit sends what the state sends, again or for the first time, and sets the time
// for the next.
func (m *Machine) transmit() {
	if m.tries++; m.tries == 1 {
		m.began = m.now
	}
	m.sent = m.now
	m.do(Send{m.message().ToBytes()})
	m.next = m.now + m.patience()
	switch m.state {
	case Confirming:
		m.next = min(m.next, m.began+confirmLasts)
	case Renewing:
		m.next = min(m.next, m.lease.RebindAt)
	}
}

// unsent: the message has not left the host. It is tried again before long, however long
// a server would be given to answer.
func (m *Machine) unsent() { m.next = min(m.next, m.now+longestPause) }

// patience is how long to wait for an answer: RT of §15.
func (m *Machine) patience() time.Duration {
	p := paces[m.state]
	switch {
	case m.state == Soliciting:
		p.most = m.solMaxRT
	case m.state == Informing:
		p.most = m.infMaxRT
	case m.state == Renewing && m.asked:
		p = askedPace
	}
	switch {
	case m.tries == 1 && m.state == Soliciting:
		m.wait = p.first + m.jitter(p.first/10) // never less, for the sake of offers (§18.2.1)
	case m.tries == 1:
		m.wait = m.tenth(p.first)
	default:
		m.wait += m.tenth(m.wait)
	}
	if p.most > 0 && m.wait > p.most {
		m.wait = m.tenth(p.most)
	}
	return m.wait
}

// newXID is a number that nobody who has not seen it can guess.
func (m *Machine) newXID() {
	r := m.rand.Uint32()
	m.xid = dhcpv6.TransactionID{byte(r >> 16), byte(r >> 8), byte(r)}
}

// message is what the state asks.
func (m *Machine) message() *dhcpv6.Message {
	p := m.begin(kinds[m.state])
	switch m.state {
	case Soliciting:
		if m.config.RapidCommit {
			p.AddOption(raw(dhcpv6.OptionRapidCommit, nil))
		}
		p.AddOption(m.identity(m.hint))
	case Requesting:
		p.AddOption(raw(dhcpv6.OptionServerID, m.selected.ServerID))
		p.AddOption(m.identity(m.wanted()))
	case Confirming:
		l := m.lease
		if l == nil {
			l = m.pending
		}
		p.AddOption(m.identity(addressesOf(l)))
	case Renewing:
		p.AddOption(raw(dhcpv6.OptionServerID, m.lease.ServerID))
		p.AddOption(m.identity(addressesOf(m.lease)))
	case Rebinding:
		p.AddOption(m.identity(addressesOf(m.lease)))
	case Releasing, Declining:
		p.AddOption(raw(dhcpv6.OptionServerID, m.given.serverID))
		p.AddOption(m.identity(m.given.addresses))
	}
	return p
}

// kinds are the messages of the states.
var kinds = map[State]dhcpv6.MessageType{
	Soliciting: dhcpv6.MessageTypeSolicit, Requesting: dhcpv6.MessageTypeRequest, Confirming: dhcpv6.MessageTypeConfirm,
	Renewing: dhcpv6.MessageTypeRenew, Rebinding: dhcpv6.MessageTypeRebind, Informing: dhcpv6.MessageTypeInformationRequest,
	Releasing: dhcpv6.MessageTypeRelease, Declining: dhcpv6.MessageTypeDecline,
}

// wanted are the addresses to request: those of the offer, or of the lease that the
// server knows nothing of.
func (m *Machine) wanted() []netip.Addr {
	if m.lease != nil {
		return addressesOf(m.lease)
	}
	var out []netip.Addr
	if a := m.selected.association(m.config.IAID); a != nil {
		good, _, _ := m.sort(m.selected, a)
		for _, one := range good {
			out = append(out, one.address)
		}
	}
	return out
}

// begin is a message with what is in all of them. Options are asked for where something
// new can come of it: those that the RFC demands, and what a lease has room for.
func (m *Machine) begin(kind dhcpv6.MessageType) *dhcpv6.Message {
	p := &dhcpv6.Message{MessageType: kind, TransactionID: m.xid}
	p.AddOption(raw(dhcpv6.OptionClientID, m.duid))
	p.AddOption(dhcpv6.OptElapsedTime(m.elapsed()))
	switch m.state {
	case Confirming, Releasing, Declining:
		return p
	}
	asked := []dhcpv6.OptionCode{dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionNTPServer}
	if m.state == Informing {
		asked = append(asked, dhcpv6.OptionInformationRefreshTime, dhcpv6.OptionInfMaxRT)
	} else {
		asked = append(asked, dhcpv6.OptionSolMaxRT)
	}
	p.AddOption(dhcpv6.OptRequestedOption(asked...))
	return p
}

// elapsed is how long the exchange has lasted, 0 in its first message, and at most what
// the option has room for (§21.9); the codec would begin at 0 again.
func (m *Machine) elapsed() time.Duration {
	const most = 0xffff * 10 * time.Millisecond
	return min(m.now-m.began, most)
}

// identity is an IA_NA with addresses, whose times are for the server to say.
func (m *Machine) identity(addresses []netip.Addr) dhcpv6.Option {
	ia := &dhcpv6.OptIANA{}
	binary.BigEndian.PutUint32(ia.IaId[:], m.config.IAID)
	for _, a := range addresses {
		ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()})
	}
	return ia
}

func raw(code dhcpv6.OptionCode, b []byte) dhcpv6.Option {
	return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: b}
}
