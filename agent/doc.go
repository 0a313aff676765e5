// Package agent puts the daemon together and runs it: what it is made of, in which
// order that starts and ends, and who waits for whom.
package agent
