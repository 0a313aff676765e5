package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Cast is the part of a host that a plan deals with: the links that it changes or
// puts something on, those that they stand on, belong to or hold, and whatever else
// may be a reason for the kernel to refuse an operation: a link of the same name, a
// VLAN of the same id, a route to the same destination, a holder of the gateway's or
// the source's address. VLANs that only go are left out, as the kernel refuses that to
// nobody; so are the VLANs on a link that changes in nothing that they share. Addresses
// and routes are those of these links, without the kernel's own and those with several
// ways.
func Cast(s state.Snapshot, p Plan) state.Snapshot {
	c := caster{host: &s, in: map[int]bool{}}
	for _, op := range p.Ops() {
		c.op(op)
	}
	var out state.Snapshot
	for _, l := range s.Links {
		if c.in[l.Index] {
			out.Links = append(out.Links, l)
		}
	}
	for _, a := range s.Addresses {
		if c.in[a.Link] && !ofKernel(a) {
			out.Addresses = append(out.Addresses, a)
		}
	}
	for _, r := range s.Routes {
		if c.in[r.Link] && r.Protocol != state.ProtocolKernel && r.Raw == nil {
			out.Routes = append(out.Routes, r)
		}
	}
	return out
}

type caster struct {
	host *state.Snapshot
	in   map[int]bool
	// What is looked for among all links is found by these, made at need.
	names  map[string]int
	vlans  map[[2]int]int
	owners map[netip.Addr][]int
	routes map[netip.Prefix][]int
	slaves map[int][]int
	// children are the VLANs on a link.
	children map[int][]int
}

// index makes the maps, once.
func (c *caster) index() {
	if c.names != nil {
		return
	}
	c.names, c.vlans, c.owners = map[string]int{}, map[[2]int]int{}, map[netip.Addr][]int{}
	c.routes, c.slaves, c.children = map[netip.Prefix][]int{}, map[int][]int{}, map[int][]int{}
	for _, l := range c.host.Links {
		c.names[l.Name] = l.Index
		if l.Kind == string(netcfg.KindVLAN) {
			c.children[l.Parent] = append(c.children[l.Parent], l.Index)
			c.vlans[[2]int{l.Parent, l.VLANID}] = l.Index
		}
		if l.Kind == string(netcfg.KindBond) {
			c.slaves[l.Index] = nil
		}
	}
	for _, l := range c.host.Links {
		if list, bond := c.slaves[l.Master]; bond {
			c.slaves[l.Master] = append(list, l.Index)
		}
	}
	for _, a := range c.host.Addresses {
		c.owners[a.Prefix.Addr()] = append(c.owners[a.Prefix.Addr()], a.Link)
	}
	for _, r := range c.host.Routes {
		c.routes[r.Dst] = append(c.routes[r.Dst], r.Link)
	}
}

func (c *caster) op(op Op) {
	c.index()
	switch op.Action {
	case LinkAdd:
		c.take(c.names[op.Name], op.Parent, op.PrimaryIndex)
		if op.Kind == string(netcfg.KindVLAN) {
			c.take(c.vlans[[2]int{op.Parent, op.VLANID}])
		}
	case LinkSet:
		c.set(op)
	case LinkDel:
		c.deleted(op.Index)
	case GroupDel:
		for _, name := range op.Names {
			c.deleted(c.names[name])
		}
	case AddrAdd, AddrReplace, AddrDel, DiscoverySet:
		c.take(op.Index)
	case RouteAdd, RouteReplace, RouteDel:
		c.take(op.Route.Link)
		c.take(c.routes[op.Route.Dst]...)
		c.take(c.owners[op.Route.Gateway]...)
		c.take(c.owners[op.Route.Source]...)
	}
}

func (c *caster) set(op Op) {
	if op.Group != 0 && op.Group == DoomedGroup {
		return // on its way out
	}
	c.take(op.Index, op.PrimaryIndex)
	if op.Master != nil {
		c.take(*op.Master)
	}
	if op.Master != nil || op.MAC != "" || op.MTU != 0 || op.Up != nil {
		c.takeAbove(op.Index)
	}
}

