package kerneltest

import (
	"strings"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// linkSet is one RTM_NEWLINK on an existing link. The kernel goes through the
// attributes in this order whatever their order in the message (changelink, then
// do_setlink), and what came before a refused one stays.
func (f *Fake) linkSet(op plan.Op) *refusal {
	l := f.byIndex[op.Index]
	if l == nil {
		return refuse(syscall.ENODEV, "")
	}
	if op.AddrGenModeNone != nil && !l.v6 {
		return refuse(syscall.EAFNOSUPPORT, "")
	}
	if len(op.Options) > 0 {
		if r := f.changeBond(l, op); r != nil {
			return r
		}
	}
	if op.MAC != "" {
		if r := f.setMAC(l, strings.ToLower(op.MAC)); r != nil {
			return r
		}
	}
	if op.MTU != 0 {
		if r := f.setMTU(l, op.MTU); r != nil {
			return r
		}
	}
	if op.Group != 0 {
		l.Group = op.Group
	}
	if r := f.setFlags(l, op.Up); r != nil {
		return r
	}
	if op.Master != nil {
		if r := f.setMaster(l, *op.Master); r != nil {
			return r
		}
	}
	if op.AddrGenModeNone != nil {
		l.AddrGenModeNone = *op.AddrGenModeNone
	}
	return nil
}

func (f *Fake) setFlags(l *link, up *bool) *refusal {
	switch {
	case up == nil:
		return nil
	case *up:
		return f.setUp(l)
	}
	f.setDown(l)
	return nil
}

// setMaster is do_set_master. A link that has another master leaves it first and
// stays out when the new one refuses it; that is how a bond silently takes a
// slave from another bond, and a port from its bridge.
func (f *Fake) setMaster(l *link, index int) *refusal {
	if l.master != nil {
		if l.master.Index == index {
			return nil
		}
		if l.slave != nil {
			f.release(l, false)
		} else {
			f.leaveBridge(l)
		}
	}
	if index == 0 {
		return nil
	}
	m := f.byIndex[index]
	switch {
	case m == nil:
		return refuse(syscall.EINVAL, "")
	case m.bond != nil:
		return f.enslave(m, l)
	case m.Kind == kindBridge:
		return f.joinBridge(m, l)
	}
	return refuse(syscall.EOPNOTSUPP, "")
}

// setMTU is dev_set_mtu_ext with the ndo_change_mtu of the kind.
func (f *Fake) setMTU(l *link, mtu int) *refusal {
	if l.MTU == mtu {
		return nil
	}
	if r := checkMTU(l, mtu); r != nil {
		return r
	}
	if l.parent != nil && mtu > l.parent.MTU {
		return refuse(syscall.ERANGE, "")
	}
	if l.bond != nil {
		for i, s := range l.bond.slaves {
			if r := f.setMTU(s, mtu); r != nil {
				for _, undo := range l.bond.slaves[:i] {
					_ = f.setMTU(undo, l.MTU)
				}
				return r
			}
		}
	}
	l.MTU = mtu
	f.mtuChanged(l)
	return nil
}

func checkMTU(l *link, mtu int) *refusal {
	if mtu < l.MinMTU {
		return refuse(syscall.EINVAL, "mtu less than device minimum")
	}
	if l.MaxMTU > 0 && mtu > l.MaxMTU {
		return refuse(syscall.EINVAL, "mtu greater than device maximum")
	}
	return nil
}

// mtuChanged is NETDEV_CHANGEMTU.
func (f *Fake) mtuChanged(l *link) {
	if l.MTU < minMTUv4 {
		l.ip4 = nil
		f.flushRoutes(l, true)
	}
	switch {
	case l.MTU < minMTUv6:
		f.dropIPv6(l)
	case !l.v6:
		l.v6 = true
		if l.Up() && l.carrier {
			f.becomeReady(l)
		}
	}
	for _, v := range l.vlans {
		if v.MTU > l.MTU {
			_ = f.setMTU(v, l.MTU)
		}
	}
}

// Up is IFF_UP.
func (l *link) Up() bool { return l.AdminUp }
