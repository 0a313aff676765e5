package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type leaseOptions struct {
	*globals
	nic string
}

// leasedNic is true of what has a DHCP client.
func leasedNic(n *hostnicv1.HostNic) bool { return n.GetLease() != nil }

func newRenewCommand(g *globals) *cobra.Command {
	return newLeaseCommand(g, "renew", "Have a DHCP lease asked for again now", `Have the DHCP lease of an interface asked for again now, or another one where there is
none, also after agentctl release. It does not wait for the server: agentctl show NIC
tells what becomes of it.`,
		func(ctx context.Context, c *connection, nic string) (*hostnicv1.Lease, error) {
			answer, err := c.nics().RenewLease(ctx, &hostnicv1.RenewLeaseRequest{Nic: nic})
			return answer.GetLease(), err
		})
}

func newReleaseCommand(g *globals) *cobra.Command {
	return newLeaseCommand(g, "release", "Give a DHCP lease back", `Give the DHCP lease of an interface back to its server. The address goes, and the
interface is without until agentctl renew, or until the agent or the host starts again.`,
		func(ctx context.Context, c *connection, nic string) (*hostnicv1.Lease, error) {
			answer, err := c.nics().ReleaseLease(ctx, &hostnicv1.ReleaseLeaseRequest{Nic: nic})
			return answer.GetLease(), err
		})
}

func newLeaseCommand(g *globals, verb, short, long string, do func(context.Context, *connection, string) (*hostnicv1.Lease, error)) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " NIC",
		Short:             short,
		Long:              long + exits(exitRefused, exitUnreachable),
		GroupID:           groupAct,
		Args:              arguments(1, 1),
		ValidArgsFunction: g.completeNics(1, leasedNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLease(cmd.Context(), leaseOptions{g, args[0]}, cmd.OutOrStdout(), do)
		},
	}
}

func runLease(ctx context.Context, o leaseOptions, out io.Writer, do func(context.Context, *connection, string) (*hostnicv1.Lease, error)) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	lease, err := do(ctx, c, o.nic)
	if err != nil {
		return err
	}
	if o.machine() {
		return o.printMessage(out, lease, "")
	}
	o.screen(out).println(o.nic + ": " + leaseWords(lease))
	return nil
}

// leaseWords are a lease in a few words.
func leaseWords(l *hostnicv1.Lease) string {
	words := []string{l.GetState()}
	if l.GetAddress() != "" {
		words = append(words, l.GetAddress())
	}
	if l.GetServer() != "" {
		words = append(words, "server "+l.GetServer())
	}
	if l.GetTries() > 1 {
		words = append(words, fmt.Sprintf("asked %d times", l.GetTries()))
	}
	return strings.Join(words, ", ")
}

// lease is what a DHCP client has got, and what it is about to do.
func (f *nicFields) lease(l *hostnicv1.Lease, now time.Time) {
	if l == nil {
		return
	}
	f.section("lease")
	f.add("lease.state", l.GetState())
	f.add("lease.address", l.GetAddress())
	f.add("lease.server", l.GetServer())
	f.add("lease.gateways", strings.Join(l.GetGateways(), "\n"))
	f.add("lease.routes", strings.Join(l.GetRoutes(), "\n"))
	f.add("lease.dns", strings.Join(l.GetDns(), "\n"))
	f.add("lease.ntp", strings.Join(l.GetNtp(), "\n"))
	f.add("lease.domain", l.GetDomain())
	f.add("lease.search", strings.Join(l.GetSearch(), "\n"))
	f.add("lease.host_name", l.GetHostName())
	f.add("lease.mtu", number(l.Mtu))
	f.add("lease.obtained", timeWords(l.GetObtained(), now))
	f.add("lease.renew_at", timeWords(l.GetRenewAt(), now))
	f.add("lease.rebind_at", timeWords(l.GetRebindAt(), now))
	f.add("lease.expires", timeWords(l.GetExpires(), now))
	f.add("lease.next_try", timeWords(l.GetNextTry(), now))
	if l.GetTries() > 0 {
		f.add("lease.tries", fmt.Sprint(l.GetTries()))
	}
	f.add("lease.refusal", l.GetRefusal())
	f.add("lease.trouble", l.GetTrouble())
}

// timeWords are a time, and how far away it is; empty for none.
func timeWords(t *timestamppb.Timestamp, now time.Time) string {
	if t == nil {
		return ""
	}
	switch away := t.AsTime().Sub(now).Round(time.Second); {
	case away > 0:
		return localTime(t) + ", in " + away.String()
	case away < 0:
		return localTime(t) + ", " + (-away).String() + " ago"
	}
	return localTime(t) + ", now"
}

// noted is what there is to say of an address beside who has put it there.
func noted(a *hostnicv1.Address) string {
	var notes []string
	for _, note := range []string{a.GetProtocol(), a.GetState()} {
		if note != "" && note != "static" {
			notes = append(notes, note)
		}
	}
	return strings.Join(notes, ", ")
}