// takeAbove casts the VLANs on a link, and those on them.
func (c *caster) takeAbove(index int) {
	for _, child := range c.children[index] {
		c.take(child)
		c.takeAbove(child)
	}
}

func (c *caster) deleted(index int) {
	if l := c.host.Link(index); l != nil && l.Kind != string(netcfg.KindVLAN) {
		c.take(index)
	}
}

// take casts links, and what they cannot be without. 0 is none.
func (c *caster) take(links ...int) {
	for _, i := range links {
		l := c.host.Link(i)
		if l == nil || c.in[i] {
			continue
		}
		c.in[i] = true
		c.take(l.Parent, l.Master)
		c.take(c.slaves[i]...)
	}
}

// StandIns are the operations that make, in an empty network namespace, stand-ins for
// the links of a cast: with their indexes, names, kinds, masters, MACs, MTUs, bond
// options, addresses and routes. Bonds, VLANs and bridges stand for themselves, a
// dummy for everything else.
func StandIns(cast state.Snapshot) []Phase {
	var born []Op
	for _, l := range cast.Links {
		switch {
		case l.Type == loopback:
			continue
		case l.Kind == string(netcfg.KindBond), l.Kind == string(netcfg.KindVLAN) && l.Parent != 0:
			continue
		}
		op := Op{Action: LinkAdd, Index: l.Index, Name: l.Name, Kind: "dummy", MAC: ownMAC(l), MTU: ownMTU(l), Group: l.Group}
		if l.Kind == "bridge" {
			op.Kind = l.Kind
		}
		born = append(born, op)
	}
	// The kernel has no table of local addresses before the first one, and until then
	// takes no address for that of a gateway.
	born = append(born, Op{Action: LinkSet, Index: 1, Name: "lo", Up: yes()})
	empty := state.Snapshot{Links: []state.Link{{Index: 1, Name: "lo", Type: loopback, MTU: 65536}}}
	p := Build(likeness(cast), Project(empty, born))
	phases := append([]Phase{{"stand-ins", born}}, p.Phases...)
	for _, ph := range phases {
		for i := range ph.Ops {
			op := &ph.Ops[i]
			if op.Action != LinkAdd {
				continue
			}
			l := cast.Link(op.Index)
			op.Group = l.Group
			if !standsUp(cast, l) {
				op.Up = nil
			}
		}
	}
	return append(phases, Phase{"ports", bridged(cast)}, Phase{"IPv6 of links that are down", putBack(cast)})
}

// putBack gives a link that was set down again the addresses that it has lost by
// that.
func putBack(cast state.Snapshot) []Op {
	var ops []Op
	for _, a := range cast.Addresses {
		if l := cast.Link(a.Link); !l.AdminUp && a.Prefix.Addr().Is6() {
			a.Flags &^= state.FlagTentative | state.FlagDADFailed
			ops = append(ops, Op{Action: AddrAdd, Index: l.Index, Name: l.Name, Address: a})
		}
	}
	return ops
}

// loopback is ARPHRD_LOOPBACK.
const loopback = 772

// ownMAC is the MAC that a link has when it is nobody's slave.
func ownMAC(l state.Link) string {
	if l.Slave != nil && l.Slave.PermMAC != "" {
		return l.Slave.PermMAC
	}
	return l.MAC
}

// ownMTU is what a link gets back when it is nobody's slave any more. The kernel does
// not tell it of a slave, and a stand-in must not be refused what the link would not.
func ownMTU(l state.Link) int {
	if l.Slave == nil {
		return l.MTU
	}
	return max(l.MTU, min(9000, cmp.Or(l.MaxMTU, 9000)))
}

