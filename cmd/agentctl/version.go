package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type versionOptions struct {
	*globals
}

// briefly is how long an agent is waited for that is only asked by the way.
const briefly = 300 * time.Millisecond

func newVersionCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Versions of agentctl and of the agent",
		Long:  "Versions of agentctl and, where it answers at once, of the agent." + exits(),
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runVersion(cmd.Context(), versionOptions{g}, cmd.OutOrStdout())
		},
	}
}

func runVersion(ctx context.Context, o versionOptions, out io.Writer) error {
	agent, err := o.agentVersion(ctx)
	if o.machine() {
		versions := struct {
			Agentctl string `json:"agentctl"`
			Hostnicd string `json:"hostnicd,omitempty"`
		}{version, agent}
		raw, err := json.Marshal(versions)
		if err != nil {
			return err
		}
		return o.printTree(out, raw)
	}
	s := o.screen(out)
	s.println("agentctl " + version)
	switch {
	case err != nil:
		s.println("hostnicd did not answer: " + printable(err.Error()))
	default:
		s.println("hostnicd " + orUnknown(agent))
	}
	return nil
}

func (o versionOptions) agentVersion(ctx context.Context) (string, error) {
	o.timeout = min(o.timeout, briefly)
	c, err := o.connect()
	if err != nil {
		return "", err
	}
	defer c.close()
	answer, err := c.config().GetStatus(ctx, &hostnicv1.GetStatusRequest{})
	return answer.GetVersion(), err
}
