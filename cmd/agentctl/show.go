package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type showOptions struct {
	*globals
	nic string
}

func newShowCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show NIC",
		Short: "One interface in full",
		Long: `One interface in full: as it is, as it is configured, and why something is not
known. Fields have the names that documents and agentctl set give them.` + exits(exitRefused, exitUnreachable),
		GroupID:           groupLook,
		Args:              arguments(1, 1),
		Annotations:       map[string]string{rendersXML: "yes"},
		ValidArgsFunction: g.completeNics(1, anyNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runShow(cmd.Context(), showOptions{g, args[0]}, cmd.OutOrStdout())
		},
	}
}

func runShow(ctx context.Context, o showOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.nics().GetHostNic(ctx, &hostnicv1.GetHostNicRequest{Nic: o.nic, Render: o.documentFormat(), Statistics: o.output != formatXML})
	if err != nil {
		return orElse(err, "see which interfaces there are: agentctl nics")
	}
	switch o.output {
	case formatXML:
		return printDocument(out, answer.GetDocument())
	case formatTable:
		printNic(o.screen(out), answer.GetHostNic())
		return nil
	}
	raw, err := nicJSON(answer.GetHostNic())
	if err != nil {
		return err
	}
	return o.printTree(out, raw)
}

// nicJSON is the mapping of an interface, with statistics as statisticsJSON has them.
func nicJSON(n *hostnicv1.HostNic) ([]byte, error) {
	statistics := n.Statistics
	n.Statistics = nil
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("writing the answer as JSON: %w", err)
	}
	if statistics == nil {
		return raw, nil
	}
	counted, err := statisticsJSON(statistics)
	if err != nil {
		return nil, err
	}
	return slices.Concat(bytes.TrimSuffix(raw, []byte("}")), []byte(`,"statistics":`), counted, []byte("}")), nil
}

// nicFields collects what is known of an interface, section by section. A field
// that is not known stands there with the reason, where the agent gives one.
type nicFields struct {
	reasons  map[string]string
	sections [][]property
	titles   []string
}

func (f *nicFields) section(title string) {
	f.titles = append(f.titles, title)
	f.sections = append(f.sections, nil)
}

func (f *nicFields) add(name, value string) {
	if reason, ok := f.reasons[name]; ok {
		delete(f.reasons, name)
		if value == "" {
			value = "unknown (" + reason + ")"
		}
	}
	if value != "" {
		last := len(f.sections) - 1
		f.sections[last] = append(f.sections[last], property{name, value})
	}
}

func printNic(s screen, n *hostnicv1.HostNic) {
	f := &nicFields{reasons: maps.Clone(n.GetAbsentReasons())}
	f.link(n)
	f.configuration(n)
	f.bond(n)
	f.lease("lease", n.GetLease(), time.Now())
	f.lease("ipv6_lease", n.GetIpv6Lease(), time.Now())
	f.section("addresses")
	for _, a := range n.GetAddresses() {
		address := a.GetAddress()
		if notes := noted(a); notes != "" {
			address += " (" + notes + ")"
		}
		f.add(cmp.Or(a.GetOwner(), "unknown"), address)
	}
	f.statistics(n.GetStatistics())
	f.section("not known")
	for _, name := range slices.Sorted(maps.Keys(f.reasons)) {
		f.add(name, "")
	}
	f.section("drift: differs from what is applied")
	for _, d := range n.GetDrift() {
		words := fmt.Sprintf("should be %s, is %s", orNothing(d.GetWanted()), orNothing(d.GetActual()))
		if d.GetHint() != "" {
			words += "\n" + d.GetHint()
		}
		f.add(d.GetField(), words)
	}
	state, with := stateWords(n)
	s.println(s.paint(bold, n.GetName()) + ": " + n.GetKind() + ", " + s.paint(with, state))
	for i, section := range f.sections {
		if len(section) == 0 {
			continue
		}
		if f.titles[i] != "" {
			s.println("\n" + f.titles[i])
		}
		s.properties(2, section)
	}
}

