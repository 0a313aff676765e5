package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type nicsOptions struct {
	*globals
}

func newNicsCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:         "nics",
		Short:       "All network interfaces, one a line",
		Long:        nicsLong + exits(exitUnreachable),
		GroupID:     groupLook,
		Args:        arguments(0, 0),
		Annotations: map[string]string{rendersXML: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runNics(cmd.Context(), nicsOptions{g}, cmd.OutOrStdout())
		},
	}
}

const nicsLong = `All network interfaces of the host but the loopback, and those that are configured
but not there yet.

STATE says up or down, why, and whether the interface waits for something or
differs from what the agent has applied (drift): agentctl show NIC tells more. ON
is the bond or bridge above, or the base interface below a VLAN. ADDRESSES has dhcp
behind one that was leased, autoconf behind one from a router advertisement, and what
the DHCP client does while there is no lease. A dash is not known.`

func runNics(ctx context.Context, o nicsOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.nics().ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{Render: o.documentFormat()})
	if err != nil {
		return err
	}
	switch o.output {
	case formatXML:
		return printDocument(out, answer.GetDocument())
	case formatTable:
		printNics(o.screen(out), answer.GetHostNics())
		return nil
	}
	answer.Document = nil
	return o.printMessage(out, answer, "host_nics")
}

// nicRow is a line of the table: its cells up to the MTU, and the further ones.
type nicRow struct {
	cells     []string
	mac       string
	on        string
	addresses []string
}

// printNics keeps the table within the width: first the addresses go below their
// interface, then the MAC does. Nothing is left out.
func printNics(s screen, nics []*hostnicv1.HostNic) {
	if len(nics) == 0 {
		s.println("no network interfaces but the loopback")
		return
	}
	width := s.width
	if width == 0 {
		width = pageWidth
	}
	s.width = 0 // the layout below is what fits; a column is not to be wrapped as well
	rows := make([]nicRow, len(nics))
	for i, n := range nics {
		rows[i] = rowOf(s, n)
	}
	for i, layout := range layouts {
		header, cells, below := layout(rows)
		lines := strings.Split(s.table(header, cells), "\n")
		if widest(lines) <= width || i == len(layouts)-1 {
			printLayout(s, lines, below, width)
			return
		}
	}
}

// layouts are tried from the widest on.
var layouts = []func([]nicRow) (header []string, cells [][]string, below []string){allInLine, addressesBelow, macBelow}

func rowOf(s screen, n *hostnicv1.HostNic) nicRow {
	state, with := stateWords(n)
	r := nicRow{
		cells: []string{n.GetName(), n.GetKind(), s.paint(with, state), speed(n.Speed), cmp.Or(number(n.Mtu), "-")},
		mac:   cmp.Or(n.GetMac().GetAddress(), "-"),
		on:    on(n),
	}
	for _, a := range n.GetAddresses() {
		// Every link has one of the kernel's; show lists them.
		switch protocol := a.GetProtocol(); {
		case protocol == "dhcp", protocol == "autoconf":
			r.addresses = append(r.addresses, a.GetAddress()+" "+protocol)
		case a.GetOwner() != "kernel":
			r.addresses = append(r.addresses, a.GetAddress())
		}
	}
	if l := n.GetLease(); l != nil && l.GetAddress() == "" {
		r.addresses = append(r.addresses, "dhcp: "+leaseWords(l))
	}
	if l := n.GetIpv6Lease(); l != nil && len(l.GetAddresses()) == 0 && l.GetState() != "informed" {
		r.addresses = append(r.addresses, "dhcpv6: "+leaseWords(l))
	}
	return r
}

// with is a row of the table, with these cells at its end.
func (r nicRow) with(more ...string) []string { return append(slices.Clone(r.cells), more...) }

func allInLine(rows []nicRow) (header []string, cells [][]string, below []string) {
	header = []string{"name", "kind", "state", "speed", "mtu", "mac", "on", "addresses"}
	for _, r := range rows {
		cells = append(cells, r.with(r.mac, r.on, cmp.Or(strings.Join(r.addresses, "\n"), "-")))
	}
	return header, cells, nil
}

func addressesBelow(rows []nicRow) (header []string, cells [][]string, below []string) {
	header = []string{"name", "kind", "state", "speed", "mtu", "mac", "on"}
	for _, r := range rows {
		cells = append(cells, r.with(r.mac, r.on))
		below = append(below, strings.Join(r.addresses, " "))
	}
	return header, cells, below
}

func macBelow(rows []nicRow) (header []string, cells [][]string, below []string) {
	header = []string{"name", "kind", "state", "speed", "mtu", "on"}
	for _, r := range rows {
		cells = append(cells, r.with(r.on))
		below = append(below, strings.Join(append([]string{r.mac}, r.addresses...), " "))
	}
	return header, cells, below
}

// printLayout writes the table with what stands below each line of it.
func printLayout(s screen, lines, below []string, width int) {
	for i, line := range lines {
		s.println(line)
		if i > 0 && below != nil && below[i-1] != "" && below[i-1] != "-" {
			s.println(wrap("    "+below[i-1], width, 4))
		}
	}
}

func widest(lines []string) int {
	most := 0
	for _, line := range lines {
		most = max(most, text.RuneWidthWithoutEscSequences(line))
	}
	return most
}

// stateWords is up or down and why, in words; the style only repeats them.
func stateWords(n *hostnicv1.HostNic) (words string, with style) {
	parts := []string{cmp.Or(n.GetStatus().GetState(), n.GetOperState(), "unknown")}
	with = green
	if n.Index == nil && n.GetWaiting() != "" {
		parts[0] = "absent"
	}
	if parts[0] != "up" {
		with = red
	}
	switch {
	case parts[0] != "down":
	case n.GetAdminState() == "down":
		parts = append(parts, "admin down")
		with = plain // it is as somebody wanted it
	case n.Carrier != nil && !n.GetCarrier():
		parts = append(parts, "no carrier")
	case n.GetOperState() == "lowerlayerdown":
		parts = append(parts, "lower layer down")
	case n.GetOperState() != "down" && n.GetOperState() != "":
		parts = append(parts, n.GetOperState())
	}
	if n.GetWaiting() != "" {
		parts, with = append(parts, "waiting"), yellow
	}
	if len(n.GetDrift()) > 0 {
		parts, with = append(parts, "drift"), yellow
	}
	return strings.Join(parts, ", "), with
}

// on is the interface above or below this one.
func on(n *hostnicv1.HostNic) string {
	var names []string
	for _, name := range []string{n.GetBaseInterface(), n.GetMaster()} {
		if name != "" {
			names = append(names, name)
		}
	}
	return cmp.Or(strings.Join(names, ", "), "-")
}

// speed is bits per second in the unit that makes it short.
func speed(bits *int64) string {
	if bits == nil {
		return "-"
	}
	for _, unit := range []struct {
		size int64
		name string
	}{{1e12, "Tb/s"}, {1e9, "Gb/s"}, {1e6, "Mb/s"}, {1e3, "kb/s"}} {
		if *bits >= unit.size {
			return fmt.Sprintf("%.4g %s", float64(*bits)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d b/s", *bits)
}
