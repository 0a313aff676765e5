package doctor

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

const (
	ethernet = 1 // ARPHRD_ETHER
	zeroMAC  = "00:00:00:00:00:00"
)

// duplicateMACs are links with the same MAC that do not stand on each other: a bond and
// its slaves have one in common, and so do a VLAN and its base, a bridge and a port.
func (e *examiner) duplicateMACs() {
	byMAC := map[string][]*state.Link{}
	for i := range e.Host.Links {
		l := &e.Host.Links[i]
		if l.Type == ethernet && l.MAC != "" && l.MAC != zeroMAC {
			byMAC[l.MAC] = append(byMAC[l.MAC], l)
		}
	}
	stack := stacks(e.Host.Links)
	for _, mac := range slices.Sorted(maps.Keys(byMAC)) {
		named := map[int]string{}
		for _, l := range byMAC[mac] {
			// The highest of a stack is made last, most of the time.
			named[stack(l.Index)] = l.Name
		}
		if len(named) < 2 {
			continue
		}
		names := slices.Sorted(maps.Values(named))
		e.found(Finding{Rule: "duplicate-mac", Weight: Warning, Nic: names[0], What: "links that have nothing to do with each other have the same MAC",
			Evidence: []string{mac + " on " + strings.Join(names, ", ")}, Do: "agentctl set " + names[len(names)-1] + " mac.address=…"})
	}
}

// stacks tells links that stand on each other, by whatever way, from others: each stack
// has a number.
func stacks(links []state.Link) func(index int) int {
	below := map[int]int{}
	find := func(i int) int {
		for below[i] != 0 && below[i] != i {
			i = below[i]
		}
		return i
	}
	for _, l := range links {
		for _, other := range []int{l.Parent, l.Master} {
			if a, b := find(l.Index), find(other); other != 0 && a != b {
				below[a] = b
			}
		}
	}
	return find
}

// mtus are those that do not fit together.
func (e *examiner) mtus() {
	for _, l := range e.Host.Links {
		base, master := e.Host.Link(l.Parent), e.Host.Link(l.Master)
		switch {
		case l.Kind == "vlan" && base != nil && l.MTU > base.MTU:
			e.found(Finding{Rule: "mtu-vlan", Weight: Error, Nic: l.Name, What: "the VLAN takes larger packets than what is below it",
				Evidence: []string{fmt.Sprintf("%s has mtu %d, %s has %d", l.Name, l.MTU, base.Name, base.MTU)}, Do: fmt.Sprintf("agentctl set %s mtu=%d", base.Name, l.MTU)})
		case l.Slave != nil && master != nil && l.MTU != master.MTU:
			e.found(Finding{Rule: "mtu-slave", Weight: Error, Nic: l.Name, What: "the slave has another MTU than its bond",
				Evidence: []string{fmt.Sprintf("%s has mtu %d, %s has %d", l.Name, l.MTU, master.Name, master.MTU)}, Do: fmt.Sprintf("agentctl set %s mtu=%d", master.Name, master.MTU)})
		}
	}
}

// bonds looks at each bond and its slaves.
func (e *examiner) bonds() {
	for i := range e.Host.Links {
		l := &e.Host.Links[i]
		if l.Bond == nil {
			continue
		}
		var slaves []*state.Link
		for _, index := range e.Host.SlavesOf(l.Index) {
			slaves = append(slaves, e.Host.Link(index))
		}
		e.bond(l, slaves)
		if l.AdminUp && l.Bond.Options["mode"] == netcfg.Mode8023AD && len(slaves) > 0 {
			e.lacp(l, slaves)
		}
	}
}

func (e *examiner) bond(l *state.Link, slaves []*state.Link) {
	if isZero(l.Bond.Options["miimon"]) && isZero(l.Bond.Options["arp_interval"]) {
		e.found(Finding{Rule: "bond-unmonitored", Weight: Error, Nic: l.Name, What: "the bond watches nothing: a slave whose cable is pulled stays in use",
			Evidence: []string{"miimon 0, arp_interval 0"}, Do: "agentctl set " + l.Name + " bonding.options.miimon=100"})
	}
	if want := len(e.Slaves[l.Name]); len(slaves) == 1 && want <= 1 || len(slaves) == 0 {
		e.found(Finding{Rule: "bond-few-slaves", Weight: Note, Nic: l.Name, What: fmt.Sprintf("the bond has %d slaves: there is none to take over", len(slaves)),
			Do: "agentctl set " + l.Name + " bonding.slaves=…"})
	}
	var fast, mute []string
	for _, s := range slaves {
		switch {
		case s.AdminUp && !s.Carrier || s.Slave != nil && s.Slave.MIIStatus == "down":
			evidence := "no carrier"
			if s.Slave != nil {
				evidence = fmt.Sprintf("mii_status %s, %d failures so far", s.Slave.MIIStatus, s.Slave.LinkFailures)
			}
			e.found(Finding{Rule: "slave-down", Weight: Warning, Nic: s.Name, What: "a slave of " + l.Name + " has no link", Evidence: []string{evidence}, Do: "see to the cable and the switch: agentctl show " + s.Name})
		case s.Speed == nil && s.Carrier:
			mute = append(mute, s.Name)
		case s.Speed != nil:
			fast = append(fast, fmt.Sprintf("%s %d Mb/s", s.Name, *s.Speed/1e6))
		}
	}
	if len(mute) > 0 {
		e.found(Finding{Rule: "slave-speed-unknown", Weight: Warning, Nic: l.Name, What: "slaves do not tell their speed, so that of the bond is not known",
			Evidence: append([]string{"unknown: " + strings.Join(mute, ", ")}, fast...), Do: "ethtool " + mute[0]})
	}
	if different(slaves) {
		e.found(Finding{Rule: "slave-speeds-differ", Weight: Note, Nic: l.Name, What: "its slaves have different speeds", Evidence: fast, Do: "agentctl show " + l.Name})
	}
}

