package dhcp6

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// server is a DHCPv6 server that does as the test says. It gives each client addresses of
// its own, from first on.
type server struct {
	duid  []byte
	from  netip.Addr
	first netip.Addr
	// many addresses for each client.
	many int
	// lifetimes, t1 and t2 in seconds; 0 leaves t1 and t2 to the client.
	preferred, valid, t1, t2 uint32
	// preference is sent unless it is 0.
	preference uint8
	rapid      bool
	latency    time.Duration
	options    []dhcpv6.Option
	// silent answers nothing; status is what it says of every IA instead of addresses.
	silent bool
	status iana.StatusCode
	// link are the addresses of its link.
	link netip.Prefix
	// mangle may change or drop (nil) what is about to be sent.
	mangle func(*dhcpv6.Message) *dhcpv6.Message

	leases   map[string][]netip.Addr
	seen     []*dhcpv6.Message
	declined []netip.Addr
}

func newServer(id byte, first string) *server {
	a := netip.MustParseAddr(first)
	link, _ := a.Prefix(64)
	return &server{
		duid: []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, id}, from: netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: id}), first: a, many: 1,
		preferred: 1800, valid: 3600, latency: time.Millisecond, link: link, leases: map[string][]netip.Addr{},
	}
}

func (s *server) option(o ...dhcpv6.Option) *server {
	s.options = append(s.options, o...)
	return s
}

func clientOf(p *dhcpv6.Message) []byte { return optionOf(p, dhcpv6.OptionClientID) }
func serverOf(p *dhcpv6.Message) []byte { return optionOf(p, dhcpv6.OptionServerID) }

func optionOf(p *dhcpv6.Message, code dhcpv6.OptionCode) []byte {
	if o := p.GetOneOption(code); o != nil {
		return o.ToBytes()
	}
	return nil
}

// asked are the addresses in a message.
func asked(p *dhcpv6.Message) []netip.Addr {
	var out []netip.Addr
	for _, ia := range p.Options.IANA() {
		for _, a := range ia.Options.Addresses() {
			out = append(out, netip.AddrFrom16([16]byte(a.IPv6Addr)))
		}
	}
	return out
}

// addressesFor are the client's, or the next ones that nobody has.
func (s *server) addressesFor(p *dhcpv6.Message) []netip.Addr {
	key := string(clientOf(p))
	mine := slices.DeleteFunc(slices.Clone(s.leases[key]), func(a netip.Addr) bool { return slices.Contains(s.declined, a) })
	taken := slices.Clone(s.declined)
	for _, others := range s.leases {
		taken = append(taken, others...)
	}
	for a := s.first; len(mine) < s.many; a = a.Next() {
		if !slices.Contains(taken, a) {
			mine = append(mine, a)
		}
	}
	s.leases[key] = mine
	return mine
}

// handle is a message of a client, and what is answered.
func (s *server) handle(p *dhcpv6.Message) *dhcpv6.Message {
	s.seen = append(s.seen, p)
	if to := serverOf(p); s.silent || to != nil && !bytes.Equal(to, s.duid) {
		return nil
	}
	reply := s.answer(p)
	if reply != nil && s.mangle != nil {
		reply = s.mangle(reply)
	}
	return reply
}

func (s *server) answer(p *dhcpv6.Message) *dhcpv6.Message {
	switch p.MessageType {
	case dhcpv6.MessageTypeSolicit:
		if s.rapid && p.GetOneOption(dhcpv6.OptionRapidCommit) != nil {
			return s.grant(p, dhcpv6.MessageTypeReply, raw(dhcpv6.OptionRapidCommit, nil))
		}
		return s.grant(p, dhcpv6.MessageTypeAdvertise)
	case dhcpv6.MessageTypeRequest:
		return s.grant(p, dhcpv6.MessageTypeReply)
	case dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
		if _, known := s.leases[string(clientOf(p))]; !known && s.status == 0 {
			s.status = iana.StatusNoBinding
			defer func() { s.status = 0 }()
		}
		return s.grant(p, dhcpv6.MessageTypeReply)
	case dhcpv6.MessageTypeConfirm:
		code := iana.StatusSuccess
		if slices.ContainsFunc(asked(p), func(a netip.Addr) bool { return !s.link.Contains(a) }) {
			code = iana.StatusNotOnLink
		}
		return s.reply(p, dhcpv6.MessageTypeReply, statusOf(code))
	case dhcpv6.MessageTypeDecline:
		s.declined = append(s.declined, asked(p)...)
		return s.reply(p, dhcpv6.MessageTypeReply, statusOf(iana.StatusSuccess))
	case dhcpv6.MessageTypeRelease:
		delete(s.leases, string(clientOf(p)))
		return s.reply(p, dhcpv6.MessageTypeReply, statusOf(iana.StatusSuccess))
	case dhcpv6.MessageTypeInformationRequest:
		return s.reply(p, dhcpv6.MessageTypeReply)
	}
	return nil
}

// grant gives addresses, or says why not.
func (s *server) grant(p *dhcpv6.Message, kind dhcpv6.MessageType, more ...dhcpv6.Option) *dhcpv6.Message {
	ia := p.Options.OneIANA()
	out := &dhcpv6.OptIANA{IaId: ia.IaId}
	if s.status != 0 {
		out.Options.Add(statusOf(s.status))
	} else {
		for _, a := range s.addressesFor(p) {
			out.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice(), PreferredLifetime: seconds(s.preferred), ValidLifetime: seconds(s.valid)})
		}
	}
	out.T1, out.T2 = seconds(s.t1), seconds(s.t2)
	return s.reply(p, kind, append(more, out)...)
}

func (s *server) reply(p *dhcpv6.Message, kind dhcpv6.MessageType, o ...dhcpv6.Option) *dhcpv6.Message {
	r := &dhcpv6.Message{MessageType: kind, TransactionID: p.TransactionID}
	r.AddOption(raw(dhcpv6.OptionClientID, clientOf(p)))
	r.AddOption(raw(dhcpv6.OptionServerID, s.duid))
	if s.preference != 0 {
		r.AddOption(raw(dhcpv6.OptionPreference, []byte{s.preference}))
	}
	for _, option := range slices.Concat(o, s.options) {
		r.AddOption(option)
	}
	return r
}

// seconds are as the codec has them.
func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func statusOf(code iana.StatusCode) dhcpv6.Option {
	return &dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: "because"}
}

func number(code dhcpv6.OptionCode, n uint32) dhcpv6.Option {
	return raw(code, binary.BigEndian.AppendUint32(nil, n))
}

func TestServerIsRead(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	m := NewMachine(Config{DUID: testDUID, IAID: 7}, nil)
	m.state = Soliciting
	r, err := ParseReply(s.handle(m.message()).ToBytes(), s.from)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "kind", r.Kind, dhcpv6.MessageTypeAdvertise)
	l := r.association(7).addresses[0]
	same(t, "address", l.address, "2001:db8::100")
	same(t, "lifetimes", []uint32{l.preferred, l.valid}, "[1800 3600]")
}
