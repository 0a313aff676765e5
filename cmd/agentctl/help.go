package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of commands in the help.
const (
	groupLook   = "look"
	groupChange = "change"
	groupAct    = "act"
)

// helpWidth is how long a line of help may be.
const helpWidth = 90

var exitMeanings = map[int]string{
	exitDone:        "done",
	exitError:       "error",
	exitUsage:       "usage",
	exitRefused:     "refused",
	exitRolledBack:  "applied nothing: rolled back",
	exitIncomplete:  "rollback incomplete",
	exitUnreachable: "agent unreachable or not permitted",
	exitChanges:     "changes",
}

// exits is the last paragraph of a command's help: which codes it may end with.
// The first three stand in all of them.
func exits(codes ...int) string {
	text := "\n\nExit codes:"
	for _, code := range append([]int{exitDone, exitError, exitUsage}, codes...) {
		text += fmt.Sprintf("\n  %-2d %s", code, exitMeanings[code])
	}
	return text
}

// printHelp and printUsage stand for cobra's templates, whose lines are as long as
// the longest flag makes them.
func printHelp(cmd *cobra.Command, _ []string) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s\n\n", strings.TrimSpace(text))
	writeUsage(out, cmd)
}

func printUsage(cmd *cobra.Command) error {
	writeUsage(cmd.OutOrStderr(), cmd)
	return nil
}

func writeUsage(out io.Writer, cmd *cobra.Command) {
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "Usage:\n  %s COMMAND [flags]\n", cmd.CommandPath())
		for _, group := range cmd.Groups() {
			writeGroup(out, cmd, group.ID, group.Title)
		}
		writeGroup(out, cmd, "", "More:")
	} else {
		fmt.Fprintf(out, "Usage:\n  %s\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
	if flags := cmd.LocalFlags().FlagUsagesWrapped(helpWidth); flags != "" {
		fmt.Fprintf(out, "\nFlags:\n%s", flags)
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(out, "\nFlags of all commands:\n%s", cmd.InheritedFlags().FlagUsagesWrapped(helpWidth))
	}
}

func writeGroup(out io.Writer, cmd *cobra.Command, id, title string) {
	fmt.Fprintf(out, "\n%s\n", title)
	for _, sub := range cmd.Commands() {
		if sub.GroupID == id && (sub.IsAvailableCommand() || sub.Name() == "help") {
			fmt.Fprintf(out, "  %-13s %s\n", sub.Name(), sub.Short)
		}
	}
}
