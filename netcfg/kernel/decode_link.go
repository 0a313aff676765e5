package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// operStates are the words of RFC 2863 as /sys/class/net/*/operstate has them, by
// IF_OPER_* number (include/uapi/linux/if.h).
var operStates = []string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}

// stacked are the kinds of which IFLA_LINK is the link below. Of a veth it is the
// other end, of a tunnel the link that it was bound to.
var stacked = map[string]bool{
	"vlan": true, "macvlan": true, "macvtap": true, "ipvlan": true, "ipvtap": true, "macsec": true,
}

const (
	ethVLAN     = 0x8100 // ETH_P_8021Q
	genModeNone = 1      // IN6_ADDR_GEN_MODE_NONE, include/uapi/linux/if_link.h
	raOtherConf = 0x80   // IF_RA_OTHERCONF, include/net/if_inet6.h
	genModeEUI  = 0      // IN6_ADDR_GEN_MODE_EUI64
)

// decodeLink reads the body of an RTM_NEWLINK message (rtnl_fill_ifinfo in
// net/core/rtnetlink.c). The index of a bond's primary slave comes beside the
// link, whose options want its name.
func decodeLink(body []byte) (l state.Link, primary int, err error) {
	if len(body) < unix.SizeofIfInfomsg {
		return state.Link{}, 0, errTorn
	}
	flags := u32(body[8:])
	l = state.Link{
		Type:      int(u16(body[2:])),
		Index:     int(int32(u32(body[4:]))),
		AdminUp:   flags&unix.IFF_UP != 0,
		Carrier:   flags&unix.IFF_LOWER_UP != 0,
		OperState: operStates[0],
	}
	var below int
	var foreign bool
	var info []byte
	for t, v := range attributes(body[unix.SizeofIfInfomsg:]) {
		switch t {
		case unix.IFLA_LINK:
			below = int(u32(v))
		case unix.IFLA_LINK_NETNSID:
			foreign = true // what IFLA_LINK says is an index of another namespace
		case unix.IFLA_LINKINFO:
			info = v
		default:
			linkAttribute(&l, t, v)
		}
	}
	primary = decodeLinkInfo(&l, info)
	if stacked[l.Kind] && !foreign {
		l.Parent = below
	}
	if l.Kind != "" {
		// A VLAN takes over the permanent address of what it sits on
		// (register_netdevice in net/core/dev.c), though it is no hardware.
		l.PermMAC, l.BusPath = "", ""
	}
	return l, primary, nil
}

func linkAttribute(l *state.Link, t uint16, v []byte) {
	switch t {
	case unix.IFLA_IFNAME:
		l.Name = text(v)
	case unix.IFLA_ADDRESS:
		l.MAC = hardwareAddress(v)
	case unix.IFLA_PERM_ADDRESS:
		l.PermMAC = hardwareAddress(v)
	case unix.IFLA_MTU:
		l.MTU = int(u32(v))
	case unix.IFLA_MIN_MTU:
		l.MinMTU = int(u32(v))
	case unix.IFLA_MAX_MTU:
		l.MaxMTU = int(u32(v))
	case unix.IFLA_OPERSTATE:
		if n := int(u8(v)); n < len(operStates) {
			l.OperState = operStates[n]
		}
	case unix.IFLA_MASTER:
		l.Master = int(u32(v))
	case unix.IFLA_GROUP:
		l.Group = u32(v)
	case unix.IFLA_PARENT_DEV_NAME:
		l.BusPath = text(v)
	case unix.IFLA_CARRIER_UP_COUNT:
		l.CarrierUps = u32(v)
	case unix.IFLA_CARRIER_DOWN_COUNT:
		l.CarrierDowns = u32(v)
	case unix.IFLA_STATS64:
		l.Counters = decodeCounters(v)
	case unix.IFLA_AF_SPEC:
		ipv6 := attribute(v, unix.AF_INET6)
		l.AddrGenModeNone = u8(attribute(ipv6, unix.IFLA_INET6_ADDR_GEN_MODE)) == genModeNone
		l.RAOther = u32(attribute(ipv6, unix.IFLA_INET6_FLAGS))&raOtherConf != 0
		l.Discovery = decodeDiscovery(attribute(ipv6, unix.IFLA_INET6_CONF))
	}
}

// decodeLinkInfo reads IFLA_LINKINFO: what the link is, and what it is to its
// master.
func decodeLinkInfo(l *state.Link, info []byte) (primary int) {
	l.Kind = text(attribute(info, unix.IFLA_INFO_KIND))
	data := attribute(info, unix.IFLA_INFO_DATA)
	switch l.Kind {
	case "bond":
		l.Bond, primary = decodeBond(data)
	case "vlan":
		// The ids of 802.1ad are of another world than the agent's.
		if p := attribute(data, unix.IFLA_VLAN_PROTOCOL); p == nil || bigEndian16(p) == ethVLAN {
			l.VLANID = int(u16(attribute(data, unix.IFLA_VLAN_ID)))
		}
	}
	if text(attribute(info, unix.IFLA_INFO_SLAVE_KIND)) == "bond" {
		l.Slave = decodeSlave(attribute(info, unix.IFLA_INFO_SLAVE_DATA))
	}
	return primary
}

// decodeCounters reads struct rtnl_link_stats64 of include/uapi/linux/if_link.h,
// which is 64-bit numbers all through and grows at its end.
func decodeCounters(v []byte) *state.Counters {
	at := func(i int) uint64 {
		if len(v) < 8*(i+1) {
			return 0
		}
		return u64(v[8*i:])
	}
	return &state.Counters{
		RxPackets: at(0), TxPackets: at(1),
		RxBytes: at(2), TxBytes: at(3),
		RxErrors: at(4), TxErrors: at(5),
		RxDropped: at(6), TxDropped: at(7),
		Multicast: at(8),
	}
}
