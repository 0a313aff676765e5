package main

import (
	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Words of probes, and the state in which one says nothing.
var probeWords = []string{
	"gateway\teach default gateway, by ARP or ND", "gateway:\tone neighbour: gateway:192.0.2.254", "tcp:\ta TCP connection: tcp:192.0.2.7:443",
	"caller\ta call to the agent by another client, on a new connection", "lacp\tthe LACP partner of each bond",
	"lldp\tthe expected neighbour of each NIC", "none\tnothing",
}

const probeNotVoting = "not-voting"

// probeHelp is what the help of a command says of probes, before what is probed
// when none is named.
const probeHelp = `

A probe tests what the host is connected to, before the change and after it: what
passes before and fails after, for 10 s, takes the change back. What fails before does
not vote. When all that a named probe tests fails before, the change is refused,
unless it is to bring just that. Probes are named by --probe:
  gateway          each default gateway, by ARP or ND; one that is replaced passes its
                   vote on to its successor
  gateway:ADDRESS  one neighbour (gateway:192.0.2.254, gateway:fe80::1%eth0)
  tcp:HOST:PORT    a TCP connection, a new one each time (tcp:[2001:db8::1]:443)
  caller           a call to the agent by another client (another process, on a unix
                   socket), on a new connection, 2 s or more after the change
  lacp             the LACP partner of each bond is the same
  lldp             the expected_neighbour of each NIC is heard at the end of its cable
  none             nothing
`

func probeFlag(cmd *cobra.Command, to *[]string) {
	cmd.Flags().StringArrayVar(to, "probe", nil, "take the change back when this `probe` passes before it and fails after it (repeatable)")
	complete(cmd, "probe", probeWords...)
}

// printProbes writes what came of each probe.
func printProbes(s screen, op *hostnicv1.Operation) {
	for _, p := range op.GetProbes() {
		with, text := plain, p.GetName()+": "+p.GetState()
		if p.GetState() == probeNotVoting {
			with = yellow
		}
		if p.GetDetail() != "" {
			text += ", " + p.GetDetail()
		}
		s.paragraph("probe: ", with, text, 4)
	}
}