// link is what the interface is and how it does.
func (f *nicFields) link(n *hostnicv1.HostNic) {
	f.section("")
	f.add("id", n.GetId())
	f.add("index", number(n.Index))
	f.add("owner", n.GetOwner())
	f.add("waiting", n.GetWaiting())
	f.add("admin_state", n.GetAdminState())
	f.add("oper_state", n.GetOperState())
	f.add("carrier", yesNo(n.Carrier))
	f.add("speed", strings.TrimPrefix(speed(n.Speed), "-"))
	f.add("duplex", n.GetDuplex())
	f.add("autonegotiation", yesNo(n.Autonegotiation))
	f.add("mtu", number(n.Mtu))
	f.add("mac", n.GetMac().GetAddress())
	f.add("permanent_mac", n.GetPermanentMac())
	f.add("master", n.GetMaster())
	f.add("base_interface", n.GetBaseInterface())
	if vlan := n.GetVlan(); vlan != nil {
		f.add("vlan.id", number(vlan.Id))
	}
	f.add("lldp", strings.Join(n.GetLldp(), "\n"))
	f.add("driver", n.GetDriver())
	f.add("firmware", n.GetFirmware())
	f.add("bus_path", n.GetBusPath())
}

// configuration is what the agent was told about addressing.
func (f *nicFields) configuration(n *hostnicv1.HostNic) {
	f.section("configuration")
	f.add("host", reference(n.GetHost()))
	f.add("network", reference(n.GetNetwork()))
	f.add("boot_protocol", n.GetBootProtocol())
	f.add("ip.address", n.GetIp().GetAddress())
	f.add("ip.netmask", n.GetIp().GetNetmask())
	f.add("ip.gateway", n.GetIp().GetGateway())
	f.add("ipv6_boot_protocol", n.GetIpv6BootProtocol())
	f.add("ipv6.address", n.GetIpv6().GetAddress())
	if ipv6 := n.GetIpv6(); ipv6 != nil {
		f.add("ipv6.prefix", number(ipv6.Prefix))
	}
	f.add("ipv6.gateway", n.GetIpv6().GetGateway())
	f.add("additional_ips", strings.Join(n.GetAdditionalIps(), "\n"))
	if e := n.GetExpectedNeighbour(); e != nil {
		f.add("expected_neighbour.system_name", e.GetSystemName())
		f.add("expected_neighbour.chassis_id", e.GetChassisId())
		f.add("expected_neighbour.port_id", e.GetPortId())
		f.add("expected_neighbour.port_description", e.GetPortDescription())
		f.add("expected_neighbour.required", strconv.FormatBool(e.GetRequired()))
	}
}

// bond is what only bonds and their slaves have. The mode stands first: the other
// options depend on it.
func (f *nicFields) bond(n *hostnicv1.HostNic) {
	f.section("bonding")
	options := n.GetBonding().GetOptions()
	f.add("bonding.slaves", strings.Join(n.GetBonding().GetSlaves(), ", "))
	f.add("active_slave", n.GetActiveSlave())
	f.add("ad_aggregator_id", number(n.AdAggregatorId))
	f.add("ad_partner_mac", n.GetAdPartnerMac())
	f.add("ad_ports", number(n.AdPorts))
	f.add("slave_state", n.GetSlaveState())
	f.add("mii_status", n.GetMiiStatus())
	if n.LinkFailures != nil {
		f.add("link_failures", fmt.Sprint(n.GetLinkFailures()))
	}
	f.add("lacp_actor_state", strings.Join(n.GetLacpActorState(), ", "))
	f.add("lacp_partner_state", strings.Join(n.GetLacpPartnerState(), ", "))
	if mode, ok := options["mode"]; ok {
		f.add("bonding.options.mode", mode)
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if name != "mode" {
			f.add("bonding.options."+name, orNothing(options[name]))
		}
	}
}

// statistics are the totals since the link was made.
func (f *nicFields) statistics(s *hostnicv1.Statistics) {
	if s == nil {
		return
	}
	f.section("statistics")
	f.add("received", fmt.Sprintf("%s, %d packets (%d multicast), %d errors, %d dropped", quantity(float64(s.GetDataTotalRx()), "B"), s.GetPacketsTotalRx(), s.GetMulticastTotalRx(), s.GetErrorsTotalRx(), s.GetDroppedTotalRx()))
	f.add("sent", fmt.Sprintf("%s, %d packets, %d errors, %d dropped", quantity(float64(s.GetDataTotalTx()), "B"), s.GetPacketsTotalTx(), s.GetErrorsTotalTx(), s.GetDroppedTotalTx()))
	if s.GetResets() > 0 {
		f.add("resets", fmt.Sprintf("%d, the last %s", s.GetResets(), s.GetLastReset().AsTime().Format(time.RFC3339)))
	}
}

func number(n *int32) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

func reference(r *hostnicv1.Reference) string {
	switch {
	case r.GetName() == "":
		return r.GetId()
	case r.GetId() == "":
		return r.GetName()
	}
	return r.GetName() + " (" + r.GetId() + ")"
}

func orNothing(s string) string { return cmp.Or(s, "nothing") }
