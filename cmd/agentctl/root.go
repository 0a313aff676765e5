package main

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// defaultSocket is where hostnicd listens unless told otherwise.
const defaultSocket = "/run/hostnic/agent.sock"

// The forms of output.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatXML   = "xml"
)

// globals are the flags that all commands take, and what they need of the process.
type globals struct {
	socket  string
	address string
	cert    string
	key     string
	ca      string
	output  string
	color   string
	timeout time.Duration

	getenv func(string) string
}

// rendersXML marks the commands for which the agent writes oVirt's XML.
const rendersXML = "xml"

func newRootCommand(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:                        "agentctl",
		Short:                      "Look at and change the network of this host, through hostnicd",
		Long:                       rootLong,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:                       unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{what: "no command given", command: cmd}
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.check(cmd) },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{what: err.Error(), command: cmd}
	})
	root.SetUsageFunc(printUsage)
	root.SetHelpFunc(printHelp)
	g.addFlags(root)
	root.AddGroup(
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupChange, Title: "Change what is staged:"},
		&cobra.Group{ID: groupAct, Title: "Bring it to the host, and keep it:"},
	)
	root.AddCommand(
		newNicsCommand(g), newShowCommand(g), newStatsCommand(g), newWatchCommand(g), newStatusCommand(g), newWaitOnlineCommand(g), newHistoryCommand(g), newConfigCommand(g),
		newCapabilitiesCommand(g), newDoctorCommand(g), newLldpCommand(g),
		newStageCommand(g), newImportCommand(g), newSetCommand(g), newDeleteCommand(g), newDiscardCommand(g), newDiffCommand(g),
		newCheckCommand(g),
		newApplyCommand(g), newCommitCommand(g), newRollbackCommand(g), newRenewCommand(g), newReleaseCommand(g),
		newVersionCommand(g), newCompletionCommand(),
	)
	root.AddCommand(extras()...)
	return root
}

const rootLong = `Look at and change the network of this host, through hostnicd.

Changes are staged first and touch nothing. apply brings them to the host, or
leaves it exactly as it was; a reboot brings back what was last committed. commit
stores what is applied, and applies what is still staged:

  agentctl stage -f host.yaml    a document into the candidate
  agentctl diff                  what an apply would do, and what it would cut
  agentctl apply                 bring it to the host
  agentctl commit                keep it`

// addFlags declares the flags that all commands take.
func (g *globals) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&g.socket, "socket", cmp.Or(g.getenv("AGENTCTL_SOCKET"), defaultSocket),
		"`path` of the agent's socket; else AGENTCTL_SOCKET, else "+defaultSocket)
	f.Lookup("socket").DefValue = "" // the help is the same everywhere
	f.StringVar(&g.address, "address", "", "`host:port` of an agent elsewhere, instead of a socket")
	f.StringVar(&g.cert, "cert", "", "`file` with the client's certificate, PEM, for --address")
	f.StringVar(&g.key, "key", "", "`file` with the key of --cert, PEM")
	f.StringVar(&g.ca, "ca", "", "`file` with the certificates that the agent's is checked against, PEM")
	f.StringVarP(&g.output, "output", "o", formatTable, "`form` of the output: table, json, yaml or xml")
	f.DurationVar(&g.timeout, "timeout", 30*time.Second, "longest wait for an answer; following an operation has none")
	f.StringVar(&g.color, "color", "auto", "`when` to use color: auto, always or never; auto heeds NO_COLOR")
	complete(root, "output", formatTable, formatJSON, formatYAML, formatXML)
	complete(root, "color", "auto", "always", "never")
}

// check refuses flags that say nothing sensible, before any command runs.
func (g *globals) check(cmd *cobra.Command) error {
	refuse := func(what string) error { return &usageError{what: what, command: cmd} }
	forms := []string{formatTable, formatJSON, formatYAML}
	if cmd.Annotations[rendersXML] != "" {
		forms = append(forms, formatXML)
	}
	switch {
	case !slices.Contains(forms, g.output):
		return refuse(cmd.Name() + " cannot print " + quoted(g.output) + "; it has -o " + strings.Join(forms, ", "))
	case !slices.Contains([]string{"auto", "always", "never"}, g.color):
		return refuse("--color " + quoted(g.color) + " is not known; use auto, always or never")
	case g.timeout <= 0:
		return refuse("--timeout must be longer than nothing, such as 30s")
	case g.address != "" && cmd.Flags().Changed("socket"):
		return refuse("--socket and --address name two agents; give one of them")
	case g.address == "" && (g.cert != "" || g.key != "" || g.ca != ""):
		return refuse("--cert, --key and --ca are for --address, which is missing")
	case g.address != "" && (g.cert == "" || g.key == "" || g.ca == ""):
		return refuse("--address needs --cert, --key and --ca, because the agent and its client prove who they are")
	}
	return nil
}

// machine is true where a program reads the output.
func (g *globals) machine() bool { return g.output != formatTable }

// unknownCommand is reached with arguments only when the first is no command.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := "there is no command " + quoted(args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		what += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{what: what, command: cmd}
}

// arguments checks how many there are; most may be -1 for any number.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &usageError{what: "something is missing: " + cmd.UseLine(), command: cmd}
		case most >= 0 && len(args) > most:
			return &usageError{what: quoted(args[most]) + " is too much: " + cmd.UseLine(), command: cmd}
		}
		return nil
	}
}

// checkedWriter remembers that a write failed, as on a full disk.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(data []byte) (int, error) {
	n, err := w.Writer.Write(data)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// Fd lets the terminal behind the writer be seen; there is none where the
// underlying writer is not a file.
func (w *checkedWriter) Fd() uintptr {
	if f, ok := w.Writer.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}
