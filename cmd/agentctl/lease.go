package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// leases is an answer that tells where the DHCP clients of an interface stand.
type leases interface {
	proto.Message
	GetLease() *hostnicv1.Lease
	GetIpv6Lease() *hostnicv1.Lease
}

type leaseOptions struct {
	*globals
	nic string
}

// leasedNic is true of what has a DHCP client.
func leasedNic(n *hostnicv1.HostNic) bool { return n.GetLease() != nil || n.GetIpv6Lease() != nil }

func newRenewCommand(g *globals) *cobra.Command {
	return newLeaseCommand(g, "renew", "Have a DHCP lease asked for again now", `Have the DHCP lease of an interface asked for again now, or another one where there is
none, also after agentctl release. It does not wait for the server: agentctl show NIC
tells what becomes of it.`,
		func(ctx context.Context, c *connection, nic string) (leases, error) {
			return c.nics().RenewLease(ctx, &hostnicv1.RenewLeaseRequest{Nic: nic})
		})
}

func newReleaseCommand(g *globals) *cobra.Command {
	return newLeaseCommand(g, "release", "Give a DHCP lease back", `Give the DHCP lease of an interface back to its server. The address goes, and the
interface is without until agentctl renew, or until the agent or the host starts again.`,
		func(ctx context.Context, c *connection, nic string) (leases, error) {
			return c.nics().ReleaseLease(ctx, &hostnicv1.ReleaseLeaseRequest{Nic: nic})
		})
}

func newLeaseCommand(g *globals, verb, short, long string, do func(context.Context, *connection, string) (leases, error)) *cobra.Command {
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

func runLease(ctx context.Context, o leaseOptions, out io.Writer, do func(context.Context, *connection, string) (leases, error)) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := do(ctx, c, o.nic)
	if err != nil {
		return err
	}
	if o.machine() {
		return o.printMessage(out, answer, "")
	}
	for _, l := range []struct {
		protocol string
		lease    *hostnicv1.Lease
	}{{"", answer.GetLease()}, {"DHCPv6: ", answer.GetIpv6Lease()}} {
		if l.lease != nil {
			o.screen(out).println(o.nic + ": " + l.protocol + leaseWords(l.lease))
		}
	}
	return nil
}

// leaseWords are a lease in a few words.
func leaseWords(l *hostnicv1.Lease) string {
	words := []string{l.GetState()}
	if l.GetAddress() != "" {
		words = append(words, l.GetAddress())
	}
	for _, a := range l.GetAddresses() {
		words = append(words, a.GetAddress())
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
func (f *nicFields) lease(name string, l *hostnicv1.Lease, now time.Time) {
	if l == nil {
		return
	}
	f.section(name)
	f.add(name+".state", l.GetState())
	f.add(name+".address", l.GetAddress())
	var lent []string
	for _, a := range l.GetAddresses() {
		lent = append(lent, lentWords(a, now))
	}
	f.add(name+".addresses", strings.Join(lent, "\n"))
	f.add(name+".server", l.GetServer())
	f.add(name+".server_id", l.GetServerId())
	f.add(name+".gateways", strings.Join(l.GetGateways(), "\n"))
	f.add(name+".routes", strings.Join(l.GetRoutes(), "\n"))
	f.add(name+".dns", strings.Join(l.GetDns(), "\n"))
	f.add(name+".ntp", strings.Join(l.GetNtp(), "\n"))
	f.add(name+".domain", l.GetDomain())
	f.add(name+".search", strings.Join(l.GetSearch(), "\n"))
	f.add(name+".host_name", l.GetHostName())
	f.add(name+".mtu", number(l.Mtu))
	f.add(name+".obtained", timeWords(l.GetObtained(), now))
	f.add(name+".renew_at", timeWords(l.GetRenewAt(), now))
	f.add(name+".rebind_at", timeWords(l.GetRebindAt(), now))
	f.add(name+".expires", timeWords(l.GetExpires(), now))
	f.add(name+".next_try", timeWords(l.GetNextTry(), now))
	if l.GetTries() > 0 {
		f.add(name+".tries", fmt.Sprint(l.GetTries()))
	}
	f.add(name+".refusal", l.GetRefusal())
	f.add(name+".trouble", l.GetTrouble())
}

// lentWords are an address of DHCPv6 and until when it is good for what.
func lentWords(a *hostnicv1.LeaseAddress, now time.Time) string {
	words := a.GetAddress()
	if a.GetPreferredUntil() != nil {
		words += ", preferred until " + timeWords(a.GetPreferredUntil(), now)
	}
	if a.GetExpires() != nil {
		words += ", expires " + timeWords(a.GetExpires(), now)
	}
	return words
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
