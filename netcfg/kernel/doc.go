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
// Rules that were read in the kernel's source name the file, as of Linux 6.1.
package kernel
