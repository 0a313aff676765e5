//go:build man

package main

import (
	"github.com/spf13/cobra"

	"github.com/hostnic/hostnic/agent"
	"github.com/hostnic/hostnic/cmd/internal/manual"
)

const aboutSettings = `The settings of hostnicd are a YAML file, /etc/hostnic/agent.yaml unless --config names
another one. It may be missing. A key that does not exist is refused, and the daemon
does not start. Settings are read at start; flags win over them. What the network of the
host is to be is not among them: that is staged and committed, see agentctl(1).

Who changes socket or group changes hostnicd.socket, too (systemctl edit): the service
manager makes the socket.`

// extras has, in the program that is made for building packages, a command that writes
// the manual; it is run in the top folder of the source.
func extras() []*cobra.Command {
	return []*cobra.Command{{
		Use: "man DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := manual.Settings(args[0], "agent.yaml", "settings of the network agent hostnicd", aboutSettings, "agent", "Config", agent.DefaultConfig())
			if err != nil {
				return err
			}
			root := cmd.Root()
			root.SetHelpCommand(&cobra.Command{Hidden: true})
			return manual.Commands(args[0], root, 8, "agentctl(1)", "agent.yaml(5)", "host_nic(5)")
		},
	}}
}