// isZero is true of a number that is zero, and of none where the kernel tells none: it
// leaves out what a mode does not have.
func isZero(value string) bool { return value == "" || value == "0" }

func different(slaves []*state.Link) bool {
	var first *int64
	for _, s := range slaves {
		switch {
		case s.Speed == nil:
		case first == nil:
			first = s.Speed
		case *first != *s.Speed:
			return true
		}
	}
	return false
}

// distributing is a bit of a port's state (IEEE 802.1AX-2014, 6.4.2.3).
const distributing = 1 << 5

// lacp looks at the other end of a bond.
func (e *examiner) lacp(l *state.Link, slaves []*state.Link) {
	if l.Bond.AD == nil || l.Bond.AD.PartnerMAC == "" || l.Bond.AD.PartnerMAC == zeroMAC {
		e.found(Finding{Rule: "lacp-no-partner", Weight: Error, Nic: l.Name, What: "nobody answers LACP at the other end: the bond uses one slave, if any",
			Evidence: []string{"the MAC of its partner is 00:00:00:00:00:00"}, Do: "make the ports of the switch a LACP group (agentctl lldp says which), or agentctl set " + l.Name + " bonding.options.mode=active-backup"})
		return
	}
	for _, s := range slaves {
		if s.Slave == nil || s.Slave.MIIStatus != "up" || s.Slave.ActorPortState == nil || *s.Slave.ActorPortState&distributing != 0 {
			continue
		}
		what := "its port is in no LACP group with the others"
		if s.Slave.AggregatorID != nil && *s.Slave.AggregatorID == l.Bond.AD.ID {
			what = "its port passes no traffic yet"
		}
		e.found(Finding{Rule: "lacp-port-idle", Weight: Warning, Nic: s.Name, What: what,
			Evidence: []string{fmt.Sprintf("state %#x, partner's %s, the active aggregator is %d", *s.Slave.ActorPortState, orUnknown(s.Slave.PartnerPortState), l.Bond.AD.ID)},
			Do:       "see to the port of the switch: agentctl lldp " + s.Name})
	}
}

// cables looks who is at their other ends. One without a carrier is another finding.
func (e *examiner) cables() {
	for _, c := range e.Cables {
		if !c.Carrier || c.Expected.Among(c.Heard) {
			continue
		}
		f := Finding{Rule: "neighbour-unexpected", Weight: Warning, Nic: c.Nic, What: "somebody else than expected is at the other end of the cable",
			Evidence: []string{"expected: " + c.Expected.String(), c.Expected.Others(c.Heard)}, Do: "see to the cable: agentctl lldp " + c.Nic}
		if c.Expected.IsRequired() {
			f.Weight = Error
		}
		if len(c.Heard) == 0 {
			f.What = "the expected neighbour is not heard at the other end of the cable"
			f.Do = "see whether the switch speaks LLDP on the port, and whether the NIC's firmware keeps it to itself: ethtool --show-priv-flags " + c.Nic
		}
		e.found(f)
	}
}

func orUnknown(n *int) string {
	if n == nil {
		return "unknown"
	}
	return fmt.Sprintf("%#x", *n)
}

// defaultRoutes of one family that contend. Of different metrics the lower is preferred,
// as somebody may have meant it; of the same one the first in the kernel's order is.
func (e *examiner) defaultRoutes() {
	for _, family := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
		byMetric, all := map[uint32][]string{}, []string{}
		for _, r := range e.Host.Routes {
			if r.Table != state.MainTable || !r.Dst.IsValid() || r.Dst.Bits() != 0 || !family(r.Dst.Addr()) || !r.Gateway.IsValid() {
				continue
			}
			line := fmt.Sprintf("default via %s dev %s metric %d", r.Gateway, e.Host.Name(r.Link), r.Metric)
			byMetric[r.Metric], all = append(byMetric[r.Metric], line), append(all, line)
		}
		weight, what := Note, "there are several default routes: the one with the lowest metric is used"
		for _, lines := range byMetric {
			if len(lines) > 1 {
				weight, what = Warning, "there are several default routes with the same metric: which one is used is chance"
			}
		}
		if len(all) > 1 {
			e.found(Finding{Rule: "several-default-routes", Weight: weight, What: what, Evidence: all, Do: "leave one gateway: agentctl set NIC ip.gateway="})
		}
	}
}

func nicOf(field string) string {
	name, _ := netcfg.NicOf(field)
	return name
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
