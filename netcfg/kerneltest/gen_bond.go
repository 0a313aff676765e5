package kerneltest

import (
	"slices"
	"strconv"

	"github.com/hostnic/hostnic/netcfg"
)

// addBond makes a bond of one to three of the free NICs.
func (g *gen) addBond() {
	if len(g.free) == 0 {
		return
	}
	// bond0 to bond4, so that another configuration has some of the same.
	names := []string{"bond0", "bond1", "bond2", "bond3", "bond4"}
	names = slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(g.nics, func(n netcfg.HostNic) bool { return n.Name == name })
	})
	count := min(1+g.IntN(3), len(g.free))
	b := &netcfg.Bonding{Slaves: g.free[:count:count]}
	g.free = g.free[count:]
	if g.slaves == nil {
		g.slaves = map[string]bool{}
	}
	for _, s := range b.Slaves {
		g.slaves[s] = true
	}
	g.bondOptions(b)
	g.add(netcfg.HostNic{Name: pick(g, names), Bonding: b})
}

// bondOptions chooses a mode, a monitor, and a few options that are valid in the
// mode, in any order.
func (g *gen) bondOptions(b *netcfg.Bonding) {
	mode := g.IntN(len(netcfg.BondModes))
	set := func(name, value string) {
		b.Options = append(b.Options, netcfg.BondOption{Name: name, Value: value})
	}
	if mode != 0 || g.chance(70) {
		set("mode", g.word(netcfg.BondModes, mode))
	}
	arp := 1<<mode&inARP != 0 && g.chance(15)
	switch {
	case arp:
		set("arp_interval", strconv.Itoa(100+100*g.IntN(5)))
		set("arp_ip_target", pick(g, []string{"10.255.0.1", "10.255.0.1,10.255.0.2"}))
		if g.chance(20) {
			set("ns_ip6_target", "2001:db8:fffe::1")
		}
		if mode == modeActiveBackup && g.chance(50) {
			set("arp_validate", pick(g, []string{"active", "all", "3"}))
		}
	case g.chance(70):
		set("miimon", strconv.Itoa(50+50*g.IntN(4)))
		for _, name := range []string{"updelay", "downdelay", "peer_notif_delay"} {
			if g.chance(15) {
				set(name, strconv.Itoa(50*g.IntN(9)))
			}
		}
	}
	for range g.IntN(5) {
		g.oneOption(b, mode, arp)
	}
	g.Shuffle(len(b.Options), func(i, j int) { b.Options[i], b.Options[j] = b.Options[j], b.Options[i] })
}

// word writes an enum by its word or by its number.
func (g *gen) word(words []string, n int) string {
	if g.chance(30) {
		return strconv.Itoa(n)
	}
	return words[n]
}

// further are the options that oneOption chooses from: all but the mode and the
// monitors.
var further = []int{pUseCarrier, pARPAllTargets, pPrimary, pPrimaryReselect, pFailOverMAC, pXmitHashPolicy, pResendIGMP,
	pNumGratARP, pAllSlavesActive, pMinLinks, pLPInterval, pPacketsPerSlave, pLACPActive, pLACPRate, pADSelect,
	pADActorSysPrio, pADUserPortKey, pADActorSystem, pTLBDynamicLB, pARPMissedMax}

func (g *gen) oneOption(b *netcfg.Bonding, mode int, arp bool) {
	p := pick(g, further)
	name := params[p].name
	if params[p].modes&(1<<mode) == 0 || has(b, name) || p == pARPMissedMax && !arp {
		return
	}
	if p == pNumGratARP && g.chance(30) {
		name = "num_unsol_na"
		if has(b, name) {
			return
		}
	}
	var value string
	switch {
	case p == pPrimary:
		value = pick(g, b.Slaves)
	case p == pADActorSystem:
		value = pick(g, []string{"00:00:00:00:00:00", "02:00:5e:00:00:01"})
	case specs[p].Words != nil:
		value = g.word(specs[p].Words, g.IntN(len(specs[p].Words)))
	default:
		value = strconv.Itoa(params[p].min + g.IntN(min(params[p].max-params[p].min, 100)))
	}
	b.Options = append(b.Options, netcfg.BondOption{Name: name, Value: value})
}

func has(b *netcfg.Bonding, name string) bool {
	return slices.ContainsFunc(b.Options, func(o netcfg.BondOption) bool {
		return o.Name == name || paramOf(o.Name) == paramOf(name)
	})
}

// paramOf finds an option by either of its names.
func paramOf(name string) string {
	if name == "num_unsol_na" {
		return "num_grat_arp"
	}
	return name
}

// failsOverMAC is true of a bond whose MAC is its active slave's, and so is not
// chosen.
func failsOverMAC(b *netcfg.Bonding) bool {
	o, ok := b.Option("fail_over_mac")
	return ok && o.Value != "none" && o.Value != "0"
}
