// Package state holds what is there: the links, addresses and routes of one
// network namespace as the kernel tells them. Its values are plain data and the
// package does no I/O.
//
// What the kernel does not tell is absent here, never zero by accident: optional
// facts are pointers or empty strings.
package state
