package dhcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/netcfg"
)

// Reply is a message of a server to a client, the form of each part checked. What is
// in it is what the server says, and nobody has judged yet whether to believe it.
type Reply struct {
	// Kind is OFFER, ACK or NAK.
	Kind dhcpv4.MessageType
	XID  dhcpv4.TransactionID
	// MAC and ClientID say which client is meant (chaddr, and option 61 as RFC 6842
	// has it, nil if the server left it out).
	MAC      MAC
	ClientID []byte
	// Server is the server identifier (option 54).
	Server netip.Addr
	// Rapid says that an ACK answers a DISCOVER (RFC 4039).
	Rapid bool
	// V6Only says that the network wants no IPv4 of us, V6OnlySeconds for how long
	// (RFC 8925).
	V6Only        bool
	V6OnlySeconds uint32
	// Text is what the server has to say about a NAK, printable.
	Text string

	Terms terms
}

// terms are what an OFFER or an ACK is about.
type terms struct {
	address   netip.Addr
	bits      int // of the subnet mask
	broadcast netip.Addr
	gateways  []netip.Addr
	// routes of option 121, unbounded and unjudged; hasRoutes tells none from an
	// option that names none.
	routes    []netcfg.LeaseRoute
	hasRoutes bool
	dns, ntp  []netip.Addr
	domain    string
	search    []string
	hostName  string
	mtu       int
	// seconds; 0 where the server leaves t1 and t2 to the client.
	lifetime, t1, t2 uint32
	// ignored names what was not fit for use.
	ignored []string
}

func (t *terms) ignore(format string, a ...any) {
	t.ignored = append(t.ignored, fmt.Sprintf(format, a...))
}

// options is what is left to read of a message, and the first thing that was wrong.
type options struct {
	dhcpv4.Options
	err error
}

// ParseReply reads the payload of a UDP packet to the client's port. The codec is
// someone else's and the packet may be anybody's, so a panic is one more kind of
// malformed. Every error is ErrMalformed.
func ParseReply(b []byte) (r Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = malformed("the codec panicked: %v", p)
		}
	}()
	p, err := dhcpv4.FromBytes(b)
	switch {
	case err != nil:
		return r, malformed("%v", err)
	case p.OpCode != dhcpv4.OpcodeBootReply:
		return r, malformed("not a reply")
	case p.HWType != iana.HWTypeEthernet || len(p.ClientHWAddr) != len(r.MAC):
		return r, malformed("a hardware address of type %d with %d bytes", p.HWType, len(p.ClientHWAddr))
	}
	o := options{Options: p.Options}
	o.overload(b)
	r = Reply{XID: p.TransactionID, MAC: MAC(p.ClientHWAddr), ClientID: o.Get(dhcpv4.OptionClientIdentifier)}
	if kind := o.exact(dhcpv4.OptionDHCPMessageType, 1); kind != nil {
		r.Kind = dhcpv4.MessageType(kind[0])
	}
	r.Server = o.address(dhcpv4.OptionServerIdentifier)
	switch {
	case o.err != nil:
		return r, o.err
	case r.Kind != dhcpv4.MessageTypeOffer && r.Kind != dhcpv4.MessageTypeAck && r.Kind != dhcpv4.MessageTypeNak:
		return r, malformed("a message of type %d", r.Kind) // FORCERENEW among them: nobody has signed it
	case !isHost(r.Server):
		return r, malformed("no server identifier that can be a server's")
	case r.Kind == dhcpv4.MessageTypeNak:
		r.Text = drive.CleanText(o.Get(dhcpv4.OptionMessage))
		return r, nil
	}
	r.Rapid = o.Has(dhcpv4.OptionRapidCommit)
	if wait := o.exact(dhcpv4.OptionIPv6OnlyPreferred, 4); wait != nil {
		r.V6Only, r.V6OnlySeconds = true, binary.BigEndian.Uint32(wait)
	}
	r.Terms = o.terms(p)
	return r, o.err
}

func (o *options) fail(code dhcpv4.OptionCode, format string, a ...any) {
	if o.err == nil {
		o.err = malformed("option %d: %s", code.Code(), fmt.Sprintf(format, a...))
	}
}

// overload adds the options that stand in the fields file and sname (RFC 2132 §9.3),
// in the order of RFC 3396 §5. The codec does not read them.
func (o *options) overload(b []byte) {
	where := o.exact(dhcpv4.OptionOptionOverload, 1)
	if where == nil {
		return
	}
	if where[0] < 1 || where[0] > 3 {
		o.fail(dhcpv4.OptionOptionOverload, "%d", where[0])
		return
	}
	sname, file := b[44:108], b[108:236]
	for bit, field := range map[byte][]byte{1: file, 2: sname} {
		if where[0]&bit != 0 && bytes.IndexByte(field, 0xff) < 0 {
			o.fail(dhcpv4.OptionOptionOverload, "options without an end")
			return
		}
	}
	var err error
	if where[0]&1 != 0 {
		err = o.FromBytes(file)
	}
	if where[0]&2 != 0 && err == nil {
		err = o.FromBytes(sname)
	}
	if err != nil {
		o.fail(dhcpv4.OptionOptionOverload, "%v", err)
	}
}

// exact is the option if it is there; another length than this is malformed.
func (o *options) exact(code dhcpv4.OptionCode, length int) []byte {
	if !o.Has(code) {
		return nil
	}
	b := o.Get(code)
	if len(b) != length {
		o.fail(code, "%d bytes where there should be %d", len(b), length)
		return nil
	}
	return b
}

