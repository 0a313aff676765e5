package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type historyOptions struct {
	*globals
	operations, verbose bool
}

func newHistoryCommand(g *globals) *cobra.Command {
	o := historyOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "The committed revisions, newest first",
		Long: `The committed revisions, newest first: when, who and why. With --operations the last
100 operations and what became of them, also from before the agent or the host was
started again. With --verbose each operation in full: who asked and how that is known,
what was asked of the kernel, and what came of it.` + exits(exitUnreachable),
		GroupID: groupLook,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.operations || o.verbose {
				return runOperations(cmd.Context(), o, cmd.OutOrStdout())
			}
			return runHistory(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&o.operations, "operations", false, "the operations instead of the revisions")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "the operations in full, with who asked and what was done")
	return cmd
}

func runOperations(ctx context.Context, o historyOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().ListOperations(ctx, &hostnicv1.ListOperationsRequest{})
	if err != nil {
		return err
	}
	if o.machine() {
		return o.printMessage(out, answer, "operations")
	}
	s := o.screen(out)
	if len(answer.GetOperations()) == 0 {
		s.println("there has been no operation yet")
		return nil
	}
	if o.verbose {
		printAudit(s, answer.GetOperations())
		return nil
	}
	var rows [][]string
	for _, op := range answer.GetOperations() {
		rows = append(rows, []string{localTime(op.GetStarted()), op.GetKind(), op.GetState(), op.GetAuthor(), op.GetId(), outcome(op)})
	}
	s.println(s.table([]string{"time", "kind", "state", "author", "operation", "outcome"}, rows))
	return nil
}

// printAudit writes operations in full.
func printAudit(s screen, all []*hostnicv1.Operation) {
	for i, op := range all {
		if i > 0 {
			s.println("")
		}
		s.println(localTime(op.GetStarted()) + "  " + s.paint(bold, op.GetKind()) + " " + op.GetState() + ", " + howMuch(op))
		entries := []property{{"operation", op.GetId()}, {"author", cmp.Or(op.GetAuthor(), "nobody")}}
		add := func(name string, lines ...string) {
			if text := strings.Join(lines, "\n"); text != "" {
				entries = append(entries, property{name, text})
			}
		}
		add("caller", op.GetCaller())
		changes := op.GetChanges()
		if n := op.GetUnlistedChanges(); n > 0 {
			changes = append(slices.Clone(changes), fmt.Sprintf("and %d more", n))
		}
		add("changes", changes...)
		add("healed", driftLines(op.GetHealed())...)
		add("left", driftLines(op.GetRemaining())...)
		if op.Revision != nil {
			add("revision", fmt.Sprint(op.GetRevision()))
		}
		add("taken back by", op.GetRevertedBy())
		add("error", op.GetError())
		s.properties(2, entries)
	}
}

// outcome is what became of an operation, in a few words.
func outcome(op *hostnicv1.Operation) string {
	first, _, _ := strings.Cut(op.GetError(), "\n")
	switch {
	case first != "":
		return first
	case op.Revision != nil:
		return fmt.Sprintf("revision %d", op.GetRevision())
	case op.GetRevertedBy() != "":
		return "taken back by " + op.GetRevertedBy()
	}
	return ""
}

func runHistory(ctx context.Context, o historyOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().ListRevisions(ctx, &hostnicv1.ListRevisionsRequest{})
	if err != nil {
		return err
	}
	if o.machine() {
		return o.printMessage(out, answer, "revisions")
	}
	s := o.screen(out)
	if len(answer.GetRevisions()) == 0 {
		s.println("nothing has been committed yet")
		return nil
	}
	var rows [][]string
	for _, r := range answer.GetRevisions() {
		rows = append(rows, []string{fmt.Sprint(r.GetRevision()), localTime(r.GetTime()), r.GetAuthor(), r.GetComment()})
	}
	s.println(s.table([]string{"revision", "time", "author", "comment"}, rows))
	return nil
}

// localTime is RFC 3339, in the operator's time zone.
func localTime(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format(time.RFC3339)
}
