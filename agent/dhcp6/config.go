package dhcp6

import (
	"net/netip"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/netcfg"
)

// State is where the client is (RFC 8415 §18.2; it has no names for states, so these are
// after its messages).
type State string

// The states.
const (
	// Stopped wants nothing: not started, or released.
	Stopped State = "stopped"
	// Waiting has something to do as soon as the link is ready.
	Waiting State = "waiting"
	// Init is about to send its first message, after a pause.
	Init State = "init"
	// Soliciting has sent a SOLICIT and waits for servers to advertise.
	Soliciting State = "soliciting"
	// Requesting has asked for what one server has advertised.
	Requesting State = "requesting"
	// Confirming makes sure that this is still the link that the addresses are from. With
	// a lease in use they stay in use meanwhile.
	Confirming State = "confirming"
	// Bound has a lease and nothing to do.
	Bound State = "bound"
	// Renewing asks the server of the lease for more time, Rebinding any server.
	Renewing  State = "renewing"
	Rebinding State = "rebinding"
	// Releasing has given the lease back, and waits a while for the server to say so.
	Releasing State = "releasing"
	// Declining has told the server of an address that somebody else uses.
	Declining State = "declining"
	// Informing has asked for information without addresses, Informed has it.
	Informing State = "informing"
	Informed  State = "informed"
)

// never is a time that does not come.
const never = netcfg.LeaseForever

// MAC is an Ethernet address.
type MAC = drive.MAC

// Config is what a client is to do.
type Config struct {
	// NIC is the kernel's name of the link.
	NIC string
	// DUID is the host's (RFC 8415 §11), see dhcp.DUID; nil makes one of the MAC that the
	// link has at the start (§11.4).
	DUID []byte
	// IAID is the number of the NIC within its host, see dhcp.IAID.
	IAID uint32
	// Stateless asks for information only, not for addresses (§18.2.6).
	Stateless bool
	// RapidCommit lets a server that can do it save two messages (§18.2.1).
	RapidCommit bool
}

// Link is what a client has to know of its NIC's link.
type Link struct {
	// Index is the kernel's number of the link.
	Index int
	// Ready is true while the link carries packets, and has a link-local address to send
	// them from.
	Ready bool
	// Ups counts how often it got a carrier (IFLA_CARRIER_UP_COUNT); another number
	// says that it was away between two looks.
	Ups uint32
	MAC MAC
	// Local is the link-local address, that duplicate address detection is done with;
	// without one the link is not ready.
	Local netip.Addr
}

// ready does not believe that a link is ready that has nothing to send from.
func (l Link) ready() bool { return l.Ready && l.Local.IsLinkLocalUnicast() }
