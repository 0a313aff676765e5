package lldp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

// Types of TLVs (IEEE 802.1AB-2016, table 8-1).
const (
	tlvEnd             = 0
	tlvChassis         = 1
	tlvPort            = 2
	tlvTTL             = 3
	tlvPortDescription = 4
	tlvSystemName      = 5
	tlvSystemText      = 6
	tlvCapabilities    = 7
	tlvManagement      = 8
	tlvOrganization    = 127
)

// Organizations, and the types of theirs that are read (IEEE 802.1Q, annex D; IEEE
// 802.3, clause 79).
const (
	oui8021         = 0x0080c2
	oui8023         = 0x00120f
	q1PVID          = 1
	q1VLANName      = 3
	q1Aggregation   = 7
	q3Aggregation   = 3
	q3MaxFrame      = 4
	mostVLANs       = 128
	mostManagements = 8
)

// errMalformed says that a frame is to be thrown away as a whole.
var errMalformed = errors.New("not an LLDP frame")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// Parse reads an LLDPDU: what follows the Ethernet header. A TTL of zero says that the
// neighbour takes its leave. A TLV behind the first three that is wrong in itself is left
// out, and the rest is read (IEEE 802.1AB-2016, 9.2.7.7).
func Parse(pdu []byte) (Neighbour, error) {
	var n Neighbour
	for i := 0; len(pdu) > 0; i++ {
		if len(pdu) < 2 {
			return Neighbour{}, malformed("it ends in the middle of a TLV")
		}
		header := binary.BigEndian.Uint16(pdu)
		kind, size := int(header>>9), int(header&0x1ff)
		if size > len(pdu)-2 {
			return Neighbour{}, malformed("TLV %d has %d bytes, and %d are there", kind, size, len(pdu)-2)
		}
		value := pdu[2 : 2+size]
		pdu = pdu[2+size:]
		if i < 3 || kind >= tlvChassis && kind <= tlvTTL {
			if err := n.mandatory(i, kind, value); err != nil {
				return Neighbour{}, err
			}
			if kind == tlvTTL && n.TTL == 0 {
				return n, nil // what follows is not looked at
			}
			continue
		}
		if kind == tlvEnd {
			break // padding follows
		}
		n.optional(kind, value)
	}
	if n.Chassis.Kind == "" || n.Port.Kind == "" || !n.lives {
		return Neighbour{}, malformed("chassis, port and TTL are not all there")
	}
	return n, nil
}

// mandatory reads the i-th TLV, where chassis, port and TTL stand once each, in this order.
func (n *Neighbour) mandatory(i, kind int, value []byte) error {
	if kind != i+1 {
		return malformed("TLV %d is the %d. one", kind, i+1)
	}
	switch kind {
	case tlvChassis:
		return n.Chassis.read(value, chassisKinds, 4, 5)
	case tlvPort:
		return n.Port.read(value, portKinds, 3, 4)
	}
	if len(value) < 2 {
		return malformed("the TTL has %d bytes", len(value))
	}
	n.TTL, n.lives = time.Duration(binary.BigEndian.Uint16(value))*time.Second, true
	return nil
}

// The kinds of chassis and port ids, by number (tables 8-2 and 8-3). Reserved ones have
// none.
var (
	chassisKinds = [...]string{1: "component", 2: "interface-alias", 3: "port-component", 4: "mac", 5: "address", 6: "interface-name", 7: "local"}
	portKinds    = [...]string{1: "interface-alias", 2: "port-component", 3: "mac", 4: "address", 5: "interface-name", 6: "circuit", 7: "local"}
)

func (id *ID) read(value []byte, kinds [8]string, mac, address int) error {
	if len(value) < 2 || len(value) > 256 {
		return malformed("an id has %d bytes", len(value))
	}
	kind, rest := int(value[0]), value[1:]
	id.Kind = "reserved"
	if kind < len(kinds) && kinds[kind] != "" {
		id.Kind = kinds[kind]
	}
	switch {
	case kind == mac && len(rest) == 6:
		id.Value = net.HardwareAddr(rest).String()
	case kind == address:
		id.Value = addressText(rest)
	case printable(rest) && text(rest) != "":
		id.Value = text(rest)
	default:
		id.Value = fmt.Sprintf("%x", rest)
	}
	return nil
}

