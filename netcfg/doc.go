// Package netcfg holds the words of hostnic: what an operator may ask of a
// host's network configuration. Its values are plain data. They touch neither
// the kernel nor the disk, and the package imports nothing but the standard
// library, so that every other package may speak them.
//
// A Config is what is wanted. What is there is a different type, state.Snapshot.
// Text in a Config is kept as it was given until Canonical is called; Validate
// judges the text and reports every problem at once.
package netcfg
