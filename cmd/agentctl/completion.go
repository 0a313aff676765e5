package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "The script that teaches a shell to complete agentctl",
		Long:  "Print the script that teaches a shell to complete agentctl, and names of interfaces." + exits(),
		Example: `  source <(agentctl completion bash)
  agentctl completion fish > ~/.config/fish/completions/agentctl.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch out := cmd.OutOrStdout(); args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(out)
			case "fish":
				return cmd.Root().GenFishCompletion(out, true)
			}
			return &usageError{what: "the shell " + quoted(args[0]) + " is not known; use bash, zsh or fish", command: cmd}
		},
	}
}

// complete offers fixed words for a flag.
func complete(cmd *cobra.Command, flag string, words ...string) {
	// Fails only where the flag is missing.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// ask runs a question to the agent for the sake of completion: briefly, and without
// a word when nobody answers.
func (g *globals) ask(ctx context.Context, question func(context.Context, *connection) error) {
	quick := *g
	quick.timeout, quick.output = briefly, formatTable
	c, err := quick.connect()
	if err != nil {
		return
	}
	defer c.close()
	_ = question(ctx, c) // whoever presses tab wants no error
}

func anyNic(*hostnicv1.HostNic) bool { return true }

// madeNic is true of what the agent can delete.
func madeNic(n *hostnicv1.HostNic) bool { return n.GetKind() == "bond" || n.GetKind() == "vlan" }

// completeNics offers the names of interfaces for the first arguments, most of them;
// -1 is all.
func (g *globals) completeNics(most int, which func(*hostnicv1.HostNic) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		g.ask(cmd.Context(), func(ctx context.Context, c *connection) error {
			answer, err := c.nics().ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{})
			for _, n := range answer.GetHostNics() {
				if which(n) && !slices.Contains(args, n.GetName()) {
					names = append(names, n.GetName()+"\t"+n.GetKind())
				}
			}
			return err
		})
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeSet offers an interface first and then fields.
func (g *globals) completeSet(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return g.completeNics(1, anyNic)(cmd, args, typed)
	}
	fields := settable("", (&hostnicv1.HostNic{}).ProtoReflect().Descriptor(), lastSettable)
	g.ask(cmd.Context(), func(ctx context.Context, c *connection) error {
		answer, err := c.capabilities().GetCapabilities(ctx, &hostnicv1.GetCapabilitiesRequest{})
		for _, o := range answer.GetBondOptions() {
			fields = append(fields, "bonding.options."+o.GetName()+"=\t"+o.GetAllowed())
		}
		return err
	})
	return fields, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// lastSettable is the number of the last field of HostNic that can be configured,
// by the API's manual.
const lastSettable = 19

// settable are the fields below a message, with dots, ready for a value.
func settable(path string, message protoreflect.MessageDescriptor, last protoreflect.FieldNumber) []string {
	var fields []string
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		name := path + string(field.Name())
		switch {
		case field.Number() > last || field.IsMap() || name == "name" || name == "id":
		case field.Message() != nil:
			fields = append(fields, settable(name+".", field.Message(), last)...)
		default:
			fields = append(fields, name+"=")
		}
	}
	return fields
}

// completeConfigs offers the configurations, for the first arguments.
func (g *globals) completeConfigs(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		revisions, directive := g.completeRevisions(cmd, nil, typed)
		return append([]string{"staged", "running", "committed"}, revisions...), directive
	}
}

// completeRevisions offers the committed revisions.
func (g *globals) completeRevisions(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var revisions []string
	if len(args) == 0 {
		g.ask(cmd.Context(), func(ctx context.Context, c *connection) error {
			answer, err := c.config().ListRevisions(ctx, &hostnicv1.ListRevisionsRequest{})
			for _, r := range answer.GetRevisions() {
				comment, _, _ := strings.Cut(r.GetComment(), `\n`)
				revisions = append(revisions, fmt.Sprintf("%d\t%s %s", r.GetRevision(), localTime(r.GetTime()), comment))
			}
			return err
		})
	}
	return revisions, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
