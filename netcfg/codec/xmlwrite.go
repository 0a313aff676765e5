package codec

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"github.com/hostnic/hostnic/netcfg"
)

// xmlDeclaration is exactly what oVirt's clients of version 3 look for.
const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`

// XMLOmits are the paths of what c holds and oVirt's XML has no element for. A
// caller that hands XML to somebody who will hand it back should say so.
func XMLOmits(c netcfg.Config) []string {
	var out []string
	if len(c.Networks) > 0 {
		out = append(out, "networks")
	}
	for _, n := range c.HostNics {
		if len(n.AdditionalIPs) > 0 {
			out = append(out, netcfg.NicPath(n.Name, "additional_ips"))
		}
		if n.ExpectedNeighbour != nil {
			out = append(out, netcfg.NicPath(n.Name, "expected_neighbour"))
		}
	}
	if len(c.Routes) > 0 {
		out = append(out, "routes")
	}
	if c.DNS != nil {
		out = append(out, "dns")
	}
	return out
}

func encodeXML(w io.Writer, c netcfg.Config, o EncodeOptions) error {
	x := xmlWriter{EncodeOptions: o}
	switch o.Version {
	case 0, 4:
	case 3:
		x.attributes = true
	default:
		return fmt.Errorf("there is no version %d of the XML form: use 3 or 4", o.Version)
	}
	root := element{name: "host_nics"}
	for i := range c.HostNics {
		root.children = append(root.children, x.nic(&c.HostNics[i]))
	}
	if len(root.children) == 1 && !o.List {
		root = root.children[0]
	}
	b := bufio.NewWriter(w)
	b.WriteString(xmlDeclaration)
	printElement(b, root, "\n")
	b.WriteByte('\n')
	return b.Flush()
}

// xmlWriter builds the elements of oVirt.
type xmlWriter struct {
	EncodeOptions
	// attributes is the form of version 3.
	attributes bool
}

func (x *xmlWriter) nic(n *netcfg.HostNic) element {
	e := element{name: "host_nic"}
	id := n.ID
	if id == "" && x.ID != nil && n.Name != "" {
		id = x.ID(n.Name)
	}
	e.setAttribute("id", id)
	e.addText("name", n.Name)
	e.addReference("host", n.Host)
	e.addReference("network", n.Network)
	if n.MAC != nil {
		e.children = append(e.children, x.parts("mac", part{"address", n.MAC.Address}))
	}
	if n.IP != nil {
		e.children = append(e.children, x.parts("ip",
			part{"address", n.IP.Address}, part{"netmask", n.IP.Netmask}, part{"gateway", n.IP.Gateway}))
	}
	if n.IPv6 != nil {
		e.children = append(e.children, x.parts("ipv6",
			part{"address", n.IPv6.Address}, part{"netmask", decimalOf(n.IPv6.Prefix)}, part{"gateway", n.IPv6.Gateway}))
	}
	e.addText("boot_protocol", string(n.BootProtocol))
	e.addText("ipv6_boot_protocol", string(n.IPv6BootProtocol))
	e.addText("mtu", decimalOf(n.MTU))
	if n.VLAN != nil {
		vlan := element{name: "vlan"}
		vlan.setAttribute("id", decimalOf(n.VLAN.ID))
		e.children = append(e.children, vlan)
	}
	e.addText("base_interface", n.BaseInterface)
	if n.Bonding != nil {
		e.children = append(e.children, x.bonding(n.Bonding))
	}
	return e
}

func (x *xmlWriter) bonding(b *netcfg.Bonding) element {
	e := element{name: "bonding"}
	if len(b.Options) > 0 {
		all := element{name: "options"}
		for _, o := range b.Options {
			all.children = append(all.children, x.option(o))
		}
		e.children = append(e.children, all)
	}
	if len(b.Slaves) > 0 {
		all := element{name: "slaves"}
		for _, s := range b.Slaves {
			all.children = append(all.children, x.slave(s))
		}
		e.children = append(e.children, all)
	}
	return e
}

// option says an empty value too: primary="" is no primary.
func (x *xmlWriter) option(o netcfg.BondOption) element {
	e := x.parts("option", part{"name", o.Name}, part{"value", o.Value}, part{"type", o.Type})
	switch {
	case o.Value != "":
	case x.attributes:
		e.attributes = append(e.attributes, attribute{"value", ""})
	default:
		e.children = append(e.children, element{name: "value"})
	}
	return e
}

// slave refers by id where there is one, because clients follow ids, and by name
// where there is none.
func (x *xmlWriter) slave(ref string) element {
	e := element{name: "host_nic"}
	switch {
	case uuid.MatchString(ref):
		e.setAttribute("id", ref)
		return e
	case x.ID != nil:
		e.setAttribute("id", x.ID(ref))
	}
	e.addText("name", ref)
	return e
}

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

type part struct{ name, value string }

// parts is an element whose parts are attributes in version 3 and children in
// version 4. Empty ones are left out.
func (x *xmlWriter) parts(name string, parts ...part) element {
	e := element{name: name}
	for _, p := range parts {
		if x.attributes {
			e.setAttribute(p.name, p.value)
		} else {
			e.addText(p.name, p.value)
		}
	}
	return e
}

func (e *element) setAttribute(name, value string) {
	if value != "" {
		e.attributes = append(e.attributes, attribute{name, value})
	}
}

func (e *element) addText(name, value string) {
	if value != "" {
		e.children = append(e.children, element{name: name, text: value})
	}
}

func (e *element) addReference(name string, r *netcfg.Reference) {
	if r == nil {
		return
	}
	c := element{name: name}
	c.setAttribute("id", r.ID)
	c.addText("name", r.Name)
	e.children = append(e.children, c)
}

func decimalOf(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func printElement(b *bufio.Writer, e element, newline string) {
	b.WriteString(newline + "<" + e.name)
	for _, a := range e.attributes {
		b.WriteString(" " + a.name + `="`)
		// The only error is that of the writer, which Flush reports.
		_ = xml.EscapeText(b, []byte(a.value))
		b.WriteByte('"')
	}
	if e.text == "" && len(e.children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	_ = xml.EscapeText(b, []byte(e.text))
	for _, c := range e.children {
		printElement(b, c, newline+"    ")
	}
	if len(e.children) > 0 {
		b.WriteString(newline)
	}
	b.WriteString("</" + e.name + ">")
}
