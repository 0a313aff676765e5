package state

import "net/netip"

// Snapshot is one consistent look at a network namespace.
type Snapshot struct {
	// Links in the order of their index.
	Links []Link
	// Addresses in the kernel's order within each link, which for IPv4 tells
	// primary from secondary addresses.
	Addresses []Address
	// Routes of all tables but local, in the kernel's order.
	Routes []Route
	// Resolver is where DNS servers are told; nil where nobody has looked.
	Resolver *Resolver
}

// Link is one network interface.
type Link struct {
	// Index is the kernel's ifindex, from 1.
	Index int
	Name  string
	// Kind is IFLA_INFO_KIND: bond, vlan, veth, bridge, tun …; empty for a
	// hardware NIC, and for lo.
	Kind string
	// Type is the ARPHRD type; 1 is Ethernet, 772 loopback.
	Type int
	// MAC is the current, PermMAC the permanent hardware address, in lower-case
	// colon form; empty where the link has none. A virtual link has no PermMAC.
	MAC, PermMAC string
	// MTU in bytes, with the range that the driver takes; 0 is unknown.
	MTU, MinMTU, MaxMTU int
	// AdminUp is IFF_UP, what the administrator asked for.
	AdminUp bool
	// OperState is the word of RFC 2863 as the kernel spells it: up, down,
	// lowerlayerdown, dormant, testing, notpresent, unknown.
	OperState string
	// Carrier is IFF_LOWER_UP.
	Carrier bool
	// Master is the index of the bond or bridge above, 0 if none; Parent is the
	// index of the link below a VLAN, 0 if none. A veth's peer is not a parent.
	Master, Parent int
	// Group is the kernel's link group, 0 unless somebody chose one.
	Group uint32
	// VLANID is set on VLANs only.
	VLANID int
	// AddrGenModeNone is true where the kernel makes no link-local IPv6 address.
	AddrGenModeNone bool
	// RAOther is true where a router has advertised that DHCPv6 has more to tell than
	// addresses (the O flag, RFC 4861 §4.2).
	RAOther bool
	// Discovery is what the kernel makes of router advertisements; zero where it has no
	// IPv6 on the link.
	Discovery Discovery
	// Bond is set on bonds, Slave on the slaves of a bond.
	Bond  *Bond
	Slave *Slave
	// Speed in bits per second, Duplex full or half; nil and empty are unknown.
	Speed  *int64
	Duplex string
	// Autoneg is whether the NIC agrees on its speed with the other end; nil is unknown.
	Autoneg *bool
	// BusPath is where the hardware sits (0000:03:00.0), Driver and Firmware what
	// drives it; empty where there is none or nobody asked.
	BusPath, Driver, Firmware string
	// Counters are the 64-bit totals since the link was made; nil when the look
	// left them out.
	Counters *Counters
	// CarrierUps and CarrierDowns count the carrier's changes.
	CarrierUps, CarrierDowns uint32
}

// Bond is what the kernel tells of a bond.
type Bond struct {
	// Options by kernel name, in the canonical form of netcfg.BondOptions. Options
	// that this kernel does not have or does not tell in this mode are absent.
	Options map[string]string
	// ActiveSlave is an index, 0 if the mode has none or no slave is active.
	ActiveSlave int
	// AD is set in mode 802.3ad once an aggregator is active.
	AD *AggregatorInfo
}

// AggregatorInfo is IFLA_BOND_AD_INFO.
type AggregatorInfo struct {
	ID, NumPorts, ActorKey, PartnerKey int
	// PartnerMAC is 00:00:00:00:00:00 while nobody speaks LACP at the other end.
	PartnerMAC string
}

// Slave is what the kernel tells of a bond's slave.
type Slave struct {
	// State is active or backup, MIIStatus up, fail, down or back.
	State, MIIStatus string
	LinkFailures     uint32
	// PermMAC is the MAC that the slave gets back on release.
	PermMAC string
	QueueID int
	// AggregatorID and the port states are set in mode 802.3ad; nil elsewhere.
	AggregatorID                     *int
	ActorPortState, PartnerPortState *int
}

// Counters are totals since the link was made.
type Counters struct {
	RxBytes, TxBytes     uint64
	RxPackets, TxPackets uint64
	RxErrors, TxErrors   uint64
	RxDropped, TxDropped uint64
	Multicast            uint64
}

