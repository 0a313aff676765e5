package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type doctorOptions struct {
	*globals
}

func newDoctorCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "What is wrong or suspicious on this host, and what to do",
		Long: `Look for what is wrong or suspicious: links with the same MAC, MTUs that do not fit, bonds
that watch nothing or have lost a slave, LACP without a partner, contending default
routes, another program that manages the agent's links, what the kernel lacks, drift,
room for the agent's state, the clock, certificates. Each finding has what was seen, and
the command to run. An error does not work now; a warning works by luck, or will not for
long; a note may be meant so.` + exits(exitUnreachable) + "\n  10 errors or warnings were found",
		GroupID: groupLook,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), doctorOptions{g}, cmd.OutOrStdout())
		},
	}
}

// weightNote is the weight of what may be meant so.
const weightNote = "note"

var weightStyles = map[string]style{"error": red, "warning": yellow}

func runDoctor(ctx context.Context, o doctorOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.doctor().Examine(ctx, &hostnicv1.ExamineRequest{})
	if err != nil {
		return err
	}
	if o.machine() {
		if err := o.printMessage(out, answer, "findings"); err != nil {
			return err
		}
	} else {
		printFindings(o.screen(out), answer)
	}
	for _, f := range answer.GetFindings() {
		if f.GetWeight() != weightNote {
			return errChanges
		}
	}
	return nil
}

func printFindings(s screen, answer *hostnicv1.ExamineResponse) {
	if len(answer.GetFindings()) == 0 {
		s.println("nothing is wrong")
	}
	for _, f := range answer.GetFindings() {
		where := ""
		if f.GetNic() != "" {
			where = f.GetNic() + ": "
		}
		s.paragraph(f.GetWeight()+": ", weightStyles[f.GetWeight()], where+f.GetWhat()+" ("+f.GetRule()+")", 4)
		if len(f.GetEvidence()) > 0 {
			s.println(wrap("    "+strings.Join(f.GetEvidence(), "; "), s.width, 4))
		}
		if f.GetRemedy() != "" {
			s.println(wrap("    do: "+f.GetRemedy(), s.width, 8))
		}
	}
	for _, skipped := range answer.GetSkipped() {
		s.println(wrap("not looked at: "+skipped.GetRule()+": "+skipped.GetReason(), s.width, 4))
	}
}
