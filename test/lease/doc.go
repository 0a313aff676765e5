// Package lease tests boot protocols from end to end: agentctl, the real daemon, the
// kernel under the test, and DHCP servers as Debian has them at the other end of the
// cable.
package lease
