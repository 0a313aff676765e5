// Package hardware has the agent meet a NIC with a driver and a cable, those of an
// emulated machine: make test-hardware.
package hardware
