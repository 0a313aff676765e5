package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// ImportInput is what Import works from.
type ImportInput struct {
	Snapshot state.Snapshot
	// Running is what the agent has: the NICs that it speaks of are kept as they are.
	Running netcfg.Config
	// Nics are names of links to import. Empty: all hardware that is up or has a master,
	// all bonds, and the VLANs on these.
	Nics []string
	// BondNames are those that bonds may have.
	BondNames []string
}

// Import describes links that somebody else has made, in the words of a document, so
// that taking them over changes nothing on the host. What a document cannot say, and
// what is no business of the agent, is left where it is and told as a warning. The
// problems are names that stand for nothing that can be imported.
func Import(in ImportInput) (c netcfg.Config, warnings, problems netcfg.Problems) {
	i := &importer{ImportInput: in, chosen: map[int]bool{}}
	i.choose()
	if len(i.problems) > 0 {
		return c, nil, i.problems
	}
	c = in.Running
	c.HostNics = slices.Clone(c.HostNics)
	for _, l := range i.links() {
		if c.Nic(l.Name) == nil {
			c.HostNics = append(c.HostNics, i.nic(l))
		}
	}
	return c, i.warnings, nil
}

type importer struct {
	ImportInput
	chosen             map[int]bool
	warnings, problems netcfg.Problems
}

