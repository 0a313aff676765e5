package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type checkOptions struct {
	*globals
}

func newCheckCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Whether an apply would be taken, and what it would do",
		Long: `Judge what is staged as an apply would, without touching the host, and rehearse it:
the plan is played in a network namespace of its own, under the same kernel, on
stand-ins for the links of the host. Prints what agentctl diff prints, or every
reason why an apply would be refused, in the kernel's words where it is the kernel.` +
			exits(exitRefused, exitUnreachable, exitChanges),
		GroupID: groupAct,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCheck(cmd.Context(), checkOptions{g}, cmd.OutOrStdout())
		},
	}
}

func runCheck(ctx context.Context, o checkOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().Check(ctx, &hostnicv1.CheckRequest{Paths: c.paths})
	if err != nil {
		return orElse(err, nextCorrect)
	}
	return o.printPlan(out, answer.GetPlan())
}
