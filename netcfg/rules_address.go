package netcfg

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

var (
	bootProtocols     = []BootProtocol{BootNone, BootStatic, BootDHCP}
	ipv6BootProtocols = []BootProtocol{BootNone, BootStatic, BootDHCP, BootAutoconf, BootPolyDHCPAutoconf}
)

// family is the addressing of a NIC in one of the two families, so that a rule
// about both is written once.
type family struct {
	name string // ip or ipv6
	boot string // the field of the boot protocol
	// protocol is as given; empty means static where there is an address.
	protocol               BootProtocol
	address, mask, gateway string
	maskField              string
	additional             []int // indexes into AdditionalIPs
}

func families(n *HostNic) [2]family {
	v4 := family{name: "ip", boot: "boot_protocol", protocol: n.BootProtocol, maskField: "ip.netmask"}
	v6 := family{name: "ipv6", boot: "ipv6_boot_protocol", protocol: n.IPv6BootProtocol, maskField: "ipv6.prefix"}
	if n.IP != nil {
		v4.address, v4.mask, v4.gateway = n.IP.Address, n.IP.Netmask, n.IP.Gateway
	}
	if n.IPv6 != nil {
		v6.address, v6.gateway = n.IPv6.Address, n.IPv6.Gateway
		if n.IPv6.Prefix != nil {
			v6.mask = strconv.Itoa(*n.IPv6.Prefix)
		}
	}
	for i, s := range n.AdditionalIPs {
		f := &v4
		if isIPv6Text(s) {
			f = &v6
		}
		f.additional = append(f.additional, i)
	}
	return [2]family{v4, v6}
}

// static says where a static address of the family stands; empty if nowhere.
func (f *family) static() string {
	switch {
	case f.address != "":
		return f.name + ".address"
	case len(f.additional) > 0:
		return indexed("additional_ips", f.additional[0])
	}
	return ""
}

// isIPv6Text tells the family of an address that may be unreadable.
func isIPv6Text(s string) bool { return strings.Contains(s, ":") }

// eachFamily calls visit for both families of every NIC but slaves, whose
// addressing is refused as such.
func (k *checker) eachFamily(visit func(n *nic, f *family)) {
	for _, n := range k.nics {
		if _, slave := k.masters[n.Name]; slave {
			continue
		}
		for i := range n.families {
			visit(n, &n.families[i])
		}
	}
}

func checkBootProtocol(k *checker) {
	for _, n := range k.nics {
		k.bootProtocol(n.at, "boot_protocol", n.BootProtocol, bootProtocols)
		k.bootProtocol(n.at, "ipv6_boot_protocol", n.IPv6BootProtocol, ipv6BootProtocols)
	}
}

func (k *checker) bootProtocol(at func(string) place, field string, p BootProtocol, allowed []BootProtocol) {
	if p == "" || slices.Contains(allowed, p) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	message := "there is no such boot protocol: choose one that is allowed"
	if p == BootAutoconf || p == BootPolyDHCPAutoconf || p == "dhcpv6" {
		message = string(p) + " is IPv6 only: give it as ipv6_boot_protocol"
	}
	k.refuse(at(field), Problem{Found: string(p), Allowed: joinWords(words, "or"), Message: message})
}

func checkIPv4Address(k *checker) {
	for _, n := range k.nics {
		if n.IP == nil || n.IP.Address == "" {
			continue
		}
		if fault := addressFault(n.IP.Address, false); fault != "" {
			k.refuse(n.at("ip.address"), Problem{Found: n.IP.Address, Allowed: "an IPv4 address such as 192.0.2.10", Message: fault})
		}
	}
}

func checkIPv6Address(k *checker) {
	for _, n := range k.nics {
		if n.IPv6 == nil || n.IPv6.Address == "" {
			continue
		}
		if fault := addressFault(n.IPv6.Address, true); fault != "" {
			k.refuse(n.at("ipv6.address"), Problem{Found: n.IPv6.Address, Allowed: "an IPv6 address such as 2001:db8::10", Message: fault})
		}
	}
}

// addressFault says why the text is not the static address of a host in the
// family; empty if it is.
func addressFault(s string, v6 bool) string {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return unreadable(s, v6)
	case a.Is4() && v6:
		return "this is an IPv4 address: give it as ip.address"
	case a.Is6() && !v6:
		return "this is an IPv6 address: give it as ipv6.address"
	}
	if fault := unusable(a); fault != "" {
		return fault
	}
	if a.Is6() && a.IsLinkLocalUnicast() {
		return "a link-local address is made by the kernel and not configured: give a global or unique local one"
	}
	if a.Zone() != "" {
		return "a zone belongs to link-local addresses only: leave out the % and what follows"
	}
	return ""
}

// unusable says why neither a host nor a gateway can have the address. The kernel
// takes most of these.
func unusable(a netip.Addr) string {
	switch {
	case a.Is4In6():
		return "this is an IPv4 address written as IPv6, which no link carries: give the IPv4 address in the part for IPv4"
	case a.IsUnspecified():
		return "the address of all zeros means none: unset the field if none is meant"
	case a.IsLoopback():
		return "this is a loopback address, which never leaves the host: give one of the network"
	case a.IsMulticast():
		return "this is a multicast address, which stands for a group and not for a host: give a unicast one"
	case a.Is6():
		return ""
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "this is the broadcast address: give the address of a host"
	case a.As4()[0] == 0:
		return "addresses in 0.0.0.0/8 mean this network and no host: give the address of a host"
	case a.As4()[0] >= 240:
		return "addresses from 240.0.0.0 are reserved: give one of the network"
	}
	return ""
}

