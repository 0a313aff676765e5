package netcfg

import (
	"fmt"
	"slices"
	"strings"
)

// Names turns a reference, an id or a name, into the name of a link on this
// host. A reference that it does not know comes back as it was.
type Names func(ref string) string

// Merge puts a document over a configuration: by name and field by field. What
// the document does not mention stays, a null unsets, lists are replaced whole.
// The result is in canonical form and refers to links by name; it is not yet
// validated. The problems are those of merging itself: a NIC without a name or
// given twice, a removal of what is not there. base and doc are not changed.
func Merge(base Config, doc Document, names Names) (Config, Problems) {
	size := len(base.HostNics) + len(doc.Nics)
	m := merger{out: base.Clone(), names: names, index: make(map[string]int, size), edited: make(map[string]bool, len(doc.Nics)), removed: make(map[string]bool, len(doc.Removed))}
	for i := range m.out.HostNics {
		m.index[m.out.HostNics[i].Name] = i
	}
	for i := range doc.Nics {
		m.nic(i, &doc.Nics[i])
	}
	for i, ref := range doc.Removed {
		m.remove(indexed("removed", i), ref)
	}
	m.out.HostNics = slices.DeleteFunc(m.out.HostNics, func(n HostNic) bool { return m.removed[n.Name] })
	m.lists(doc)
	m.out.canonicalize(names)
	return m.out, m.problems
}

type merger struct {
	out      Config
	names    Names
	problems Problems
	// index finds a NIC in out by its name.
	index map[string]int
	// edited and removed are the names that the document speaks of.
	edited, removed map[string]bool
}

// lists replaces what is replaced whole.
func (m *merger) lists(doc Document) {
	if doc.Networks != nil {
		m.out.Networks = Config{Networks: *doc.Networks}.Clone().Networks
	}
	if doc.Routes != nil {
		m.out.Routes = Config{Routes: *doc.Routes}.Clone().Routes
	}
	if doc.DNS != nil {
		m.out.DNS = Config{DNS: doc.DNS}.Clone().DNS
	}
	if doc.UnsetDNS {
		m.out.DNS = nil
	}
}

func (m *merger) refuse(p Problem) { m.problems = append(m.problems, p) }

func (m *merger) nic(i int, e *NicEdit) {
	name := m.nameOf(i, e)
	if name == "" {
		return
	}
	if m.edited[name] {
		m.refuse(Problem{Path: NicPath(name, ""), Rule: "nic-twice", Found: name,
			Message: "the document speaks of " + name + " twice: put what it says into one place"})
		return
	}
	m.edited[name] = true
	j, there := m.index[name]
	if !there {
		j = len(m.out.HostNics)
		m.index[name] = j
		m.out.HostNics = append(m.out.HostNics, HostNic{Name: name})
	}
	mergeNic(&m.out.HostNics[j], e)
	if e.Bonding != nil {
		m.optionsTwice(name, e.Bonding.Options)
	}
}

// nameOf is the name of the NIC that an edit is about: the one given, that of the
// id, or for a VLAN the one made of base interface and id. It is empty when the
// edit is refused.
func (m *merger) nameOf(i int, e *NicEdit) string {
	name := e.Name
	if e.ID != "" {
		known := m.names(e.ID)
		switch {
		case name == "" && known != e.ID:
			name = known
		case name == "":
			m.refuse(Problem{Kind: NotFound, Path: fmt.Sprintf("host_nics[%d].id", i), Rule: "nic-id", Found: e.ID,
				Message: "no NIC of this host has this id: agentctl nics lists the ids"})
			return ""
		case known != e.ID && known != name:
			m.refuse(Problem{Path: NicPath(name, "id"), Rule: "nic-id", Found: e.ID, Allowed: "the id of " + name,
				Message: fmt.Sprintf("this is the id of %s, but the name says %s: take one of the two out", known, name)})
			return ""
		}
	}
	if name == "" && e.BaseInterface != "" && e.VLAN != nil && e.VLAN.ID != nil {
		name = vlanName(m.names(e.BaseInterface), *e.VLAN.ID)
	}
	if name == "" {
		m.refuse(Problem{Path: fmt.Sprintf("host_nics[%d].name", i), Rule: "nic-name",
			Message: "a NIC is given without name and id: say which one is meant (agentctl stage --nic NAME, of a document that is one NIC)"})
	}
	return name
}

// optionsTwice looks at the document, because in what is merged the later option
// has taken the place of the earlier.
func (m *merger) optionsTwice(name string, options []BondOption) {
	first := make(map[string]string, len(options))
	for _, o := range options {
		f, twice := first[optionKey(o.Name)]
		if !twice {
			first[optionKey(o.Name)] = o.Name
			continue
		}
		m.refuse(Problem{Path: NicPath(name, "bonding.options."+o.Name), Rule: "bond-option-twice", Found: o.Name, Message: sayTwice(f, o.Name)})
	}
}

