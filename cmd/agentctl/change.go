package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// changeOptions are what the commands that change the host have in common.
type changeOptions struct {
	// revertAfter is how long the change waits to be confirmed; 0 is not given.
	revertAfter time.Duration
	// force goes on although the change cuts the path to who manages the host.
	force bool
	// wait is how long to wait for everything to be ready; 0 is not given.
	wait time.Duration
	// noRehearse goes to the host without a rehearsal.
	noRehearse bool
	// takeOver takes links over from other managers.
	takeOver bool
	// probes are what the change must not break; none given is up to the agent.
	probes []string
}

func (o *changeOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.force, "force", false, "go on although the change interrupts your own connection, or leaves the control plane no way to the host")
	cmd.Flags().DurationVar(&o.wait, "wait", 0, "wait this long for leases, carriers, LACP and address checks, and take the change back if they do not come (30s)")
	cmd.Flags().BoolVar(&o.noRehearse, "no-rehearse", false, "do not play the plan on stand-ins first")
	cmd.Flags().BoolVar(&o.takeOver, "take-over", false, "tell NetworkManager or systemd-networkd to leave the links alone that become the agent's")
	probeFlag(cmd, &o.probes)
}

func (o *changeOptions) revertAfterFlag(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&o.revertAfter, revertAfter, 0, "go back to what is committed unless agentctl commit confirms within this time (2m, 90s)")
}

// checkFlags refuses a time that is given and is none: whoever gives one counts on it.
func (o *changeOptions) checkFlags(cmd *cobra.Command) error {
	if cmd.Flags().Changed(revertAfter) && o.revertAfter <= 0 {
		return &usageError{what: fmt.Sprintf("--revert-after %s is no time to confirm in: give from 1s to 24h", o.revertAfter), command: cmd}
	}
	if cmd.Flags().Changed("wait") && o.wait <= 0 {
		return &usageError{what: fmt.Sprintf("--wait %s is no time to wait: give from 1s to 10m", o.wait), command: cmd}
	}
	return nil
}

// onto adds them to the options of an operation.
func (o *changeOptions) onto(options *hostnicv1.ApplyOptions) *hostnicv1.ApplyOptions {
	if o.revertAfter != 0 {
		options.RevertAfter = durationpb.New(o.revertAfter)
	}
	if o.wait != 0 {
		options.Wait = durationpb.New(o.wait)
	}
	options.Force, options.NoRehearse, options.Probes = o.force, o.noRehearse, o.probes
	options.TakeOver = o.takeOver
	return options
}

// sshPath is the connection that the operator has come in by, as sshd tells it:
// "client port host port" (sshd(8)). There is none on a console, and none of the
// agent's host where the agent is elsewhere.
func sshPath(getenv func(string) string) []*hostnicv1.Path {
	words := strings.Fields(getenv("SSH_CONNECTION"))
	if len(words) != 4 {
		return nil
	}
	return []*hostnicv1.Path{{Client: words[0], Host: words[2]}}
}