func (i *importer) leave(l *state.Link, rule, format string, args ...any) {
	i.warnings = append(i.warnings, netcfg.Problem{Path: netcfg.NicPath(l.Name, ""), Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// choose finds the links, and those that they stand on.
func (i *importer) choose() {
	for _, name := range i.Nics {
		l := i.Snapshot.ByName(name)
		switch {
		case l == nil:
			i.problems = append(i.problems, netcfg.Problem{Kind: netcfg.NotFound, Path: netcfg.NicPath(name, "name"), Rule: "nic-unknown", Found: name,
				Message: "there is no such link on this host; agentctl nics lists those that are there"})
		case !i.importable(l):
			i.problems = append(i.problems, netcfg.Problem{Kind: netcfg.Precondition, Path: netcfg.NicPath(name, "name"), Rule: "not-importable", Found: name,
				Message: name + " is " + i.unfit(l) + ", which a document does not speak of"})
		default:
			i.add(l)
		}
	}
	if len(i.Nics) > 0 {
		return
	}
	for j := range i.Snapshot.Links {
		l := &i.Snapshot.Links[j]
		// What is made of software beside bonds and VLANs is for guests and containers.
		wanted := l.Kind == "" && (l.AdminUp || l.Master != 0) || l.Kind == string(netcfg.KindBond) || l.Kind == string(netcfg.KindVLAN) && i.chosen[l.Parent]
		switch {
		case l.Type != ethernet || !wanted:
		case i.importable(l):
			i.add(l)
		default:
			i.leave(l, "not-imported", "%s is %s, which a document does not speak of: it stays as it is", l.Name, i.unfit(l))
		}
	}
	i.vlansOnTop()
}

// vlansOnTop adds the VLANs on links that come behind them in the kernel's order.
func (i *importer) vlansOnTop() {
	for j := range i.Snapshot.Links {
		if l := &i.Snapshot.Links[j]; l.Kind == string(netcfg.KindVLAN) && i.chosen[l.Parent] && i.importable(l) {
			i.add(l)
		}
	}
}

// ethernet is ARPHRD_ETHER.
const ethernet = 1

func (i *importer) importable(l *state.Link) bool { return i.unfit(l) == "" }

// unfit is what keeps a link from being one that a document can speak of.
func (i *importer) unfit(l *state.Link) string {
	base := i.Snapshot.Link(l.Parent)
	switch {
	case l.Type != ethernet:
		return "no Ethernet link"
	case l.Kind == "bridge", l.Kind == "openvswitch", l.Kind == "vrf", l.Kind == "team":
		return "a " + l.Kind
	case l.Kind == string(netcfg.KindBond) && !slices.Contains(i.BondNames, l.Name):
		return "a bond of a name that is not among those of bonds (extra_bond_names in agent.yaml may allow it)"
	case l.Kind == string(netcfg.KindBond) && len(i.Snapshot.SlavesOf(l.Index)) == 0:
		return "a bond without slaves"
	case l.Kind != string(netcfg.KindVLAN):
		return ""
	case base == nil:
		return "a VLAN on a link in another namespace"
	case base.Kind == string(netcfg.KindVLAN):
		return "a VLAN in a VLAN"
	case base.Slave != nil:
		return "a VLAN on a slave"
	case !i.importable(base):
		return "a VLAN on " + base.Name + ", which is " + i.unfit(base)
	}
	return ""
}

func (i *importer) add(l *state.Link) {
	if i.chosen[l.Index] {
		return
	}
	i.chosen[l.Index] = true
	if base := i.Snapshot.Link(l.Parent); base != nil && l.Kind == string(netcfg.KindVLAN) {
		i.add(base)
	}
	if l.Kind == string(netcfg.KindBond) {
		for _, s := range i.Snapshot.SlavesOf(l.Index) {
			i.add(i.Snapshot.Link(s))
		}
	}
	if m := i.Snapshot.Link(l.Master); m != nil && m.Kind == string(netcfg.KindBond) && i.importable(m) {
		i.add(m)
	}
}

// links are the chosen ones that are written, in dependency order. Slaves of bonds are
// named by these.
func (i *importer) links() []*state.Link {
	var out []*state.Link
	for j := range i.Snapshot.Links {
		l := &i.Snapshot.Links[j]
		if m := i.Snapshot.Link(l.Master); i.chosen[l.Index] && (m == nil || !i.chosen[m.Index]) {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b *state.Link) int { return cmp.Compare(kindRank(kindOf(a.Kind)), kindRank(kindOf(b.Kind))) })
	return out
}

// nic describes one link.
func (i *importer) nic(l *state.Link) netcfg.HostNic {
	n := netcfg.HostNic{Name: l.Name}
	base := i.Snapshot.Link(l.Parent)
	mtu := l.MTU
	n.MTU = &mtu
	switch l.Kind {
	case string(netcfg.KindBond):
		n.Bonding = i.bonding(l)
	case string(netcfg.KindVLAN):
		id := l.VLANID
		n.VLAN, n.BaseInterface = &netcfg.VLAN{ID: &id}, base.Name
	}
	if i.macSet(l, base) {
		n.MAC = &netcfg.MAC{Address: l.MAC}
	}
	if !l.AdminUp {
		i.leave(l, "link-down", "%s is down, and a document sets up what it speaks of", l.Name)
	}
	i.addressing(l, &n)
	return n
}

// macSet is true of a link whose MAC does not follow from where it stands: somebody has
// set it.
func (i *importer) macSet(l, base *state.Link) bool {
	switch {
	case l.Kind == string(netcfg.KindVLAN):
		return l.MAC != base.MAC
	case l.Bond != nil && l.Bond.Options["mode"] == netcfg.ModeActiveBackup && l.Bond.Options["fail_over_mac"] != "none":
		return false // the driver moves it about
	case l.Bond != nil:
		return !slices.ContainsFunc(i.Snapshot.SlavesOf(l.Index), func(s int) bool { return permanentMAC(i.Snapshot.Link(s)) == l.MAC })
	}
	return l.PermMAC != "" && l.MAC != l.PermMAC
}

// permanentMAC is the address of a NIC when it is nobody's slave.
func permanentMAC(l *state.Link) string {
	switch {
	case l.PermMAC != "":
		return l.PermMAC
	case l.Slave != nil && l.Slave.PermMAC != "":
		return l.Slave.PermMAC
	}
	return l.MAC
}

// bonding describes a bond: its options as far as they are not what they would be
// anyway, and its slaves, of which the one that lends its MAC comes first.
func (i *importer) bonding(l *state.Link) *netcfg.Bonding {
	have := l.Bond.Options
	b := &netcfg.Bonding{Options: []netcfg.BondOption{{Name: "mode", Value: have["mode"]}}}
	unwatched := have["miimon"] == "0" && cmp.Or(have["arp_interval"], "0") == "0"
	if unwatched {
		i.leave(l, "bond-unwatched", "%s does not watch its links, which is refused: the document gives it miimon 100", l.Name)
	}
	// Twice, because an option may change what another would be.
	for range 2 {
		would := b.Effective()
		for _, s := range netcfg.BondOptions {
			value, told := have[s.Name]
			_, given := b.Option(s.Name)
			idle := s.NeedsMiimon && have["miimon"] == "0" || unwatched && s.Name == "miimon"
			if told && !given && !idle && value != would[s.Name] && s.ValidIn(have["mode"]) {
				b.Options = append(b.Options, netcfg.BondOption{Name: s.Name, Value: value})
			}
		}
	}
	for _, index := range i.Snapshot.SlavesOf(l.Index) {
		s := i.Snapshot.Link(index)
		if permanentMAC(s) == l.MAC {
			b.Slaves = slices.Insert(b.Slaves, 0, s.Name)
		} else {
			b.Slaves = append(b.Slaves, s.Name)
		}
	}
	return b
}

// addressing describes the addresses of a link, and the default routes through it.
func (i *importer) addressing(l *state.Link, n *netcfg.HostNic) {
	for _, a := range i.Snapshot.AddressesOf(l.Index) {
		if why := unsayable(a); why != "" {
			i.leave(l, "address-left", "%s on %s stays as it is and nobody's business here: %s", a.Prefix, l.Name, why)
			continue
		}
		if a.LinkLocal() {
			continue
		}
		addFound(n, a.Prefix)
	}
	if m := i.Snapshot.Link(l.Master); m != nil {
		i.leave(l, "nic-enslaved", "%s stands in %s (%s), where it stays", l.Name, m.Name, m.Kind)
	}
	for _, r := range i.Snapshot.Routes {
		if r.Link == l.Index && r.Protocol != state.ProtocolKernel && r.Protocol != state.ProtocolRA && !i.gateway(n, r) {
			i.leave(l, "route-left", "the route to %s through %s stays as it is: %s", destination(r), l.Name, unsayableRoute(r))
		}
	}
}

// addFound adds an address, in the order in which the kernel has them.
func addFound(n *netcfg.HostNic, p netip.Prefix) {
	bits := p.Bits()
	switch {
	case p.Addr().Is4() && n.IP == nil:
		n.IP = &netcfg.IP{Address: p.Addr().String(), Netmask: netcfg.Netmask(bits)}
	case p.Addr().Is6() && n.IPv6 == nil:
		n.IPv6 = &netcfg.IPv6{Address: p.Addr().String(), Prefix: &bits}
	default:
		n.AdditionalIPs = append(n.AdditionalIPs, p.String())
	}
}

// unsayable is why a document cannot speak of an address; empty when it can.
func unsayable(a state.Address) string {
	switch {
	case a.LinkLocal():
		return ""
	case a.Valid != state.Forever:
		return fmt.Sprintf("it is for %d s more, from DHCP or a router advertisement (boot_protocol dhcp has the agent get one of its own)", a.Valid)
	case a.Peer.IsValid() && a.Peer != a.Prefix.Addr():
		return "it has a peer, " + a.Peer.String()
	case a.Scope != 0:
		return "its scope is not global"
	}
	return ""
}

// gateway takes a route as the gateway of a NIC, where that is what it is.
func (i *importer) gateway(n *netcfg.HostNic, r state.Route) bool {
	gw := r.Gateway
	if !isDefaultRoute(r) || r.Raw != nil || !gw.IsValid() {
		return false
	}
	if gw.Is4() && r.Metric == 0 && n.IP != nil && n.IP.Gateway == "" && inSubnet(n, gw) {
		n.IP.Gateway = gw.String()
		return true
	}
	if gw.Is6() && r.Metric == ip6DefaultMetric && n.IPv6 != nil && n.IPv6.Gateway == "" && (gw.IsLinkLocalUnicast() || inSubnet(n, gw)) {
		n.IPv6.Gateway = gw.WithZone("").String()
		return true
	}
	return false
}

func isDefaultRoute(r state.Route) bool {
	return r.Table == state.MainTable && r.Dst.IsValid() && r.Dst.Bits() == 0 && r.Type == unicast
}

func inSubnet(n *netcfg.HostNic, gw netip.Addr) bool {
	return slices.ContainsFunc(n.Addresses(), func(p netip.Prefix) bool { return p.Contains(gw) && p.Addr() != gw && !p.IsSingleIP() })
}

func destination(r state.Route) string {
	if r.Dst.Bits() == 0 {
		return "default"
	}
	return r.Dst.String()
}

func unsayableRoute(r state.Route) string {
	switch {
	case !isDefaultRoute(r):
		return "documents have no more than default gateways yet"
	case r.Raw != nil:
		return "it has more to it than a gateway"
	case !r.Gateway.IsValid():
		return "it has no gateway"
	}
	return fmt.Sprintf("its metric is %d, or its gateway is in no subnet of the NIC, or there is one already", r.Metric)
}
