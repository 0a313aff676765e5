package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type capabilitiesOptions struct {
	*globals
}

func newCapabilitiesCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "capabilities",
		Short: "What this agent on this kernel can do",
		Long: `What this agent on this kernel can do: the words that fields take, the options of
bonds with what they allow and what changing them costs, limits, and what is missing
and why.` + exits(exitUnreachable),
		GroupID: groupLook,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCapabilities(cmd.Context(), capabilitiesOptions{g}, cmd.OutOrStdout())
		},
	}
}

func runCapabilities(ctx context.Context, o capabilitiesOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.capabilities().GetCapabilities(ctx, &hostnicv1.GetCapabilitiesRequest{})
	if err != nil {
		return err
	}
	if o.machine() {
		return o.printMessage(out, answer, "")
	}
	printCapabilities(o.screen(out), answer)
	return nil
}

func printCapabilities(s screen, can *hostnicv1.GetCapabilitiesResponse) {
	list := func(words []string) string { return orNothing(strings.Join(words, ", ")) }
	limits := can.GetLimits()
	entries := []property{
		{"agent", orUnknown(can.GetVersion())},
		{"kernel", orUnknown(can.GetKernel())},
		{"host id", orUnknown(can.GetHostId())},
		{"boot_protocol", list(can.GetBootProtocols())},
		{"ipv6_boot_protocol", list(can.GetIpv6BootProtocols())},
		{"status.state", list(can.GetHostNicStates())},
		{"names of bonds", list(can.GetBondNames())},
		{"modes of bonds", list(can.GetBondModes())},
		{"vlan.id", fmt.Sprintf("%d to %d", limits.GetVlanIdMin(), limits.GetVlanIdMax())},
		{"mtu", fmt.Sprintf("from %d", limits.GetMtuMin())},
		{"name", fmt.Sprintf("up to %d bytes", limits.GetNameBytes())},
		{"document", fmt.Sprintf("up to %d NICs and %d bytes", limits.GetNicsPerDocument(), limits.GetDocumentBytes())},
	}
	for _, m := range can.GetMissing() {
		entries = append(entries, property{"missing", m.GetFeature() + ": " + m.GetReason()})
	}
	s.properties(0, entries)
	if len(can.GetBondOptions()) == 0 {
		return
	}
	var rows [][]string
	for _, o := range can.GetBondOptions() {
		allowed := o.GetAllowed()
		if len(o.GetModes()) < len(can.GetBondModes()) {
			allowed += "\nonly in " + strings.Join(o.GetModes(), ", ")
		}
		rows = append(rows, []string{o.GetName(), o.GetDefaultValue(), o.GetDisruption(), allowed})
	}
	s.println("")
	s.println(s.table([]string{"option of bonds", "default", "a change is", "allowed"}, rows))
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
