package drive

import "net"

// MAC is an Ethernet address.
type MAC [6]byte

// String is the usual form, with colons.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }
