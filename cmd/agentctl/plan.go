package main

import (
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// live is the disruption class of what costs nothing, and goes without saying.
const live = "live"

// widestCommand is how far the remarks are pushed to the right; a longer command
// has them right behind it.
const widestCommand = 60

// printPlan writes a plan; the error tells that it is not empty.
func (g *globals) printPlan(out io.Writer, plan *hostnicv1.Plan) error {
	if g.machine() {
		if plan == nil {
			plan = &hostnicv1.Plan{}
		}
		if err := g.printMessage(out, plan, "operations"); err != nil {
			return err
		}
	} else {
		printPlanText(g.screen(out), plan)
	}
	if len(plan.GetOperations()) > 0 {
		return errChanges
	}
	return nil
}

func printPlanText(s screen, plan *hostnicv1.Plan) {
	operations := plan.GetOperations()
	if len(operations) == 0 {
		s.println("nothing to do")
	}
	command, class := columns(operations)
	for _, op := range operations {
		printOperation(s, op, command, class)
	}
	if len(plan.GetForecast())+len(plan.GetCuts())+len(plan.GetWaiting())+len(plan.GetWarnings()) > 0 {
		s.println("")
	}
	for _, f := range plan.GetForecast() {
		s.paragraph("cuts: ", yellow, forecastLine(f), 4)
	}
	for _, c := range plan.GetCuts() {
		s.paragraph("cuts: ", red, cutLine(c), 4)
	}
	printNotes(s, plan.GetWaiting(), plan.GetWarnings())
	printRehearsal(s, plan.GetRehearsal())
}

func printRehearsal(s screen, r *hostnicv1.Rehearsal) {
	switch {
	case r == nil:
		return
	case r.GetSkipped() != "":
		s.paragraph("not rehearsed: ", yellow, r.GetSkipped(), 4)
		return
	}
	s.println("")
	s.println("rehearsed in " + seconds(r.GetDuration().AsDuration()) + ": the kernel takes all of it")
	for _, open := range r.GetOpen() {
		s.paragraph("not told by it: ", yellow, open, 4)
	}
}

// columns are the widths of what has a remark behind it: most commands are live
// and need no place kept beside them.
func columns(operations []*hostnicv1.PlannedOperation) (command, class int) {
	for _, op := range operations {
		words := classWords(op)
		if words == "" && op.GetReason() == "" {
			continue
		}
		class = max(class, len(words))
		if width := text.RuneWidthWithoutEscSequences(op.GetCommand()); width <= widestCommand {
			command = max(command, width)
		}
	}
	return command, class
}

func classWords(op *hostnicv1.PlannedOperation) string {
	if op.GetDisruption() == "" || op.GetDisruption() == live {
		return ""
	}
	return "[" + op.GetDisruption() + "]"
}

// printOperation writes the command and its remarks in a line, or the remarks in a
// line of their own where the terminal is too narrow for both.
func printOperation(s screen, op *hostnicv1.PlannedOperation, command, class int) {
	words, reason := classWords(op), ""
	if op.GetReason() != "" {
		reason = "  # " + op.GetReason()
	}
	remarks := strings.TrimRight(text.Pad(words, class, ' ')+reason, " ")
	line := strings.TrimRight(text.Pad(op.GetCommand(), command, ' ')+"  "+remarks, " ")
	if s.width == 0 || text.RuneWidthWithoutEscSequences(line) <= s.width {
		s.println(paintClass(s, line, words))
		return
	}
	s.println(wrap(op.GetCommand(), s.width, 4))
	if remarks = strings.TrimSpace(words + reason); remarks != "" {
		s.println(paintClass(s, wrap("    "+remarks, s.width, 6), words))
	}
}

func paintClass(s screen, line, words string) string {
	if words == "" {
		return line
	}
	return strings.Replace(line, words, s.paint(yellow, words), 1)
}

func forecastLine(f *hostnicv1.Forecast) string {
	line := f.GetNic() + " " + f.GetDisruption()
	if f.GetReason() != "" {
		line += " (" + f.GetReason() + ")"
	}
	return line
}

// cutLine tells of a path that would be interrupted, and how to go on all the same.
func cutLine(c *hostnicv1.Cut) string {
	line := "the path from " + c.GetPath().GetClient()
	if host := c.GetPath().GetHost(); host != "" {
		line += " to " + host
	}
	line += " (" + c.GetNic() + "): " + c.GetReason()
	if c.GetForGood() {
		return line + "; it takes --force, best with --revert-after 2m"
	}
	return line + "; it takes --revert-after 2m, or --force"
}

func printNotes(s screen, waiting []*hostnicv1.Waiting, warnings []*hostnicv1.Problem) {
	for _, w := range waiting {
		s.paragraph("waiting: ", yellow, w.GetNic()+": "+w.GetReason(), 4)
	}
	for _, w := range warnings {
		s.paragraph("warning: ", yellow, problemLine("", w), 4)
	}
}
