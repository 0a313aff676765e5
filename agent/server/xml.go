package server

import (
	"encoding/xml"
	"io"
	"strconv"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
)

// xmlDeclaration is exactly what oVirt's clients of version 3 look for.
const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// nicXML writes NICs as oVirt's API has them: what is configured as package codec
// writes it, and beside it what clients only read.
type nicXML struct {
	hostID string
	nics   []*inventory.Nic
	// ids are those of the host's NICs by name.
	ids map[string]string
	// attributes is the form of version 3.
	attributes bool
}

// element is an element of XML; see xml.Marshal.
type element struct {
	XMLName    xml.Name
	Attributes []xml.Attr `xml:",any,attr"`
	Text       string     `xml:",chardata"`
	Children   []element  `xml:",any"`
}

func newNicXML(hostID string, nics []*inventory.Nic, attributes bool) *nicXML {
	x := &nicXML{hostID: hostID, nics: nics, ids: make(map[string]string, len(nics)), attributes: attributes}
	for _, n := range nics {
		x.ids[n.Name] = n.ID
	}
	return x
}

type part struct{ name, value string }

// write writes one NIC, or with nil the list of all.
func (x *nicXML) write(w io.Writer, one *inventory.Nic) error {
	root := named("host_nics")
	if one != nil {
		root = x.nic(one)
	} else {
		for _, n := range x.nics {
			root.Children = append(root.Children, x.nic(n))
		}
	}
	if _, err := io.WriteString(w, xmlDeclaration); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "    ")
	if err := enc.Encode(root); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (x *nicXML) nic(n *inventory.Nic) element {
	e := named("host_nic")
	e.attribute("id", n.ID)
	e.attribute("href", x.href(n.ID))
	e.text("name", n.Name)
	if id := x.ids[n.Master]; id != "" {
		link := named("link")
		link.attribute("rel", "master")
		link.attribute("href", x.href(id))
		e.add(link)
	}
	e.reference("host", n.Host)
	e.reference("network", n.Network)
	e.add(x.parts("mac", part{"address", n.MAC})...)
	if n.IP != nil {
		e.add(x.parts("ip", part{"address", n.IP.Address}, part{"netmask", n.IP.Netmask}, part{"gateway", n.IP.Gateway})...)
	}
	if n.IPv6 != nil {
		e.add(x.parts("ipv6", part{"address", n.IPv6.Address}, part{"netmask", decimal(n.IPv6.Prefix)}, part{"gateway", n.IPv6.Gateway})...)
	}
	e.text("boot_protocol", string(n.BootProtocol))
	e.text("ipv6_boot_protocol", string(n.IPv6Boot))
	if n.MTU != 0 {
		e.text("mtu", strconv.Itoa(n.MTU))
	}
	if n.Speed != nil {
		e.text("speed", strconv.FormatInt(*n.Speed, 10))
	}
	x.status(&e, n.Up)
	if n.VLAN != nil {
		vlan := named("vlan")
		vlan.attribute("id", decimal(n.VLAN.ID))
		e.add(vlan)
	}
	e.text("base_interface", n.Base)
	if n.Bonding != nil {
		e.add(x.bonding(n))
	}
	e.text("ad_aggregator_id", decimal(n.Aggregator))
	return e
}

// status is a word in version 4 and a word within a state in version 3.
func (x *nicXML) status(e *element, up bool) {
	if !x.attributes {
		e.text("status", upDown(up))
		return
	}
	status := named("status")
	status.text("state", upDown(up))
	e.add(status)
}

func (x *nicXML) bonding(n *inventory.Nic) element {
	e := named("bonding")
	if len(n.Bonding.Options) > 0 {
		all := named("options")
		for _, o := range n.Bonding.Options {
			all.add(x.option(o))
		}
		e.add(all)
	}
	if len(n.Bonding.Slaves) > 0 {
		all := named("slaves")
		for _, name := range n.Bonding.Slaves {
			all.add(x.link("host_nic", name))
		}
		e.add(all)
	}
	if n.ActiveSlave != "" {
		e.add(x.link("active_slave", n.ActiveSlave))
	}
	e.add(x.parts("ad_partner_mac", part{"address", n.PartnerMAC})...)
	return e
}

// option says an empty value too: primary="" is no primary.
func (x *nicXML) option(o netcfg.BondOption) element {
	e := named("option")
	for _, p := range []part{{"name", o.Name}, {"value", o.Value}, {"type", o.Type}} {
		switch {
		case p.value == "" && p.name != "value":
		case x.attributes:
			e.Attributes = append(e.Attributes, xml.Attr{Name: xml.Name{Local: p.name}, Value: p.value})
		default:
			child := named(p.name)
			child.Text = p.value
			e.add(child)
		}
	}
	return e
}

// link refers to a NIC by id, which clients follow, and by name for people.
func (x *nicXML) link(element, name string) element {
	e := named(element)
	if id := x.ids[name]; id != "" {
		e.attribute("id", id)
		e.attribute("href", x.href(id))
	}
	e.text("name", name)
	return e
}

// href is where oVirt's API has a NIC. Nobody answers there yet, but it is how a
// slave names its master.
func (x *nicXML) href(id string) string {
	base := "/ovirt-engine/api"
	if x.attributes {
		base = "/api"
	}
	return base + "/hosts/" + x.hostID + "/nics/" + id
}

// parts is an element whose parts are attributes in version 3 and children in
// version 4; none when all are empty.
func (x *nicXML) parts(name string, parts ...part) []element {
	e := named(name)
	for _, p := range parts {
		if x.attributes {
			e.attribute(p.name, p.value)
		} else {
			e.text(p.name, p.value)
		}
	}
	if len(e.Attributes) == 0 && len(e.Children) == 0 {
		return nil
	}
	return []element{e}
}

func named(name string) element { return element{XMLName: xml.Name{Local: name}} }

func (e *element) add(children ...element) { e.Children = append(e.Children, children...) }

func (e *element) attribute(name, value string) {
	if value != "" {
		e.Attributes = append(e.Attributes, xml.Attr{Name: xml.Name{Local: name}, Value: value})
	}
}

func (e *element) text(name, value string) {
	if value != "" {
		child := named(name)
		child.Text = value
		e.add(child)
	}
}

func (e *element) reference(name string, r *netcfg.Reference) {
	if r == nil {
		return
	}
	c := named(name)
	c.attribute("id", r.ID)
	c.text("name", r.Name)
	e.add(c)
}

func decimal(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}
