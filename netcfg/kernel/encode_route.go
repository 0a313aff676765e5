package kernel

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// appendRoute appends the body of a route that is to be put there.
func appendRoute(b []byte, r state.Route) []byte {
	if r.Raw != nil {
		return appendRaw(b, r.Raw)
	}
	if r.Type == 0 {
		r.Type = unix.RTN_UNICAST
	}
	if onLink(r) {
		// As ip route add has it: what is reached without a gateway is on the link.
		r.Scope = unix.RT_SCOPE_LINK
	}
	return appendRouteAttrs(appendRtMsg(b, r, r.Flags&unix.RTNH_F_ONLINK), r)
}

// appendRouteKey appends the body that tells which route is to go. What is zero in
// the route stands for anything (fib_table_delete in net/ipv4/fib_trie.c): a metric
// of 0 too, but there the kernel begins with the lowest. What is raw is compared in
// all that it says.
func appendRouteKey(b []byte, r state.Route) []byte {
	if r.Raw != nil {
		return appendRaw(b, r.Raw)
	}
	if onLink(r) {
		r.Scope = unix.RT_SCOPE_NOWHERE // any
	}
	return appendRouteAttrs(appendRtMsg(b, r, 0), r)
}

// onLink is true of an IPv4 route of no stated scope that names a link only.
func onLink(r state.Route) bool {
	return r.Dst.Addr().Is4() && !r.Gateway.IsValid() && r.Scope == unix.RT_SCOPE_UNIVERSE && r.Type <= unix.RTN_UNICAST
}

// appendRtMsg appends struct rtmsg.
func appendRtMsg(b []byte, r state.Route, flags uint32) []byte {
	family := uint8(unix.AF_INET)
	if r.Dst.Addr().Is6() {
		family = unix.AF_INET6
	}
	table := uint8(unix.RT_TABLE_COMPAT)
	if r.Table <= 255 {
		table = uint8(r.Table)
	}
	b = append(b, family, uint8(r.Dst.Bits()), 0, 0, table, r.Protocol, r.Scope, r.Type)
	return binary.NativeEndian.AppendUint32(b, flags)
}

func appendRouteAttrs(b []byte, r state.Route) []byte {
	b = appendU32(b, unix.RTA_TABLE, uint32(r.Table))
	if r.Dst.Bits() > 0 {
		b = appendAttr(b, unix.RTA_DST, r.Dst.Masked().Addr().AsSlice())
	}
	if r.Gateway.IsValid() {
		b = appendGateway(b, r)
	}
	if r.Link != 0 {
		b = appendU32(b, unix.RTA_OIF, uint32(r.Link))
	}
	if r.Source.IsValid() {
		b = appendAttr(b, unix.RTA_PREFSRC, r.Source.AsSlice())
	}
	if r.Metric != 0 {
		b = appendU32(b, unix.RTA_PRIORITY, r.Metric)
	}
	return b
}

// appendGateway takes RTA_VIA for a gateway of the other family (struct rtvia).
func appendGateway(b []byte, r state.Route) []byte {
	if r.Gateway.Is4() == r.Dst.Addr().Is4() {
		return appendAttr(b, unix.RTA_GATEWAY, r.Gateway.AsSlice())
	}
	via := binary.NativeEndian.AppendUint16(nil, familyOf(r.Gateway))
	return appendAttr(b, unix.RTA_VIA, append(via, r.Gateway.AsSlice()...))
}

func familyOf(a netip.Addr) uint16 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// takenFlags are the flags of routes and next hops that the kernel takes; others,
// such as "dead", are its own and it refuses them (fib_create_info in
// net/ipv4/fib_semantics.c).
const takenFlags = unix.RTNH_F_ONLINK | unix.RTNH_F_PERVASIVE

// appendRaw appends a route as the kernel gave it, without what it says but does
// not take.
func appendRaw(b, raw []byte) []byte {
	if len(raw) < unix.SizeofRtMsg {
		return append(b, raw...)
	}
	start := len(b)
	b = append(b, raw[:unix.SizeofRtMsg]...)
	binary.NativeEndian.PutUint32(b[start+8:], u32(raw[8:])&takenFlags)
	attrs := raw[unix.SizeofRtMsg:]
	byID := attribute(attrs, nextHopID) != nil
	for t, v := range attributes(attrs) {
		switch t {
		case unix.RTA_CACHEINFO:
			b = appendExpiry(b, v)
		case unix.RTA_MULTIPATH, unix.RTA_OIF, unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_ENCAP, unix.RTA_ENCAP_TYPE:
			// Shown beside the id of the next hops, but refused beside it
			// (rtm_to_fib_config in net/ipv4/fib_frontend.c).
			if byID {
				continue
			}
			b = appendAttr(b, rawType(t), cleanHops(t, v))
		default:
			b = appendAttr(b, rawType(t), v)
		}
	}
	return b
}

// rawType is the type with the mark that nested attributes bear; the encapsulation
// is looked at strictly.
func rawType(t uint16) uint16 {
	switch t {
	case unix.RTA_METRICS, unix.RTA_ENCAP:
		return t | attrNested
	}
	return t
}

// userHZ is the unit of times in netlink, whatever the kernel's own.
const userHZ = 100

// appendExpiry turns what is left of a route's time, in ticks, into seconds.
func appendExpiry(b, cacheInfo []byte) []byte {
	if len(cacheInfo) < 12 {
		return b
	}
	if left := int32(u32(cacheInfo[8:])); left > 0 {
		return appendU32(b, unix.RTA_EXPIRES, uint32(left+userHZ-1)/userHZ)
	}
	return b
}

// cleanHops takes the kernel's own flags out of the next hops in RTA_MULTIPATH,
// which are struct rtnexthop, each followed by its attributes.
func cleanHops(t uint16, v []byte) []byte {
	if t != unix.RTA_MULTIPATH {
		return v
	}
	out := append([]byte(nil), v...)
	for hop := out; len(hop) >= unix.SizeofRtNexthop; {
		n := int(u16(hop))
		if n < unix.SizeofRtNexthop || n > len(hop) {
			break
		}
		hop[2] &= takenFlags // rtnh_flags
		hop = hop[min(align(n), len(hop)):]
	}
	return out
}
