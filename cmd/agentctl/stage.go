package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type stageOptions struct {
	*globals
	files   []string
	format  string
	nic     string
	replace bool
	in      io.Reader
}

// documentFormats are what --format takes.
var documentFormats = map[string]hostnicv1.DocumentFormat{
	"auto":     hostnicv1.DocumentFormat_DOCUMENT_FORMAT_UNSPECIFIED,
	formatYAML: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_YAML,
	formatJSON: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_JSON,
	formatXML:  hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML,
}

// mostDocument is the longest document that the API takes, in bytes.
const mostDocument = 4 << 20

func newStageCommand(g *globals) *cobra.Command {
	o := stageOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "stage -f FILE|-",
		Short: "A document into the candidate",
		Long:  stageLong + exits(exitRefused, exitUnreachable),
		Example: `  agentctl stage -f host.yaml
  agentctl config running > host.yaml    # edit it, then
  agentctl stage --replace -f host.yaml`,
		GroupID: groupChange,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.in = cmd.InOrStdin()
			switch _, known := documentFormats[o.format]; {
			case len(o.files) == 0:
				return &usageError{what: "no document given: -f FILE, or -f - for standard input", command: cmd}
			case len(o.files) > 1:
				return &usageError{what: "one document at a time: stage them one after the other", command: cmd}
			case !known:
				return &usageError{what: "--format " + quoted(o.format) + " is not known; use auto, yaml, json or xml", command: cmd}
			}
			return runStage(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "file", "f", nil, "`file` with the document; - is standard input")
	f.BoolVar(&o.replace, "replace", false, "the document is the whole candidate, not a change to it")
	f.StringVar(&o.nic, "nic", "", "the `interface` that is meant by a document without name and id")
	f.StringVar(&o.format, "format", "auto", "`form` of the document: auto, yaml, json or xml")
	complete(cmd, "format", "auto", formatYAML, formatJSON, formatXML)
	_ = cmd.RegisterFlagCompletionFunc("nic", g.completeNics(1, anyNic)) // fails only where the flag is missing
	return cmd
}

const stageLong = `Merge a document (YAML, JSON or oVirt's XML) into the candidate. The host is not
touched: that is for agentctl apply.

What the document does not mention stays, null unsets, and lists are replaced
whole. With --replace the document is the whole candidate. A document with any
mistake in it is refused as a whole, and all its mistakes are told.`

func runStage(ctx context.Context, o stageOptions, out, errOut io.Writer) error {
	name, content, err := readDocument(o.files[0], o.in)
	if err != nil {
		return err
	}
	if o.replace && len(bytes.TrimSpace(content)) == 0 {
		// The output of a pipe that failed must not take everything away.
		return &agentError{code: codes.InvalidArgument, what: name + " is empty, and would replace the whole candidate", next: "to take everything away, stage {}"}
	}
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().Stage(ctx, &hostnicv1.StageRequest{
		Documents: []*hostnicv1.Document{{Content: content, Format: documentFormats[o.format], Nic: o.nic}},
		Replace:   o.replace,
	})
	if err != nil {
		return ofFile(orElse(err, "nothing was staged; correct the document and stage it again"), name)
	}
	return o.printStaged(out, errOut, answer, name)
}

// readDocument also gives the name by which errors call the document.
func readDocument(path string, in io.Reader) (name string, content []byte, err error) {
	name = "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", nil, fmt.Errorf("reading the document: %w", err)
		}
		defer func() { _ = f.Close() }() // only read from
		name, in = path, f
	}
	content, err = io.ReadAll(io.LimitReader(in, mostDocument+1))
	if err != nil {
		return "", nil, fmt.Errorf("reading the document: %w", err)
	}
	if len(content) > mostDocument {
		return "", nil, tooLarge(name)
	}
	return name, content, nil
}

// printStaged tells what became of edits. File is empty where the document is ours
// and its lines mean nothing to anybody.
func (g *globals) printStaged(out, errOut io.Writer, answer *hostnicv1.StageResponse, file string) error {
	if g.machine() {
		return g.printMessage(out, answer, "")
	}
	g.screen(out).println(fmt.Sprintf("staged revision %d", answer.GetRevision()))
	s := g.screen(errOut)
	for _, w := range answer.GetWarnings() {
		s.paragraph("warning: ", yellow, problemLine(file, w), 2)
	}
	s.println("see what it would do: agentctl diff   do it: agentctl apply")
	return nil
}
