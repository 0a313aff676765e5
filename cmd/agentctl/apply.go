package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type applyOptions struct {
	*globals
	// revertAfter is how long the change waits to be confirmed; 0 is not given.
	revertAfter time.Duration
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
has died meanwhile. Use it for whatever might cut your own connection.

The operation goes on when agentctl is interrupted or loses its connection.` +
			exits(exitRefused, exitRolledBack, exitIncomplete, exitUnreachable),
		GroupID: groupAct,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRevertAfter(cmd, o.revertAfter); err != nil {
				return err
			}
			return runApply(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	revertAfterFlag(cmd, &o.revertAfter)
	return cmd
}

func revertAfterFlag(cmd *cobra.Command, to *time.Duration) {
	cmd.Flags().DurationVar(to, "revert-after", 0, "go back to what is committed unless agentctl commit confirms within this time (2m, 90s)")
}

// checkRevertAfter refuses a time that is given and is none: whoever gives one counts
// on it.
func checkRevertAfter(cmd *cobra.Command, length time.Duration) error {
	if cmd.Flags().Changed("revert-after") && length <= 0 {
		return &usageError{what: fmt.Sprintf("--revert-after %s is no time to confirm in: give from 1s to 24h", length), command: cmd}
	}
	return nil
}

// window adds to the options how long a change waits to be confirmed.
func window(options *hostnicv1.ApplyOptions, length time.Duration) *hostnicv1.ApplyOptions {
	if length != 0 {
		options.RevertAfter = durationpb.New(length)
	}
	return options
}

func runApply(ctx context.Context, o applyOptions, out, errOut io.Writer) error {
	start := func(ctx context.Context, c *connection, options *hostnicv1.ApplyOptions) (stream, error) {
		return receiver(c.config().Apply(ctx, &hostnicv1.ApplyRequest{Options: window(options, o.revertAfter)}))
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
