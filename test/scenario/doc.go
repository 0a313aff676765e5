// Package scenario replays what users of such agents rely on, each scenario by the
// id under which it is known, against the real engine on a real kernel: a fresh
// network namespace, veth ends for NICs with their peers in another namespace, a
// document in, and a look at the kernel after.
package scenario