// Address is one IP address on a link.
type Address struct {
	// Link is the index of the link.
	Link int
	// Prefix is the address with its prefix length, host bits kept.
	Prefix netip.Prefix
	// Peer is the other end of a point-to-point address; zero if none.
	Peer netip.Addr
	// Broadcast is set on IPv4 addresses that were given one; the kernel does
	// without.
	Broadcast netip.Addr
	// Flags are IFA_F_* (include/uapi/linux/if_addr.h).
	Flags uint32
	// Scope is RT_SCOPE_*: 0 global, 253 link, 254 host.
	Scope int
	// Label is the IPv4 label, normally the link's name.
	Label string
	// Valid and Preferred are the lifetimes in seconds; 0xffffffff is for ever.
	Valid, Preferred uint32
	// Proto is IFA_PROTO, who added the address; 0 is unspecified.
	Proto uint8
	// Metric of the route that the kernel makes for the prefix; 0 is its default.
	Metric uint32
}

// Address flags used by the agent.
const (
	FlagSecondary = 0x01
	FlagNoDAD     = 0x02
	FlagDADFailed = 0x08
	FlagTentative = 0x40
	FlagPermanent = 0x80
)

// Forever is the lifetime of a static address.
const Forever = 0xffffffff

// Secondary is true of an IPv4 address that stands behind another of its subnet
// and goes with it.
func (a Address) Secondary() bool { return a.Prefix.Addr().Is4() && a.Flags&FlagSecondary != 0 }

// MadeLinkLocal is true of an address that the kernel says to have made for the link by
// itself, as kernels since 5.18 do.
func (a Address) MadeLinkLocal() bool {
	const protoLinkLocal = 3 // IFAPROT_KERNEL_LL, include/uapi/linux/if_addr.h
	return a.LinkLocal() && a.Proto == protoLinkLocal
}

// LinkLocal is true of an address that the kernel made for the link by itself.
func (a Address) LinkLocal() bool {
	return a.Prefix.Addr().Is6() && a.Prefix.Addr().IsLinkLocalUnicast()
}

// Route is one route of a table.
type Route struct {
	Table int
	// Dst is the destination; a default route has the zero-length prefix of its
	// family.
	Dst netip.Prefix
	// Gateway is zero for a route onto the link.
	Gateway netip.Addr
	// Link is the outgoing index, 0 if the route has none or several.
	Link int
	// Source is the preferred source address; zero if none.
	Source netip.Addr
	// Metric is the priority; the kernel prefers the lowest.
	Metric uint32
	// Protocol is RTPROT_*: 2 kernel, 3 boot, 4 static.
	Protocol uint8
	// Scope is RT_SCOPE_*; Type RTN_*: 1 unicast.
	Scope, Type uint8
	// Flags are RTNH_F_*: 4 onlink, 16 linkdown.
	Flags uint32
	// Raw is the message as the kernel gave it, for a route with more to it than
	// these fields say (several next hops, encapsulation, metrics), so that it can
	// be put back as it was; nil otherwise.
	Raw []byte
}

// Route protocols used by the agent.
const (
	// ProtocolKernel marks the routes that the kernel makes for an address.
	ProtocolKernel = 2
	// ProtocolRA marks the routes that the kernel learnt from router
	// advertisements.
	ProtocolRA = 9
	// ProtocolHostnic marks the agent's own routes. It is free in
	// /etc/iproute2/rt_protos of iproute2 6.1.
	ProtocolHostnic = 104
)

// Neighbour is what came of asking a neighbour, by ARP or ND.
type Neighbour struct {
	// Answered is true when it has answered now.
	Answered bool
	// Permanent is true when nobody was asked: the entry is permanent, or the link
	// does without such entries.
	Permanent bool
	// MAC is the hardware address of the entry; empty where there is none.
	MAC string
}

// MainTable is RT_TABLE_MAIN.
const MainTable = 254

// Link returns the link of that index, or nil. The pointer is into s.
func (s *Snapshot) Link(index int) *Link {
	lo, hi := 0, len(s.Links)
	for lo < hi {
		mid := (lo + hi) / 2
		if s.Links[mid].Index < index {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(s.Links) && s.Links[lo].Index == index {
		return &s.Links[lo]
	}
	return nil
}

// ByName returns the link of that name, or nil. The pointer is into s.
func (s *Snapshot) ByName(name string) *Link {
	for i := range s.Links {
		if s.Links[i].Name == name {
			return &s.Links[i]
		}
	}
	return nil
}

// Name of the link of that index; empty when there is none.
func (s *Snapshot) Name(index int) string {
	if l := s.Link(index); l != nil {
		return l.Name
	}
	return ""
}

// AddressesOf are the addresses of one link in the kernel's order.
func (s *Snapshot) AddressesOf(index int) []Address {
	var out []Address
	for _, a := range s.Addresses {
		if a.Link == index {
			out = append(out, a)
		}
	}
	return out
}

// SlavesOf are the indexes of the links whose master is index, in index order.
func (s *Snapshot) SlavesOf(index int) []int {
	var out []int
	for _, l := range s.Links {
		if l.Master == index {
			out = append(out, l.Index)
		}
	}
	return out
}