func (o *options) seconds(code dhcpv4.OptionCode) uint32 {
	if b := o.exact(code, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (o *options) address(code dhcpv4.OptionCode) netip.Addr {
	if b := o.exact(code, 4); b != nil {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.Addr{}
}

// hosts are the addresses of an option that can be those of hosts, each once.
func (o *options) hosts(t *terms, code dhcpv4.OptionCode, most int) []netip.Addr {
	b := o.Get(code)
	if o.Has(code) && (len(b) == 0 || len(b)%4 != 0) {
		o.fail(code, "%d bytes of addresses", len(b))
		return nil
	}
	var out []netip.Addr
	for four := range slices.Chunk(b, 4) {
		a := netip.AddrFrom4([4]byte(four))
		switch {
		case !isHost(a):
			t.ignore("%s in option %d", a, code.Code())
		case slices.Contains(out, a):
		case len(out) == most:
			t.ignore("more than %d addresses in option %d", most, code.Code())
			return out
		default:
			out = append(out, a)
		}
	}
	return out
}

func (o *options) name(t *terms, code dhcpv4.OptionCode) string {
	if !o.Has(code) {
		return ""
	}
	s := drive.CleanName(o.Get(code))
	if s == "" {
		t.ignore("the text of option %d, which is no name", code.Code())
	}
	return s
}

func (o *options) terms(p *dhcpv4.DHCPv4) terms {
	var t terms
	t.address, _ = netip.AddrFromSlice(p.YourIPAddr.To4())
	t.bits = o.mask(t.address)
	t.broadcast = o.address(dhcpv4.OptionBroadcastAddress)
	t.gateways = o.hosts(&t, dhcpv4.OptionRouter, mostGateways)
	t.dns = o.hosts(&t, dhcpv4.OptionDomainNameServer, drive.MostServers)
	t.ntp = o.hosts(&t, dhcpv4.OptionNTPServers, drive.MostServers)
	t.domain = o.name(&t, dhcpv4.OptionDomainName)
	if t.hostName = o.name(&t, dhcpv4.OptionHostName); t.hostName == "localhost" {
		t.hostName = ""
		t.ignore("the host name localhost")
	}
	if b := o.exact(dhcpv4.OptionInterfaceMTU, 2); b != nil {
		t.mtu = int(binary.BigEndian.Uint16(b))
		if t.mtu < smallestMTU {
			t.ignore("an MTU of %d", t.mtu)
			t.mtu = 0
		}
	}
	o.lists(&t)
	t.lifetime = o.seconds(dhcpv4.OptionIPAddressLeaseTime)
	t.t1, t.t2 = o.seconds(dhcpv4.OptionRenewTimeValue), o.seconds(dhcpv4.OptionRebindingTimeValue)
	if !o.Has(dhcpv4.OptionIPAddressLeaseTime) {
		o.fail(dhcpv4.OptionIPAddressLeaseTime, "is missing")
	}
	return t
}

// lists reads the options that are languages of their own. One that is broken does
// without, as RFC 3442 has it; it says nothing about the lease.
func (o *options) lists(t *terms) {
	if o.Has(dhcpv4.OptionDNSDomainSearchList) {
		names, dropped, ok := drive.ParseSearch(o.Get(dhcpv4.OptionDNSDomainSearchList))
		if !ok {
			t.ignore("the search list (option 119), which is malformed")
		} else if dropped > 0 {
			t.ignore("%d names in option 119", dropped)
		}
		t.search = names
	}
	if o.Has(dhcpv4.OptionClasslessStaticRoute) {
		var ok bool
		if t.routes, ok = parseRoutes(o.Get(dhcpv4.OptionClasslessStaticRoute)); !ok {
			t.ignore("the routes (option 121), which are malformed")
			return
		}
		t.hasRoutes = true
	}
}

// mask is the length of the subnet mask. Without one it is that of the address's
// class. A mask with holes, or of more than a class A, is malformed.
func (o *options) mask(a netip.Addr) int {
	b := o.exact(dhcpv4.OptionSubnetMask, 4)
	if b == nil {
		switch first := a.As4()[0]; {
		case first < 128:
			return 8
		case first < 192:
			return 16
		}
		return 24
	}
	m := binary.BigEndian.Uint32(b)
	n := bits.LeadingZeros32(^m)
	if m<<n != 0 || n < 8 {
		o.fail(dhcpv4.OptionSubnetMask, "%d.%d.%d.%d", b[0], b[1], b[2], b[3])
	}
	return n
}

// parseRoutes reads option 121 (RFC 3442): a prefix length, as many bytes of the
// destination as it needs, and the gateway.
func parseRoutes(b []byte) ([]netcfg.LeaseRoute, bool) {
	var out []netcfg.LeaseRoute
	for len(b) > 0 {
		n := int(b[0])
		significant := (n + 7) / 8
		if n > 32 || len(b) < 1+significant+4 {
			return nil, false
		}
		var dst, gw [4]byte
		copy(dst[:], b[1:1+significant])
		copy(gw[:], b[1+significant:])
		b = b[1+significant+4:]
		r := netcfg.LeaseRoute{Destination: netip.PrefixFrom(netip.AddrFrom4(dst), n).Masked()}
		if gw != [4]byte{} {
			r.Gateway = netip.AddrFrom4(gw)
		}
		out = append(out, r)
	}
	return out, len(out) > 0
}

// isHost is true of an address that a host may have.
func isHost(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsLoopback() && a.As4()[0] != 0 && a.As4()[0] < 224
}
