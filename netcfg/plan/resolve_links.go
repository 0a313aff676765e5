package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// bondsAndSlaves gives bonds their options and slaves, and decides for every NIC
// which master it is to have.
func (r *resolver) bondsAndSlaves() {
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || n.Bonding == nil {
			continue
		}
		w.Options = n.Bonding.Effective()
		r.adoptable(n, w)
		for i, name := range n.Bonding.Slaves {
			if s := r.want[name]; s != nil {
				r.enslave(n, i, s, w)
			}
		}
		r.primary(w)
		if len(w.Slaves) == 0 {
			r.out.Waiting = append(r.out.Waiting, Waiting{n.Name, "none of its slaves is there yet: " + strings.Join(n.Bonding.Slaves, ", ")})
		}
	}
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || w.Master != 0 || w.New {
			continue
		}
		r.foreignMaster(n, w)
		r.baseDown(n, w)
	}
}

// primary brings the option to what the kernel tells: the name by which the kernel
// knows the slave, and nothing while that is not on this host.
func (r *resolver) primary(bond *Link) {
	name := bond.Options["primary"]
	if name == "" {
		return
	}
	bond.Options["primary"] = ""
	if s := r.want[name]; s != nil && slices.Contains(bond.Slaves, s.Index) {
		bond.Options["primary"] = s.KernelName
	}
}

// foreignMaster leaves a NIC that stands in somebody's bridge where it is, unless
// it is to carry addresses, which could not work there.
func (r *resolver) foreignMaster(n *netcfg.HostNic, w *Link) {
	m := r.Snapshot.Link(r.Snapshot.Link(w.Index).Master)
	if m == nil || r.ownedKind(m.Name) != "" || r.want[m.Name] != nil {
		return
	}
	w.AnyMaster = true
	switch {
	case len(n.Addresses()) == 0 && !leased(n) && !discovers(n):
	case r.Lenient || r.Known.addressed(n.Name):
		r.away(Away{n.Name, w.KernelName, "", m.Name, m.Kind})
	default:
		r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, "ip"), "nic-enslaved", m.Name,
			"%s stands in %s (%s), which somebody else has made: an address on it would not work; take it out there first (ip link set dev %s nomaster)",
			n.Name, m.Name, m.Kind, w.KernelName)
	}
}

// baseDown refuses to configure somebody else's VLAN on a link that is down: the
// kernel does not set it up.
func (r *resolver) baseDown(n *netcfg.HostNic, w *Link) {
	l := r.Snapshot.Link(w.Index)
	base := r.Snapshot.Link(l.Parent)
	if w.Kind != netcfg.KindNIC || l.Kind != "vlan" || base == nil || base.AdminUp || r.want[base.Name] != nil {
		return
	}
	r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, "name"), "base-down", base.Name,
		"%s is a VLAN that somebody else has made on %s, which is down; set that up first, or name it in the document", n.Name, base.Name)
}

// adoptable refuses a bond of somebody else whose slaves the document does not
// name. An empty one, as the module makes by itself, is taken.
func (r *resolver) adoptable(n *netcfg.HostNic, w *Link) {
	if w.New || r.ownedKind(n.Name) != "" {
		return
	}
	for _, s := range r.slaves[w.Index] {
		if !slices.Contains(n.Bonding.Slaves, s.Name) {
			r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, "bonding.slaves"), "bond-foreign", s.Name,
				"%s is a bond that somebody else has made, with a slave %s that the document does not name; name it, or remove the bond first", n.Name, s.Name)
			return
		}
	}
	r.warn(netcfg.NicPath(n.Name, "name"), "adopted", "%s is there already and is taken over", n.Name)
}

