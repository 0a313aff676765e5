package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// verify asks the kernel whether a task has been done, whatever its contestant
// says: nothing missing, nothing left over.
func (w workload) verify(t task) error {
	var links []netlink.Link
	var addrs []netlink.Addr
	var routes []netlink.Route
	err := retry(func() (err error) { links, err = netlink.LinkList(); return })
	if err == nil {
		err = retry(func() (err error) { addrs, err = netlink.AddrList(nil, netlink.FAMILY_ALL); return })
	}
	if err == nil {
		err = retry(func() (err error) { routes, err = netlink.RouteList(nil, netlink.FAMILY_V4); return })
	}
	if err != nil {
		return err
	}
	there := map[string]netlink.Link{}
	names := map[int]string{}
	for _, l := range links {
		there[l.Attrs().Name], names[l.Attrs().Index] = l, l.Attrs().Name
	}
	have := map[string]bool{}
	for _, a := range addrs {
		if !a.IP.IsLinkLocalUnicast() && !a.IP.IsLoopback() {
			have[names[a.LinkIndex]+" "+a.IPNet.String()] = true
		}
	}
	gateway := ""
	for _, r := range routes {
		if r.Gw != nil && (r.Dst == nil || r.Dst.IP.IsUnspecified()) {
			gateway = r.Gw.String()
		}
	}
	if t == teardown {
		return w.verifyNothing(there, have, gateway)
	}
	if gateway != w.gateway {
		return fmt.Errorf("the default gateway is %q, wanted %q", gateway, w.gateway)
	}
	return errors.Join(w.verifyLinks(there), w.verifyAddresses(have, t == change))
}

// retry is for dumps that the kernel interrupts because something moves.
func retry(fn func() error) error {
	err := fn()
	for range 9 {
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
		err = fn()
	}
	return err
}

func (w workload) verifyNothing(there map[string]netlink.Link, have map[string]bool, gateway string) error {
	for name, l := range there {
		if l.Type() == "vlan" || l.Type() == "bond" {
			return fmt.Errorf("%s is still there", name)
		}
	}
	if len(have) > 0 || gateway != "" {
		return fmt.Errorf("%d addresses and the gateway %q are still there", len(have), gateway)
	}
	return nil
}

func (w workload) verifyLinks(there map[string]netlink.Link) error {
	count := 0
	for _, b := range w.bonds {
		l, err := w.link(there, b.name, "bond")
		if err != nil {
			return err
		}
		bond, ok := l.(*netlink.Bond)
		if !ok || bond.Mode != netlink.BOND_MODE_ACTIVE_BACKUP || bond.Miimon != miimon {
			return fmt.Errorf("%s has other options", b.name)
		}
		for _, s := range b.slaves {
			slave, err := w.link(there, s, "veth")
			if err != nil {
				return err
			}
			if slave.Attrs().MasterIndex != l.Attrs().Index {
				return fmt.Errorf("%s is no slave of %s", s, b.name)
			}
		}
	}
	for _, v := range w.vlans {
		l, err := w.link(there, v.name(), "vlan")
		if err != nil {
			return err
		}
		if vlan, ok := l.(*netlink.Vlan); !ok || vlan.VlanId != v.id || l.Attrs().ParentIndex != there[v.parent].Attrs().Index {
			return fmt.Errorf("%s has another number or base", v.name())
		}
	}
	for _, l := range there {
		if l.Type() == "vlan" || l.Type() == "bond" {
			count++
		}
	}
	if count != len(w.vlans)+len(w.bonds) {
		return fmt.Errorf("%d VLANs and bonds, wanted %d", count, len(w.vlans)+len(w.bonds))
	}
	return nil
}

// link is there, of its kind, up, and of the workload's MTU.
func (w workload) link(there map[string]netlink.Link, name, kind string) (netlink.Link, error) {
	l := there[name]
	if l == nil || l.Type() != kind {
		return nil, fmt.Errorf("there is no %s %s", kind, name)
	}
	if l.Attrs().Flags&net.FlagUp == 0 || l.Attrs().MTU != w.mtu {
		return nil, fmt.Errorf("%s has flags %s and MTU %d, wanted up and %d", name, l.Attrs().Flags, l.Attrs().MTU, w.mtu)
	}
	return l, nil
}

func (w workload) verifyAddresses(have map[string]bool, moved bool) error {
	other, changed := w.change()
	count := 0
	for _, v := range w.vlans {
		v4 := v.v4
		if moved && v == other {
			v4 = changed
		}
		for _, a := range []string{v4, v.v6} {
			if a == "" {
				continue
			}
			count++
			if !have[v.name()+" "+a] {
				return fmt.Errorf("%s lacks %s", v.name(), a)
			}
		}
	}
	if len(have) != count {
		return fmt.Errorf("%d addresses, wanted %d", len(have), count)
	}
	return nil
}
