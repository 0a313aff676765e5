// Package e2e drives the real programs on a real kernel: hostnicd in a network
// namespace, agentctl over its socket, and signals that no program can catch.
package e2e