// unreadable says what an address that cannot be read was probably meant to be.
func unreadable(s string, v6 bool) string {
	if addr, mask, ok := strings.Cut(s, "/"); ok {
		field := "ip.netmask"
		if v6 {
			field = "ipv6.prefix"
		}
		return fmt.Sprintf("the prefix length stands in a field of its own: write %s here and %s in %s", addr, mask, field)
	}
	if plain, ok := withoutLeadingZeros(s); ok && !v6 {
		return fmt.Sprintf("leading zeros make some programs read octal numbers: write %s, if that is what is meant", plain)
	}
	if v6 {
		return "this is no IPv6 address: it has eight groups of hex digits, or fewer and one double colon"
	}
	return "this is no IPv4 address: it has four numbers from 0 to 255 with dots between them"
}

// withoutLeadingZeros is the dotted quad that s is but for leading zeros.
func withoutLeadingZeros(s string) (string, bool) {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		if parts[i] = strings.TrimLeft(p, "0"); parts[i] == "" && p != "" {
			parts[i] = "0"
		}
	}
	plain := strings.Join(parts, ".")
	a, err := netip.ParseAddr(plain)
	return plain, err == nil && a.Is4() && plain != s
}

func checkNetmask(k *checker) {
	for _, n := range k.nics {
		if n.IP == nil || n.IP.Netmask == "" && n.IP.Address == "" {
			continue
		}
		bits, err := ParseNetmask(n.IP.Netmask)
		fault := ""
		switch {
		case n.IP.Netmask == "" && strings.Contains(n.IP.Address, "/"):
			// What is wrong with the address has asked for the netmask already.
		case n.IP.Netmask == "":
			fault = "the address has no netmask: give ip.netmask"
		case err != nil:
			fault = "this is no netmask: " + netmaskHint(n.IP.Netmask, err)
		case bits == 0:
			fault = "a netmask of 0 would make the whole Internet a neighbor: give that of the subnet"
		}
		if fault != "" {
			k.refuse(n.at("ip.netmask"), Problem{Found: n.IP.Netmask, Allowed: "a mask such as 255.255.255.0, or a prefix length from 1 to 32", Message: fault})
		}
	}
}

func netmaskHint(s string, err error) string {
	if rest, ok := strings.CutPrefix(s, "/"); ok {
		return "write " + rest + " without the slash"
	}
	if plain, ok := withoutLeadingZeros(s); ok {
		return "write " + plain + " without leading zeros"
	}
	if isIPv6Text(s) {
		return "the prefix length of an IPv6 address is ipv6.prefix"
	}
	return err.Error()
}

func checkIPv6Prefix(k *checker) {
	for _, n := range k.nics {
		p := Problem{Allowed: "1 to 128"}
		switch {
		case n.IPv6 == nil:
		case n.IPv6.Prefix == nil && n.IPv6.Address != "" && !strings.Contains(n.IPv6.Address, "/"):
			p.Message = "the address has no prefix length: give ipv6.prefix, which is 64 on most networks"
		case n.IPv6.Prefix != nil && (*n.IPv6.Prefix < 1 || *n.IPv6.Prefix > 128):
			p.Found, p.Message = strconv.Itoa(*n.IPv6.Prefix), "this is no prefix length of an IPv6 subnet: 64 is usual"
		}
		if p.Message != "" {
			k.refuse(n.at("ipv6.prefix"), p)
		}
	}
}

func checkAdditionalIPs(k *checker) {
	for _, n := range k.nics {
		for i, s := range n.AdditionalIPs {
			if fault := prefixFault(s); fault != "" {
				k.refuse(n.at(indexed("additional_ips", i)), Problem{Found: s, Allowed: "an address with prefix length such as 192.0.2.11/24", Message: fault})
			}
		}
	}
}

func prefixFault(s string) string {
	addr, bits, ok := strings.Cut(s, "/")
	if fault := addressFault(addr, isIPv6Text(addr)); fault != "" {
		return fault
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case !ok:
		return "the address has no prefix length: write it behind the address, as in 192.0.2.11/24 or 2001:db8::11/64"
	case err != nil && strings.Contains(bits, "."):
		return "the prefix length is a number here, not a mask: write 24 for 255.255.255.0"
	case err != nil:
		return "this is no prefix length: it is a number from 1 to 32, or to 128 for IPv6"
	case p.Bits() == 0:
		return "a prefix length of 0 would make the whole Internet a neighbor: give that of the subnet"
	}
	return ""
}

func checkIPv4Host(k *checker) {
	for _, p := range k.static {
		what := subnetEdge(p.prefix, p.prefix.Addr())
		if what == "" {
			continue
		}
		k.refuse(p.at(p.field), Problem{Found: p.prefix.Addr().String(), Allowed: "an address inside " + p.prefix.Masked().String(),
			Message: fmt.Sprintf("this is the %s address of %s and not that of a host: choose another, or correct the netmask", what, p.prefix.Masked())})
	}
}

// subnetEdge says whether an address is the network or the broadcast address of
// an IPv4 subnet. A /31 has neither (RFC 3021), nor has a /32.
func subnetEdge(p netip.Prefix, a netip.Addr) string {
	if !a.Is4() || !p.Addr().Is4() || p.Bits() == 0 || p.Bits() >= 31 || !p.Contains(a) {
		return ""
	}
	host := ^uint32(0) >> p.Bits()
	switch number(a) & host {
	case 0:
		return "network"
	case host:
		return "broadcast"
	}
	return ""
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
