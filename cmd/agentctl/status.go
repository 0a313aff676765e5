package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type statusOptions struct {
	*globals
}

func newStatusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Where the host stands: staged, running, committed",
		Long: `Where the host stands: what is committed, whether something is applied but not
committed, or staged but not applied, the last operation, drift (how the host differs
from what is applied, since when, and what to do about it), and what is waited for.
Whether drift is only reported or healed by itself is a setting of the host: drift in
agent.yaml. The exit code is 5 while the last operation is one whose rollback is
incomplete.` + exits(exitIncomplete, exitUnreachable),
		GroupID: groupLook,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runStatus(cmd.Context(), statusOptions{g}, cmd.OutOrStdout())
		},
	}
}

func runStatus(ctx context.Context, o statusOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().GetStatus(ctx, &hostnicv1.GetStatusRequest{})
	if err != nil {
		return err
	}
	if o.machine() {
		if err := o.printMessage(out, answer, ""); err != nil {
			return err
		}
	} else {
		printStatus(o.screen(out), answer)
	}
	if op := answer.GetOperation(); op.GetState() == stateIncomplete && op.GetKind() != kindHeal {
		return errUnresolved
	}
	return nil
}

func printStatus(s screen, status *hostnicv1.GetStatusResponse) {
	entries := []property{
		{"committed", committedWords(status)},
		{"running", runningWords(status)},
		{"staged", stagedWords(status)},
	}
	if p := status.GetPending(); p != nil {
		entries = append(entries, property{"to confirm", fmt.Sprintf("within %s, or it goes back to what is committed: agentctl commit",
			p.GetRemaining().AsDuration().Round(time.Second))})
	}
	if op := status.GetOperation(); op != nil {
		entries = append(entries, property{"last operation", operationWords(s, op)})
	}
	add := func(name string, lines []string) {
		if len(lines) > 0 {
			entries = append(entries, property{name, strings.Join(lines, "\n")})
		}
	}
	add("drift", statusDrift(status))
	var waiting []string
	for _, w := range status.GetWaiting() {
		waiting = append(waiting, w.GetNic()+": "+w.GetReason())
	}
	add("waiting", waiting)
	add("degraded", status.GetDegraded())
	s.properties(0, entries)
}

func committedWords(status *hostnicv1.GetStatusResponse) string {
	if status.GetCommittedRevision() == 0 {
		return "nothing yet"
	}
	return fmt.Sprintf("revision %d", status.GetCommittedRevision())
}

func runningWords(status *hostnicv1.GetStatusResponse) string {
	if status.GetUncommitted() {
		return "not what is committed, a reboot would lose it: agentctl commit, or agentctl rollback"
	}
	if status.GetCommittedRevision() == 0 {
		return "nothing yet"
	}
	return "what is committed"
}

func stagedWords(status *hostnicv1.GetStatusResponse) string {
	words := fmt.Sprintf("revision %d", status.GetStagedRevision())
	if status.GetStagedChanges() {
		return words + ", changes that are not applied: agentctl diff"
	}
	return words + ", no changes"
}

func operationWords(s screen, op *hostnicv1.Operation) string {
	state, with := op.GetState(), plain
	switch state {
	case stateRolledBack, stateRefused:
		with = yellow
	case stateIncomplete:
		with = red
	}
	lines := []string{fmt.Sprintf("%s %s, %s by %s, %s", op.GetKind(), s.paint(with, state),
		localTime(op.GetStarted()), cmp.Or(op.GetAuthor(), "unknown"), howMuch(op))}
	if op.GetError() != "" {
		lines = append(lines, op.GetError())
	}
	lines = append(lines, healedWords(op)...)
	for _, line := range driftLines(op.GetRemaining()) {
		lines = append(lines, "left: "+line)
	}
	return strings.Join(lines, "\n")
}
