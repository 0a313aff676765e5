// Package hypervisor is a host for tests: the real daemon in a network namespace of a
// real kernel, and agentctl over its socket.
package hypervisor
