package kerneltest

import (
	"slices"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

const (
	kindBond   = "bond"
	kindVLAN   = "vlan"
	kindBridge = "bridge"
	kindVeth   = "veth"
)

// newVLAN is vlan_newlink (net/8021q/vlan_netlink.c). Id 0 is accepted, and so is
// a parent that is the slave of a bond.
func (f *Fake) newVLAN(l *link, op plan.Op) *refusal {
	l.MinMTU = 0
	if op.MTU != 0 {
		if r := checkMTU(l, op.MTU); r != nil {
			return r
		}
	}
	p := f.byIndex[op.Parent]
	if p == nil {
		return refuse(syscall.ENODEV, "8021q: link does not exist")
	}
	if p.Type != typeEthernet {
		return refuse(syscall.EOPNOTSUPP, "8021q: VLANs not supported on device")
	}
	at, taken := slices.BinarySearchFunc(p.vlans, op.VLANID, func(v *link, id int) int { return v.VLANID - id })
	if taken {
		return refuse(syscall.EEXIST, "8021q: VLAN device already exists")
	}
	l.MTU = p.MTU
	if op.MTU != 0 {
		if op.MTU > p.MTU {
			return refuse(syscall.EINVAL, "")
		}
		l.MTU = op.MTU
	}
	if r := f.registerNamed(l, op.Name); r != nil {
		return r
	}
	l.parent, l.VLANID, l.carrier = p, op.VLANID, p.carrier
	if l.MAC == "" {
		l.MAC, l.origin = p.MAC, stolen
	}
	p.vlans = slices.Insert(p.vlans, at, l)
	return nil
}

// setMAC is dev_set_mac_address with the ndo_set_mac_address of the kind.
func (f *Fake) setMAC(l *link, mac string) *refusal {
	switch {
	case l.bond != nil:
		if r := f.setBondMAC(l, mac); r != nil {
			return r
		}
	case l.macNeedsDown && l.Up():
		return refuse(syscall.EBUSY, "")
	case !validMAC(mac):
		return refuse(syscall.EADDRNOTAVAIL, "")
	default:
		l.MAC = mac
	}
	// Even where the bond has ignored it.
	l.origin = chosen
	f.macChanged(l)
	return nil
}

// macChanged is NETDEV_CHANGEADDR: VLANs that are up and have their MAC from
// this link take the new one (vlan_sync_address).
func (f *Fake) macChanged(l *link) {
	for _, v := range l.vlans {
		if v.Up() {
			f.inheritMAC(v)
		}
	}
}

func (f *Fake) inheritMAC(v *link) {
	if v.origin == stolen && v.MAC != v.parent.MAC {
		v.MAC = v.parent.MAC
		f.macChanged(v)
	}
}

// validMAC is is_valid_ether_addr: unicast and not zero.
func validMAC(mac string) bool {
	if len(mac) != 17 || mac == zeroMAC {
		return false
	}
	return hexDigit(mac[1])&1 == 0
}

func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
