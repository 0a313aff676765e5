package netcfg

import "slices"

// Config is the whole wanted network configuration of one host.
type Config struct {
	// Networks are the logical networks that NICs may be attached to.
	Networks []Network `json:"networks,omitempty"`
	// HostNics are the configured NICs, bonds and VLANs, in document order.
	// Names are unique.
	HostNics []HostNic `json:"host_nics,omitempty"`
	// Routes are static routes beyond the default gateways of HostNics.
	Routes []Route `json:"routes,omitempty"`
	// DNS is handed to the system resolver; nil leaves the resolver alone.
	DNS *DNS `json:"dns,omitempty"`
}

// HostNic is one configured NIC, bond or VLAN. The zero value of a field means
// that the document does not speak of it.
type HostNic struct {
	// Name is the kernel's name of the link, at most 15 bytes.
	Name string `json:"name,omitempty"`
	// ID is the stable UUID of the link; it may stand in place of Name on input.
	ID string `json:"id,omitempty"`
	// Host is the host that the document speaks of. Kept, not acted on.
	Host *Reference `json:"host,omitempty"`
	// Network is the logical network that the NIC is attached to.
	Network *Reference `json:"network,omitempty"`
	// MAC is the wanted hardware address; nil leaves it to the agent.
	MAC *MAC `json:"mac,omitempty"`
	// IP is the IPv4 configuration.
	IP *IP `json:"ip,omitempty"`
	// IPv6 is the IPv6 configuration.
	IPv6 *IPv6 `json:"ipv6,omitempty"`
	// AdditionalIPs are further addresses with prefix length, of both families,
	// in the order in which the kernel is to hold them.
	AdditionalIPs []string `json:"additional_ips,omitempty"`
	// BootProtocol says where the IPv4 address comes from: none, static or dhcp.
	// Empty means static where IP has an address and none elsewhere.
	BootProtocol BootProtocol `json:"boot_protocol,omitempty"`
	// IPv6BootProtocol is none, static, dhcp, autoconf or poly_dhcp_autoconf.
	// Empty means static where IPv6 has an address and none elsewhere.
	IPv6BootProtocol BootProtocol `json:"ipv6_boot_protocol,omitempty"`
	// MTU in bytes; nil means the base interface's, or what the NIC had.
	MTU *int `json:"mtu,omitempty"`
	// VLAN makes this a VLAN sub-interface of BaseInterface.
	VLAN *VLAN `json:"vlan,omitempty"`
	// BaseInterface is the name or id of the NIC or bond below a VLAN.
	BaseInterface string `json:"base_interface,omitempty"`
	// Bonding makes this a bond.
	Bonding *Bonding `json:"bonding,omitempty"`
	// ExpectedNeighbour is who ought to be at the other end of the cable; nil is anybody.
	ExpectedNeighbour *ExpectedNeighbour `json:"expected_neighbour,omitempty"`
}

// Reference names another object by id, by name or by both.
type Reference struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// MAC is a hardware address in colon form.
type MAC struct {
	Address string `json:"address,omitempty"`
}

// IP is an IPv4 address, its netmask (dotted or a prefix length) and the default
// gateway reached through the NIC.
type IP struct {
	Address string `json:"address,omitempty"`
	Netmask string `json:"netmask,omitempty"`
	Gateway string `json:"gateway,omitempty"`
}

// IPv6 is an IPv6 address, its prefix length and the default gateway reached
// through the NIC.
type IPv6 struct {
	Address string `json:"address,omitempty"`
	Prefix  *int   `json:"prefix,omitempty"`
	Gateway string `json:"gateway,omitempty"`
}

// VLAN is an 802.1Q VLAN id, 1 to 4094.
type VLAN struct {
	ID *int `json:"id,omitempty"`
}

// Bonding is what makes a HostNic a bond.
type Bonding struct {
	// Options in the order given, values as given. See BondOptions.
	Options []BondOption `json:"options,omitempty"`
	// Slaves are names or ids of NICs, in document order. The first lends the
	// bond its MAC.
	Slaves []string `json:"slaves,omitempty"`
}

