package inventory

import (
	"maps"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// loopback is ARPHRD_LOOPBACK.
const loopback = 772

// notOnHost is why nothing is known of a NIC that is configured but not there.
const notOnHost = "the NIC is not on this host"

// Build describes every link but the loopback, in the order of the kernel's
// index, and behind them by name the NICs that are configured but not on the host.
func Build(s state.Snapshot, k Knowledge) []*Nic {
	inv := New(nil, nil)
	inv.b.look(s)
	inv.b.know(k)
	inv.describeAll()
	return inv.Latest().Nics()
}

// builder holds indexes over a look and what is known, so that each NIC can be
// described by itself.
type builder struct {
	Knowledge
	links map[int]*state.Link
	// slaves and children are by index of the master or base, in the order of theirs.
	slaves, children map[int][]int
	// silent are the bonds of which the kernel does not tell everything by itself.
	silent    map[int]bool
	addresses map[int][]state.Address
	gateways  map[int][]state.Route
	// configured is the name in the configuration of what the agent manages, by
	// index. Hardware that was renamed has another name than there.
	configured map[int]string
	// wanted are the names of the NICs that ought to be there: those of the
	// configuration, and those that it only refers to and that are waited for.
	wanted map[string]bool
	// named is how many links have a name, their own or that in the configuration, and
	// stirred of which wanted names that may have changed since stirred was cleared.
	named   map[string]int
	stirred map[string]bool
	wishes  map[string]*netcfg.HostNic
	drift   map[string][]plan.Drift
	waiting map[string]string
}

func newBuilder() *builder {
	b := &builder{named: map[string]int{}, stirred: map[string]bool{}}
	b.look(state.Snapshot{})
	b.know(Knowledge{})
	return b
}

// look takes over a look at the whole host.
func (b *builder) look(s state.Snapshot) {
	b.links, b.slaves, b.children = make(map[int]*state.Link, len(s.Links)), map[int][]int{}, map[int][]int{}
	b.addresses, b.silent = map[int][]state.Address{}, map[int]bool{}
	for i := range s.Links {
		b.put(&s.Links[i])
	}
	for _, a := range s.Addresses {
		b.addresses[a.Link] = append(b.addresses[a.Link], a)
	}
	b.route(s.Routes)
}

// put takes over a link, in the place of what it was.
func (b *builder) put(l *state.Link) {
	b.drop(l.Index)
	b.links[l.Index] = l
	b.count(l, 1)
	if l.Bond != nil && l.Bond.Options["mode"] == netcfg.Mode8023AD && l.AdminUp {
		b.silent[l.Index] = true
	}
	insert(b.slaves, l.Master, l.Index)
	insert(b.children, l.Parent, l.Index)
}

// drop forgets a link.
func (b *builder) drop(index int) {
	if l := b.links[index]; l != nil {
		remove(b.slaves, l.Master, index)
		remove(b.children, l.Parent, index)
		b.count(l, -1)
		delete(b.links, index)
		delete(b.silent, index)
	}
}

// count notes a link that has come or gone by its names.
func (b *builder) count(l *state.Link, change int) {
	if l.Type == loopback {
		return
	}
	for _, name := range b.namesOf(l) {
		if b.wanted[name] {
			b.stirred[name] = true
		}
		if b.named[name] += change; b.named[name] == 0 {
			delete(b.named, name)
		}
	}
}

// namesOf are the kernel's name of a link and, where that is another, the one in the
// configuration.
func (b *builder) namesOf(l *state.Link) []string {
	if name := b.configured[l.Index]; name != "" && name != l.Name {
		return []string{l.Name, name}
	}
	return []string{l.Name}
}

// lacks is true of a NIC that ought to be there and is not.
func (b *builder) lacks(name string) bool { return b.wanted[name] && b.named[name] == 0 }

func insert(lists map[int][]int, of, index int) {
	if of == 0 {
		return
	}
	list := lists[of]
	i, _ := slices.BinarySearch(list, index)
	lists[of] = slices.Insert(list, i, index)
}

func remove(lists map[int][]int, of, index int) {
	if i, ok := slices.BinarySearch(lists[of], index); ok {
		lists[of] = slices.Delete(lists[of], i, i+1)
	}
}

// route takes over the routes of the host.
func (b *builder) route(routes []state.Route) {
	b.gateways = map[int][]state.Route{}
	for _, r := range routes {
		if r.Table == state.MainTable && r.Dst.IsValid() && r.Dst.Bits() == 0 && r.Gateway.IsValid() {
			b.gateways[r.Link] = append(b.gateways[r.Link], r)
		}
	}
}

// know takes over what is known beside looks.
func (b *builder) know(k Knowledge) {
	b.Knowledge = k
	if b.ID == nil {
		b.ID = func(*state.Link) string { return "" }
	}
	b.configured, b.wishes, b.drift, b.waiting = map[int]string{}, map[string]*netcfg.HostNic{}, map[string][]plan.Drift{}, map[string]string{}
	for _, l := range k.Links {
		if !l.Restored {
			b.configured[l.Index] = l.Name
		}
	}
	for i := range k.Config.HostNics {
		b.wishes[k.Config.HostNics[i].Name] = &k.Config.HostNics[i]
	}
	for _, d := range k.Drift {
		name, _ := netcfg.NicOf(d.Field)
		b.drift[name] = append(b.drift[name], d)
	}
	for _, w := range k.Waiting {
		b.waiting[w.Nic] = w.Reason
	}
	b.want()
}

// want finds out anew which NICs ought to be there, and which are by any name.
func (b *builder) want() {
	for name := range b.wanted {
		b.stirred[name] = true // it may be that no more
	}
	b.wanted = map[string]bool{}
	for name := range b.wishes {
		b.wanted[name] = true
	}
	for name := range b.waiting {
		b.wanted[name] = true
	}
	maps.Copy(b.stirred, b.wanted)
	clear(b.named)
	for _, l := range b.links {
		b.count(l, 1)
	}
}

func (b *builder) nic(l *state.Link) Nic {
	name, managed := b.configured[l.Index]
	if !managed {
		name = l.Name
	}
	n := Nic{Name: netcfg.Printable(l.Name), ID: b.ID(l), Kind: kindOf(l), Present: true, Index: l.Index, MAC: l.MAC, PermMAC: l.PermMAC, MTU: l.MTU,
		AdminUp: l.AdminUp, Up: l.AdminUp && l.Carrier, CarrierUps: int64(l.CarrierUps), CarrierDowns: int64(l.CarrierDowns), OperState: l.OperState, Master: b.nameOf(l.Master),
		Drift: b.drift[name], Waiting: b.waiting[name], BusPath: l.BusPath, Driver: netcfg.Printable(l.Driver), Firmware: netcfg.Printable(l.Firmware)}
	if managed || b.Memory.Owned.Links[l.Name] != "" && string(b.Memory.Owned.Links[l.Name]) == l.Kind {
		n.Owner = OwnerAgent
	}
	wish := b.wishes[name]
	if wish != nil {
		n.Host, n.Network, n.ExpectedNeighbour = wish.Host, wish.Network, wish.ExpectedNeighbour
		n.BootProtocol, n.IPv6Boot = boot(wish.IPv4Boot(), wish.BootProtocol), boot(wish.IPv6Boot(), wish.IPv6BootProtocol)
	}
	if c, runs := b.Leases[name]; runs && managed {
		n.Lease = leaseOf(c)
	}
	if c, runs := b.Leases6[name]; runs && managed {
		n.Lease6 = leaseOf(c)
	}
	b.link(&n, l)
	b.addressing(&n, l, name, wish)
	switch l.Kind {
	case "vlan":
		id := l.VLANID
		n.VLAN, n.Base = &netcfg.VLAN{ID: &id}, b.nameOf(l.Parent)
		if n.Base == "" {
			n.absent("base_interface", "it is in another network namespace")
		}
	case "bond":
		b.bond(&n, l, wish)
	}
	if l.Slave != nil {
		n.Aggregator = l.Slave.AggregatorID
		n.Slave = slave(l.Slave)
	}
	return n
}

// boot is the boot protocol to show: the one that is in effect, but for a none
// that nobody has asked for.
func boot(effective, given netcfg.BootProtocol) netcfg.BootProtocol {
	if effective == netcfg.BootNone {
		return given
	}
	return effective
}

// nameOf is the name of a link for people. The kernel takes nearly every byte in
// names, and somebody else may have given this one.
func (b *builder) nameOf(index int) string {
	if l := b.links[index]; l != nil {
		return netcfg.Printable(l.Name)
	}
	return ""
}

func kindOf(l *state.Link) string {
	if l.Kind == "" {
		return string(netcfg.KindNIC)
	}
	return l.Kind
}

// link fills in what every link may have, or why it is not known.
func (b *builder) link(n *Nic, l *state.Link) {
	if l.AdminUp {
		carrier := l.Carrier
		n.Carrier = &carrier
	} else {
		n.absent("carrier", linkDown)
	}
	var reason string
	if n.Speed, reason = b.speed(l, 0); n.Speed == nil {
		n.absent("speed", reason)
	}
	if n.Duplex, reason = b.duplex(l, 0); n.Duplex == "" {
		n.absent("duplex", reason)
	}
	if l.MAC == "" {
		n.absent("mac", "a link of this kind has no hardware address")
	}
	switch {
	case l.PermMAC != "":
	case l.Kind != "":
		n.absent("permanent_mac", "a virtual link has no hardware of its own")
	default:
		n.absent("permanent_mac", "the driver does not tell it")
	}
	if l.Kind != "" {
		n.absent("autonegotiation", "a virtual link agrees on no speed with anybody")
		return
	}
	if n.Autoneg = l.Autoneg; n.Autoneg == nil {
		n.absent("autonegotiation", "the driver does not tell it")
	}
	if l.Firmware == "" {
		n.absent("firmware", "the driver does not tell it")
	}
	if l.BusPath == "" {
		n.absent("bus_path", "the kernel does not tell where the hardware sits")
	}
	if l.Driver == "" {
		n.absent("driver", "the driver does not tell its name")
	}
}

// missing describes a NIC that is configured but not on the host.
func (b *builder) missing(name string) Nic {
	l := state.Link{Name: name}
	if id, known := b.Memory.Identity[name]; known {
		l.PermMAC, l.BusPath = id.PermMAC, id.BusPath
	}
	n := Nic{Name: name, Kind: string(netcfg.KindNIC), OperState: "notpresent", Owner: OwnerAgent,
		Drift: b.drift[name], Waiting: b.waiting[name]}
	if wish := b.wishes[name]; wish != nil {
		n.Kind = string(wish.Kind())
		wished(&n, wish)
	}
	if n.Kind != string(netcfg.KindNIC) {
		l.Kind = n.Kind
	}
	n.ID = b.ID(&l)
	for _, field := range []string{"index", "speed", "duplex", "carrier", "permanent_mac"} {
		n.absent(field, notOnHost)
	}
	return n
}

// wished fills in what can be configured from the configuration.
func wished(n *Nic, wish *netcfg.HostNic) {
	n.Host, n.Network, n.ExpectedNeighbour = wish.Host, wish.Network, wish.ExpectedNeighbour
	n.BootProtocol, n.IPv6Boot = boot(wish.IPv4Boot(), wish.BootProtocol), boot(wish.IPv6Boot(), wish.IPv6BootProtocol)
	n.IP, n.IPv6, n.AdditionalIPs = wish.IP, wish.IPv6, wish.AdditionalIPs
	n.VLAN, n.Base, n.Bonding = wish.VLAN, wish.BaseInterface, wish.Bonding
	if wish.MAC != nil {
		n.MAC = wish.MAC.Address
	}
	if wish.MTU != nil {
		n.MTU = *wish.MTU
	}
}
