// Package inventory is what clients read of the NICs of the host: the kernel's
// facts, and beside them what the agent knows of its own doing. It is pure: who
// took the look, and who asks, is somebody else's business.
//
// A fact that is not known is left out, and Absent says why. No number is ever
// made up.
package inventory
