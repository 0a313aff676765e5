package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hostnic/hostnic/agent"
)

// guardCommand is what the daemon starts as its guard; nobody else calls it.
func guardCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: agent.GuardCommand, Hidden: true,
		Args: func(_ *cobra.Command, args []string) error { return noArguments(args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			parent := os.Getppid()
			c, err := settings(f)
			if err != nil {
				return err
			}
			level, err := c.Level()
			if err != nil {
				return &usageError{err}
			}
			// What asks the daemon to end does not ask its guard.
			signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
			return agent.RunGuard(context.WithoutCancel(cmd.Context()), c, os.Stdin, parent, logger(os.Stderr, level))
		},
	}
	cmd.Flags().StringVar(&f.config, "config", "", "settings file")
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "folder of the state")
	cmd.Flags().StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error")
	return cmd
}
