package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

type deleteOptions struct {
	*globals
	nics []string
}

func newDeleteCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "delete NIC...",
		Short: "Take bonds and VLANs out of the candidate",
		Long: `Take bonds and VLANs, by name or id, out of the candidate. The host is not touched:
that is for agentctl apply. A physical NIC cannot be deleted, nor can what other
interfaces that stay are built on.` + exits(exitRefused, exitUnreachable),
		GroupID:           groupChange,
		Args:              arguments(1, -1),
		ValidArgsFunction: g.completeNics(-1, madeNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDelete(cmd.Context(), deleteOptions{g, args}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

func runDelete(ctx context.Context, o deleteOptions, out, errOut io.Writer) error {
	document, err := json.Marshal(map[string][]string{"removed": o.nics})
	if err != nil {
		return err
	}
	return o.stageOwn(ctx, document, out, errOut)
}
