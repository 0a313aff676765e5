package kerneltest

import (
	"slices"
	"syscall"
)

// selectActive is bond_select_active_slave.
func (f *Fake) selectActive(m *link) {
	if best := bestSlave(m.bond); best != m.bond.active {
		f.changeActive(m, best)
		f.setBondCarrier(m)
	}
}

// bestSlave is bond_find_best_slave.
func bestSlave(b *bond) *link {
	if l := primaryOrCurrent(b); l != nil {
		return l
	}
	return firstUp(b)
}

// primaryOrCurrent is bond_choose_primary_or_current. Where there is no primary,
// or it is down, the first slave with a link stands in for it.
func primaryOrCurrent(b *bond) *link {
	primary, current := b.primarySlave(), b.active
	if primary == nil || !primary.slave.up {
		first := firstUp(b)
		if first == nil || first == current {
			if current == nil || current.slave == nil || !current.slave.up {
				return nil
			}
			return current
		}
		primary = first
	} else if b.forcePrimary {
		b.forcePrimary = false
		return primary
	}
	if current == nil || current.slave == nil || !current.slave.up {
		return primary
	}
	if b.params[pPrimaryReselect] == reselectAlways {
		return primary
	}
	// better: all links here are of one speed and duplex.
	return current
}

func firstUp(b *bond) *link {
	if i := slices.IndexFunc(b.slaves, func(l *link) bool { return l.slave.up }); i >= 0 {
		return b.slaves[i]
	}
	return nil
}

// changeActive is bond_change_active_slave.
func (f *Fake) changeActive(m, next *link) {
	b := m.bond
	prev := b.active
	if prev == next {
		return
	}
	b.active = next
	switch {
	case b.mode() == modeTLB || b.mode() == modeALB:
		f.lbActiveChanged(m, prev, next)
	case next != nil && b.movesMAC():
		f.failOverMAC(m, prev, next)
	}
}

// failOverMAC is bond_do_fail_over_mac.
func (f *Fake) failOverMAC(m, prev, next *link) {
	if m.bond.params[pFailOverMAC] == fomActive {
		f.stealMAC(m, next)
		return
	}
	if prev == nil {
		// bond_get_old_active: whoever has the bond's MAC.
		prev = slaveWithMAC(m, m.MAC, next)
	}
	if prev == nil {
		_ = f.setMAC(next, m.MAC)
		return
	}
	f.swapMACs(prev, next)
}

// stealMAC is bond_set_dev_addr.
func (f *Fake) stealMAC(m, l *link) {
	m.MAC, m.origin = l.MAC, stolen
	f.macChanged(m)
}

func (f *Fake) swapMACs(a, b *link) {
	macA, macB := a.MAC, b.MAC
	_ = f.setMAC(b, macA)
	_ = f.setMAC(a, macB)
}

// slaveWithMAC is bond_slave_has_mac.
func slaveWithMAC(m *link, mac string, except *link) *link {
	for _, l := range m.bond.slaves {
		if l != except && l.MAC == mac {
			return l
		}
	}
	return nil
}

// setBondMAC is bond_set_mac_address. With fail_over_mac in active-backup mode it
// does nothing and says that all is well.
func (f *Fake) setBondMAC(m *link, mac string) *refusal {
	b := m.bond
	if b.movesMAC() {
		return nil
	}
	if !validMAC(mac) {
		return refuse(syscall.EADDRNOTAVAIL, "")
	}
	if b.mode() == modeALB {
		m.MAC = mac
		if b.active == nil {
			return nil
		}
		if other := slaveWithMAC(m, mac, nil); other != nil {
			f.lbSwapMACs(m, other, b.active)
		} else {
			_ = f.setMAC(b.active, mac)
		}
		return nil
	}
	for i, l := range b.slaves {
		if r := f.setMAC(l, mac); r != nil {
			for _, undo := range b.slaves[:i] {
				_ = f.setMAC(undo, m.MAC)
			}
			return r
		}
	}
	m.MAC = mac
	return nil
}

// lbAttach is bond_alb_init_slave: in modes balance-tlb and balance-alb each
// slave keeps a MAC of its own; the active one has the bond's.
func (f *Fake) lbAttach(m, l *link) *refusal {
	f.lbSetMAC(m, l, l.slave.permMAC)
	b := m.bond
	if len(b.slaves) == 0 {
		return nil
	}
	if l.MAC != m.MAC {
		if slaveWithMAC(m, l.MAC, nil) == nil {
			return nil
		}
		f.lbSetMAC(m, l, m.MAC)
	}
	// The slave's MAC is the bond's: it gets one that is free.
	for _, other := range b.slaves {
		if slaveWithMAC(m, other.slave.permMAC, nil) == nil {
			f.lbSetMAC(m, l, other.slave.permMAC)
			return nil
		}
	}
	if b.active != nil || slaveWithMAC(m, m.MAC, nil) != nil {
		return refuse(syscall.EFAULT, "")
	}
	return nil
}

// lbSetMAC is alb_set_slave_mac_addr: balance-tlb changes the address under the
// driver's feet.
func (f *Fake) lbSetMAC(m, l *link, mac string) {
	if m.bond.mode() == modeTLB {
		l.MAC = mac
	} else {
		_ = f.setMAC(l, mac)
	}
}

func (f *Fake) lbSwapMACs(m, a, b *link) {
	macA, macB := a.MAC, b.MAC
	f.lbSetMAC(m, a, macB)
	f.lbSetMAC(m, b, macA)
}

// lbDetach is bond_alb_deinit_slave: whoever has the leaving slave's own MAC
// gives it back.
func (f *Fake) lbDetach(m, l *link, s *slave) {
	if mode := m.bond.mode(); mode != modeTLB && mode != modeALB || len(m.bond.slaves) == 0 {
		return
	}
	if s.permMAC == l.MAC || s.permMAC == m.MAC {
		return
	}
	if other := slaveWithMAC(m, s.permMAC, nil); other != nil {
		f.lbSwapMACs(m, l, other)
	}
}

// lbActiveChanged is bond_alb_handle_active_change: the new active slave gets
// the bond's MAC, in exchange for its own.
func (f *Fake) lbActiveChanged(m, prev, next *link) {
	if next == nil || len(m.bond.slaves) == 0 {
		return
	}
	if prev == nil {
		prev = slaveWithMAC(m, m.MAC, nil)
	}
	if m.bond.mode() == modeTLB {
		// The driver is told of the bond's MAC, the device keeps its own.
		own := next.MAC
		_ = f.setMAC(next, m.MAC)
		next.MAC = own
	}
	if prev != nil {
		f.lbSwapMACs(m, prev, next)
	} else {
		f.lbSetMAC(m, next, m.MAC)
	}
}
