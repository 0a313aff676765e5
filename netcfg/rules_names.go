package netcfg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// BondNames are the names that a bond may have on every host. Host settings may
// add to them.
var BondNames = []string{"bond0", "bond1", "bond2", "bond3", "bond4"}

// maxNameLen is IFNAMSIZ without its final zero.
const maxNameLen = 15

// reservedNames cannot be names of links that the agent configures: all and
// default are directories of /proc/sys/net, lo is the kernel's own, and
// bonding_masters is a file in /sys/class/net.
var reservedNames = []string{"all", "default", "lo", "bonding_masters"}

func checkCount(k *checker) {
	if k.limits.MaxNics > 0 && len(k.nics) > k.limits.MaxNics {
		k.refuse(place{path: "host_nics"}, Problem{
			Found: strconv.Itoa(len(k.nics)), Allowed: fmt.Sprintf("at most %d", k.limits.MaxNics),
			Message: "there are more host_nics than this host takes: take some out, or raise its limit"})
	}
}

func checkText(k *checker) {
	var texts []field
	for _, n := range k.nics {
		texts = n.texts(texts[:0])
		for _, t := range texts {
			k.text(t.value, func() place { return n.at(t.field) })
		}
		for i, s := range n.AdditionalIPs {
			k.text(s, func() place { return n.at(indexed("additional_ips", i)) })
		}
		if n.Bonding == nil {
			continue
		}
		for i, s := range n.Bonding.Slaves {
			k.text(s, func() place { return n.at(indexed("bonding.slaves", i)) })
		}
		for _, o := range n.Bonding.Options {
			for _, s := range []string{o.Name, o.Value, o.Type} {
				k.text(s, func() place { return n.at("bonding.options." + o.Name) })
			}
		}
	}
	for i, n := range k.config.Networks {
		k.text(n.ID, func() place { return k.beside("networks", i, "id") })
		k.text(n.Name, func() place { return k.beside("networks", i, "name") })
	}
	for i, r := range k.config.Routes {
		k.text(r.Destination, func() place { return k.beside("routes", i, "destination") })
		k.text(r.Gateway, func() place { return k.beside("routes", i, "gateway") })
		k.text(r.NIC, func() place { return k.beside("routes", i, "nic") })
	}
	if k.config.DNS != nil {
		for i, s := range k.config.DNS.Servers {
			k.text(s, func() place { return k.beside("dns.servers", i, "") })
		}
		for i, s := range k.config.DNS.Search {
			k.text(s, func() place { return k.beside("dns.search", i, "") })
		}
	}
}

func (k *checker) text(s string, at func() place) {
	if Printable(s) != s {
		k.refuse(at(), Problem{Found: s,
			Message: "the text has control characters, invisible characters or invalid UTF-8, which could mislead whoever reads it: take them out"})
	}
}

// field is a text of a NIC by its path below the NIC.
type field struct{ field, value string }

// texts appends the texts that a NIC has once.
func (n *nic) texts(out []field) []field {
	out = append(out,
		field{"name", n.Name}, field{"id", n.ID}, field{"base_interface", n.BaseInterface},
		field{"boot_protocol", string(n.BootProtocol)}, field{"ipv6_boot_protocol", string(n.IPv6BootProtocol)})
	if n.Host != nil {
		out = append(out, field{"host.id", n.Host.ID}, field{"host.name", n.Host.Name})
	}
	if n.Network != nil {
		out = append(out, field{"network.id", n.Network.ID}, field{"network.name", n.Network.Name})
	}
	if n.MAC != nil {
		out = append(out, field{"mac.address", n.MAC.Address})
	}
	if n.IP != nil {
		out = append(out, field{"ip.address", n.IP.Address}, field{"ip.netmask", n.IP.Netmask}, field{"ip.gateway", n.IP.Gateway})
	}
	if n.IPv6 != nil {
		out = append(out, field{"ipv6.address", n.IPv6.Address}, field{"ipv6.gateway", n.IPv6.Gateway})
	}
	if n.ExpectedNeighbour != nil {
		for _, f := range n.ExpectedNeighbour.fields() {
			out = append(out, field{"expected_neighbour." + f.name, *f.want})
		}
	}
	return out
}

