package plan

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// groupDeleteFrom is how many links it takes before deleting them as a group pays:
// each RTM_DELLINK waits for the kernel's grace periods, whatever it deletes.
const groupDeleteFrom = 3

// linksOut deletes what goes: with the parent where that goes too, as the owner
// group where all of it goes, as a group made for the purpose, or one by one. What
// somebody else has made leaves no group of his for it.
func (b *builder) linksOut() {
	b.reprieve()
	var roots []*state.Link
	gone := make(map[int]bool, len(b.in.GoneLinks))
	for _, i := range b.in.GoneLinks {
		gone[i] = true
	}
	for _, i := range b.in.GoneLinks {
		l := b.now.links[i]
		switch {
		case l == nil || gone[l.Parent]:
		case l.Group == OwnerGroup || l.Group == DoomedGroup:
			roots = append(roots, l)
		default:
			b.do(Op{Action: LinkDel, Index: l.Index, Name: l.Name})
		}
	}
	if len(roots) < groupDeleteFrom {
		for _, l := range roots {
			b.do(Op{Action: LinkDel, Index: l.Index, Name: l.Name})
		}
		return
	}
	group := uint32(OwnerGroup)
	if !b.wholeGroup(group) {
		group = DoomedGroup
		for _, l := range roots {
			if l.Group != group {
				b.do(Op{Action: LinkSet, Index: l.Index, Name: l.Name, Group: group})
			}
		}
		if !b.wholeGroup(group) {
			for _, l := range roots {
				b.do(Op{Action: LinkDel, Index: l.Index, Name: l.Name})
			}
			return
		}
	}
	names := make([]string, 0, len(roots))
	for _, l := range roots {
		names = append(names, l.Name)
	}
	b.do(Op{Action: GroupDel, Group: group, Names: names})
}

// reprieve takes what stays out of the group that is about to be deleted. It was put
// there by a plan that did not get to its end.
func (b *builder) reprieve() {
	for _, w := range b.in.Links {
		if l := b.now.links[w.Index]; l != nil && l.Group == DoomedGroup {
			b.do(Op{Action: LinkSet, Index: l.Index, Name: l.Name, Group: OwnerGroup, Why: "was about to be deleted"})
		}
	}
}

// wholeGroup is true when everything in the group goes and everything that goes,
// but for what goes with its parent, is in the group.
func (b *builder) wholeGroup(group uint32) bool {
	gone := make(map[int]bool, len(b.in.GoneLinks))
	for _, i := range b.in.GoneLinks {
		gone[i] = true
	}
	for _, l := range b.now.links {
		if l.Group == group && !gone[l.Index] {
			return false
		}
		if gone[l.Index] && l.Group != group && !gone[l.Parent] {
			return false
		}
	}
	return true
}

// release takes slaves out of bonds that they leave, and all slaves out of bonds
// whose change needs that.
func (b *builder) release() {
	for _, l := range b.in.Links {
		have := b.now.links[l.Index]
		if have == nil || have.Master == 0 || have.Master == l.Master || l.AnyMaster {
			continue
		}
		b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Master: new(int)})
		b.disrupt(l.Index, LinkDown, "leaves "+b.name(b.masterBefore(l.Index)))
	}
	for _, l := range b.in.Links {
		have := b.now.links[l.Index]
		if l.Kind != netcfg.KindBond || have == nil || have.Bond == nil {
			continue
		}
		changed := changedOptions(l.Options, have.Bond.Options)
		if class, name := dearest(changed); class == netcfg.ClassSlavesOut {
			b.releaseAll(l.Index, name)
		} else {
			b.releaseStrangers(l)
		}
	}
}

func (b *builder) masterBefore(index int) int {
	if l := b.before.Link(index); l != nil {
		return l.Master
	}
	return 0
}

func (b *builder) releaseAll(bond int, option string) {
	reason := option + " can only be changed while the bond has no slaves"
	b.disrupt(bond, SlavesReleased, reason)
	for _, s := range slices.Clone(b.now.slaves[bond]) {
		b.do(Op{Action: LinkSet, Index: s, Name: b.name(s), Master: new(int), Disruption: SlavesReleased, Why: reason})
		b.disrupt(s, LinkDown, reason)
	}
}

