package kerneltest

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg/state"
)

// snapshot is what the dumps of links, addresses and routes tell.
func (f *Fake) snapshot() state.Snapshot {
	s := state.Snapshot{Links: make([]state.Link, 0, len(f.links))}
	addresses := 0
	for _, l := range f.links {
		s.Links = append(s.Links, look(l))
		addresses += len(l.ip4) + len(l.ip6)
	}
	if addresses > 0 {
		s.Addresses = make([]state.Address, 0, addresses)
	}
	for _, l := range f.links {
		s.Addresses = append(append(s.Addresses, l.ip4...), l.ip6...)
	}
	s.Routes = slices.Clone(f.routes)
	for i := range s.Routes {
		r := &s.Routes[i]
		r.Raw = slices.Clone(r.Raw)
		l := f.byIndex[r.Link]
		if l == nil || l.slave != nil && r.Dst.Addr().Is6() {
			continue // IPv6 does not follow the carrier of a slave
		}
		r.Flags &^= flagLinkDown
		if !l.carrier {
			r.Flags |= flagLinkDown
		}
	}
	return s
}

func look(l *link) state.Link {
	out := l.Link
	out.Carrier = l.Up() && l.carrier
	out.OperState = operState(l)
	if l.master != nil {
		out.Master = l.master.Index
	}
	if l.parent != nil {
		out.Parent = l.parent.Index
	}
	if l.bond != nil {
		out.Bond = lookBond(l)
	}
	if l.slave != nil {
		out.Slave = lookSlave(l)
	}
	if l.Speed != nil {
		out.Speed = new(*l.Speed)
	}
	return out
}

// operState is rtnl_fill_ifinfo and default_operstate (net/core/link_watch.c):
// what stands on another link, as a VLAN and the end of a veth do, says that the
// lower layer is down.
func operState(l *link) string {
	switch {
	case !l.Up():
		return "down"
	case l.Type == typeLoopback:
		return "unknown"
	case l.carrier:
		return "up"
	case l.parent != nil || l.Kind == kindVeth:
		return "lowerlayerdown"
	}
	return "down"
}

func lookBond(l *link) *state.Bond {
	b := l.bond
	out := &state.Bond{Options: optionsOf(b)}
	if b.usesPrimary() && b.active != nil {
		out.ActiveSlave = b.active.Index
	}
	if a := b.aggregated; a != nil && b.mode() == mode8023AD {
		out.AD = &state.AggregatorInfo{ID: a.slave.aggregator, NumPorts: 1, ActorKey: 15, PartnerKey: 1, PartnerMAC: zeroMAC}
	}
	return out
}

// lookSlave is bond_fill_slave_info. The port states are those of a port that
// nobody answers: active, aggregating, defaulted, expired; short timeout.
func lookSlave(l *link) *state.Slave {
	b, s := l.master.bond, l.slave
	out := &state.Slave{State: "active", MIIStatus: "up", LinkFailures: s.failures, PermMAC: s.permMAC}
	if s.back {
		out.MIIStatus = "back"
	} else if !s.up {
		out.MIIStatus = "down"
	}
	if b.mode() == modeActiveBackup && b.active != l || b.mode() == mode8023AD && b.aggregated != l {
		out.State = "backup"
	}
	if b.mode() == mode8023AD && s.selected {
		out.AggregatorID, out.ActorPortState, out.PartnerPortState = new(s.aggregator), new(197), new(2)
	}
	return out
}
