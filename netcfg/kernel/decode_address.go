package kernel

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// ifaProto is IFA_PROTO of include/uapi/linux/if_addr.h, Linux 5.18.
const ifaProto = 11

// decodeAddress reads the body of an RTM_NEWADDR message (inet_fill_ifaddr in
// net/ipv4/devinet.c, inet6_fill_ifaddr in net/ipv6/addrconf.c). It is not ok for
// other families, which some kernels dump along.
func decodeAddress(body []byte) (a state.Address, ok bool, err error) {
	if len(body) < unix.SizeofIfAddrmsg {
		return state.Address{}, false, errTorn
	}
	family, bits := body[0], int(body[1])
	if family != unix.AF_INET && family != unix.AF_INET6 {
		return state.Address{}, false, nil
	}
	a = state.Address{
		Link:  int(u32(body[4:])),
		Flags: uint32(body[2]),
		Scope: int(body[3]),
		Valid: state.Forever, Preferred: state.Forever,
	}
	var local, address netip.Addr
	for t, v := range attributes(body[unix.SizeofIfAddrmsg:]) {
		switch t {
		case unix.IFA_LOCAL:
			local = ipAddress(v)
		case unix.IFA_ADDRESS:
			address = ipAddress(v)
		case unix.IFA_BROADCAST:
			a.Broadcast = ipAddress(v)
		case unix.IFA_LABEL:
			a.Label = text(v)
		case unix.IFA_FLAGS:
			a.Flags = u32(v)
		case unix.IFA_RT_PRIORITY:
			a.Metric = u32(v)
		case ifaProto:
			a.Proto = u8(v)
		case unix.IFA_CACHEINFO:
			if len(v) >= 8 { // struct ifa_cacheinfo
				a.Preferred, a.Valid = u32(v), u32(v[4:])
			}
		}
	}
	// IFA_ADDRESS is the other end where there is one; IPv6 gives IFA_LOCAL only
	// then.
	if !local.IsValid() {
		local = address
	}
	if address.IsValid() && address != local {
		a.Peer = address
	}
	if local.Is4() != (family == unix.AF_INET) || !local.IsValid() || bits > local.BitLen() {
		return state.Address{}, false, errTorn
	}
	a.Prefix = netip.PrefixFrom(local, bits)
	return a, true, nil
}
