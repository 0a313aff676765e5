// Package remote lets clients in from the network: whose certificate is good, who its
// holder is, and how many there may be at once.
package remote
