package codec

import (
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
)

// xmlReader brings the elements of oVirt, in the forms of both API versions, into
// the shape of a YAML or JSON document, so that one schema judges them all.
type xmlReader struct{ *report }

// readOnly are what oVirt's engine prints within a host_nic beside what can be
// set. Clients send back what they got, so these are ignored without a word.
var readOnly = []string{
	"actions", "ad_aggregator_id", "bridged", "comment", "creation_status", "custom_configuration", "description",
	"in_sync", "link", "master", "network_attachments", "physical_function", "reported_configurations", "speed",
	"statistics", "status", "virtual_functions_configuration",
}

// The parts of elements, and the fields of the document that they become. A part
// that becomes nothing is oVirt's and says nothing to us.
var (
	macParts    = map[string]string{"address": "address"}
	ipParts     = map[string]string{"address": "address", "netmask": "netmask", "gateway": "gateway", "version": ""}
	ipv6Parts   = map[string]string{"address": "address", "netmask": "prefix", "gateway": "gateway", "version": ""}
	vlanParts   = map[string]string{"id": "id"}
	optionParts = map[string]string{"name": "name", "value": "value", "type": "type"}
)

func parseXML(data []byte, r *report) node {
	root, ok := parseElement(data, r)
	if !ok {
		return node{}
	}
	x := xmlReader{r}
	nics := []element{root}
	switch root.name {
	case "host_nic", "nic":
	case "host_nics":
		nics = x.children(root, "host_nics", "host_nic", "nic")
	default:
		r.refuse(netcfg.Problem{Rule: ruleUnknown, Found: root.name, Allowed: "host_nic, nic, host_nics", Line: root.line, Column: root.column,
			Message: "the root element is not that of a NIC"})
		return node{}
	}
	all := node{kind: list, line: root.line, column: root.column}
	for i, e := range nics {
		all.items = append(all.items, x.nic(e, i))
	}
	doc := node{kind: object, line: root.line, column: root.column}
	doc.add("host_nics", all)
	return doc
}

// children are the elements of a wrapper around repeated ones. Text in it is
// ignored: the seed's own examples have dots there.
func (x xmlReader) children(e element, path string, names ...string) []element {
	var out []element
	for _, c := range e.children {
		if slices.Contains(names, c.name) {
			out = append(out, c)
		} else if !slices.Contains(readOnly, c.name) {
			x.ignore(c, path)
		}
	}
	return out
}

// ignore warns of what is dropped. Nothing is lost with an empty element.
func (x xmlReader) ignore(e element, path string) {
	if len(e.attributes) == 0 && len(e.children) == 0 && strings.TrimSpace(e.text) == "" {
		return
	}
	x.warn(netcfg.Problem{Path: join(path, excerpt(e.name)), Rule: ruleIgnored, Line: e.line, Column: e.column,
		Message: "the agent has no such element: it is ignored"})
}

func (x xmlReader) nic(e element, i int) node {
	path := nicPath(e.textOf("name"), ident(e.attribute("id")), i)
	n := node{kind: object, line: e.line, column: e.column}
	for _, a := range e.attributes {
		switch a.name {
		case "id":
			n.addText("id", ident(a.value), e)
		case "href", "rel":
		default:
			x.ignore(element{name: a.name, text: a.value, line: e.line, column: e.column}, path)
		}
	}
	for _, c := range e.children {
		switch c.name {
		case "name", "boot_protocol", "ipv6_boot_protocol", "mtu", "base_interface":
			n.addText(c.name, c.text, c)
		case "host", "network":
			n.add(c.name, reference(c))
		case "mac":
			n.add(c.name, x.parts(c, path, macParts))
		case "ip":
			n.add(c.name, x.parts(c, path, ipParts))
		case "ipv6":
			n.add(c.name, x.parts(c, path, ipv6Parts))
		case "vlan":
			n.add(c.name, x.parts(c, path, vlanParts))
		case "bonding":
			n.add(c.name, x.bonding(c, join(path, "bonding")))
		default:
			if !slices.Contains(readOnly, c.name) {
				x.ignore(c, path)
			}
		}
	}
	return n
}

// parts reads an element whose parts are attributes in version 3 and children in
// version 4.
func (x xmlReader) parts(e element, path string, fields map[string]string) node {
	n := node{kind: object, line: e.line, column: e.column}
	path = join(path, e.name)
	part := func(name, value string, from element) {
		to, known := fields[name]
		// oVirt's engine writes the unspecified address where there is no gateway.
		none := name == "gateway" && slices.Contains([]string{"::", "0.0.0.0"}, strings.TrimSpace(value))
		if to != "" && !none {
			n.addText(to, value, from)
		}
		if !known && name != "href" && name != "rel" {
			x.ignore(element{name: name, text: value, children: from.children, line: from.line, column: from.column}, path)
		}
	}
	for _, a := range e.attributes {
		part(a.name, a.value, e)
	}
	for _, c := range e.children {
		part(c.name, c.text, c)
	}
	return n
}

// reference reads the id and the name of another object. A client may send the
// whole object in place of a reference to it, so the rest is nobody's mistake.
func reference(e element) node {
	n := node{kind: object, line: e.line, column: e.column}
	part := func(name, value string, from element) {
		switch name {
		case "id":
			n.addText(name, ident(value), from)
		case "name":
			n.addText(name, value, from)
		}
	}
	for _, a := range e.attributes {
		part(a.name, a.value, e)
	}
	for _, c := range e.children {
		part(c.name, c.text, c)
	}
	return n
}

func (x xmlReader) bonding(e element, path string) node {
	n := node{kind: object, line: e.line, column: e.column}
	for _, c := range e.children {
		all := node{kind: list, line: c.line, column: c.column}
		switch c.name {
		case "options":
			for _, o := range x.children(c, join(path, c.name), "option") {
				all.items = append(all.items, x.option(o, path))
			}
		case "slaves":
			for _, s := range x.children(c, join(path, c.name), "host_nic", "nic") {
				all.items = append(all.items, reference(s))
			}
		case "active_slave", "ad_partner_mac":
		default:
			x.ignore(c, path)
		}
		if len(all.items) > 0 {
			n.add(c.name, all)
		}
	}
	return n
}

// option keeps an empty value, which has a meaning: primary="" is no primary.
func (x xmlReader) option(e element, path string) node {
	n := x.parts(e, path, optionParts)
	c, asChild := e.child("value")
	asAttribute := slices.ContainsFunc(e.attributes, func(a attribute) bool { return a.name == "value" })
	given := slices.ContainsFunc(n.fields, func(f field) bool { return f.name == "value" })
	if !given && (asChild || asAttribute) {
		line, column := e.line, e.column
		if asChild {
			line, column = c.line, c.column
		}
		n.add("value", node{kind: text, line: line, column: column})
	}
	return n
}

// addText adds what an element or attribute says; blanks around it are typing.
func (n *node) addText(name, value string, from element) {
	if value = strings.TrimSpace(value); value != "" {
		n.add(name, node{kind: text, text: value, line: from.line, column: from.column})
	}
}

// ident is an id without the line breaks that typesetting has put into it.
func ident(id string) string { return strings.Join(strings.Fields(id), "") }
