package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type configOptions struct {
	*globals
	selector *hostnicv1.ConfigSelector
}

func newConfigCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "config [staged|running|committed|REV]",
		Short: "A configuration as a document",
		Long: `Print a configuration as a document that agentctl stage --replace takes back: what
is staged, running (applied), committed, or a revision of agentctl history. Without
an argument it is what is staged, which is what is running while nothing is.
The document is YAML; -o json and -o xml write it otherwise.` + exits(exitRefused, exitUnreachable),
		GroupID:           groupLook,
		Args:              arguments(0, 1),
		Annotations:       map[string]string{rendersXML: "yes"},
		ValidArgsFunction: g.completeConfigs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := configOptions{globals: g, selector: &hostnicv1.ConfigSelector{Source: hostnicv1.ConfigSource_CONFIG_SOURCE_STAGED}}
			if len(args) > 0 {
				selector, err := selectorOf(args[0])
				if err != nil {
					return &usageError{what: err.Error(), command: cmd}
				}
				o.selector = selector
			}
			return runConfig(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
}

func runConfig(ctx context.Context, o configOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	request := &hostnicv1.GetConfigRequest{Config: o.selector, Render: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_YAML}
	if o.machine() {
		request.Render = documentFormats[o.output]
	}
	answer, err := c.config().GetConfig(ctx, request)
	if err != nil {
		return orElse(err, nextHistory)
	}
	return printDocument(out, answer.GetDocument())
}

// nextHistory is what to do about a revision that is not there.
const nextHistory = "see which revisions there are: agentctl history"

var configSources = map[string]hostnicv1.ConfigSource{
	"staged":    hostnicv1.ConfigSource_CONFIG_SOURCE_STAGED,
	"running":   hostnicv1.ConfigSource_CONFIG_SOURCE_RUNNING,
	"committed": hostnicv1.ConfigSource_CONFIG_SOURCE_COMMITTED,
}

func selectorOf(name string) (*hostnicv1.ConfigSelector, error) {
	if source, ok := configSources[name]; ok {
		return &hostnicv1.ConfigSelector{Source: source}, nil
	}
	revision, err := revisionOf(name)
	if err != nil {
		return nil, fmt.Errorf("%s is no configuration: use staged, running, committed or the number of a revision", quoted(name))
	}
	return &hostnicv1.ConfigSelector{Revision: &revision}, nil
}

// revisionOf reads the number of a revision; they count from 1.
func revisionOf(text string) (int64, error) {
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 1 {
		return 0, fmt.Errorf("%s is no revision: use a number of agentctl history", quoted(text))
	}
	return revision, nil
}
