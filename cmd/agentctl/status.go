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
agent.yaml. The exit code is 5 while a change could not be taken back: what is left of
it is listed, and the agent tries again until it is gone.` + exits(exitIncomplete, exitUnreachable),
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
	if op := answer.GetOperation(); answer.GetIncomplete() != nil || op.GetState() == stateIncomplete && op.GetKind() != kindHeal {
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
	if status.GetStateLost() {
		const unknown = "not known, see degraded"
		entries = []property{{"committed", unknown + "; agentctl history lists what can be read"}, {"running", unknown}, {"staged", unknown}}
	}
	if p := status.GetPending(); p != nil {
		entries = append(entries, property{"to confirm", fmt.Sprintf("within %s, or it goes back to what is committed: agentctl commit",
			p.GetRemaining().AsDuration().Round(time.Second))})
	}
	left := status.GetIncomplete()
	if op := status.GetOperation(); op != nil {
		entries = append(entries, property{"last operation", operationWords(s, op, left == nil)})
	}
	if left != nil {
		entries = append(entries, property{"incomplete", incompleteWords(s, left)})
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
	add("remote", remoteWords(status.GetRemote()))
	add("degraded", status.GetDegraded())
	s.properties(0, entries)
}

// remoteWords are about the API on the network; none where there is none.
func remoteWords(r *hostnicv1.Remote) []string {
	if r == nil {
		return nil
	}
	where := "nobody listens"
	if len(r.GetAddresses()) > 0 {
		where = "at " + strings.Join(r.GetAddresses(), ", ")
	}
	lines := []string{fmt.Sprintf("%s: %d connections, %d refused", where, r.GetConnections(), r.GetRefused())}
	if at := r.GetCertificateExpires(); at != nil {
		lines = append(lines, "the agent's certificate expires "+localTime(at))
	}
	return lines
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

// incompleteWords is what is left of a change that could not be taken back.
func incompleteWords(s screen, i *hostnicv1.IncompleteRollback) string {
	lines := []string{s.paint(red, "the change of operation "+i.GetOperationId()+" could not be taken back"),
		fmt.Sprintf("tried %d times so far, and again in %s; at once: agentctl rollback", i.GetAttempts(), i.GetNext().AsDuration().Round(time.Second))}
	return strings.Join(append(lines, leftLines(i.GetRemaining())...), "\n")
}

func leftLines(remaining []*hostnicv1.Drift) []string {
	lines := driftLines(remaining)
	for i := range lines {
		lines[i] = "left: " + lines[i]
	}
	return lines
}

func operationWords(s screen, op *hostnicv1.Operation, left bool) string {
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
	if by := op.GetRevertedBy(); by != "" {
		lines = append(lines, "taken back by operation "+by)
	}
	if left {
		lines = append(lines, leftLines(op.GetRemaining())...)
	}
	return strings.Join(lines, "\n")
}
