// Package dhcp6 gets leases from DHCPv6 servers (RFC 8415) and keeps them. It makes
// leases, never addresses: what a lease is to become on the host is for whoever reads it
// to decide, and whether somebody else has an address is for the kernel to find out.
//
// From the ground up, as in package dhcp:
//
//   - reply.go reads what comes from the network. It is pure, takes any bytes, and gives
//     ErrMalformed or something whose form is right.
//   - Machine (machine*.go, judge.go) is the client as a value: an event and the time go
//     in, actions come out, and Wake says when it wants to be asked again. The form of
//     all that it is told is right already; the content is still a stranger's.
//   - wire.go is the socket of one NIC, which is there while an answer is awaited: a
//     client that is bound has none, and wakes for nobody.
//   - client puts them together, for package drive to run.
//
// What is not there: temporary addresses (they are the kernel's, RFC 8981), prefix
// delegation (a host has nobody to delegate to), and Reconfigure, which anybody could
// send to a client without keys (RFC 8415 §18.2.11).
package dhcp6
