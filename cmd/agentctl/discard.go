package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type discardOptions struct {
	*globals
}

func newDiscardCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "discard",
		Short: "Forget what is staged",
		Long: `Make the candidate equal to what is applied. The host is not touched.` +
			exits(exitRefused, exitUnreachable),
		GroupID: groupChange,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDiscard(cmd.Context(), discardOptions{g}, cmd.OutOrStdout())
		},
	}
}

func runDiscard(ctx context.Context, o discardOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().Discard(ctx, &hostnicv1.DiscardRequest{})
	if err != nil {
		return err
	}
	if o.machine() {
		return o.printMessage(out, answer, "")
	}
	o.screen(out).println(fmt.Sprintf("nothing is staged any more: revision %d is what is applied", answer.GetRevision()))
	return nil
}
