package dhcp

import (
	"encoding/binary"
	"net/netip"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

// MAC is an Ethernet address.
type MAC = drive.MAC

var broadcastMAC = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ARP is an ARP packet for IPv4 on Ethernet (RFC 826): a request or a reply, which
// to duplicate address detection is nearly the same.
type ARP struct {
	Reply              bool
	Sender             MAC
	SenderIP, TargetIP netip.Addr
}

// arpLength is that of ARP for IPv4 on Ethernet; largestARP leaves room for padding.
const arpLength, largestARP = 28, 64

// parseARP reads an ARP packet. What is not for IPv4 on Ethernet is malformed here.
func parseARP(b []byte) (ARP, error) {
	if len(b) < arpLength {
		return ARP{}, malformed("an ARP packet of %d bytes", len(b))
	}
	op := binary.BigEndian.Uint16(b[6:])
	if [6]byte(b) != [6]byte{0, 1, 8, 0, 6, 4} || op != 1 && op != 2 {
		return ARP{}, malformed("an ARP packet that is not about IPv4 on Ethernet")
	}
	a := ARP{
		Reply: op == 2, Sender: MAC(b[8:]),
		SenderIP: netip.AddrFrom4([4]byte(b[14:])), TargetIP: netip.AddrFrom4([4]byte(b[24:])),
	}
	if a.Sender[0]&1 != 0 || a.Sender == (MAC{}) {
		return ARP{}, malformed("an ARP packet from %s", a.Sender)
	}
	return a, nil
}

// build makes a request, which probes (RFC 5227 §2.1.1) and announcements (§2.3)
// are.
func (a ARP) build() []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	sender, target := a.SenderIP.As4(), a.TargetIP.As4()
	b = append(b, a.Sender[:]...)
	b = append(b, sender[:]...)
	b = append(b, make([]byte, 6)...)
	return append(b, target[:]...)
}
