package kernel

import (
	"bytes"
	"encoding/binary"
	"iter"
	"net"
	"net/netip"
)

// Attributes are what a netlink message consists of behind its fixed header:
// struct nlattr of include/uapi/linux/netlink.h, a length and a type of 16 bits
// each in the machine's byte order, then the value, filled up to 4 bytes.
const (
	attrHeader = 4
	// attrFlags are NLA_F_NESTED and NLA_F_NET_BYTEORDER.
	attrFlags  = 0xc000
	attrNested = 0x8000
)

func align(n int) int { return (n + 3) &^ 3 }

// attributes walks over the attributes in b and stops at the first that does not
// fit. The values are parts of b.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= attrHeader {
			n := int(binary.NativeEndian.Uint16(b))
			if n < attrHeader || n > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&^attrFlags, b[attrHeader:n:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// attribute is the value of the first attribute of that type; nil if there is none.
func attribute(b []byte, typ uint16) []byte {
	for t, v := range attributes(b) {
		if t == typ {
			return v
		}
	}
	return nil
}

// The readers take what is shorter than it should be for zero: no message of the
// kernel, present or future, may stop the agent.

func u8(v []byte) uint8 {
	if len(v) < 1 {
		return 0
	}
	return v[0]
}

func u16(v []byte) uint16 {
	if len(v) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(v)
}

func u32(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}

func u64(v []byte) uint64 {
	if len(v) < 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(v)
}

// bigEndian16 is for the few numbers that travel in network order.
func bigEndian16(v []byte) uint16 {
	if len(v) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(v)
}

// ipAddress is an address of 4 or 16 bytes; zero for anything else.
func ipAddress(v []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(v)
	return a
}

// text is a value with or without the NUL at its end.
func text(v []byte) string {
	s, _, _ := bytes.Cut(v, []byte{0})
	return string(s)
}

// hardwareAddress is empty for an address of zeros only, such as that of lo.
func hardwareAddress(v []byte) string {
	if len(bytes.Trim(v, "\x00")) == 0 {
		return ""
	}
	return net.HardwareAddr(v).String()
}

// The writers append one attribute.

func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attrHeader+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	return appendPadded(b, value)
}

func appendPadded(b, value []byte) []byte {
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

func appendU8(b []byte, typ uint16, v uint8) []byte { return appendAttr(b, typ, []byte{v}) }

func appendU16(b []byte, typ, v uint16) []byte {
	return appendAttr(b, typ, binary.NativeEndian.AppendUint16(nil, v))
}

func appendU32(b []byte, typ uint16, v uint32) []byte {
	return appendAttr(b, typ, binary.NativeEndian.AppendUint32(nil, v))
}

func appendText(b []byte, typ uint16, s string) []byte {
	return appendAttr(b, typ, append([]byte(s), 0))
}

// appendNested appends an attribute whose value is what fill appends.
func appendNested(b []byte, typ uint16, fill func([]byte) []byte) []byte {
	start := len(b)
	b = fill(append(b, 0, 0, 0, 0))
	binary.NativeEndian.PutUint16(b[start:], uint16(len(b)-start))
	binary.NativeEndian.PutUint16(b[start+2:], typ)
	return b
}