// releaseStrangers takes out of a bond of ours what somebody has put into it.
func (b *builder) releaseStrangers(l Link) {
	for _, s := range slices.Clone(b.now.slaves[l.Index]) {
		if !slices.Contains(l.Slaves, s) {
			b.do(Op{Action: LinkSet, Index: s, Name: b.name(s), Master: new(int), Why: "is not a slave in the document"})
		}
	}
}

// changedOptions are the options to send, in the kernel's own order. Options that
// the kernel does not tell are only sent when the mode changes, since it does not
// have them otherwise.
func changedOptions(want, have map[string]string) []Option {
	var out []Option
	newMode := want["mode"] != have["mode"] && want["mode"] != ""
	have = maps.Clone(have)
	rescale(have, want["miimon"])
	for _, s := range netcfg.BondOptions {
		w, wanted := want[s.Name]
		h, told := have[s.Name]
		if s.NeedsMiimon && want["miimon"] == "0" {
			continue // refused even with the value 0
		}
		if wanted && (told && w != h || !told && newMode && w != s.Default) {
			out = append(out, Option{s.Name, w})
		}
	}
	return out
}

// rescale does to the delays what a new miimon does: the driver counts them in steps
// of it. How many there are while it is 0 nobody can tell.
func rescale(have map[string]string, miimon string) {
	is, err := strconv.Atoi(miimon)
	was, _ := strconv.Atoi(have["miimon"])
	if err != nil || was == 0 || is == was {
		return
	}
	for _, s := range netcfg.BondOptions {
		if delay, err := strconv.Atoi(have[s.Name]); err == nil && s.NeedsMiimon {
			have[s.Name] = itoa(delay / was * is)
		}
	}
}

func dearest(opts []Option) (netcfg.OptionClass, string) {
	class, name := netcfg.ClassLive, ""
	for _, o := range opts {
		if s, _ := netcfg.BondOptionSpec(o.Name); s.Class > class {
			class, name = s.Class, o.Name
		}
	}
	return class, name
}

// lowerMTU goes from the top down. Children of a lowered link that are not ours
// are clamped by the kernel; the forecast of the operation says so.
func (b *builder) lowerMTU() {
	for _, l := range slices.Backward(b.in.Links) {
		have := b.now.links[l.Index]
		if have == nil || l.MTU == 0 || l.MTU >= have.MTU || have.Master != 0 && have.Slave != nil && have.Master == l.Master {
			continue
		}
		b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MTU: l.MTU, Why: b.clamped(l, have)})
	}
}

func (b *builder) clamped(l Link, have *state.Link) string {
	var names []string
	for _, c := range b.now.childrenOf(have.Index) {
		if child := b.now.links[c]; child.MTU > l.MTU && child.Kind == "vlan" {
			names = append(names, child.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "the kernel lowers " + strings.Join(names, ", ") + " with it"
}

// bonds makes new bonds whole in one request, and changes old ones.
func (b *builder) bonds() {
	b.nics()
	for _, l := range b.in.Links {
		if l.Kind != netcfg.KindBond {
			continue
		}
		if have := b.now.links[l.Index]; have != nil {
			b.changeBond(l, have)
		} else if l.New {
			b.newBond(l)
		}
	}
}

// nics sets MTU and MAC of NICs before anything is put on them. A hardware NIC
// may refuse a new MAC while it is up, so it is taken down for that; virtual ones
// change live.
func (b *builder) nics() {
	for _, l := range b.in.Links {
		have := b.now.links[l.Index]
		if have == nil || l.Kind != netcfg.KindNIC || l.NoAddresses && have.Master != 0 {
			continue
		}
		if l.MAC != "" && l.MAC != have.MAC {
			b.setMAC(l, have)
		}
		if !l.NoAddresses && l.MTU > have.MTU {
			b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MTU: l.MTU})
		}
		if l.Discovery != nil {
			b.linkLocal(l)
		}
	}
}

func (b *builder) setMAC(l Link, have *state.Link) {
	if have.Kind != "" || !have.AdminUp {
		b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MAC: l.MAC})
		return
	}
	reason := "hardware takes a new MAC only while it is down"
	b.disrupt(l.Index, LinkDown, reason)
	b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Up: no(), Disruption: LinkDown, Why: reason})
	b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MAC: l.MAC})
}