// likeness is the intent that a host be as it is.
func likeness(cast state.Snapshot) Intent {
	var in Intent
	addresses := map[int][]state.Address{}
	for _, a := range cast.Addresses {
		addresses[a.Link] = append(addresses[a.Link], a)
	}
	for i := range cast.Links {
		l := &cast.Links[i]
		kind := standsAs(l)
		w := Link{Name: l.Name, KernelName: l.Name, Kind: kind, Index: l.Index, New: kind != netcfg.KindNIC, MAC: l.MAC, MTU: l.MTU, Parent: l.Parent, VLANID: l.VLANID,
			Up: standsUp(cast, l), Addresses: addresses[l.Index], NoLinkLocal: &l.AddrGenModeNone, AnyMaster: l.Slave == nil}
		if l.Slave != nil {
			w.Master, w.MAC, w.MTU = l.Master, "", 0
		}
		if l.Bond != nil {
			w.Options, w.Slaves = optionsInMode(l.Bond), cast.SlavesOf(l.Index)
		}
		in.Links = append(in.Links, w)
	}
	slices.SortStableFunc(in.Links, func(a, b Link) int { return cmp.Compare(storey(cast, a), storey(cast, b)) })
	for _, r := range cast.Routes {
		in.Routes = append(in.Routes, Route{r, cast.Name(r.Link)})
	}
	return in
}

// standsUp is false also of a VLAN that has stayed up on a base that went down: it
// could not be brought up there.
func standsUp(cast state.Snapshot, l *state.Link) bool {
	below := cast.Link(l.Parent)
	return l.AdminUp && (below == nil || l.Kind != string(netcfg.KindVLAN) || standsUp(cast, below))
}

// storey is how high above the ground a link stands: a NIC on it, a bond above its
// slaves, a VLAN above what it is on.
func storey(cast state.Snapshot, l Link) int {
	switch l.Kind {
	case netcfg.KindNIC:
		return 0
	case netcfg.KindBond:
		return 1
	}
	height := 2
	for below := cast.Link(l.Parent); below != nil && below.Kind == string(netcfg.KindVLAN); below = cast.Link(below.Parent) {
		height++
	}
	return height
}

// standsAs is what a link is to Build: one that is there already, or one to be made.
func standsAs(l *state.Link) netcfg.Kind {
	switch {
	case l.Kind == string(netcfg.KindBond):
		return netcfg.KindBond
	case l.Kind == string(netcfg.KindVLAN) && l.Parent != 0:
		return netcfg.KindVLAN
	}
	return netcfg.KindNIC
}

// optionsInMode leaves out what the kernel tells but does not take.
func optionsInMode(b *state.Bond) map[string]string {
	out := map[string]string{}
	for _, s := range netcfg.BondOptions {
		if v, ok := b.Options[s.Name]; ok && s.ValidIn(b.Options["mode"]) {
			out[s.Name] = v
		}
	}
	if out["miimon"] != "0" {
		delete(out, "arp_validate") // of a former monitor; it cannot be asked for with this one
	}
	return out
}

// bridged puts ports into their bridges.
func bridged(cast state.Snapshot) []Op {
	var ops []Op
	for _, l := range cast.Links {
		if master := cast.Link(l.Master); master != nil && master.Kind == "bridge" {
			ops = append(ops, Op{Action: LinkSet, Index: l.Index, Name: l.Name, Master: &master.Index, MasterName: master.Name})
		}
	}
	return ops
}

// Unrehearsed says what of a plan no stand-in can tell, a clause each.
func Unrehearsed(s state.Snapshot, p Plan) []string {
	var mtu, mac, lacp []string
	add := func(list *[]string, name string) {
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	for _, op := range p.Ops() {
		l := s.Link(op.Index)
		hardware := l != nil && l.Kind == "" && l.Type != loopback
		if hardware && op.MTU != 0 {
			add(&mtu, l.Name)
		}
		if hardware && op.MAC != "" {
			add(&mac, l.Name)
		}
		if i := slices.IndexFunc(op.Options, func(o Option) bool { return o.Name == "mode" }); i >= 0 && op.Options[i].Value == netcfg.Mode8023AD {
			add(&lacp, op.Name)
		}
	}
	var out []string
	for _, c := range []struct {
		what string
		of   []string
	}{{"whether the driver takes the MTU of", mtu}, {"whether the driver takes the MAC of", mac}, {"whether LACP finds a partner for", lacp}} {
		if len(c.of) > 0 {
			out = append(out, fmt.Sprintf("%s %s", c.what, strings.Join(c.of, ", ")))
		}
	}
	return out
}
