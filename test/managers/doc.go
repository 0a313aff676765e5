// Package managers has the agent meet the other programs that configure links, on a
// machine of its own.
package managers
