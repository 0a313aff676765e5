//go:build man

package main

import (
	"github.com/spf13/cobra"

	"github.com/hostnic/hostnic/cmd/internal/manual"
)

// extras has, in the program that is made for building packages, a command that writes
// the manual; it is run in the top folder of the source.
func extras() []*cobra.Command {
	return []*cobra.Command{{
		Use: "man DIR", Hidden: true, Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := manual.Document(args[0], "proto/hostnic/v1/host_nic.proto"); err != nil {
				return err
			}
			return manual.Commands(args[0], cmd.Root(), 1, "hostnicd(8)", "host_nic(5)", "agent.yaml(5)")
		},
	}}
}
