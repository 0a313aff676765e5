package netcfg

import "slices"

// Equal is true of configurations that say the same in the same order, in
// canonical form. Absent and empty lists are the same.
func Equal(a, b Config) bool {
	return equalNics(a.HostNics, b.HostNics) &&
		slices.EqualFunc(a.Networks, b.Networks, equalNetwork) &&
		slices.EqualFunc(a.Routes, b.Routes, equalRoute) &&
		equalDNS(a.DNS, b.DNS)
}

// equalNics is quick about the same list: configurations share theirs once one has
// become the other.
func equalNics(a, b []HostNic) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) > 0 && &a[0] == &b[0] {
		return true
	}
	for i := range a {
		if !equalNic(&a[i], &b[i]) {
			return false
		}
	}
	return true
}

func equalNic(a, b *HostNic) bool {
	return a.Name == b.Name && a.ID == b.ID &&
		alike(a.Host, b.Host) && alike(a.Network, b.Network) && alike(a.MAC, b.MAC) && alike(a.IP, b.IP) &&
		equalIPv6(a.IPv6, b.IPv6) && slices.Equal(a.AdditionalIPs, b.AdditionalIPs) &&
		a.BootProtocol == b.BootProtocol && a.IPv6BootProtocol == b.IPv6BootProtocol &&
		alike(a.MTU, b.MTU) && equalVLAN(a.VLAN, b.VLAN) && a.BaseInterface == b.BaseInterface &&
		equalBonding(a.Bonding, b.Bonding) && equalNeighbour(a.ExpectedNeighbour, b.ExpectedNeighbour)
}

// alike compares what two pointers point at; nil is only nil.
func alike[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func equalIPv6(a, b *IPv6) bool {
	return a == b || a != nil && b != nil && a.Address == b.Address && a.Gateway == b.Gateway && alike(a.Prefix, b.Prefix)
}

func equalVLAN(a, b *VLAN) bool {
	return a == b || a != nil && b != nil && alike(a.ID, b.ID)
}

func equalBonding(a, b *Bonding) bool {
	return a == b || a != nil && b != nil && slices.Equal(a.Options, b.Options) && slices.Equal(a.Slaves, b.Slaves)
}

func equalNetwork(a, b Network) bool {
	return a.ID == b.ID && a.Name == b.Name && equalVLAN(a.VLAN, b.VLAN) && alike(a.MTU, b.MTU) && alike(a.Bridged, b.Bridged)
}

func equalRoute(a, b Route) bool {
	return a.Destination == b.Destination && a.Gateway == b.Gateway && a.NIC == b.NIC && alike(a.Metric, b.Metric) && alike(a.Table, b.Table)
}

func equalDNS(a, b *DNS) bool {
	return a == b || a != nil && b != nil && slices.Equal(a.Servers, b.Servers) && slices.Equal(a.Search, b.Search) && alike(a.StaticOnly, b.StaticOnly)
}
