package dhcp6

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

// ErrMalformed is what every packet that is dropped for its form is.
var ErrMalformed = errors.New("malformed")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, a...))
}

// longestDUID is that of RFC 8415 §11.1, with its type.
const longestDUID = 130

// Reply is a message of a server to a client, the form of each part checked. What is
// in it is what the server says, and nobody has judged yet whether to believe it.
type Reply struct {
	// Kind is ADVERTISE or REPLY.
	Kind dhcpv6.MessageType
	XID  dhcpv6.TransactionID
	// From is the address that it was sent from.
	From netip.Addr
	// ClientID and ServerID are DUIDs; ClientID is nil if the server left it out.
	ClientID, ServerID []byte
	// Rapid says that a REPLY answers a SOLICIT (RFC 8415 §21.14).
	Rapid bool
	// Preference is the server's, more is better.
	Preference uint8

	status status
	// solMaxRT and infMaxRT are bounds of back-off in seconds (§21.24, §21.25); 0 is none.
	solMaxRT, infMaxRT uint32
	ias                []association
	dns, ntp           []netip.Addr
	search             []string
	// refresh is how long information is good for, in seconds (§21.23).
	refresh    uint32
	hasRefresh bool
	// ignored names what was not fit for use.
	ignored []string
}

// status is option 13: what has become of a request.
type status struct {
	code iana.StatusCode
	// text is the server's own, printable.
	text string
}

// String is the server's text too, where there is one.
func (s status) String() string {
	if s.text == "" {
		return s.code.String()
	}
	return s.code.String() + ": " + s.text
}

// association is an IA_NA (§21.4).
type association struct {
	id uint32
	// t1 and t2 are seconds; 0 leaves them to the client.
	t1, t2    uint32
	status    status
	addresses []lent
}

// lent is an address of it (§21.6), with its lifetimes in seconds.
type lent struct {
	address          netip.Addr
	preferred, valid uint32
	status           status
}

func (r *Reply) ignore(format string, a ...any) {
	r.ignored = append(r.ignored, fmt.Sprintf(format, a...))
}

// ParseReply reads the payload of a UDP packet to the client's port. The codec is
// someone else's and the packet may be anybody's, so a panic is one more kind of
// malformed. Every error is ErrMalformed.
func ParseReply(b []byte, from netip.Addr) (r Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = malformed("the codec panicked: %v", p)
		}
	}()
	if len(b) < dhcpv6.MessageHeaderSize {
		return r, malformed("a message of %d bytes", len(b))
	}
	r = Reply{Kind: dhcpv6.MessageType(b[0]), XID: dhcpv6.TransactionID(b[1:4]), From: from}
	if r.Kind != dhcpv6.MessageTypeAdvertise && r.Kind != dhcpv6.MessageTypeReply {
		return r, malformed("a message of type %d", r.Kind) // RECONFIGURE among them: nobody has signed it
	}
	o := options{}
	o.read(b[4:])
	r.ClientID, r.ServerID = o.duid(dhcpv6.OptionClientID), o.duid(dhcpv6.OptionServerID)
	r.Rapid = o.exact(dhcpv6.OptionRapidCommit, 0) != nil
	if p := o.exact(dhcpv6.OptionPreference, 1); p != nil {
		r.Preference = p[0]
	}
	r.status = o.status()
	r.solMaxRT, r.infMaxRT = o.seconds(dhcpv6.OptionSolMaxRT), o.seconds(dhcpv6.OptionInfMaxRT)
	r.hasRefresh = o.has(dhcpv6.OptionInformationRefreshTime)
	r.refresh = o.seconds(dhcpv6.OptionInformationRefreshTime)
	r.ias = o.associations()
	r.dns = o.servers(&r)
	r.ntp = o.timeServers(&r)
	o.searchList(&r)
	if o.err == nil && r.ServerID == nil {
		return r, malformed("no server identifier")
	}
	return r, o.err
}

// options are those of a message or of another option, as bytes, and the first thing that
// was wrong. Their content is read here and not by the codec, which is satisfied with less
// and drops a message for what is wrong with an option that nobody has asked for.
type options struct {
	all dhcpv6.Options
	err error
}

func (o *options) read(b []byte) {
	err := o.all.FromBytesWithParser(b, func(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
		return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: data}, nil
	})
	if err != nil && o.err == nil {
		o.err = malformed("options: %v", err)
	}
}

func (o *options) fail(code dhcpv6.OptionCode, format string, a ...any) {
	if o.err == nil {
		o.err = malformed("option %d: %s", code, fmt.Sprintf(format, a...))
	}
}

func (o *options) has(code dhcpv6.OptionCode) bool { return o.all.GetOne(code) != nil }

// each gives the options of a code that may be there several times.
func (o *options) each(code dhcpv6.OptionCode) [][]byte {
	var out [][]byte
	for _, option := range o.all.Get(code) {
		out = append(out, option.ToBytes())
	}
	return out
}

// one is an option that may be there once: nil if it is not, and never nil if it is.
func (o *options) one(code dhcpv6.OptionCode) []byte {
	all := o.each(code)
	switch {
	case len(all) == 0:
		return nil
	case len(all) > 1:
		o.fail(code, "it is there %d times", len(all))
		return nil
	case all[0] == nil:
		return []byte{}
	}
	return all[0]
}

