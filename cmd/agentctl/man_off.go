//go:build !man

package main

import "github.com/spf13/cobra"

// extras are none but in the program that writes the manual.
func extras() []*cobra.Command { return nil }
