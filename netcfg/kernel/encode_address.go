package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// wishFlags are the address flags that somebody may ask for; the others are the
// kernel's answers: IFA_F_NODAD, _OPTIMISTIC, _HOMEADDRESS, _MANAGETEMPADDR,
// _NOPREFIXROUTE and _MCAUTOJOIN of include/uapi/linux/if_addr.h.
const wishFlags = 0x02 | 0x04 | 0x10 | 0x100 | 0x200 | 0x400

// appendAddress appends struct ifaddrmsg and the attributes that tell which address
// is meant and, if whole, all that it is to have. Like `ip addr add`, an address
// gets no broadcast address unless it brings one.
func appendAddress(b []byte, link int, a state.Address, whole bool) []byte {
	family := uint8(unix.AF_INET)
	if a.Prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	b = append(b, family, uint8(a.Prefix.Bits()), 0, uint8(a.Scope))
	b = binary.NativeEndian.AppendUint32(b, uint32(link))
	other := a.Prefix.Addr()
	if a.Peer.IsValid() {
		other = a.Peer
	}
	b = appendAttr(b, unix.IFA_LOCAL, a.Prefix.Addr().AsSlice())
	b = appendAttr(b, unix.IFA_ADDRESS, other.AsSlice())
	if !whole {
		return b
	}
	if a.Broadcast.IsValid() {
		b = appendAttr(b, unix.IFA_BROADCAST, a.Broadcast.AsSlice())
	}
	if a.Label != "" && family == unix.AF_INET {
		b = appendText(b, unix.IFA_LABEL, a.Label)
	}
	if f := a.Flags & wishFlags; f != 0 {
		b = appendU32(b, unix.IFA_FLAGS, f)
	}
	if a.Metric != 0 {
		b = appendU32(b, unix.IFA_RT_PRIORITY, a.Metric)
	}
	if a.Proto != 0 { // kernels before 5.18 do not look at it
		b = appendU8(b, ifaProto, a.Proto)
	}
	if finite(a) {
		info := binary.NativeEndian.AppendUint32(nil, a.Preferred)
		info = binary.NativeEndian.AppendUint32(info, a.Valid)
		b = appendAttr(b, unix.IFA_CACHEINFO, append(info, make([]byte, 8)...))
	}
	return b
}

// finite is true of an address on loan. A lifetime of 0, which the kernel refuses,
// is one that nobody has set.
func finite(a state.Address) bool { return a.Valid != 0 && a.Valid != state.Forever }
