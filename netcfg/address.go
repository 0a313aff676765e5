package netcfg

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ParseMAC reads a 48-bit hardware address in colon or dash form.
func ParseMAC(s string) (net.HardwareAddr, error) {
	m, err := net.ParseMAC(s)
	if err != nil || len(m) != 6 || len(s) != 17 {
		return nil, errors.New("want six bytes in hex, such as 52:54:00:12:34:56")
	}
	return m, nil
}

// ParseNetmask reads an IPv4 netmask, dotted or as a prefix length 0 to 32, and
// gives the prefix length.
func ParseNetmask(s string) (int, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return prefixLength(s)
	}
	b := a.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := bits.LeadingZeros32(^m)
	if m<<n != 0 {
		return 0, errors.New("the ones of a netmask must stand together at its left")
	}
	return n, nil
}

func prefixLength(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return 0, errors.New("want a dotted mask such as 255.255.255.0, or a prefix length such as 24")
	case n < 0 || n > 32 || strconv.Itoa(n) != s:
		return 0, errors.New("a prefix length is 0 to 32")
	}
	return n, nil
}

// Netmask is the dotted form of an IPv4 prefix length.
func Netmask(prefix int) string {
	return net.IP(net.CIDRMask(prefix, 32)).String()
}

// Prefix is the address with its prefix length; ok is false while either is
// missing or wrong.
func (i *IP) Prefix() (p netip.Prefix, ok bool) {
	if i == nil || i.Address == "" {
		return p, false
	}
	a, err := netip.ParseAddr(i.Address)
	if err != nil || !a.Is4() {
		return p, false
	}
	n, err := ParseNetmask(i.Netmask)
	if err != nil {
		return p, false
	}
	return netip.PrefixFrom(a, n), true
}

// AddressPrefix is the address with its prefix length; ok is false while either
// is missing or wrong.
func (i *IPv6) AddressPrefix() (p netip.Prefix, ok bool) {
	if i == nil || i.Address == "" || i.Prefix == nil {
		return p, false
	}
	a, err := netip.ParseAddr(i.Address)
	if err != nil || !a.Is6() || a.Zone() != "" || *i.Prefix < 0 || *i.Prefix > 128 {
		return p, false
	}
	return netip.PrefixFrom(a, *i.Prefix), true
}

// Addresses are the static addresses of the NIC in the order in which the
// kernel is to hold them, those that cannot be read left out.
func (n *HostNic) Addresses() []netip.Prefix {
	var out []netip.Prefix
	if p, ok := n.IP.Prefix(); ok && n.IPv4Boot() == BootStatic {
		out = append(out, p)
	}
	if p, ok := n.IPv6.AddressPrefix(); ok && n.IPv6Boot() == BootStatic {
		out = append(out, p)
	}
	for _, s := range n.AdditionalIPs {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// Gateways are the default gateways of the NIC, those that cannot be read left
// out.
func (n *HostNic) Gateways() []netip.Addr {
	var out []netip.Addr
	if n.IP != nil && n.IP.Gateway != "" {
		if a, err := netip.ParseAddr(n.IP.Gateway); err == nil && a.Is4() {
			out = append(out, a)
		}
	}
	if n.IPv6 != nil && n.IPv6.Gateway != "" {
		if a, err := netip.ParseAddr(n.IPv6.Gateway); err == nil && a.Is6() {
			out = append(out, a)
		}
	}
	return out
}

// IDLength is the length of what NicID gives. No name of a link is as long.
const IDLength = 36

// NicID is the stable id of a NIC: a name-based UUID (RFC 9562 §5.5) within the
// host's own. The key is "mac:" with the permanent MAC, "bus:" with the bus path,
// or "name:" with the name of a link that has neither.
func NicID(hostID, key string) string {
	space, err := hex.DecodeString(strings.ReplaceAll(hostID, "-", ""))
	if err != nil || len(space) != 16 {
		space = []byte(hostID)
	}
	h := sha1.New()
	h.Write(space)
	h.Write([]byte(key))
	var u [16]byte
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:])
}
