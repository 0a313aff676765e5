package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type rollbackOptions struct {
	*globals
	changeOptions
	revision *int64
}

func newRollbackCommand(g *globals) *cobra.Command {
	o := rollbackOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "rollback [REV]",
		Short: "Apply what is committed, or an earlier revision",
		Long: `Apply a revision of agentctl history, or what is committed. What is staged is
forgotten. Like an apply it is not stored until a commit.` + probeHelp + "Without --probe: none." +
			exits(exitRefused, exitRolledBack, exitIncomplete, exitUnreachable),
		GroupID:           groupAct,
		Args:              arguments(0, 1),
		ValidArgsFunction: g.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				revision, err := revisionOf(args[0])
				if err != nil {
					return &usageError{what: err.Error(), command: cmd}
				}
				o.revision = &revision
			}
			if err := o.checkFlags(cmd); err != nil {
				return err
			}
			return runRollback(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.revertAfterFlag(cmd)
	o.flags(cmd)
	return cmd
}

func runRollback(ctx context.Context, o rollbackOptions, out, errOut io.Writer) error {
	start := func(ctx context.Context, c *connection, options *hostnicv1.ApplyOptions) (stream, error) {
		return receiver(c.config().Rollback(ctx, &hostnicv1.RollbackRequest{Options: o.onto(options), Revision: o.revision}))
	}
	return orElse(o.operate(ctx, out, errOut, start, o.wentBack), nextHistory)
}

func (o rollbackOptions) wentBack(s screen, op *hostnicv1.Operation) (next string) {
	to := "what is committed"
	if o.revision != nil {
		to = fmt.Sprintf("revision %d", *o.revision)
		next = "make it permanent: agentctl commit   undo: agentctl rollback"
	}
	if op.GetWrites() == 0 {
		s.println("nothing to do: the host is at " + to)
		return next
	}
	s.println("back at " + to + ": " + howMuch(op))
	return next
}
