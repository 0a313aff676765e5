// Package dhcp gets leases from DHCP servers and keeps them. It makes leases, never
// addresses: what a lease is to become on the host is for whoever reads it to decide.
//
// From the ground up:
//
//   - packet.go, arp.go and reply.go read what comes from the network. They are pure,
//     take any bytes, and give ErrMalformed or something whose form is right.
//   - Machine (machine*.go, judge.go) is the client of RFC 2131 as a value: an event and
//     the time go in, actions come out, and Wake says when it wants to be asked again.
//     It judges what servers say and remembers it; it has no socket, clock or file. The
//     form of all that it is told is right already; the content is still a stranger's.
//   - wire.go, socket.go and filter.go are the sockets of one NIC. The state says which
//     it needs, so that a client that is bound has none for DHCP, and wakes for nobody
//     but who claims its address.
//   - client puts them together, for package drive to run: a goroutine for each NIC, and
//     one consumer that is told how each of them is by now. Who does not ask misses
//     nothing but the steps in between.
//
// A lease is a fact with an end. A renewal replaces it, and nothing takes an address
// away but its end, a NAK, somebody else who has it, or an operator.
package dhcp
