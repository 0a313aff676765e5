package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type lldpOptions struct {
	*globals
	nics []string
}

func newLldpCommand(g *globals) *cobra.Command {
	o := lldpOptions{globals: g}
	return &cobra.Command{
		Use:   "lldp [NIC…]",
		Short: "Who is at the other ends of the cables",
		Long: `What switches and others at the other ends of the cables say of themselves by LLDP, in
full where NICs are named; of a bond or a VLAN, those of the NICs below. The agent only
listens; a switch says it every 30 seconds, most of the time. Nothing of it is proven.` + exits(exitRefused, exitUnreachable),
		GroupID:           groupLook,
		Args:              arguments(0, -1),
		ValidArgsFunction: g.completeNics(-1, anyNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.nics = args
			return runLldp(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
}

func runLldp(ctx context.Context, o lldpOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.nics().ListLldpNeighbours(ctx, &hostnicv1.ListLldpNeighboursRequest{Nics: o.nics})
	if err != nil {
		return orElse(err, "see which interfaces there are: agentctl nics")
	}
	s := o.screen(out)
	switch {
	case o.machine():
		return o.printMessage(out, answer, "neighbours")
	case len(answer.GetNeighbours()) == 0:
		s.println("nobody has said anything yet")
	case len(o.nics) == 0:
		printNeighbours(s, answer.GetNeighbours())
	default:
		for i, n := range answer.GetNeighbours() {
			if i > 0 {
				s.println("")
			}
			printNeighbour(s, n)
		}
	}
	return nil
}

func printNeighbours(s screen, all []*hostnicv1.LldpNeighbour) {
	var rows [][]string
	for _, n := range all {
		var vlans []string
		if n.PortVlanId != nil {
			vlans = append(vlans, fmt.Sprint(n.GetPortVlanId(), " untagged"))
		}
		for _, v := range n.GetVlans() {
			vlans = append(vlans, fmt.Sprint(v.GetId()))
		}
		rows = append(rows, []string{n.GetNic(), cmp.Or(n.GetSystemName(), n.GetChassisId()), n.GetPortId(), cmp.Or(n.GetPortDescription(), "-"), cmp.Or(strings.Join(vlans, ", "), "-")})
	}
	s.println(s.table([]string{"nic", "system", "port", "description", "vlans"}, rows))
}

func printNeighbour(s screen, n *hostnicv1.LldpNeighbour) {
	s.println(s.paint(bold, n.GetNic()) + ": " + cmp.Or(n.GetSystemName(), n.GetChassisId()))
	var entries []property
	add := func(name, value string) {
		if value != "" {
			entries = append(entries, property{name, value})
		}
	}
	add("chassis", n.GetChassisId()+" ("+n.GetChassisIdKind()+")")
	add("port", n.GetPortId()+" ("+n.GetPortIdKind()+")")
	add("port description", n.GetPortDescription())
	add("system", n.GetSystemDescription())
	add("capabilities", strings.Join(n.GetCapabilities(), ", "))
	add("enabled", strings.Join(n.GetEnabledCapabilities(), ", "))
	add("management", strings.Join(n.GetManagementAddresses(), "\n"))
	add("untagged vlan", number(n.PortVlanId))
	var vlans []string
	for _, v := range n.GetVlans() {
		vlans = append(vlans, strings.TrimSpace(fmt.Sprint(v.GetId(), " ", v.GetName())))
	}
	add("vlans", strings.Join(vlans, "\n"))
	if a := n.GetAggregation(); a != nil {
		words := "not possible"
		switch {
		case a.GetEnabled() && a.Port != nil:
			words = fmt.Sprint("in port ", a.GetPort())
		case a.GetEnabled():
			words = "enabled"
		case a.GetCapable():
			words = "possible, not enabled"
		}
		add("aggregation", words)
	}
	add("largest frame", number(n.MaxFrameSize))
	add("sent by", n.GetMac())
	add("last heard", localTime(n.GetLastHeard())+", good for "+n.GetTtl().AsDuration().String())
	s.properties(2, entries)
}
