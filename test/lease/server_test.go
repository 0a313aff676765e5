//go:build kernel

package lease

import (
	"os/exec"

	"github.com/hostnic/hostnic/test/peer"
)

// serve starts a server in the far namespace and waits until it says that it serves.
func (h *host) serve(serves string, cmd *exec.Cmd) *peer.Server {
	h.Helper()
	return peer.Start(h, h.Far, serves, cmd)
}

// dnsmasq starts a server on a NIC of the far end, see peer.Dnsmasq.
func (h *host) dnsmasq(nic, address, addresses string, more ...string) *peer.Server {
	h.Helper()
	return peer.Dnsmasq(h, h.Far, nic, address, addresses, more...)
}

// kea starts a server whose leases are so many seconds.
func (h *host) kea(nic, address, subnet, first, last string, lifetime int) *peer.Server {
	h.Helper()
	return peer.Kea(h, h.Far, nic, address, peer.Pool{Subnet: subnet, First: first, Last: last, Valid: lifetime})
}
