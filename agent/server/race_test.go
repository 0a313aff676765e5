//go:build race

package server

// slow is how much longer things take with the race detector.
const slow = 10
