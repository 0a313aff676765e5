package kerneltest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// ARPHRD types, IPv6's least MTU and IPv4's.
const (
	typeEthernet = 1
	typeLoopback = 772
	minMTUv6     = 1280
	minMTUv4     = 68
)

const zeroMAC = "00:00:00:00:00:00"

// origin is where a link's MAC came from (NET_ADDR_*, linux/netdevice.h). Only a
// random one gives way to the first slave's, only a stolen one follows the link
// that it was stolen from.
type origin int

const (
	permanent origin = iota
	random
	stolen
	chosen
)

// link is one net_device. The embedded facts that follow from others (Master,
// Parent, OperState, Carrier, Bond, Slave) are filled in by snapshot.
type link struct {
	state.Link
	origin origin
	// macNeedsDown is the driver that lacks IFF_LIVE_ADDR_CHANGE.
	macNeedsDown bool
	// cable is true where a NIC has something at the other end.
	cable bool
	// carrier is netif_carrier_ok. On a link that is down it may be out of date,
	// as in the kernel.
	carrier bool

	parent *link
	vlans  []*link
	master *link
	ports  []*link
	bond   *bond
	slave  *slave

	ip4 []state.Address
	// v6 is the inet6_dev, which is gone while the MTU is below 1280. ready is its
	// IF_READY: the link has been up with carrier since it was set up.
	v6, ready bool
	ip6       []state.Address
}

// register gives the link an index unless it has one, and files it.
func (f *Fake) register(l *link) {
	if l.Index == 0 {
		// dev_new_index: upwards, past the indexes that somebody chose.
		for f.lastIndex++; f.byIndex[f.lastIndex] != nil; f.lastIndex++ {
		}
		l.Index = f.lastIndex
	}
	f.byIndex[l.Index] = l
	i, _ := slices.BinarySearchFunc(f.links, l.Index, func(o *link, index int) int { return o.Index - index })
	f.links = slices.Insert(f.links, i, l)
}

func (f *Fake) byName(name string) *link {
	for _, l := range f.links {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// randomMAC is eth_random_addr: unicast and locally administered.
func (f *Fake) randomMAC() string {
	n := f.random.Uint64()
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x",
		byte(n)&0xfe|0x02, byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40))
}

// linkAdd is rtnl_newlink with NLM_F_CREATE|NLM_F_EXCL. A create that fails
// leaves nothing.
func (f *Fake) linkAdd(op plan.Op) *refusal {
	op.MAC = strings.ToLower(op.MAC)
	if len(op.Name) > 15 {
		// The policy of IFLA_IFNAME, before anything is looked at.
		return refuse(syscall.ERANGE, "Attribute failed policy validation")
	}
	if op.Kind != kindBond && op.Kind != kindVLAN {
		return refuse(syscall.EOPNOTSUPP, "Unknown device type")
	}
	if op.MAC != "" && !validMAC(op.MAC) {
		return refuse(syscall.EADDRNOTAVAIL, "")
	}
	if op.Kind == kindVLAN && op.VLANID >= 4095 {
		return refuse(syscall.ERANGE, "8021q: Invalid VLAN id")
	}
	switch {
	case op.Index < 0:
		return refuse(syscall.EINVAL, "ifindex can't be negative")
	case op.Index > 0 && f.byIndex[op.Index] != nil:
		return refuse(syscall.EEXIST, "")
	case op.Index == 0 && f.byName(op.Name) != nil:
		return refuse(syscall.EEXIST, "")
	case op.AddrGenModeNone != nil:
		// validate_linkmsg: a link that is not registered has no inet6_dev.
		return refuse(syscall.EAFNOSUPPORT, "")
	}
	l := &link{Link: state.Link{Index: op.Index, Kind: op.Kind, Type: typeEthernet, MTU: 1500,
		MinMTU: 68, MaxMTU: 65535, Group: op.Group, MAC: op.MAC}}
	if op.MAC != "" {
		l.origin = chosen
	}
	var r *refusal
	if op.Kind == kindVLAN {
		r = f.newVLAN(l, op)
	} else {
		r = f.newBond(l, op)
	}
	if r != nil {
		return r
	}
	return f.configureNew(l, op)
}

// configureNew is what rtnl_newlink_create does once the link is there. When
// that fails the link goes again.
func (f *Fake) configureNew(l *link, op plan.Op) *refusal {
	var r *refusal
	if op.Up != nil && *op.Up {
		r = f.setUp(l)
	}
	if r == nil && op.Master != nil && *op.Master != 0 {
		r = f.setMaster(l, *op.Master)
	}
	if r != nil {
		f.unregister([]*link{l})
	}
	return r
}

// registerNamed is register_netdevice: the name is judged last.
func (f *Fake) registerNamed(l *link, name string) *refusal {
	name, r := f.freeName(name)
	if r != nil {
		return r
	}
	l.Name = name
	l.v6 = l.MTU >= minMTUv6
	f.register(l)
	return nil
}

// freeName is dev_prep_valid_name, and sysctl_dev_name_is_allowed by way of
// inetdev_init.
func (f *Fake) freeName(name string) (string, *refusal) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n\v\f\r\xa0") {
		return "", refuse(syscall.EINVAL, "")
	}
	if before, after, ok := strings.Cut(name, "%"); ok {
		if !strings.HasPrefix(after, "d") || strings.Contains(after, "%") {
			return "", refuse(syscall.EINVAL, "")
		}
		for n := 0; ; n++ {
			if try := fmt.Sprint(before, n, after[1:]); f.byName(try) == nil {
				return try, nil
			}
		}
	}
	if f.byName(name) != nil {
		return "", refuse(syscall.EEXIST, "")
	}
	if name == "all" || name == "default" {
		return "", refuse(syscall.EINVAL, "")
	}
	return name, nil
}

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
		// addrconf_ifdown with unregister: IPv6 leaves the link altogether.
		l.v6, l.ready, l.ip6, l.AddrGenModeNone = false, false, nil, false
		f.flushRoutes(l, false)
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
