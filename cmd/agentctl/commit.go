package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type commitOptions struct {
	*globals
	changeOptions
	comment string
}

func newCommitCommand(g *globals) *cobra.Command {
	o := commitOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "commit",
		Short: "Store what is applied, so that it comes back at boot",
		Long: `Store what is applied as a new revision, which comes back at boot. What is still
staged is applied first, as agentctl apply does it. Where nothing has changed
nothing is stored.` + probeHelp + `Without --probe: gateway, lacp, and lldp of neighbours that are required. Where nothing
is applied nothing is probed.` + exits(exitRefused, exitRolledBack, exitIncomplete, exitUnreachable),
		Example: `  agentctl commit -m 'bond for the storage network'`,
		GroupID: groupAct,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed(revertAfter) {
				return &usageError{what: "a commit stores for good, and confirms what waits: to have a change go back by itself say agentctl apply --revert-after, and agentctl commit when all is well", command: cmd}
			}
			if err := o.checkFlags(cmd); err != nil {
				return err
			}
			return runCommit(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&o.comment, "message", "m", "", "`comment` that is kept with the revision")
	o.flags(cmd)
	// Other tools have it here: who types it is told what to type.
	cmd.Flags().String(revertAfter, "", "")
	_ = cmd.Flags().MarkHidden(revertAfter)
	return cmd
}

const revertAfter = "revert-after"

func runCommit(ctx context.Context, o commitOptions, out, errOut io.Writer) error {
	start := func(ctx context.Context, c *connection, options *hostnicv1.ApplyOptions) (stream, error) {
		return receiver(c.config().Commit(ctx, &hostnicv1.CommitRequest{Options: o.onto(options), Comment: o.comment}))
	}
	return orElse(o.operate(ctx, out, errOut, start, committed), nextCorrect)
}

func committed(s screen, op *hostnicv1.Operation) (next string) {
	if op.GetWrites() > 0 {
		s.println("applied: " + howMuch(op))
	}
	switch {
	case op.Revision == nil && op.GetWrites() == 0:
		s.println("nothing to do")
	case op.Revision == nil:
		s.println("nothing to commit: what is applied is what is committed")
	default:
		s.println(fmt.Sprintf("committed as revision %d", op.GetRevision()))
	}
	if op.GetRevision() > 1 {
		return fmt.Sprintf("go back: agentctl rollback %d", op.GetRevision()-1)
	}
	return ""
}
