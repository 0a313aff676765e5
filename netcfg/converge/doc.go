// Package converge is the only loop that acts: look, plan, apply, look again,
// check. It serves apply, commit, rollback, boot, a changed lease and drift
// alike; what differs is only the Intent.
package converge
