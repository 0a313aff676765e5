package main

import (
	"fmt"
	"strings"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

const (
	kindHeal = "heal"

	policyHeal = "heal"
)

func driftLine(d *hostnicv1.Drift) string {
	return fmt.Sprintf("%s should be %s, is %s", d.GetField(), orNothing(d.GetWanted()), orNothing(d.GetActual()))
}

func driftLines(drift []*hostnicv1.Drift) []string {
	var lines []string
	for _, d := range drift {
		lines = append(lines, driftLine(d))
	}
	return lines
}

// statusDrift is how the host differs and since when, and at the end what is done about
// it, by whom.
func statusDrift(status *hostnicv1.GetStatusResponse) []string {
	var lines []string
	mendable := false
	for _, d := range status.GetDrift() {
		line := driftLine(d)
		if d.GetSince() != nil {
			line += ", since " + localTime(d.GetSince())
		}
		lines = append(lines, line)
		if d.GetHint() != "" {
			lines = append(lines, "  "+d.GetHint())
			continue
		}
		mendable = mendable || !leftAlone(status, d)
	}
	if mendable {
		lines = append(lines, driftAdvice(status))
	}
	if names := status.GetLeftAlone(); len(names) > 0 {
		lines = append(lines, "not healed any more, see degraded: "+strings.Join(names, ", ")+"; agentctl apply takes it up again")
	}
	return lines
}

func leftAlone(status *hostnicv1.GetStatusResponse, d *hostnicv1.Drift) bool {
	for _, name := range status.GetLeftAlone() {
		if field := d.GetField(); field == name || strings.HasPrefix(field, "host_nics["+name+"]") {
			return true
		}
	}
	return false
}

// driftAdvice is what to type for what the agent can put right.
func driftAdvice(status *hostnicv1.GetStatusResponse) string {
	switch {
	case status.GetDriftPolicy() == policyHeal:
		return "policy heal: the agent puts it right by itself, nothing to do"
	case status.GetPending() != nil:
		return "policy report: once the change is confirmed or taken back, agentctl apply puts it right"
	case status.GetStagedChanges():
		return "policy report: agentctl apply puts it right, along with what is staged"
	}
	return "policy report: agentctl apply puts it right"
}

// mostHealed is how many differences of one operation are listed.
const mostHealed = 6

// healedWords are what a heal has put right, or found where it did not get to its end.
func healedWords(op *hostnicv1.Operation) []string {
	what := "put right"
	if op.GetState() != stateDone {
		what = "found"
	}
	var lines []string
	for i, d := range op.GetHealed() {
		if i == mostHealed {
			return append(lines, fmt.Sprintf("and %d more", len(op.GetHealed())-i))
		}
		lines = append(lines, fmt.Sprintf("%s: %s was %s, should be %s", what, d.GetField(), orNothing(d.GetActual()), orNothing(d.GetWanted())))
	}
	return lines
}
