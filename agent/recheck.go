package agent

import (
	"context"
	"time"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/agent/lldp"
	"github.com/hostnic/hostnic/netcfg"
)

// recheckAfter is how old what the inventory knows of LACP may be, and how late LLDP is
// listened to on a link that has come up.
const recheckAfter = time.Second

// recheck has the inventory look again at what changes without news, and LLDP listened
// to where there are cables.
func (a *agent) recheck(ctx context.Context) error {
	tick := time.NewTicker(recheckAfter)
	defer tick.Stop()
	var seen uint64
	for {
		if err := a.inventory.Recheck(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the bonds cannot be looked at", "error", err)
		}
		if v := a.inventory.Latest(); v.Revision != seen {
			seen = v.Revision
			a.lldp.Update(cabled(v.Nics()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// heard are the LLDP neighbours of a link.
func (a *agent) heard(link string) (out []netcfg.Neighbour) {
	for _, n := range a.lldp.Neighbours() {
		if n.Nic == link {
			out = append(out, netcfg.Neighbour{SystemName: n.SystemName, ChassisID: n.Chassis.Value, PortID: n.Port.Value, PortDescription: n.PortDescription})
		}
	}
	return out
}

// cabled are the NICs that are up and at whose end there may be a cable: hardware, and
// what else the agent manages that is no bond and no VLAN.
func cabled(nics []*inventory.Nic) []lldp.Port {
	var ports []lldp.Port
	for _, n := range nics {
		if !n.Present || !n.AdminUp || n.Kind == string(netcfg.KindBond) || n.Kind == string(netcfg.KindVLAN) {
			continue
		}
		if n.Kind == string(netcfg.KindNIC) || n.Owner == inventory.OwnerAgent {
			ports = append(ports, lldp.Port{Index: n.Index, Name: n.Name})
		}
	}
	return ports
}
