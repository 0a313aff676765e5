package inventory

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Owner is how what the agent made or manages is marked, in contrast to what the
// kernel made by itself and to what somebody else did.
const (
	OwnerAgent   = "hostnic"
	OwnerKernel  = "kernel"
	OwnerForeign = "foreign"
)

// Knowledge is what the agent knows beside a look at the host. The zero value is
// an agent that configures nothing.
type Knowledge struct {
	// Config is the running configuration.
	Config netcfg.Config
	// Links are the links behind it, as it was resolved for the same look.
	Links []plan.Link
	// Drift and Waiting are how the host differs from it.
	Drift   []plan.Drift
	Waiting []plan.Waiting
	// Memory is what the agent has put there.
	Memory plan.Memory
	// Leases are where the DHCP clients stand, by NIC, and Leases6 those of DHCPv6.
	Leases, Leases6 map[string]netcfg.LeaseStatus
	// ID gives the stable id of a link.
	ID func(*state.Link) string
}

// Nic is one network interface. Empty, zero and nil is what is not known or not
// there.
type Nic struct {
	Name, ID string
	// Kind is nic, bond or vlan, or the kernel's word for a link of another kind.
	Kind string
	// Present is false of a NIC that is configured but not on the host. What can
	// be configured is then what the configuration says.
	Present bool
	// Index is the kernel's.
	Index int

	// Host, Network and the boot protocols are kept for the operator; the kernel
	// knows nothing of them.
	Host, Network          *netcfg.Reference
	BootProtocol, IPv6Boot netcfg.BootProtocol

	MAC, PermMAC string
	MTU          int
	// IP and IPv6 are the configured address where it is on the link, else the
	// first one on it. AdditionalIPs are the configured ones that are on it.
	IP            *netcfg.IP
	IPv6          *netcfg.IPv6
	AdditionalIPs []string
	VLAN          *netcfg.VLAN
	Base          string
	// Bonding has the options that the configuration gives, spelled as given where
	// the kernel agrees, and of a foreign bond the mode and what is not the
	// kernel's default.
	Bonding *netcfg.Bonding

	// ExpectedNeighbour is the configured one; it is no word on who is there.
	ExpectedNeighbour *netcfg.ExpectedNeighbour

	// Speed in bits per second; Duplex is full or half.
	Speed   *int64
	Duplex  string
	Autoneg *bool
	// Up is the link status as oVirt has it: wanted up, and with a carrier.
	Up, AdminUp bool
	OperState   string
	// Carrier is nil while the link is administratively down.
	Carrier *bool
	// CarrierUps and CarrierDowns count how often the link has won and lost its carrier.
	CarrierUps, CarrierDowns int64
	// Master is the name of the bond or bridge above.
	Master, ActiveSlave string
	// Aggregator is that of a bond or of its slave, in mode 802.3ad.
	Aggregator *int
	PartnerMAC string
	// Ports is how many ports the active aggregator of a bond has.
	Ports *int
	// Slave is what the bond above says of the link; nil of what is no slave.
	Slave     *Slave
	Addresses []Address
	// Lease is nil on a NIC without a DHCP client, and Lease6 on one without a client of
	// DHCPv6.
	Lease, Lease6 *Lease

	Drift []plan.Drift
	// Waiting is why the NIC is not yet what it should be.
	Waiting string
	// Owner is OwnerAgent or empty.
	Owner           string
	BusPath, Driver string
	Firmware        string
	// Absent is why a field is not known. The keys are the names of the API.
	Absent map[string]string
}

// Slave is how the slave of a bond does.
type Slave struct {
	// State is active or backup, MIIStatus up, fail, down or back.
	State, MIIStatus string
	// Failures is how often the bond has seen its link fail.
	Failures int64
	// Actor and Partner are the states of the port and of the one at the other end, in
	// the words of IEEE 802.1AX; empty outside of mode 802.3ad.
	Actor, Partner []string
}

// Distributing is true of a port that passes traffic on, in mode 802.3ad.
func (s *Slave) Distributing() bool { return slices.Contains(s.Actor, "distributing") }

// Address is an address that is on a link.
type Address struct {
	// Prefix is the address with its prefix length.
	Prefix string
	// Owner is one of the three owners.
	Owner string
	// State is tentative, dad-failed, deprecated or secondary, or empty.
	State string
	// Protocol is static, dhcp or autoconf, or empty.
	Protocol string
}

func (n *Nic) absent(field, reason string) {
	if n.Absent == nil {
		n.Absent = map[string]string{}
	}
	n.Absent[field] = reason
}

// Find returns the NIC of that id or name, or nil. A name goes before an id, as it does
// in documents.
func Find(nics []*Nic, ref string) *Nic {
	for _, same := range []func(*Nic) bool{
		func(n *Nic) bool { return n.Name == ref },
		func(n *Nic) bool { return n.ID == ref },
	} {
		if i := slices.IndexFunc(nics, same); i >= 0 {
			return nics[i]
		}
	}
	return nil
}
