// Package drive runs the clients of DHCPv4 and DHCPv6, which are machines that know
// nothing of goroutines, sockets, clocks and files. It has what both of them need to be
// on a host:
//
//   - Manager has a worker for each NIC, and tells one consumer how each of them is by
//     now.
//   - A worker drives a Client: one goroutine, to which readers of sockets and a timer on
//     the clock since boot pass what they have.
//   - Socket is one that passes on what comes in; Shelf is where the lease of a NIC is on
//     record; and CleanName and its like read what servers say.
//
// It makes nothing of what it carries: the types of events (E), of actions (A), of states
// (S) and of leases (L) are the protocol's own.
package drive
