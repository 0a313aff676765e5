package kerneltest

import (
	"slices"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// linkDel is RTM_DELLINK of one link.
func (f *Fake) linkDel(op plan.Op) *refusal {
	l := f.byIndex[op.Index]
	switch {
	case l == nil:
		return refuse(syscall.ENODEV, "")
	case l.Kind == "":
		return refuse(syscall.EOPNOTSUPP, "") // no rtnl_link_ops: hardware, lo
	}
	f.unregister([]*link{l})
	return nil
}

// groupDel is rtnl_group_dellink: all of the group, or nothing when one of them
// cannot be deleted.
func (f *Fake) groupDel(op plan.Op) *refusal {
	if op.Group == 0 {
		return refuse(syscall.EPERM, "")
	}
	var doomed []*link
	for _, l := range f.links {
		if l.Group != op.Group {
			continue
		}
		if l.Kind == "" {
			return refuse(syscall.EOPNOTSUPP, "")
		}
		doomed = append(doomed, l)
	}
	if doomed == nil {
		return refuse(syscall.ENODEV, "")
	}
	f.unregister(doomed)
	return nil
}

// unregister is unregister_netdevice_many. VLANs go with what they stand on,
// slaves are released, and a slave that goes leaves its bond first.
func (f *Fake) unregister(doomed []*link) {
	for _, l := range doomed {
		f.setDown(l)
	}
	for _, l := range doomed {
		if f.byIndex[l.Index] != l {
			continue // went with its parent
		}
		if l.slave != nil {
			f.release(l, true)
		}
		if l.master != nil {
			f.leaveBridge(l)
		}
		f.unregister(slices.Clone(l.vlans))
		if l.bond != nil {
			for _, s := range slices.Clone(l.bond.slaves) {
				f.releaseFromDoomed(s)
			}
		}
		for _, p := range slices.Clone(l.ports) {
			f.leaveBridge(p)
		}
		if l.parent != nil {
			l.parent.vlans = without(l.parent.vlans, l)
		}
		f.forget(l)
	}
}

// forget takes the link, its addresses and its routes out of the namespace.
func (f *Fake) forget(l *link) {
	delete(f.byIndex, l.Index)
	f.links = without(f.links, l)
	local := l.ip4
	l.ip4, l.ip6 = nil, nil
	f.flushRoutes(l, true)
	f.flushRoutes(l, false)
	for _, a := range local {
		f.addressGone(a.Prefix.Addr())
	}
}

// without is ls without l, in the same memory.
func without(ls []*link, l *link) []*link {
	if i := slices.Index(ls, l); i >= 0 {
		return slices.Delete(ls, i, i+1)
	}
	return ls
}
