package inventory

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

const (
	noActive     = "no slave is active"
	noAggregator = "no aggregator is active"
	zeroMAC      = "00:00:00:00:00:00"
)

// bond describes what only bonds have.
func (b *builder) bond(n *Nic, l *state.Link, wish *netcfg.HostNic) {
	n.Bonding = &netcfg.Bonding{}
	var wanted *netcfg.Bonding
	if wish != nil {
		wanted = wish.Bonding
	}
	n.Bonding.Slaves = b.slaveNames(l, wanted)
	if l.Bond == nil {
		return
	}
	n.Bonding.Options = options(l.Bond, wanted)
	switch mode := l.Bond.Options["mode"]; mode {
	case netcfg.ModeActiveBackup, netcfg.ModeTLB, netcfg.ModeALB:
		if n.ActiveSlave = b.nameOf(l.Bond.ActiveSlave); n.ActiveSlave == "" {
			n.absent("active_slave", noActive)
		}
	case netcfg.Mode8023AD:
		lacp(n, l.Bond.AD)
	}
}

// lacp describes the active aggregator. Other modes have no such figures, and
// nothing to explain.
func lacp(n *Nic, ad *state.AggregatorInfo) {
	if ad == nil {
		n.absent("ad_aggregator_id", noAggregator)
		n.absent("ad_partner_mac", noAggregator)
		return
	}
	id, ports := ad.ID, ad.NumPorts
	n.Aggregator, n.Ports = &id, &ports
	if ad.PartnerMAC == "" || ad.PartnerMAC == zeroMAC {
		n.absent("ad_partner_mac", "nobody answers LACP at the other end")
		return
	}
	n.PartnerMAC = ad.PartnerMAC
}

// portStates are the bits of a port's state, from the lowest (IEEE 802.1AX-2014,
// 6.4.2.3; LACP_STATE_* of include/uapi/linux/if_bonding.h).
var portStates = []string{"active", "short-timeout", "aggregatable", "synchronized", "collecting", "distributing", "defaulted", "expired"}

// portState is the words of a port's state; nil is not known.
func portState(bits *int) []string {
	if bits == nil {
		return nil
	}
	var words []string
	for i, word := range portStates {
		if *bits&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return words
}

func slave(s *state.Slave) *Slave {
	return &Slave{State: s.State, MIIStatus: s.MIIStatus, Failures: int64(s.LinkFailures), Actor: portState(s.ActorPortState), Partner: portState(s.PartnerPortState)}
}

// slaveNames are those of the configuration in its order, then the others.
func (b *builder) slaveNames(l *state.Link, wanted *netcfg.Bonding) []string {
	place := func(int) int { return 0 }
	if wanted != nil {
		place = func(index int) int {
			name, managed := b.configured[index]
			if !managed {
				name = b.links[index].Name
			}
			if i := slices.Index(wanted.Slaves, name); i >= 0 {
				return i
			}
			return len(wanted.Slaves)
		}
	}
	slaves := slices.Clone(b.slaves[l.Index])
	slices.SortStableFunc(slaves, func(x, y int) int { return place(x) - place(y) })
	var out []string
	for _, s := range slaves {
		out = append(out, b.nameOf(s))
	}
	return out
}

// options are those that the configuration gives, in its order and, where the
// kernel has the value, in its spelling; clients compare them with what they gave,
// and one more or another spelling would make them change the bond for ever. Of a
// bond that nobody has configured they are the mode and what is not the default.
func options(bond *state.Bond, wanted *netcfg.Bonding) []netcfg.BondOption {
	if wanted == nil {
		return unusual(bond)
	}
	effective := wanted.Effective()
	out := slices.Clone(wanted.Options)
	for i := range out {
		s, ok := netcfg.BondOptionSpec(out[i].Name)
		if !ok {
			continue
		}
		// What the kernel rounds (updelay) is as wanted.
		if have, told := bond.Options[s.Name]; told && have != effective[s.Name] {
			out[i].Value, out[i].Type = have, ""
		}
	}
	return out
}

func unusual(bond *state.Bond) []netcfg.BondOption {
	var out []netcfg.BondOption
	for _, s := range netcfg.BondOptions {
		have, told := bond.Options[s.Name]
		if told && (s.Name == "mode" || have != s.Default) {
			out = append(out, netcfg.BondOption{Name: s.Name, Value: have})
		}
	}
	return out
}
