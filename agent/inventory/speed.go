package inventory

import (
	"fmt"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Reasons that are given in more than one place.
const (
	linkDown  = "the link is administratively down"
	noCarrier = "the link has no carrier"
)

// deepest is how many links stand on each other at most, here: the kernel's own
// limit, MAX_NEST_DEV.
const deepest = 8

// speed is how fast a link is in bits per second, or why that is not known.
func (b *builder) speed(l *state.Link, depth int) (*int64, string) {
	switch {
	case !l.AdminUp:
		return nil, linkDown
	case !l.Carrier:
		return nil, noCarrier
	case depth > deepest:
		return nil, "too many links stand on each other"
	case l.Kind == "bond" && l.Bond != nil:
		return b.bondSpeed(l, depth)
	case l.Kind == "vlan":
		base := b.links[l.Parent]
		if base == nil {
			return nil, "its base interface is in another network namespace"
		}
		return b.speed(base, depth+1)
	case l.Speed == nil || *l.Speed <= 0:
		return nil, "the driver does not tell it"
	}
	speed := *l.Speed
	return &speed, ""
}

// bondSpeed is what can leave through a bond: the active slave in active-backup,
// where all others are silent; the lowest of the slaves in broadcast, where all
// send the same; the ports of the active aggregator in 802.3ad; else all slaves
// that have a link.
func (b *builder) bondSpeed(l *state.Link, depth int) (*int64, string) {
	mode := l.Bond.Options["mode"]
	ports, reason := b.ports(l, mode)
	if len(ports) == 0 {
		return nil, reason
	}
	var total int64
	for i, p := range ports {
		speed, why := b.speed(p, depth+1)
		switch {
		case speed == nil:
			return nil, fmt.Sprintf("the speed of its slave %s is not known: %s", b.nameOf(p.Index), why)
		case mode != netcfg.ModeBroadcast:
			total += *speed
		case i == 0 || *speed < total:
			total = *speed
		}
	}
	return &total, ""
}

// ports are the slaves whose speeds make up that of the bond.
func (b *builder) ports(l *state.Link, mode string) (ports []*state.Link, reason string) {
	reason = "none of its slaves has a link"
	switch {
	case mode == netcfg.ModeActiveBackup && l.Bond.ActiveSlave == 0:
		return nil, noActive
	case mode == netcfg.Mode8023AD && l.Bond.AD == nil:
		return nil, noAggregator
	}
	for _, i := range b.slaves[l.Index] {
		s := b.links[i]
		switch {
		case !s.AdminUp, !s.Carrier, s.Slave != nil && s.Slave.MIIStatus != "" && s.Slave.MIIStatus != "up":
		case mode == netcfg.ModeActiveBackup && s.Index != l.Bond.ActiveSlave:
		case mode == netcfg.Mode8023AD && !inAggregator(s, l.Bond.AD.ID):
		default:
			ports = append(ports, s)
		}
	}
	return ports, reason
}

func inAggregator(s *state.Link, id int) bool {
	return s.Slave != nil && s.Slave.AggregatorID != nil && *s.Slave.AggregatorID == id
}

// duplex is full or half, or why that is not known.
func (b *builder) duplex(l *state.Link, depth int) (string, string) {
	switch {
	case !l.AdminUp:
		return "", linkDown
	case !l.Carrier:
		return "", noCarrier
	case l.Duplex != "":
		return l.Duplex, ""
	case l.Kind == "vlan" && depth < deepest:
		if base := b.links[l.Parent]; base != nil {
			return b.duplex(base, depth+1)
		}
	}
	return "", "the driver does not tell it"
}