// exact is the option if it is there; another length than this is malformed.
func (o *options) exact(code dhcpv6.OptionCode, length int) []byte {
	b := o.one(code)
	if b != nil && len(b) != length {
		o.fail(code, "%d bytes where there should be %d", len(b), length)
		return nil
	}
	return b
}

func (o *options) seconds(code dhcpv6.OptionCode) uint32 {
	if b := o.exact(code, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (o *options) duid(code dhcpv6.OptionCode) []byte {
	b := o.one(code)
	if b != nil && (len(b) < 3 || len(b) > longestDUID) {
		o.fail(code, "a DUID of %d bytes", len(b))
		return nil
	}
	return slices.Clone(b)
}

func (o *options) status() status {
	b := o.one(dhcpv6.OptionStatusCode)
	if b == nil {
		return status{} // which is success (§21.13)
	}
	if len(b) < 2 {
		o.fail(dhcpv6.OptionStatusCode, "%d bytes", len(b))
		return status{}
	}
	return status{iana.StatusCode(binary.BigEndian.Uint16(b)), drive.CleanText(b[2:])}
}

// associations are the IA_NAs.
func (o *options) associations() []association {
	var out []association
	for _, b := range o.each(dhcpv6.OptionIANA) {
		if len(b) < 12 {
			o.fail(dhcpv6.OptionIANA, "%d bytes", len(b))
			return nil
		}
		inner := options{err: o.err}
		inner.read(b[12:])
		a := association{
			id: binary.BigEndian.Uint32(b), t1: binary.BigEndian.Uint32(b[4:]), t2: binary.BigEndian.Uint32(b[8:]),
			status: inner.status(), addresses: inner.addresses(),
		}
		if slices.ContainsFunc(out, func(other association) bool { return other.id == a.id }) {
			inner.fail(dhcpv6.OptionIANA, "the IAID %d is there twice", a.id)
		}
		out = append(out, a)
		o.err = inner.err
	}
	return out
}

func (o *options) addresses() []lent {
	var out []lent
	for _, b := range o.each(dhcpv6.OptionIAAddr) {
		if len(b) < 24 {
			o.fail(dhcpv6.OptionIAAddr, "%d bytes", len(b))
			return nil
		}
		inner := options{err: o.err}
		inner.read(b[24:])
		l := lent{
			address: netip.AddrFrom16([16]byte(b)), preferred: binary.BigEndian.Uint32(b[16:]),
			valid: binary.BigEndian.Uint32(b[20:]), status: inner.status(),
		}
		o.err = inner.err
		if !slices.ContainsFunc(out, func(other lent) bool { return other.address == l.address }) {
			out = append(out, l)
		}
	}
	return out
}

// servers are those of DNS (RFC 3646 §3).
func (o *options) servers(r *Reply) []netip.Addr {
	b := o.one(dhcpv6.OptionDNSRecursiveNameServer)
	if b != nil && (len(b) == 0 || len(b)%16 != 0) {
		o.fail(dhcpv6.OptionDNSRecursiveNameServer, "%d bytes of addresses", len(b))
		return nil
	}
	var out []netip.Addr
	for one := range slices.Chunk(b, 16) {
		out = r.serverInto(out, one, dhcpv6.OptionDNSRecursiveNameServer)
	}
	return out
}

// timeServers are those of NTP that come as addresses (RFC 5908 §4.1).
func (o *options) timeServers(r *Reply) []netip.Addr {
	var out []netip.Addr
	for _, b := range o.each(dhcpv6.OptionNTPServer) {
		inner := options{err: o.err}
		inner.read(b)
		if a := inner.exact(dhcpv6.NTPSuboptionSrvAddrCode, 16); a != nil {
			out = r.serverInto(out, a, dhcpv6.OptionNTPServer)
		}
		o.err = inner.err
	}
	return out
}

// serverInto adds an address that can be a server's, once.
func (r *Reply) serverInto(to []netip.Addr, b []byte, code dhcpv6.OptionCode) []netip.Addr {
	a := netip.AddrFrom16([16]byte(b))
	switch {
	case !isHost(a):
		r.ignore("%s in option %d", a, code)
	case slices.Contains(to, a):
	case len(to) == drive.MostServers:
		r.ignore("%s in option %d, beyond the first %d", a, code, drive.MostServers)
	default:
		return append(to, a)
	}
	return to
}

// searchList reads option 24 (RFC 3646 §4). One that is broken does without; it says
// nothing about the lease.
func (o *options) searchList(r *Reply) {
	b := o.one(dhcpv6.OptionDomainSearchList)
	if b == nil {
		return
	}
	names, dropped, ok := drive.ParseSearch(b)
	if !ok {
		r.ignore("the search list (option 24), which is malformed")
	} else if dropped > 0 {
		r.ignore("%d names in option 24", dropped)
	}
	r.search = names
}

// isHost is true of an address that a host may have, and that means the same on all of
// its links. What begins with eight zeros is reserved or stands for something of IPv4.
func isHost(a netip.Addr) bool {
	return a.Is6() && a.As16()[0] != 0 && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}
