// Package crash kills the real daemon, and has the kernel and the disk refuse, anywhere
// in the middle of changes on a real kernel.
package crash
