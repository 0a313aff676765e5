// Package lldp listens to what switches say of themselves (IEEE 802.1AB), and keeps it
// for as long as they say it holds. It sends nothing.
package lldp