// BondOption is one option of a bond as the document gives it.
type BondOption struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Type is oVirt's display text for the value; echoed in XML, never read.
	Type string `json:"type,omitempty"`
}

// Network is a logical network. It is read, kept and rendered.
type Network struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	VLAN    *VLAN  `json:"vlan,omitempty"`
	MTU     *int   `json:"mtu,omitempty"`
	Bridged *bool  `json:"bridged,omitempty"`
}

// Route is a static route.
type Route struct {
	// Destination is a prefix, or "default" for the family of Gateway.
	Destination string `json:"destination,omitempty"`
	Gateway     string `json:"gateway,omitempty"`
	// NIC is the name or id of the outgoing NIC.
	NIC    string `json:"nic,omitempty"`
	Metric *int   `json:"metric,omitempty"`
	Table  *int   `json:"table,omitempty"`
}

// DNSPath is where DNS stands in a configuration. It is also what the resolver's file is
// called where others are NICs.
const DNSPath = "dns"

// DNS is what the system resolver is to use.
type DNS struct {
	// Servers and Search go before what leases tell.
	Servers []string `json:"servers,omitempty"`
	Search  []string `json:"search,omitempty"`
	// StaticOnly leaves out what leases tell. Nil is false.
	StaticOnly *bool `json:"static_only,omitempty"`
}

// TakesLeases is false where what leases tell is left out.
func (d *DNS) TakesLeases() bool { return d.StaticOnly == nil || !*d.StaticOnly }

// BootProtocol says where an address comes from.
type BootProtocol string

// The boot protocols. Autoconf and PolyDHCPAutoconf are for IPv6 only.
const (
	BootNone             BootProtocol = "none"
	BootStatic           BootProtocol = "static"
	BootDHCP             BootProtocol = "dhcp"
	BootAutoconf         BootProtocol = "autoconf"
	BootPolyDHCPAutoconf BootProtocol = "poly_dhcp_autoconf"
)

// Kind tells the three kinds of HostNic apart.
type Kind string

// The kinds. KindNIC is everything that exists without the agent.
const (
	KindNIC  Kind = "nic"
	KindBond Kind = "bond"
	KindVLAN Kind = "vlan"
)

// Kind is decided by the parts that are present. A document with both bonding
// and vlan is refused by Validate and counts as a bond here.
func (n *HostNic) Kind() Kind {
	switch {
	case n.Bonding != nil:
		return KindBond
	case n.VLAN != nil:
		return KindVLAN
	}
	return KindNIC
}

// Nic returns the NIC of that name, or nil. The pointer is into c.
func (c *Config) Nic(name string) *HostNic {
	for i := range c.HostNics {
		if c.HostNics[i].Name == name {
			return &c.HostNics[i]
		}
	}
	return nil
}

// MasterOf returns the bond that has the named NIC among its slaves, or nil.
func (c *Config) MasterOf(name string) *HostNic {
	for i := range c.HostNics {
		if b := c.HostNics[i].Bonding; b != nil && slices.Contains(b.Slaves, name) {
			return &c.HostNics[i]
		}
	}
	return nil
}

// Option returns the option of that name as given, and whether it is there.
func (b *Bonding) Option(name string) (BondOption, bool) {
	for _, o := range b.Options {
		if o.Name == name {
			return o, true
		}
	}
	return BondOption{}, false
}

// IPv4Boot is the effective IPv4 boot protocol: an address without a boot
// protocol means static.
func (n *HostNic) IPv4Boot() BootProtocol {
	if n.BootProtocol == "" && n.IP != nil && n.IP.Address != "" {
		return BootStatic
	}
	if n.BootProtocol == "" {
		return BootNone
	}
	return n.BootProtocol
}

// IPv6Boot is the effective IPv6 boot protocol.
func (n *HostNic) IPv6Boot() BootProtocol {
	if n.IPv6BootProtocol == "" && n.IPv6 != nil && n.IPv6.Address != "" {
		return BootStatic
	}
	if n.IPv6BootProtocol == "" {
		return BootNone
	}
	return n.IPv6BootProtocol
}
