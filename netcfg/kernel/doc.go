// Package kernel is the only door to netlink: it looks at a network namespace,
// changes it, and tells when something in it has changed.
//
// Encoding and decoding are pure and stand in files of their own; what talks to
// the kernel is socket.go, lane.go, dump.go, apply.go and watch.go.
//
// A Kernel belongs to the network namespace of the thread that opened it, and its
// sockets stay there. Nothing here ever changes the namespace of a thread that is
// used again.
//
// Whether a neighbour answers is asked of the kernel, in its own table of neighbours:
// an entry is brought into doubt (NUD_PROBE), or made (NTF_USE), and looked at until
// it is reachable or failed. So the question leaves from the address and through the
// slave that packets would take, for ARP and ND and every kind of link alike, needs
// no right beyond CAP_NET_ADMIN, and leaves behind no more than traffic does. Packet
// sockets (mdlayher/arp) would ask as truly where they work, but take CAP_NET_RAW, a
// second half for ND with its own choice of source address, and sight of all ARP on
// the link. What they could do and this cannot is to test a permanent entry.
//
// Rules that were read in the kernel's source name the file, as of Linux 6.1.
package kernel
