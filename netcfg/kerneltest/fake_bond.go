package kerneltest

import (
	"slices"
	"strconv"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// bond is what struct bonding holds (drivers/net/bonding).
type bond struct {
	// params are the numeric options; the delays are kept as multiples of miimon.
	params     [numParams]int
	arpTargets []string
	nsTargets  []string
	// primary is a name, kept whether or not a slave has it.
	primary      string
	forcePrimary bool
	actorSystem  string

	// slaves in the order in which they came.
	slaves []*link
	// active is curr_active_slave. aggregated is the slave whose aggregator is the
	// active one: with nobody at the other end each port is its own aggregator.
	active, aggregated *link
	// aggregators counts those made since the bond last was without slaves.
	aggregators int
}

// slave is what struct slave holds.
type slave struct {
	permMAC     string
	originalMTU int
	// up is BOND_LINK_UP; back is BOND_LINK_BACK, a link that waits for updelay.
	up, back bool
	failures uint32
	// aggregator is the number of the slave's own; selected once the state machine
	// has given the port an aggregator.
	aggregator int
	selected   bool
}

func (b *bond) mode() int { return b.params[pMode] }

// usesPrimary is bond_uses_primary.
func (b *bond) usesPrimary() bool {
	m := b.mode()
	return m == modeActiveBackup || m == modeTLB || m == modeALB
}

// movesMAC is true while the bond's MAC is the business of fail_over_mac.
func (b *bond) movesMAC() bool {
	return b.mode() == modeActiveBackup && b.params[pFailOverMAC] != fomNone
}

// primarySlave is primary_slave: the slave that has the name.
func (b *bond) primarySlave() *link {
	if b.primary == "" {
		return nil
	}
	for _, s := range b.slaves {
		if s.Name == b.primary {
			return s
		}
	}
	return nil
}

// newBond is bond_newlink. A refused option refuses the whole bond.
func (f *Fake) newBond(l *link, op plan.Op) *refusal {
	if op.MTU != 0 {
		if r := checkMTU(l, op.MTU); r != nil {
			return r
		}
		l.MTU = op.MTU
	}
	l.bond = &bond{params: defaultParams, actorSystem: zeroMAC}
	if r := f.setOptions(l, op); r != nil {
		return r
	}
	if r := f.registerNamed(l, op.Name); r != nil {
		return r
	}
	if l.MAC == "" {
		l.MAC, l.origin = f.randomMAC(), random
	}
	return nil
}

// changeBond is bond_changelink on a bond that exists.
func (f *Fake) changeBond(l *link, op plan.Op) *refusal {
	if l.bond == nil {
		return refuse(syscall.EOPNOTSUPP, "")
	}
	return f.setOptions(l, op)
}

// enslave is bond_enslave.
func (f *Fake) enslave(m, l *link) *refusal {
	b := m.bond
	if r := enslavable(m, l); r != nil {
		return r
	}
	first := len(b.slaves) == 0
	if first && m.origin == random {
		f.stealMAC(m, l)
	}
	s := &slave{originalMTU: l.MTU, permMAC: l.MAC}
	if r := f.setMTU(l, m.MTU); r != nil {
		f.undoFirst(m, l)
		return r
	}
	if !b.movesMAC() {
		_ = f.setMAC(l, m.MAC)
	}
	// IFF_SLAVE is set before dev_open, so that IPv6 leaves the slave alone.
	l.slave = s
	if r := f.openSlave(m, l); r != nil {
		// The MAC is put back by dev_set_mac_address, so it counts as chosen now.
		l.slave = nil
		f.setDown(l)
		if !b.movesMAC() {
			_ = f.setMAC(l, s.permMAC)
		}
		_ = f.setMTU(l, s.originalMTU)
		f.undoFirst(m, l)
		return r
	}
	f.join(m, l)
	return nil
}

// enslavable are the checks before anything is touched.
func enslavable(m, l *link) *refusal {
	switch {
	case m == l:
		return refuse(syscall.EPERM, "Cannot enslave bond to itself.")
	case l.Up():
		return refuse(syscall.EPERM, "Device can not be enslaved while up")
	case len(m.bond.slaves) > 0 && l.Type != m.Type:
		return refuse(syscall.EINVAL, "Device type is different from other slaves")
	case l.Type != typeEthernet && m.bond.mode() == mode8023AD:
		return refuse(syscall.EINVAL, "8023AD mode requires Ethernet devices")
	case l.Type != typeEthernet:
		return refuse(syscall.EADDRNOTAVAIL, "") // lo: its zero MAC fits no Ethernet bond
	}
	return nil
}

// openSlave opens the slave, and refuses a loop where the kernel does, at
// netdev_upper_dev_link, which comes behind all that.
func (f *Fake) openSlave(m, l *link) *refusal {
	if r := f.setUp(l); r != nil {
		return r
	}
	if mode := m.bond.mode(); mode == modeTLB || mode == modeALB {
		if r := f.lbAttach(m, l); r != nil {
			return r
		}
	}
	if below(m, l) {
		return refuse(syscall.EBUSY, "")
	}
	return nil
}

// below is true where l stands on m, at any distance.
func below(m, l *link) bool {
	if l == nil || l == m {
		return l == m
	}
	if l.bond != nil && slices.ContainsFunc(l.bond.slaves, func(s *link) bool { return below(m, s) }) {
		return true
	}
	return below(m, l.parent)
}

// undoFirst: a bond that has taken the MAC of a slave that it could not take
// gets a new one.
func (f *Fake) undoFirst(m, l *link) {
	if len(m.bond.slaves) == 0 && m.MAC == l.MAC {
		m.MAC, m.origin = f.randomMAC(), random
	}
}

// join is the second half of bond_enslave: the slave is open, and its first link
// state is found out on the spot.
func (f *Fake) join(m, l *link) {
	b, s := m.bond, l.slave
	monitored := b.params[pMiimon] > 0 || b.params[pARPInterval] > 0
	s.up = l.carrier || !monitored
	if s.up && b.params[pMiimon] > 0 && b.params[pUpdelay] > 0 {
		s.up, s.back = false, true
	}
	if len(b.slaves) == 0 {
		b.aggregators = 0
	}
	b.aggregators++
	s.aggregator = b.aggregators
	l.master = m
	b.slaves = append(b.slaves, l)
	if b.usesPrimary() {
		b.forcePrimary = b.forcePrimary || l.Name == b.primary
		f.setBondCarrier(m)
		f.selectActive(m)
		return
	}
	if b.active == nil && s.up {
		b.active = l
	}
	f.setBondCarrier(m)
}

// release is __bond_release_one: the slave is down afterwards, with its own MAC
// and the MTU that it had. unregister is set when the slave itself goes away.
func (f *Fake) release(l *link, unregister bool) {
	m := l.master
	b, s := m.bond, l.slave
	f.leave(m, l)
	if b.active == l {
		f.changeActive(m, nil)
		f.lbDetach(m, l, s)
		f.selectActive(m)
	} else {
		f.lbDetach(m, l, s)
	}
	f.setBondCarrier(m)
	if len(b.slaves) == 0 {
		// Even when somebody chose the one it had.
		m.MAC, m.origin = f.randomMAC(), random
		f.macChanged(m)
	}
	f.restore(m, l, s, unregister)
}

// releaseFromDoomed is the same for a bond that is going away.
func (f *Fake) releaseFromDoomed(l *link) {
	m, s := l.master, l.slave
	f.leave(m, l)
	if m.bond.active == l {
		f.changeActive(m, nil)
	}
	f.lbDetach(m, l, s)
	f.restore(m, l, s, true)
}

func (f *Fake) leave(m, l *link) {
	m.bond.slaves = without(m.bond.slaves, l)
	l.master, l.slave = nil, nil
	if m.bond.aggregated == l {
		m.bond.aggregated = nil
		f.aggregate(m)
	}
}

func (f *Fake) restore(m, l *link, s *slave, unregister bool) {
	f.setDown(l)
	if !m.bond.movesMAC() || m.bond.params[pFailOverMAC] != fomActive {
		_ = f.setMAC(l, s.permMAC)
	}
	if unregister {
		// __dev_set_mtu: the driver is told, which moves a bond's slaves, but nobody
		// who stands on the link.
		if l.bond != nil {
			for _, below := range l.bond.slaves {
				_ = f.setMTU(below, s.originalMTU)
			}
		}
		l.MTU = s.originalMTU
	} else {
		_ = f.setMTU(l, s.originalMTU)
	}
}

// monitor is bond_mii_monitor: it runs while the bond is up and miimon is not 0.
// It tells whether anything moved.
func (f *Fake) monitor(m *link) bool {
	b := m.bond
	if !m.Up() {
		return false
	}
	was := m.carrier
	failover, moved := false, false
	if b.params[pMiimon] > 0 {
		for _, l := range b.slaves {
			s, up := l.slave, l.Up() && l.carrier
			s.back = false
			if s.up == up {
				continue
			}
			s.up, moved = up, true
			if up {
				failover = failover || b.active == nil || l == b.primarySlave()
			} else {
				s.failures++
				failover = failover || b.active == l
			}
		}
	}
	if failover {
		f.selectActive(m)
	}
	f.aggregate(m)
	f.setBondCarrier(m)
	return moved || was != m.carrier
}

// aggregate is ad_agg_selection_logic where nobody speaks LACP: the first port
// with a link makes the active aggregator. The state machine runs while the bond
// is up.
func (f *Fake) aggregate(m *link) {
	b := m.bond
	if b.mode() != mode8023AD || !m.Up() {
		return
	}
	for _, l := range b.slaves {
		l.slave.selected = true
	}
	if b.aggregated == nil || !b.aggregated.slave.up {
		b.aggregated = firstUp(b)
	}
}

// setBondCarrier is bond_set_carrier.
func (f *Fake) setBondCarrier(m *link) {
	b := m.bond
	if b.mode() == mode8023AD {
		// One port with a link is all that an aggregator has here.
		f.setCarrier(m, b.aggregated != nil && b.params[pMinLinks] <= 1)
		return
	}
	f.setCarrier(m, firstUp(b) != nil)
}

func itoa(n int) string { return strconv.Itoa(n) }