func (m *merger) remove(path, ref string) {
	name := m.names(ref)
	i, there := m.index[name]
	switch {
	case m.edited[name]:
		m.refuse(Problem{Path: path, Rule: "removed-and-changed", Found: ref,
			Message: name + " is both changed and removed by this document: keep one of the two"})
	case !there:
		m.refuse(Problem{Kind: NotFound, Path: path, Rule: "removed-unknown", Found: ref,
			Message: "there is no bond or VLAN of this name or id in the configuration to remove, and NICs are not created or deleted: agentctl config lists what there is"})
	case m.out.HostNics[i].Kind() == KindNIC:
		m.refuse(Problem{Path: path, Rule: "nic-delete", Found: ref, Allowed: "bonds and VLANs",
			Message: name + " is a NIC, and NICs are not created or deleted: to take its address away say agentctl set " + name + " ip="})
	default:
		m.removed[name] = true
	}
}

// NicPath is the path of a field of the named NIC.
func NicPath(name, field string) string {
	if field == "" {
		return "host_nics[" + name + "]"
	}
	return "host_nics[" + name + "]." + field
}

// NicOf is the name in a path that NicPath has made; not ok for a path about something
// else.
func NicOf(path string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(path, "host_nics[")
	if !ok {
		return "", false
	}
	name, _, ok = strings.Cut(rest, "]")
	return name, ok
}

func mergeNic(n *HostNic, e *NicEdit) {
	for _, path := range e.Unset {
		unset(n, strings.Split(path, "."))
	}
	mergeReference(&n.Host, e.Host)
	mergeReference(&n.Network, e.Network)
	if e.MAC != nil && e.MAC.Address != "" {
		n.MAC = &MAC{Address: e.MAC.Address}
	}
	mergeIP(n, &e.HostNic)
	mergeIPv6(n, &e.HostNic)
	if e.AdditionalIPs != nil {
		n.AdditionalIPs = slices.Clone(e.AdditionalIPs)
	}
	if e.MTU != nil {
		n.MTU = pointer(*e.MTU)
	}
	if e.VLAN != nil && (n.VLAN == nil || e.VLAN.ID != nil) {
		n.VLAN = &VLAN{ID: clonePointer(e.VLAN.ID)}
	}
	if e.BaseInterface != "" {
		n.BaseInterface = e.BaseInterface
	}
	if e.Bonding != nil {
		mergeBonding(n, e)
	}
	mergeNeighbour(n, &e.HostNic)
}

// mergeReference replaces a reference whole: an id of one network beside the name
// of another would mean neither.
func mergeReference(to **Reference, from *Reference) {
	if from != nil && *from != (Reference{}) {
		*to = &Reference{ID: from.ID, Name: from.Name}
	}
}

// mergeIP also keeps address and boot protocol of one mind: an address given
// without a boot protocol means static, and a boot protocol given without an
// address takes the address of another protocol out.
func mergeIP(n, e *HostNic) {
	if e.BootProtocol != "" {
		n.BootProtocol = e.BootProtocol
		if canonicalBoot(e.BootProtocol) != BootStatic && (e.IP == nil || e.IP.Address == "") {
			n.IP = nil
		}
	}
	if e.IP == nil {
		return
	}
	if n.IP == nil {
		n.IP = &IP{}
	}
	if e.IP.Address != "" {
		n.IP.Address = e.IP.Address
		if e.BootProtocol == "" && n.BootProtocol != BootStatic {
			n.BootProtocol = ""
		}
	}
	setString(&n.IP.Netmask, e.IP.Netmask)
	setString(&n.IP.Gateway, e.IP.Gateway)
}

func mergeIPv6(n, e *HostNic) {
	if e.IPv6BootProtocol != "" {
		n.IPv6BootProtocol = e.IPv6BootProtocol
		if canonicalBoot(e.IPv6BootProtocol) != BootStatic && (e.IPv6 == nil || e.IPv6.Address == "") {
			n.IPv6 = nil
		}
	}
	if e.IPv6 == nil {
		return
	}
	if n.IPv6 == nil {
		n.IPv6 = &IPv6{}
	}
	if e.IPv6.Address != "" {
		n.IPv6.Address = e.IPv6.Address
		if e.IPv6BootProtocol == "" && n.IPv6BootProtocol != BootStatic {
			n.IPv6BootProtocol = ""
		}
	}
	if e.IPv6.Prefix != nil {
		n.IPv6.Prefix = pointer(*e.IPv6.Prefix)
	}
	setString(&n.IPv6.Gateway, e.IPv6.Gateway)
}

