package kernel

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// nextHopID is RTA_NH_ID of include/uapi/linux/rtnetlink.h.
const nextHopID = 30

// nextHopFlags are the RTNH_F_* flags of a route; above them are RTM_F_* flags.
const nextHopFlags = 0xff

// decodeRoute reads the body of an RTM_NEWROUTE message (fib_dump_info in
// net/ipv4/fib_semantics.c, rt6_fill_node in net/ipv6/route.c). It is not ok for
// what is no route of the agent's world: other families, entries of the cache, and
// the table local, which the kernel keeps by itself.
func decodeRoute(body []byte) (r state.Route, ok bool, err error) {
	if len(body) < unix.SizeofRtMsg {
		return state.Route{}, false, errTorn
	}
	family, bits := body[0], int(body[1])
	flags := u32(body[8:])
	if family != unix.AF_INET && family != unix.AF_INET6 || flags&unix.RTM_F_CLONED != 0 || body[4] == unix.RT_TABLE_LOCAL {
		return state.Route{}, false, nil
	}
	r = state.Route{
		Table:    int(body[4]),
		Protocol: body[5],
		Scope:    body[6],
		Type:     body[7],
		Flags:    flags & nextHopFlags,
	}
	dst := netip.IPv4Unspecified()
	if family == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	plain := body[2] == 0 && body[3] == 0 // rtm_src_len, rtm_tos
	for t, v := range attributes(body[unix.SizeofRtMsg:]) {
		if t == unix.RTA_DST {
			dst = ipAddress(v)
		} else if !routeAttribute(&r, t, v) {
			plain = false
		}
	}
	if dst.Is4() != (family == unix.AF_INET) || !dst.IsValid() || bits > dst.BitLen() {
		return state.Route{}, false, errTorn
	}
	r.Dst = netip.PrefixFrom(dst, bits)
	if !plain {
		r.Raw = slices.Clone(body)
	}
	return r, true, nil
}

// routeAttribute takes one attribute into the route. It is false for one that says
// more than the fields of the route can hold.
func routeAttribute(r *state.Route, t uint16, v []byte) bool {
	switch t {
	case unix.RTA_TABLE: // rtm_table has 8 bits only
		r.Table = int(u32(v))
	case unix.RTA_GATEWAY:
		r.Gateway = ipAddress(v)
	case unix.RTA_VIA: // a gateway of the other family, behind its family
		if len(v) < 2 {
			return false
		}
		r.Gateway = ipAddress(v[2:])
	case unix.RTA_OIF:
		r.Link = int(u32(v))
	case unix.RTA_PREFSRC:
		r.Source = ipAddress(v)
	case unix.RTA_PRIORITY:
		r.Metric = u32(v)
	case unix.RTA_CACHEINFO: // of IPv6 always; rta_expires is set while it lives on loan
		return len(v) < 12 || u32(v[8:]) == 0
	case unix.RTA_PREF: // of IPv6 always; 0 is medium
		return u8(v) == 0
	default:
		return false
	}
	return true
}