func (r *resolver) enslave(n *netcfg.HostNic, i int, s, bond *Link) {
	l := r.Snapshot.Link(s.Index)
	path := netcfg.NicPath(n.Name, "bonding.slaves["+strconv.Itoa(i)+"]")
	taken := r.takenBy(l, bond)
	if taken != nil && (r.Lenient || r.Known.slave(n.Name, s.Name)) {
		r.away(Away{s.Name, s.KernelName, n.Name, taken.Name, taken.Kind})
		delete(r.want, s.Name)
		return
	}
	s.Master, s.NoAddresses = bond.Index, true
	bond.Slaves = append(bond.Slaves, s.Index)
	if l == nil {
		return
	}
	if l.Kind == "bond" || l.Kind == "vlan" {
		r.refuse(netcfg.Precondition, path, "slave-kind", s.Name, "%s is a %s and cannot be a slave: only NICs can", s.Name, l.Kind)
	}
	if taken != nil {
		r.refuse(netcfg.Precondition, path, "slave-taken", s.Name,
			"%s belongs to %s (%s), which somebody else has made; take it out there first (ip link set dev %s nomaster)", s.Name, taken.Name, taken.Kind, l.Name)
	}
	for _, c := range r.children[l.Index] {
		// One on a slave of ours has been put there since, and loses nothing.
		if c.Kind == "vlan" && l.Master != bond.Index && !r.doomed[c.Index] && !r.moving(c, s.Name) {
			r.refuse(netcfg.Precondition, path, "slave-has-vlan", s.Name,
				"%s carries the VLAN %s, which would stop working; remove that first", s.Name, c.Name)
		}
	}
	r.take(s.Name, l)
}

// moving is true of a VLAN of ours that the configuration puts onto another base.
func (r *resolver) moving(c *state.Link, base string) bool {
	n := r.byConfig[c.Name]
	return n != nil && n.VLAN != nil && n.BaseInterface != base && r.ownedKind(c.Name) != ""
}

// take remembers the addresses and routes of a NIC that is about to lose them, so
// that they come back when the NIC is left alone again.
func (r *resolver) take(name string, l *state.Link) {
	b, ok := r.out.Memory.Baseline[name]
	if !ok {
		return
	}
	var found []string
	for _, a := range r.addrs[l.Index] {
		if a.LinkLocal() || r.ownsAddress(name, a) {
			continue
		}
		found = append(found, a.Prefix.String())
		b.Addresses = appendAddress(b.Addresses, a)
	}
	for _, route := range r.routes[l.Index] {
		if route.Protocol != state.ProtocolKernel && route.Protocol != state.ProtocolRA && !r.ownsRoute(name, route) {
			b.Routes = appendRoute(b.Routes, route)
		}
	}
	r.out.Memory.Baseline[name] = b
	if len(found) > 0 {
		r.warn(netcfg.NicPath(name, ""), "slave-addresses", "%s becomes a slave: its addresses %s are taken off, and come back when it is released for good",
			name, strings.Join(found, ", "))
	}
}

func appendAddress(list []state.Address, a state.Address) []state.Address {
	if contains(list, a) {
		return list
	}
	return append(slices.Clone(list), a)
}

func appendRoute(list []state.Route, a state.Route) []state.Route {
	if slices.ContainsFunc(list, func(have state.Route) bool { return sameRoute(have, a) }) {
		return list
	}
	return append(slices.Clone(list), a)
}

func sameRoute(a, b state.Route) bool { return keyOfRoute(a) == keyOfRoute(b) }

func (r *resolver) ownsAddress(name string, a state.Address) bool {
	return slices.Contains(r.Memory.Owned.Addresses[name], a.Prefix)
}

func (r *resolver) ownsRoute(name string, route state.Route) bool {
	if route.Protocol == state.ProtocolHostnic {
		return true
	}
	return route.Table == state.MainTable &&
		slices.Contains(r.Memory.Owned.Routes, OwnedRoute{Link: name, Dst: route.Dst, Gateway: route.Gateway, Metric: route.Metric})
}

// vlans finds the parents. A VLAN whose parent or id changes is made anew: the
// kernel takes such a change with success and does nothing.
func (r *resolver) vlans() {
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || n.Kind() != netcfg.KindVLAN || n.VLAN.ID == nil {
			continue
		}
		parent := r.want[n.BaseInterface]
		if parent == nil {
			r.out.Waiting = append(r.out.Waiting, Waiting{n.Name, "its base interface " + n.BaseInterface + " is not there yet"})
			delete(r.want, n.Name)
			continue
		}
		w.Parent, w.VLANID = parent.Index, *n.VLAN.ID
		l := r.Snapshot.Link(w.Index)
		if l == nil || l.Parent == w.Parent && l.VLANID == w.VLANID {
			continue
		}
		if r.ownedKind(n.Name) == "" {
			r.refuse(netcfg.Exists, netcfg.NicPath(n.Name, "name"), "name-taken", n.Name,
				"%s is a VLAN that somebody else has made (id %d on %s); remove it first, or choose another name", n.Name, l.VLANID, r.Snapshot.Name(l.Parent))
			continue
		}
		w.New, w.Replaces, w.Index = true, l.Index, r.chooseIndex()
		r.doomed[l.Index] = true
	}
	r.vlanConflicts()
}

