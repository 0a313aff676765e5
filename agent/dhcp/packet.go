package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

const (
	clientPort, serverPort = 68, 67
	ipHeader, udpHeader    = 20, 8
	protocolUDP            = 17
	// fragmented are the bit "more fragments" and the offset.
	fragmented = 0x3fff
)

// ErrMalformed is what every packet that is dropped for its form is.
var ErrMalformed = errors.New("malformed")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, a...))
}

// parseUDP takes an IPv4 packet apart that a packet socket gave us, and with which
// nobody has dealt yet: kernel and NIC have checked nothing of it. The payload is a
// part of b. partial says that the sender is on this machine and has left the UDP
// checksum to a NIC that there is none of (TP_STATUS_CSUMNOTREADY).
func parseUDP(b []byte, partial bool) (payload []byte, from netip.Addr, err error) {
	if len(b) < ipHeader || b[0]>>4 != 4 {
		return nil, from, malformed("no IPv4 header")
	}
	header := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case header < ipHeader:
		return nil, from, malformed("an IPv4 header of %d bytes", header)
	case total < header+udpHeader || total > len(b):
		return nil, from, malformed("an IPv4 packet of %d bytes, %d received", total, len(b))
	case binary.BigEndian.Uint16(b[6:])&fragmented != 0:
		return nil, from, malformed("a fragment")
	case b[9] != protocolUDP:
		return nil, from, malformed("IP protocol %d", b[9])
	case checksum(b[:header]) != 0:
		return nil, from, malformed("the IPv4 checksum does not match")
	}
	from = netip.AddrFrom4([4]byte(b[12:]))
	u := b[header:total] // anything behind it is Ethernet's padding
	length := int(binary.BigEndian.Uint16(u[4:]))
	switch {
	case length < udpHeader || length > len(u):
		return nil, from, malformed("a UDP length of %d in %d bytes", length, len(u))
	case binary.BigEndian.Uint16(u[2:]) != clientPort:
		return nil, from, malformed("UDP port %d", binary.BigEndian.Uint16(u[2:]))
	}
	u = u[:length]
	if binary.BigEndian.Uint16(u[6:]) != 0 && !partial && checksum(pseudoHeader(b, length), u) != 0 {
		return nil, from, malformed("the UDP checksum does not match")
	}
	return u[udpHeader:], from, nil
}

// pseudoHeader is what RFC 768 has the checksum of UDP begin with.
func pseudoHeader(ip []byte, length int) []byte {
	p := make([]byte, 0, 12)
	p = append(p, ip[12:20]...)
	p = append(p, 0, protocolUDP)
	return binary.BigEndian.AppendUint16(p, uint16(length))
}

// checksum is RFC 1071 over the parts, of which all but the last have an even
// length. It is 0 where the checksum is inside and right.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint32(b[0])<<8 | uint32(b[1])
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// buildUDP puts IPv4 and UDP headers before a DHCP message from a client to a
// server.
func buildUDP(payload []byte, from, to netip.Addr) []byte {
	length := udpHeader + len(payload)
	b := make([]byte, ipHeader, ipHeader+length)
	b[0], b[8], b[9] = 4<<4|ipHeader/4, 64, protocolUDP
	binary.BigEndian.PutUint16(b[2:], uint16(ipHeader+length))
	src, dst := from.As4(), to.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	b = binary.BigEndian.AppendUint16(b, clientPort)
	b = binary.BigEndian.AppendUint16(b, serverPort)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0)
	b = append(b, payload...)
	sum := checksum(pseudoHeader(b, length), b[ipHeader:])
	if sum == 0 {
		sum = 0xffff // RFC 768: 0 says that there is none
	}
	binary.BigEndian.PutUint16(b[ipHeader+6:], sum)
	return b
}
