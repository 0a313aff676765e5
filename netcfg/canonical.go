package netcfg

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Clone is a deep copy.
func (c Config) Clone() Config {
	out := Config{HostNics: slices.Clone(c.HostNics), Routes: slices.Clone(c.Routes), Networks: slices.Clone(c.Networks)}
	for i := range out.Routes {
		r := &out.Routes[i]
		r.Metric, r.Table = clonePointer(r.Metric), clonePointer(r.Table)
	}
	for i := range out.Networks {
		n := &out.Networks[i]
		n.MTU, n.Bridged = clonePointer(n.MTU), clonePointer(n.Bridged)
		if n.VLAN != nil {
			n.VLAN = &VLAN{ID: clonePointer(n.VLAN.ID)}
		}
	}
	for i := range out.HostNics {
		n := &out.HostNics[i]
		n.Host, n.Network, n.MAC = clonePointer(n.Host), clonePointer(n.Network), clonePointer(n.MAC)
		n.IP, n.MTU = clonePointer(n.IP), clonePointer(n.MTU)
		n.AdditionalIPs = slices.Clone(n.AdditionalIPs)
		n.ExpectedNeighbour = cloneNeighbour(n.ExpectedNeighbour)
		if n.IPv6 != nil {
			n.IPv6 = pointer(*n.IPv6)
			n.IPv6.Prefix = clonePointer(n.IPv6.Prefix)
		}
		if n.VLAN != nil {
			n.VLAN = &VLAN{ID: clonePointer(n.VLAN.ID)}
		}
		if b := n.Bonding; b != nil {
			n.Bonding = &Bonding{Options: slices.Clone(b.Options), Slaves: slices.Clone(b.Slaves)}
		}
	}
	if c.DNS != nil {
		out.DNS = &DNS{Servers: slices.Clone(c.DNS.Servers), Search: slices.Clone(c.DNS.Search), StaticOnly: clonePointer(c.DNS.StaticOnly)}
	}
	return out
}

// canonicalize brings everything that can be read into the one form in which it
// is compared and printed, and drops empty parts. What cannot be read stays as
// it is, for Validate to show. Values of bond options stay as given, because XML
// echoes them.
func (c *Config) canonicalize(names Names) {
	for i := range c.HostNics {
		n := &c.HostNics[i]
		n.ID = ""
		n.canonicalizeAddressing()
		n.canonicalizeNeighbour()
		if n.BaseInterface != "" {
			n.BaseInterface = names(n.BaseInterface)
		}
		if n.Bonding == nil {
			continue
		}
		n.Bonding.Options, n.Bonding.Slaves = nilIfEmpty(n.Bonding.Options), nilIfEmpty(n.Bonding.Slaves)
		for j, ref := range n.Bonding.Slaves {
			n.Bonding.Slaves[j] = names(ref)
		}
		for j, o := range n.Bonding.Options {
			if s, ok := BondOptionSpec(o.Name); ok && s.Type == TypeSlave && o.Value != "" {
				n.Bonding.Options[j].Value = names(o.Value)
			}
		}
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		r.Destination, r.Gateway = canonicalPrefix(r.Destination), canonicalAddress(r.Gateway)
		if r.NIC != "" {
			r.NIC = names(r.NIC)
		}
	}
	c.HostNics, c.Networks, c.Routes = nilIfEmpty(c.HostNics), nilIfEmpty(c.Networks), nilIfEmpty(c.Routes)
	if c.DNS != nil {
		c.DNS.Servers, c.DNS.Search = nilIfEmpty(c.DNS.Servers), nilIfEmpty(c.DNS.Search)
		for i, s := range c.DNS.Servers {
			c.DNS.Servers[i] = canonicalAddress(s)
		}
	}
}

// nilIfEmpty makes a list that was emptied equal to one that was never there.
func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func (n *HostNic) canonicalizeAddressing() {
	n.BootProtocol = canonicalBoot(n.BootProtocol)
	n.IPv6BootProtocol = canonicalBoot(n.IPv6BootProtocol)
	if n.IPv6BootProtocol == "dhcpv6" { // which operators say for the dhcp of IPv6
		n.IPv6BootProtocol = BootDHCP
	}
	n.AdditionalIPs = nilIfEmpty(n.AdditionalIPs)
	if n.MAC != nil {
		if m, err := ParseMAC(n.MAC.Address); err == nil {
			n.MAC.Address = m.String()
		}
		if n.MAC.Address == "" {
			n.MAC = nil
		}
	}
	if n.IP != nil {
		if p, err := ParseNetmask(n.IP.Netmask); err == nil {
			n.IP.Netmask = Netmask(p)
		}
		if *n.IP == (IP{}) {
			n.IP = nil
		}
	}
	if n.IPv6 != nil {
		n.IPv6.Address, n.IPv6.Gateway = canonicalAddress(n.IPv6.Address), canonicalAddress(n.IPv6.Gateway)
		if *n.IPv6 == (IPv6{}) {
			n.IPv6 = nil
		}
	}
	for i, s := range n.AdditionalIPs {
		n.AdditionalIPs[i] = canonicalPrefix(s)
	}
}

func canonicalBoot(b BootProtocol) BootProtocol { return BootProtocol(strings.ToLower(string(b))) }

func canonicalAddress(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String()
	}
	return s
}

func canonicalPrefix(s string) string {
	addr, bits, ok := strings.Cut(s, "/")
	if !ok {
		return s
	}
	// A dotted mask belongs to IPv4 only.
	if n, err := ParseNetmask(bits); err == nil && strings.Contains(bits, ".") && !isIPv6Text(addr) {
		bits = strconv.Itoa(n)
	}
	return canonicalAddress(addr) + "/" + bits
}
