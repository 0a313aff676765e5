package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type historyOptions struct {
	*globals
}

func newHistoryCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "history",
		Short:   "The committed revisions, newest first",
		Long:    `The committed revisions, newest first: when, who and why.` + exits(exitUnreachable),
		GroupID: groupLook,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runHistory(cmd.Context(), historyOptions{g}, cmd.OutOrStdout())
		},
	}
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
