package dhcp

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// server is a DHCP server that does as the test says. It gives each client id an
// address of its own, from first on.
type server struct {
	id    netip.Addr
	first netip.Addr
	bits  int // of the subnet
	// lease, t1 and t2 in seconds; 0 for t1 and t2 leaves them out.
	lease, t1, t2 uint32
	rapid         bool
	latency       time.Duration
	options       []dhcpv4.Option
	// silent answers nothing; nak answers every REQUEST with a NAK.
	silent, nak bool
	// mangle may change or drop (nil) what is about to be sent.
	mangle func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4

	leases map[string]netip.Addr
	seen   []*dhcpv4.DHCPv4
	// declined are not given again, as RFC 2131 §4.3.3 has it.
	declined []netip.Addr
}

func newServer(id, first string) *server {
	return &server{
		id: netip.MustParseAddr(id), first: netip.MustParseAddr(first), bits: 24, lease: 3600, latency: time.Millisecond,
		leases: map[string]netip.Addr{},
	}
}

func (s *server) option(o ...dhcpv4.Option) *server {
	s.options = append(s.options, o...)
	return s
}

func (s *server) subnet() netip.Prefix { return netip.PrefixFrom(s.first, s.bits).Masked() }

func clientKey(p *dhcpv4.DHCPv4) string {
	if id := p.Options.Get(dhcpv4.OptionClientIdentifier); id != nil {
		return string(id)
	}
	return p.ClientHWAddr.String()
}

// addressFor is the client's, or the next one that nobody has.
func (s *server) addressFor(p *dhcpv4.DHCPv4) netip.Addr {
	key := clientKey(p)
	if a, ok := s.leases[key]; ok && !slices.Contains(s.declined, a) {
		return a
	}
	a := s.first
	for taken := true; taken; {
		taken = slices.Contains(s.declined, a)
		for other, b := range s.leases {
			taken = taken || a == b && other != key
		}
		if taken {
			a = a.Next()
		}
	}
	s.leases[key] = a
	return a
}

// handle is a message of a client. ours says that it came by unicast.
func (s *server) handle(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	s.seen = append(s.seen, p)
	if s.silent {
		return nil
	}
	var reply *dhcpv4.DHCPv4
	switch p.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		kind := dhcpv4.MessageTypeOffer
		if s.rapid && p.Options.Has(dhcpv4.OptionRapidCommit) {
			kind = dhcpv4.MessageTypeAck
		}
		reply = s.reply(p, kind, s.addressFor(p))
		if kind == dhcpv4.MessageTypeAck {
			reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil))
		}
	case dhcpv4.MessageTypeRequest:
		reply = s.request(p)
	case dhcpv4.MessageTypeDecline:
		s.declined = append(s.declined, requested(p))
	case dhcpv4.MessageTypeRelease:
		delete(s.leases, clientKey(p))
	}
	if reply != nil && s.mangle != nil {
		reply = s.mangle(reply)
	}
	return reply
}

func (s *server) request(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	wanted := requested(p)
	if p.Options.Has(dhcpv4.OptionServerIdentifier) && serverOf(p) != s.id {
		return nil // it was another's offer
	}
	if ci, _ := netip.AddrFromSlice(p.ClientIPAddr.To4()); !ci.IsUnspecified() {
		wanted = ci
	}
	if s.nak || !s.subnet().Contains(wanted) {
		return s.reply(p, dhcpv4.MessageTypeNak, netip.IPv4Unspecified())
	}
	if has, ok := s.leases[clientKey(p)]; ok && has != wanted {
		return s.reply(p, dhcpv4.MessageTypeNak, netip.IPv4Unspecified())
	}
	s.leases[clientKey(p)] = wanted
	return s.reply(p, dhcpv4.MessageTypeAck, wanted)
}

func (s *server) reply(p *dhcpv4.DHCPv4, kind dhcpv4.MessageType, a netip.Addr) *dhcpv4.DHCPv4 {
	r, err := dhcpv4.NewReplyFromRequest(p)
	if err != nil {
		panic(err)
	}
	r.UpdateOption(dhcpv4.OptMessageType(kind))
	r.UpdateOption(dhcpv4.OptServerIdentifier(s.id.AsSlice()))
	if kind == dhcpv4.MessageTypeNak {
		r.UpdateOption(dhcpv4.OptMessage("wrong network"))
		return r
	}
	r.YourIPAddr = a.AsSlice()
	r.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(s.bits, 32)))
	r.UpdateOption(dhcpv4.OptRouter(s.gateway().AsSlice()))
	r.UpdateOption(seconds(dhcpv4.OptionIPAddressLeaseTime, s.lease))
	if s.t1 != 0 {
		r.UpdateOption(seconds(dhcpv4.OptionRenewTimeValue, s.t1))
	}
	if s.t2 != 0 {
		r.UpdateOption(seconds(dhcpv4.OptionRebindingTimeValue, s.t2))
	}
	for _, o := range s.options {
		r.UpdateOption(o)
	}
	return r
}

func (s *server) gateway() netip.Addr { return s.subnet().Addr().Next() }

func seconds(code dhcpv4.OptionCode, n uint32) dhcpv4.Option {
	return dhcpv4.OptGeneric(code, binary.BigEndian.AppendUint32(nil, n))
}

func raw(code uint8, b ...byte) dhcpv4.Option {
	return dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), b)
}

func requested(p *dhcpv4.DHCPv4) netip.Addr {
	a, _ := netip.AddrFromSlice(p.Options.Get(dhcpv4.OptionRequestedIPAddress))
	return a
}

func serverOf(p *dhcpv4.DHCPv4) netip.Addr {
	a, _ := netip.AddrFromSlice(p.Options.Get(dhcpv4.OptionServerIdentifier))
	return a
}

// frame is a reply as it comes out of a packet socket.
func frame(payload []byte, from netip.Addr) []byte {
	b := buildUDP(payload, from, everyHost)
	binary.BigEndian.PutUint16(b[ipHeader:], serverPort)
	binary.BigEndian.PutUint16(b[ipHeader+2:], clientPort) // the checksum is the same
	return b
}

// kinds are the messages that a server has seen, in short.
func kinds(seen []*dhcpv4.DHCPv4) []string {
	var out []string
	for _, p := range seen {
		out = append(out, p.MessageType().String())
	}
	return out
}

func TestFrameIsRead(t *testing.T) {
	payload := bytes.Repeat([]byte{1, 2, 3}, 101)
	got, from, err := parseUDP(frame(payload, netip.MustParseAddr("192.0.2.1")), false)
	if err != nil || !bytes.Equal(got, payload) || from.String() != "192.0.2.1" {
		t.Errorf("got %x from %s, %v", got, from, err)
	}
}
