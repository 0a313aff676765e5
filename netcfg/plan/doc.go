// Package plan decides what is to be done, and does nothing. Resolve turns a
// configuration into an Intent for the host at hand, Build turns an Intent and a
// Snapshot into a Plan of ordered operations, Project foretells what operations
// make of a Snapshot, and Check compares an Intent with a Snapshot without
// knowing how Build thinks. All of it is pure: same input, same output.
package plan