func mergeBonding(n *HostNic, e *NicEdit) {
	if n.Bonding == nil {
		n.Bonding = &Bonding{}
	}
	b := n.Bonding
	before := b.Mode()
	index := make(map[string]int, len(b.Options))
	for i, o := range b.Options {
		index[optionKey(o.Name)] = i
	}
	for _, o := range e.Bonding.Options {
		i, there := index[optionKey(o.Name)]
		switch {
		case !there:
			index[optionKey(o.Name)] = len(b.Options)
			b.Options = append(b.Options, o)
		case !sameValue(b.Options[i], o):
			// The same value in another spelling changes nothing, the echo included.
			b.Options[i] = o
		}
	}
	dropOvertaken(b, *e.Bonding, before)
	if e.Bonding.Slaves != nil {
		b.Slaves = slices.Clone(e.Bonding.Slaves)
	}
}

// dropOvertaken takes out options that the document does not mention and that
// its new mode or its new link monitor rules out: the wish behind "mode: 0" is
// not to be refused because of a lacp_rate from before.
func dropOvertaken(b *Bonding, e Bonding, modeBefore string) {
	mode := b.Mode()
	monitor := func(name string) bool {
		o, ok := e.Option(name)
		return ok && o.Value != "0"
	}
	arp, mii := monitor("arp_interval"), monitor("miimon")
	said := make(map[string]bool, len(e.Options))
	for _, o := range e.Options {
		said[optionKey(o.Name)] = true
	}
	b.Options = slices.DeleteFunc(b.Options, func(o BondOption) bool {
		s, ok := BondOptionSpec(o.Name)
		switch {
		case !ok, said[s.Name]:
			return false
		case mode != modeBefore && !s.ValidIn(mode):
			return true
		case arp && !mii && (s.Name == "miimon" || s.NeedsMiimon):
			return true
		case mii && !arp && (s.Name == "arp_interval" || s.Name == "arp_validate"):
			return true
		}
		return false
	})
}

// optionKey is the one name of an option that has several.
func optionKey(name string) string {
	if s, ok := BondOptionSpec(name); ok {
		return s.Name
	}
	return name
}

func sameValue(a, b BondOption) bool {
	s, ok := BondOptionSpec(a.Name)
	if !ok {
		return a == b
	}
	va, errA := s.Canonical(a.Value)
	vb, errB := s.Canonical(b.Value)
	return errA == nil && errB == nil && va == vb
}

// unset clears the field at a dotted path below a NIC. Paths are those of the
// codec, which knows the schema; others do nothing.
func unset(n *HostNic, path []string) {
	rest := path[1:]
	switch path[0] {
	case "host":
		n.Host = nil
	case "network":
		n.Network = nil
	case "mac":
		n.MAC = nil
	case "ip":
		unsetIP(n, rest)
	case "ipv6":
		unsetIPv6(n, rest)
	case "additional_ips":
		n.AdditionalIPs = nil
	case "boot_protocol":
		n.BootProtocol = ""
	case "ipv6_boot_protocol":
		n.IPv6BootProtocol = ""
	case "mtu":
		n.MTU = nil
	case "vlan":
		n.VLAN = nil
	case "base_interface":
		n.BaseInterface = ""
	case "bonding":
		unsetBonding(n, rest)
	case "expected_neighbour":
		unsetNeighbour(n, rest)
	}
}

// unsetIP takes the boot protocol static along with the whole address: the two
// were one wish, and static without an address would be refused.
func unsetIP(n *HostNic, rest []string) {
	if len(rest) == 0 && n.BootProtocol == BootStatic {
		n.BootProtocol = ""
	}
	if len(rest) == 0 || n.IP == nil {
		n.IP = nil
		return
	}
	switch rest[0] {
	case "address":
		n.IP.Address = ""
	case "netmask":
		n.IP.Netmask = ""
	case "gateway":
		n.IP.Gateway = ""
	}
}

func unsetIPv6(n *HostNic, rest []string) {
	if len(rest) == 0 && n.IPv6BootProtocol == BootStatic {
		n.IPv6BootProtocol = ""
	}
	if len(rest) == 0 || n.IPv6 == nil {
		n.IPv6 = nil
		return
	}
	switch rest[0] {
	case "address":
		n.IPv6.Address = ""
	case "prefix":
		n.IPv6.Prefix = nil
	case "gateway":
		n.IPv6.Gateway = ""
	}
}

func unsetBonding(n *HostNic, rest []string) {
	if len(rest) == 0 || n.Bonding == nil {
		n.Bonding = nil
		return
	}
	switch {
	case rest[0] == "slaves":
		n.Bonding.Slaves = nil
	case rest[0] == "options" && len(rest) == 1:
		n.Bonding.Options = nil
	case rest[0] == "options":
		n.Bonding.Options = slices.DeleteFunc(n.Bonding.Options, func(o BondOption) bool { return optionKey(o.Name) == optionKey(rest[1]) })
	}
}

func setString(to *string, from string) {
	if from != "" {
		*to = from
	}
}

func pointer[T any](v T) *T { return &v }

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return pointer(*p)
}
