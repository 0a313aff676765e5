package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type waitOnlineOptions struct {
	*globals
	nics []string
	any  bool
	wait time.Duration
}

func newWaitOnlineCommand(g *globals) *cobra.Command {
	o := waitOnlineOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "wait-online [NIC…]",
		Short: "Wait until the configured interfaces can be used",
		Long: `Waits until every interface to which the agent gives addresses can be used: it is
there, it has a carrier, and its addresses are on it and not in doubt any more. Given
names, it waits for those, whether or not they have addresses. Where nothing is
configured there is nothing to wait for. An agent that does not answer yet is waited
for, too.

It is what holds back network-online.target at boot (hostnic-wait-online.service).` + exits(exitUnreachable),
		Example: `  agentctl wait-online
  agentctl wait-online bond0.100 --wait 30s`,
		GroupID:           groupLook,
		Args:              arguments(0, -1),
		ValidArgsFunction: g.completeNics(-1, anyNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.nics = args
			if cmd.Flags().Changed("timeout") && !cmd.Flags().Changed("wait") { // the same, to who knows other tools
				o.wait = o.timeout
			}
			if o.wait <= 0 {
				return &usageError{what: "--wait must be longer than nothing, such as 2m", command: cmd}
			}
			return runWaitOnline(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.any, "any", false, "one interface is enough")
	cmd.Flags().DurationVar(&o.wait, "wait", 2*time.Minute, "how long to wait")
	return cmd
}

// lookPace is how often the agent is asked: from memory, at little cost.
const lookPace = 250 * time.Millisecond

func runWaitOnline(ctx context.Context, o waitOnlineOptions) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	var last error
	for {
		err := o.look(ctx, c)
		var failure *agentError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return cmp.Or(last, err)
		case errors.As(err, &failure) && failure.code != codes.Unavailable && failure.rule != notOnline:
			return err
		}
		last = err
		select {
		case <-ctx.Done():
			return last
		case <-time.After(lookPace):
		}
	}
}

const notOnline = "not-online"

// look asks once. The error says what is missing.
func (o waitOnlineOptions) look(ctx context.Context, c *connection) error {
	answer, err := c.nics().ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{})
	if err != nil {
		return err
	}
	missing, ready := o.missing(answer.GetHostNics())
	if len(missing) == 0 || o.any && ready > 0 {
		return nil
	}
	return &agentError{code: codes.DeadlineExceeded, rule: notOnline,
		what: fmt.Sprintf("not online within %s\n%s", o.wait, strings.Join(missing, "\n")), next: "see more: agentctl nics, agentctl status"}
}

// missing is what the interfaces that are waited for lack, a line each, and how many
// lack nothing.
func (o waitOnlineOptions) missing(all []*hostnicv1.HostNic) (missing []string, ready int) {
	found := map[string]bool{}
	for _, n := range all {
		named := slices.Contains(o.nics, n.GetName()) || slices.Contains(o.nics, n.GetId())
		found[n.GetName()], found[n.GetId()] = true, true
		if !named && (len(o.nics) > 0 || !addressed(n)) {
			continue
		}
		if why := unusable(n); why != "" {
			missing = append(missing, n.GetName()+": "+why)
		} else {
			ready++
		}
	}
	for _, name := range o.nics {
		if !found[name] {
			missing = append(missing, name+": there is no such interface")
		}
	}
	return missing, ready
}

// addressed is whether the agent gives the interface addresses, now or when it comes.
func addressed(n *hostnicv1.HostNic) bool {
	const none = "none"
	ours := n.GetOwner() != "" || n.GetWaiting() != ""
	return ours && (n.GetIp().GetAddress() != "" || n.GetIpv6().GetAddress() != "" || len(n.GetAdditionalIps()) > 0 ||
		cmp.Or(n.GetBootProtocol(), none) != none || cmp.Or(n.GetIpv6BootProtocol(), none) != none)
}

// unusable is why an interface cannot be used yet; empty when it can.
func unusable(n *hostnicv1.HostNic) string {
	const up, tentative = "up", "tentative"
	if w := n.GetWaiting(); w != "" {
		return w
	}
	if n.GetStatus().GetState() != up {
		if n.GetAdminState() == up && !n.GetCarrier() {
			return "it has no carrier"
		}
		return "it is down"
	}
	for _, a := range n.GetAddresses() {
		if a.GetOwner() == domain && a.GetState() == tentative {
			return "it is not known yet whether another host has " + a.GetAddress()
		}
	}
	return ""
}
