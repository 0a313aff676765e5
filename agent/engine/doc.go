// Package engine owns the configuration of the host. One loop holds the candidate,
// what is running and what is committed; requests enter it one after the other,
// and what readers see is published as a whole after each change, so that reading
// never waits for an apply.
package engine