func (r *resolver) vlanConflicts() {
	type tag struct{ parent, id int }
	there := make(map[tag]*state.Link, len(r.byName))
	for parent, list := range r.children {
		for _, c := range list {
			if c.Kind == "vlan" && !r.doomed[c.Index] {
				there[tag{parent, c.VLANID}] = c
			}
		}
	}
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || w.Kind != netcfg.KindVLAN {
			continue
		}
		if c := there[tag{w.Parent, w.VLANID}]; c != nil && c.Index != w.Index {
			r.refuse(netcfg.Exists, netcfg.NicPath(n.Name, "vlan.id"), "vlan-taken", strconv.Itoa(w.VLANID),
				"VLAN %d on %s is already made by somebody else as %s; remove that first", w.VLANID, n.BaseInterface, c.Name)
		}
		if p := r.Snapshot.Link(w.Parent); p != nil {
			r.vlanBase(n, p)
		}
	}
}

// vlanBase refuses a base that somebody else has made unfit.
func (r *resolver) vlanBase(n *netcfg.HostNic, base *state.Link) {
	switch {
	case base.Slave != nil && !r.doomed[base.Master] && r.ownedKind(r.Snapshot.Name(base.Master)) == "":
		r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, "base_interface"), "vlan-on-slave", n.BaseInterface,
			"%s is a slave of %s: put the VLAN on the bond", n.BaseInterface, r.Snapshot.Name(base.Master))
	case base.Kind == "vlan":
		r.refuse(netcfg.Precondition, netcfg.NicPath(n.Name, "base_interface"), "vlan-on-vlan", n.BaseInterface,
			"%s is a VLAN itself, and VLANs in VLANs are not made: put this one on %s", n.BaseInterface, r.Snapshot.Name(base.Parent))
	}
}

// mtus works from the top down: a base without an MTU of its own is as large as
// the largest VLAN on it asks for.
func (r *resolver) mtus() {
	largest := map[string]int{}
	for _, n := range r.nics {
		if n.Kind() == netcfg.KindVLAN && n.MTU != nil {
			largest[n.BaseInterface] = max(largest[n.BaseInterface], *n.MTU)
		}
	}
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil {
			continue
		}
		switch {
		case n.MTU != nil:
			w.MTU = *n.MTU
		case n.Kind() == netcfg.KindVLAN:
			w.MTU = r.vlanMTU(n)
		default:
			w.MTU = max(r.foundMTU(n), largest[n.Name])
		}
		w.FullMTU = w.MTU
		r.leaseMTU(n, w)
	}
	for _, n := range r.nics {
		if w := r.want[n.Name]; w != nil && n.Bonding != nil {
			for _, s := range n.Bonding.Slaves {
				if sw := r.want[s]; sw != nil {
					sw.MTU = w.MTU
				}
			}
		}
	}
	r.driverLimits()
}

const ethernetMTU = 1500

// vlanMTU is that of a VLAN without one: what the document gives its base, else
// Ethernet's, but never more than the base has.
func (r *resolver) vlanMTU(n *netcfg.HostNic) int {
	base := r.byConfig[n.BaseInterface]
	if base.MTU != nil {
		return *base.MTU
	}
	return min(ethernetMTU, r.want[n.BaseInterface].MTU)
}

// foundMTU is the MTU of a NIC or bond that the document is silent about: what it
// had when the agent first saw it.
func (r *resolver) foundMTU(n *netcfg.HostNic) int {
	if b, ok := r.out.Memory.Baseline[n.Name]; ok {
		return b.Link.MTU
	}
	return ethernetMTU
}