func checkBondName(k *checker) {
	for _, n := range k.nics {
		valid := slices.Contains(k.bondNames, n.Name)
		switch {
		case n.Bonding != nil && valid, n.Bonding == nil && !valid && !looksLikeBond(n.Name):
		case n.Bonding != nil || !valid:
			k.refuse(n.at("name"), Problem{Found: n.Name, Allowed: joinWords(k.bondNames, "or"),
				Message: joinWords(k.bondNames, "and") + " are the only valid names for a bonded interface: choose one of them"})
		case n.VLAN != nil:
			k.refuse(n.at("name"), Problem{Found: n.Name,
				Message: fmt.Sprintf("%s is a name for a bond, but this is a VLAN: name it %s, or leave the name out", n.Name, k.shortVLANName(n))})
		default:
			k.refuse(n.at("bonding"), Problem{
				Message: fmt.Sprintf("%s is a name for a bond, but no bonding is given: say which NICs are its bonding.slaves, or take %s out with removed", n.Name, n.Name)})
		}
	}
}

// isBondName is true of names that are for bonds only, those included that look
// like one but are not valid here.
func (k *checker) isBondName(name string) bool {
	return looksLikeBond(name) || slices.Contains(k.bondNames, name)
}

func looksLikeBond(name string) bool {
	number, ok := strings.CutPrefix(name, "bond")
	return ok && strings.Trim(number, "0123456789") == ""
}

func checkNicName(k *checker) {
	for _, n := range k.nics {
		if n.Name == "" && n.isVLAN() {
			k.refuse(n.at("name"), Problem{
				Message: "the VLAN has no name, and none can be made of its base_interface and vlan.id: give these two, or a name"})
			continue
		}
		k.linkName(n.Name, func() place { return n.at("name") })
		if n.BaseInterface != "" {
			k.linkName(n.BaseInterface, func() place { return n.at("base_interface") })
		}
	}
	for _, b := range k.bonds {
		for i, s := range b.Bonding.Slaves {
			k.linkName(s, slot{b, i}.at)
		}
	}
	for i, r := range k.config.Routes {
		if r.NIC != "" {
			k.linkName(r.NIC, func() place { return k.beside("routes", i, "nic") })
		}
	}
}

func (k *checker) linkName(name string, at func() place) {
	if fault := nameFault(name); fault != "" {
		k.refuse(at(), Problem{Found: name, Message: "the name of a link " + fault + ": agentctl nics lists the names of this host"})
	}
}

// nameFault says what is wrong with the name of a link, or nothing. The kernel's
// own rule is dev_valid_name (net/core/dev.c); beyond it the agent takes printable
// ASCII only and no %, which the kernel would fill in.
func nameFault(name string) string {
	switch {
	case name == "":
		return "is not empty"
	case name == "." || name == "..":
		return "is not a directory"
	case slices.Contains(reservedNames, name):
		return "is not " + name + ", which the kernel uses otherwise"
	case name[0] == '-':
		return "does not begin with -, which commands take for an option"
	}
	for _, r := range name {
		switch {
		case r <= ' ':
			return "has no blanks"
		case r >= 0x7f:
			return "has ASCII letters only"
		case strings.ContainsRune("/:%", r):
			return "has no " + string(r)
		}
	}
	return ""
}

func checkNameLength(k *checker) {
	for _, n := range k.nics {
		if len(n.Name) <= maxNameLen {
			continue
		}
		hint := "agentctl nics lists the names of this host"
		if n.isVLAN() {
			hint = "name it " + k.shortVLANName(n) + ", for instance"
		}
		k.refuse(n.at("name"), Problem{Found: n.Name, Allowed: "at most 15 bytes",
			Message: fmt.Sprintf("the name has %d bytes, but the kernel takes 15: %s", len(n.Name), hint)})
	}
}

// shortVLANName is a free name for a VLAN that fits: vlan4094, or the base cut
// short where another base has that id, too.
func (k *checker) shortVLANName(n *nic) string {
	if n.VLAN.ID == nil {
		return "vlan and its id"
	}
	id := strconv.Itoa(*n.VLAN.ID)
	if name := "vlan" + id; k.byName[name] == nil && len(name) <= maxNameLen {
		return name
	}
	base := n.BaseInterface
	if room := maxNameLen - len(id) - 1; room < len(base) {
		base = base[:max(room, 0)]
	}
	if name := base + "." + id; k.byName[name] == nil && len(name) <= maxNameLen && nameFault(name) == "" {
		return name
	}
	return "differently, in at most 15 bytes"
}

func checkUnique(k *checker) {
	for _, n := range k.nics {
		if first := k.byName[n.Name]; first != n && n.Name != "" {
			k.refuse(n.at("name"), Problem{Found: n.Name,
				Message: fmt.Sprintf("host_nics %d and %d have the same name: put what they say into one", first.order+1, n.order+1)})
		}
	}
}

// joinWords is "a, b and c".
func joinWords(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}
