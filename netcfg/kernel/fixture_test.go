package kernel

import (
	"net/netip"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// wantAddress is a static address as a plan has it.
func wantAddress(index int, prefix string) state.Address {
	return state.Address{Link: index, Prefix: netip.MustParsePrefix(prefix), Valid: state.Forever, Preferred: state.Forever}
}

// route is an operation on a route of the agent; no gateway is one onto the link.
func route(action plan.Action, link int, dst, gateway string) plan.Op {
	r := state.Route{Table: state.MainTable, Dst: netip.MustParsePrefix(dst), Link: link, Protocol: state.ProtocolHostnic}
	if gateway != "" {
		r.Gateway = netip.MustParseAddr(gateway)
	}
	return plan.Op{Action: action, Index: link, Name: "link", Route: r}
}
