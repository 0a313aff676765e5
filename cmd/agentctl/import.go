package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type importOptions struct {
	*globals
	nics []string
}

func newImportCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "import [NIC...]",
		Short: "What is on the host now, as a document",
		Long: `Print what is on the host now, whoever has made it, as a document: addresses, default
gateways, MTUs, bonds and VLANs. Staged and committed it takes the host over without
changing anything. Without an argument it is about all hardware that is up, all bonds,
and the VLANs on these; otherwise about the links that are named, and what they stand
on. What a document cannot say is left where it is, and told on standard error.
What the agent has already is printed as it is configured.` + exits(exitRefused, exitUnreachable),
		Example: `  agentctl import > host.yaml
  agentctl stage -f host.yaml
  agentctl diff               nothing to do
  agentctl commit`,
		GroupID:           groupChange,
		Annotations:       map[string]string{rendersXML: "yes"},
		Args:              arguments(0, -1),
		ValidArgsFunction: g.completeNics(-1, anyNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), importOptions{g, args}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

func runImport(ctx context.Context, o importOptions, out, errOut io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	request := &hostnicv1.ImportRequest{Nics: o.nics, Render: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_YAML}
	if o.machine() {
		request.Render = documentFormats[o.output]
	}
	answer, err := c.config().Import(ctx, request)
	if err != nil {
		return orElse(err, "see which links there are: agentctl nics")
	}
	printNotes(o.screen(errOut), nil, answer.GetWarnings())
	return printDocument(out, answer.GetDocument())
}