// newBond sends only what differs from the kernel's defaults; a refused create
// leaves nothing behind.
func (b *builder) newBond(l Link) {
	op := Op{Action: LinkAdd, Index: l.Index, Name: l.KernelName, Kind: "bond", MAC: l.MAC, Group: OwnerGroup}
	if l.MTU != ethernetMTU {
		op.MTU = l.MTU
	}
	mode := l.Options["mode"]
	for _, s := range netcfg.BondOptions {
		v, ok := l.Options[s.Name]
		if !ok || v == s.Default && s.Name != "mode" {
			continue
		}
		if s.Name == "miimon" && v == "100" && (mode == netcfg.Mode8023AD || mode == netcfg.ModeTLB || mode == netcfg.ModeALB) {
			continue
		}
		op.Options = append(op.Options, Option{s.Name, v})
	}
	op.PrimaryIndex = b.primary(l, op.Options)
	b.do(op)
	b.linkLocal(l)
}

// linkLocal switches the kernel's own IPv6 address off before the link comes up,
// where nobody wants IPv6: it saves the kernel a third of its work, and the host
// an address on every VLAN. The attribute is refused in the creating request.
func (b *builder) linkLocal(l Link) {
	have := b.now.links[l.Index]
	if l.NoLinkLocal == nil || *l.NoLinkLocal == have.AddrGenModeNone || l.Discovers {
		return
	}
	b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, AddrGenModeNone: l.NoLinkLocal})
}

func (b *builder) primary(l Link, opts []Option) int {
	for _, o := range opts {
		if o.Name != "primary" || o.Value == "" {
			continue
		}
		for _, s := range l.Slaves {
			if b.name(s) == o.Value {
				return s
			}
		}
	}
	return 0
}

func (b *builder) changeBond(l Link, have *state.Link) {
	opts := changedOptions(l.Options, have.Bond.Options)
	class, name := dearest(opts)
	down := class != netcfg.ClassLive && have.AdminUp
	if down {
		reason := name + " can only be changed while the bond is down"
		b.disrupt(l.Index, LinkDown, reason)
		b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Up: no(), Disruption: LinkDown, Why: reason})
	}
	for _, request := range splitRequests(opts, have.Bond.Options) {
		b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Options: request, PrimaryIndex: b.primary(l, request)})
	}
	if l.MAC != "" && l.MAC != have.MAC {
		b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MAC: l.MAC})
	}
	if l.MTU > have.MTU {
		b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MTU: l.MTU})
	}
	b.linkLocal(l)
}

// splitRequests puts the options into as few requests as the driver's own rules
// allow. A mode goes alone, since the driver then changes others by itself. One
// monitor switches the other off, and naming both in one request is refused.
func splitRequests(opts []Option, have map[string]string) [][]Option {
	find := func(name string) int {
		return slices.IndexFunc(opts, func(o Option) bool { return o.Name == name })
	}
	without := func(names ...string) {
		opts = slices.DeleteFunc(opts, func(o Option) bool { return slices.Contains(names, o.Name) })
	}
	var out [][]Option
	if i := find("mode"); i >= 0 {
		out = append(out, []Option{opts[i]})
		without("mode")
	}
	if i := find("miimon"); i >= 0 && opts[i].Value != "0" && have["arp_interval"] != "0" {
		out = append(out, []Option{opts[i]})
		without("miimon", "arp_interval")
		if j := find("arp_validate"); j >= 0 && opts[j].Value == "none" {
			without("arp_validate")
		}
	} else if j := find("arp_interval"); j >= 0 && opts[j].Value != "0" {
		without("miimon")
	}
	if len(opts) > 0 {
		out = append(out, opts)
	}
	return out
}
