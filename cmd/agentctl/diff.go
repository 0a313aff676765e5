package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type diffOptions struct {
	*globals
	from, to *hostnicv1.ConfigSelector
}

func newDiffCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "diff [FROM TO]",
		Short: "What an apply would do, and what it would cut",
		Long:  diffLong + exits(exitRefused, exitUnreachable, exitChanges),
		Example: `  agentctl diff
  agentctl diff committed running
  agentctl diff 3 5`,
		GroupID:           groupAct,
		Args:              arguments(0, 2),
		ValidArgsFunction: g.completeConfigs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := diffOptions{globals: g}
			if len(args) == 1 {
				return &usageError{what: "diff takes two configurations or none: " + cmd.UseLine(), command: cmd}
			}
			if len(args) == 2 {
				var err error
				if o.from, err = selectorOf(args[0]); err == nil {
					o.to, err = selectorOf(args[1])
				}
				if err != nil {
					return &usageError{what: err.Error(), command: cmd}
				}
			}
			return runDiff(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
}

const diffLong = `The operations that lead from the host as it is to what is staged, in the order in
which they would be done, in iproute2's words. In brackets is what an operation
costs traffic: link down, slaves released or recreated; nothing where there are
none. FROM and TO are staged, running, committed or a revision: then the host is
not looked at, but taken to be as FROM has it.`

func runDiff(ctx context.Context, o diffOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().Plan(ctx, &hostnicv1.PlanRequest{From: o.from, To: o.to, Paths: c.paths})
	if err != nil {
		return orElse(err, nextCorrect)
	}
	return o.printPlan(out, answer.GetPlan())
}

// nextCorrect is what to do about a candidate that is refused.
const nextCorrect = "nothing was touched; correct what is staged (agentctl stage, agentctl set) or agentctl discard"
