package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type applyOptions struct {
	*globals
}

func newApplyCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "apply",
		Short: "Bring what is staged to the host, or leave it as it was",
		Long: `Bring the host to what is staged, and verify it. When anything fails the host goes
back to exactly what it was. Nothing is stored: a reboot brings back what was last
committed, and agentctl rollback does at once.

The operation goes on when agentctl is interrupted or loses its connection.` +
			exits(exitRefused, exitRolledBack, exitIncomplete, exitUnreachable),
		GroupID: groupAct,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runApply(cmd.Context(), applyOptions{g}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

func runApply(ctx context.Context, o applyOptions, out, errOut io.Writer) error {
	start := func(ctx context.Context, c *connection, options *hostnicv1.ApplyOptions) (stream, error) {
		return receiver(c.config().Apply(ctx, &hostnicv1.ApplyRequest{Options: options}))
	}
	return orElse(o.operate(ctx, out, errOut, start, applied), nextCorrect)
}

func applied(s screen, op *hostnicv1.Operation) (next string) {
	if op.GetWrites() == 0 {
		s.println("nothing to do")
		return ""
	}
	s.println("applied: " + howMuch(op))
	return "make it permanent: agentctl commit   undo: agentctl rollback"
}
