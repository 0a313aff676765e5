package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type applyOptions struct {
	*globals
	changeOptions
}

func newApplyCommand(g *globals) *cobra.Command {
	o := applyOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Bring what is staged to the host, or leave it as it was",
		Long: `Bring the host to what is staged, and verify it. When anything fails the host goes
back to exactly what it was. Nothing is stored: a reboot brings back what was last
committed, and agentctl rollback does at once.

With --revert-after the change has to be confirmed by agentctl commit within that
time, or the host goes back to what is committed: by itself, and even if the agent
has died meanwhile. Without it a change that interrupts the connection that you
have come in by (SSH_CONNECTION), or a path to the control plane (control_plane in
agent.yaml), is refused; and with it one that leaves no way to them at all.` + probeHelp + `Without --probe: gateway, lacp, and lldp of neighbours that are required.

The operation goes on when agentctl is interrupted or loses its connection.` +
			exits(exitRefused, exitRolledBack, exitIncomplete, exitUnreachable),
		GroupID: groupAct,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.checkFlags(cmd); err != nil {
				return err
			}
			return runApply(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.revertAfterFlag(cmd)
	o.flags(cmd)
	return cmd
}

func runApply(ctx context.Context, o applyOptions, out, errOut io.Writer) error {
	start := func(ctx context.Context, c *connection, options *hostnicv1.ApplyOptions) (stream, error) {
		return receiver(c.config().Apply(ctx, &hostnicv1.ApplyRequest{Options: o.onto(options)}))
	}
	return orElse(o.operate(ctx, out, errOut, start, applied), nextCorrect)
}

func applied(s screen, op *hostnicv1.Operation) (next string) {
	if op.GetWrites() == 0 {
		s.println("nothing to do")
		return ""
	}
	s.println("applied: " + howMuch(op))
	if w := op.GetRevertAfter(); w != nil {
		return fmt.Sprintf("confirm within %s: agentctl commit   undo now: agentctl rollback", w.AsDuration())
	}
	return "make it permanent: agentctl commit   undo: agentctl rollback"
}