func (r *resolver) driverLimits() {
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || w.Kind != netcfg.KindNIC {
			continue
		}
		l := r.Snapshot.Link(w.Index)
		path, whose := netcfg.NicPath(n.Name, "mtu"), n.Name
		if m := r.masterOf[n.Name]; m != "" {
			path, whose = netcfg.NicPath(m, "mtu"), m
		}
		if l.MaxMTU > 0 && w.MTU > l.MaxMTU || w.MTU < l.MinMTU {
			r.refuse(netcfg.Invalid, path, "mtu-driver", strconv.Itoa(w.MTU),
				"an MTU of %d on %s is outside of what the driver of %s takes: %d to %d", w.MTU, whose, n.Name, l.MinMTU, l.MaxMTU)
		}
	}
}

// macs decides hardware addresses, so that none is ever on two links outside one
// bond and none depends on who came first.
func (r *resolver) macs() {
	for _, n := range r.nics {
		w := r.want[n.Name]
		switch {
		case w == nil:
		case w.Master != 0:
			// It becomes a slave with the MAC that it came with: that is what it has
			// back when it is released.
			if l := r.Snapshot.Link(w.Index); l.Slave == nil {
				w.MAC = r.foundMAC(n.Name)
			}
		case w.Options["mode"] == netcfg.ModeActiveBackup && w.Options["fail_over_mac"] != "none" && !w.New:
			// The driver moves the MAC about; one set on such a bond is taken with
			// success and ignored (bond_set_mac_address in bond_main.c).
		case n.MAC != nil:
			w.MAC = strings.ToLower(n.MAC.Address)
		case n.Kind() == netcfg.KindBond:
			w.MAC = r.bondMAC(n, w)
		case n.Kind() == netcfg.KindVLAN:
			w.MAC = r.want[n.BaseInterface].MAC
		default:
			w.MAC = r.foundMAC(n.Name)
		}
	}
}

// bondMAC keeps the MAC that the bond has while it is nobody else's, and pins it
// to the first slave's own otherwise: the slave that lent its MAC may have left. One
// that is still a slave in the document but not on the host has not.
func (r *resolver) bondMAC(n *netcfg.HostNic, w *Link) string {
	if len(w.Slaves) == 0 {
		return ""
	}
	own := make([]string, 0, len(n.Bonding.Slaves))
	for _, index := range w.Slaves {
		own = append(own, r.ownMAC(r.Snapshot.Link(index)))
	}
	if r.Before != nil {
		if was := r.Before.ByName(w.Name); was != nil && slices.Contains(own, was.MAC) {
			return was.MAC
		}
	}
	l := r.Snapshot.Link(w.Index)
	if l == nil || l.MAC == "" {
		return own[0]
	}
	for _, name := range n.Bonding.Slaves {
		if b, known := r.out.Memory.Baseline[name]; known && r.want[name] == nil && !r.out.isAway(name) {
			own = append(own, r.ownMAC(&b.Link))
		}
	}
	if slices.Contains(own, l.MAC) {
		return l.MAC
	}
	had := len(r.slaves[w.Index]) > 0
	for i := range r.Snapshot.Links {
		if o := &r.Snapshot.Links[i]; (o.Kind == "" || o.Slave != nil) && r.ownMAC(o) == l.MAC {
			return own[0]
		}
	}
	if _, adopted := r.out.Memory.Baseline[w.Name]; adopted && had {
		return l.MAC
	}
	return own[0]
}

// foundMAC is the address that a link had when the agent first saw it, unless that
// was lent by a bond.
func (r *resolver) foundMAC(name string) string {
	if b, ok := r.out.Memory.Baseline[name]; ok && b.Link.Slave == nil {
		return b.Link.MAC
	}
	return ""
}

// ownMAC is the address that a NIC has when it is nobody's slave.
func (r *resolver) ownMAC(l *state.Link) string {
	switch {
	case l == nil:
		return ""
	case l.PermMAC != "":
		return l.PermMAC
	case l.Slave == nil && r.foundMAC(l.Name) != "":
		return r.foundMAC(l.Name)
	case r.foundMAC(l.Name) != "":
		return r.foundMAC(l.Name)
	case l.Slave != nil && l.Slave.PermMAC != "":
		return l.Slave.PermMAC
	}
	return l.MAC
}
