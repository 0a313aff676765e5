package codec

import (
	"fmt"
	"reflect"

	"github.com/hostnic/hostnic/netcfg"
)

// document decodes the outermost object.
func (d *decoder) document(root node) (doc netcfg.Document) {
	if root.kind == wrong || root.kind == null {
		return doc
	}
	names := []string{"networks", "host_nics", "removed", "routes", "dns"}
	d.fields(root, place{}, names, nil, func(f field, at place) {
		switch f.name {
		case "networks":
			doc.Networks = listOf[netcfg.Network](d, f.value, at)
		case "routes":
			doc.Routes = listOf[netcfg.Route](d, f.value, at)
		case "host_nics":
			doc.Nics = d.nics(f.value, at)
		case "removed":
			doc.Removed = d.references(f.value, at)
		case "dns":
			if doc.UnsetDNS = f.value.kind == null; !doc.UnsetDNS {
				d.value(f.value, reflect.ValueOf(&doc.DNS).Elem(), at)
			}
		}
	})
	return doc
}

// listOf reads a list that replaces what was there; null replaces it with nothing.
func listOf[T any](d *decoder, n node, at place) *[]T {
	out := []T{}
	if n.kind != null {
		d.value(n, reflect.ValueOf(&out).Elem(), at)
	}
	return &out
}

func (d *decoder) nics(n node, at place) []netcfg.NicEdit {
	if n.kind != list {
		d.wrongType(n, at, "a list")
		return nil
	}
	if len(n.items) > MaxNics {
		first := n.items[MaxNics]
		d.refuse(netcfg.Problem{Path: at.path, Rule: ruleTooMany, Found: fmt.Sprint(len(n.items)), Line: first.line, Column: first.column,
			Allowed: fmt.Sprintf("up to %d NICs", MaxNics), Message: "the document holds too many NICs: stage it in parts"})
		return nil
	}
	out := make([]netcfg.NicEdit, len(n.items))
	for i, item := range n.items {
		path := nicPath(item.textOf("name"), item.textOf("id"), i)
		here := place{path: path, nic: len(path), nullable: true}
		out[i] = d.nic(item, here)
		d.byIndex(item, here.path, i)
	}
	return out
}

// nicPath is how a NIC is called in paths.
func nicPath(name, id string, index int) string {
	switch {
	case name != "":
		return netcfg.NicPath(excerpt(name), "")
	case id != "":
		return netcfg.NicPath(excerpt(id), "")
	}
	return fmt.Sprintf("host_nics[%d]", index)
}

// byIndex also records a NIC under its index, which is how netcfg.Merge calls a
// NIC whose name it cannot tell.
func (d *decoder) byIndex(n node, path string, i int) {
	if d.lines == nil {
		return
	}
	d.line(path, n.line)
	index := fmt.Sprintf("host_nics[%d]", i)
	d.line(index, n.line)
	for _, f := range n.fields {
		if f.name == "name" || f.name == "id" {
			d.line(join(index, f.name), f.line)
		}
	}
}

func (d *decoder) nic(n node, at place) netcfg.NicEdit {
	var e netcfg.NicEdit
	d.unset = nil
	d.object(n, reflect.ValueOf(&e.HostNic).Elem(), at)
	e.Unset = d.unset
	// A reference or a MAC without content says nothing. Merge would take it for
	// a change, because it replaces them whole.
	e.Host, e.Network, e.MAC = unlessEmpty(e.Host), unlessEmpty(e.Network), unlessEmpty(e.MAC)
	return e
}

func unlessEmpty[T comparable](p *T) *T {
	var empty T
	if p != nil && *p == empty {
		return nil
	}
	return p
}

// references reads a list of names or ids. Each may also be an object with id or
// name, as oVirt has it in slaves, and the list may stand in an object host_nic.
func (d *decoder) references(n node, at place) []string {
	if n.kind == object && len(n.fields) == 1 && n.fields[0].name == "host_nic" {
		n = n.fields[0].value
	}
	if n.kind != list {
		d.wrongType(n, at, "a list of names or ids")
		return nil
	}
	out := make([]string, len(n.items))
	for i, item := range n.items {
		here := at.item(i)
		d.line(here.path, item.line)
		if item.kind != object {
			out[i] = d.text(item, here)
			continue
		}
		var ref netcfg.Reference
		d.object(item, reflect.ValueOf(&ref).Elem(), here)
		// The id is what oVirt goes by; a name beside it is for the reader.
		if out[i] = ref.ID; ref.ID == "" {
			out[i] = ref.Name
		}
		if out[i] == "" {
			d.refuse(netcfg.Problem{Path: here.path, Rule: ruleMissing, Allowed: "id or name", Line: item.line, Column: item.column,
				Message: "this refers to nothing: give the id or the name"})
		}
	}
	return out
}
