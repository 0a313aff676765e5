package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hostnic/hostnic/agent"
)

// guardCommand is what the daemon starts as its guard; nobody else calls it. It reads
// no settings file: the daemon's may have been changed, or broken, since.
func guardCommand() *cobra.Command {
	c := agent.DefaultConfig()
	cmd := &cobra.Command{
		Use: agent.GuardCommand, Hidden: true,
		Args: func(_ *cobra.Command, args []string) error { return noArguments(args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			parent := os.Getppid()
			level, err := c.Level()
			if err != nil {
				return &usageError{err}
			}
			// What asks the daemon to end does not ask its guard; and a log that nobody
			// reads any more must not end it when it is needed.
			signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
			return agent.RunGuard(context.WithoutCancel(cmd.Context()), c, os.Stdin, parent, logger(os.Stderr, level))
		},
	}
	cmd.Flags().StringVar(&c.StateDir, "state-dir", c.StateDir, "folder of the state")
	cmd.Flags().StringVar(&c.ResolvConf, "resolv-conf", c.ResolvConf, "file of the DNS servers")
	cmd.Flags().StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	return cmd
}