// addressText is an address behind its IANA family number.
func addressText(b []byte) string {
	if len(b) > 1 {
		switch ip, ok := netip.AddrFromSlice(b[1:]); {
		case ok && b[0] == 1 && ip.Is4(), ok && b[0] == 2 && ip.Is6():
			return ip.String()
		case b[0] == 6 && len(b) == 7:
			return net.HardwareAddr(b[1:]).String()
		}
	}
	return fmt.Sprintf("%x", b)
}

// printable is false of what is no text.
func printable(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != 0 || c == 0x7f {
			return false
		}
	}
	return true
}

// text is what somebody on the other end of the cable has written. Some end it with a
// zero, as C does.
func text(b []byte) string {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return netcfg.Printable(string(b))
}

// optional reads a TLV that may be there or not, and leaves out one that is wrong, or
// that stands there for a second time.
func (n *Neighbour) optional(kind int, value []byte) {
	once := func(to *string) {
		if *to == "" && len(value) <= 255 {
			*to = text(value)
		}
	}
	switch kind {
	case tlvPortDescription:
		once(&n.PortDescription)
	case tlvSystemName:
		once(&n.SystemName)
	case tlvSystemText:
		once(&n.SystemDescription)
	case tlvCapabilities:
		if len(value) == 4 && n.Capabilities == nil {
			n.Capabilities, n.Enabled = capabilities(binary.BigEndian.Uint16(value)), capabilities(binary.BigEndian.Uint16(value[2:]))
		}
	case tlvManagement:
		n.management(value)
	case tlvOrganization:
		if len(value) >= 4 {
			n.organization(int(value[0])<<16|int(value[1])<<8|int(value[2]), int(value[3]), value[4:])
		}
	}
}

// capabilityNames are by bit (table 8-4).
var capabilityNames = [...]string{"other", "repeater", "bridge", "wlan-access-point", "router", "telephone", "docsis", "station", "c-vlan", "s-vlan", "two-port-mac-relay"}

func capabilities(bits uint16) []string {
	out := []string{}
	for i, name := range capabilityNames {
		if bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// management reads an address (8.5.9): its length with the family, the family, the
// address, and then what numbers an interface.
func (n *Neighbour) management(value []byte) {
	if len(value) < 9 || len(n.Management) >= mostManagements {
		return
	}
	size := int(value[0])
	if size < 2 || size > 32 || len(value) < 1+size+6 {
		return
	}
	n.Management = append(n.Management, addressText(value[1:1+size]))
}

func (n *Neighbour) organization(oui, kind int, value []byte) {
	switch {
	case oui == oui8021 && kind == q1PVID && len(value) == 2:
		if id := int(binary.BigEndian.Uint16(value)); id != 0 { // none is configured
			n.PVID = &id
		}
	case oui == oui8021 && kind == q1VLANName && len(value) >= 3 && int(value[2]) <= 32 && len(value) == 3+int(value[2]) && len(n.VLANs) < mostVLANs:
		n.VLANs = append(n.VLANs, VLAN{ID: int(binary.BigEndian.Uint16(value) & 0xfff), Name: text(value[3:])})
	case (oui == oui8021 && kind == q1Aggregation || oui == oui8023 && kind == q3Aggregation) && len(value) == 5:
		n.Aggregation = &Aggregation{Capable: value[0]&1 != 0, Enabled: value[0]&2 != 0, Port: binary.BigEndian.Uint32(value[1:])}
	case oui == oui8023 && kind == q3MaxFrame && len(value) == 2:
		n.MaxFrame = int(binary.BigEndian.Uint16(value))
	}
}
