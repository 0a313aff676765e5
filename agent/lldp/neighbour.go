package lldp

import "time"

// Neighbour is what a port at the other end of a cable says of itself. What it does not
// say is empty, zero or nil.
type Neighbour struct {
	// Nic and Index are the link that has heard it, MAC the sender's.
	Nic   string
	Index int
	MAC   string
	// Chassis and Port tell one neighbour from another.
	Chassis, Port ID
	// TTL is how long it holds what it has said; First and Last are when it was heard.
	TTL         time.Duration
	First, Last time.Time

	PortDescription, SystemName, SystemDescription string
	// Capabilities are what it can be, Enabled what it is.
	Capabilities, Enabled []string
	// Management are its addresses.
	Management []string
	// PVID is the VLAN of untagged frames; nil where it has none or does not say.
	PVID  *int
	VLANs []VLAN
	// Aggregation is what its port is in; nil where it does not say.
	Aggregation *Aggregation
	// MaxFrame is its largest frame in bytes, header and checksum included (802.3).
	MaxFrame int

	lives bool // it has said a TTL
}

// ID is the id of a chassis or a port. Kind is mac, address, interface-name,
// interface-alias, component, port-component, circuit, local or reserved. A value that
// is no text is in hex.
type ID struct{ Kind, Value string }

// VLAN is one of a port.
type VLAN struct {
	ID   int
	Name string
}

// Aggregation is what is said of link aggregation. Port is the number of the aggregated
// port, 0 where there is none.
type Aggregation struct {
	Capable, Enabled bool
	Port             uint32
}

// Summary is who it is, in a few words.
func (n *Neighbour) Summary() string {
	system, port := n.SystemName, n.Port.Value
	if system == "" {
		system = n.Chassis.Value
	}
	if n.Port.Kind == "mac" && n.PortDescription != "" {
		port = n.PortDescription // people know the port by that
	}
	return system + " " + port
}
