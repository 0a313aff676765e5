package netcfg

import (
	"fmt"
	"strings"
)

// Document is what an operator hands in: a partial configuration that is merged
// into a Config by Merge.
type Document struct {
	// Nics are the NICs that the document speaks of, in its order.
	Nics []NicEdit
	// Networks, Routes and DNS replace what was there when they are not nil.
	Networks *[]Network
	Routes   *[]Route
	DNS      *DNS
	// UnsetDNS is an explicit null for dns.
	UnsetDNS bool
	// Removed are the names or ids of bonds and VLANs to take out.
	Removed []string
	// Lines maps field paths (host_nics[bond0].mtu) to their lines in the text,
	// counted from 1. Paths that no text stands behind are absent; nil is no text.
	Lines func() map[string]int
	// Warnings tell what was read but ignored.
	Warnings Problems
}

// NicEdit is a partial HostNic.
type NicEdit struct {
	HostNic
	// Unset are the fields that the document sets to null: dotted paths below the
	// NIC, such as ip, ip.gateway or bonding.options.miimon.
	Unset []string
}

// Locate fills in the line of each problem from the document that caused it. A
// path without a line of its own takes that of the nearest path around it. A NIC
// that the document knows by id, or a VLAN that it does not name, is found by the
// name that Merge gives it. ps is changed, and returned.
func (d *Document) Locate(ps Problems, names Names) Problems {
	if len(ps) == 0 || d.Lines == nil {
		return ps
	}
	lines := d.Lines()
	known := map[string]string{}
	for i := range d.Nics {
		e := &d.Nics[i]
		switch {
		case e.Name != "":
		case e.ID != "":
			known[NicPath(names(e.ID), "")] = NicPath(e.ID, "")
		case e.VLAN != nil && e.VLAN.ID != nil:
			known[NicPath(vlanName(names(e.BaseInterface), *e.VLAN.ID), "")] = indexed("host_nics", i)
		}
	}
	for i := range ps {
		path := ps[i].Path
		if head, rest, ok := strings.Cut(path, "]"); ok && known[head+"]"] != "" {
			path = known[head+"]"] + rest
		}
		for ; ps[i].Line == 0 && path != ""; path = parentPath(path) {
			ps[i].Line = lines[path]
		}
	}
	return ps
}

// vlanName is what a VLAN is called that the document gives no name.
func vlanName(base string, id int) string { return fmt.Sprintf("%s.%d", base, id) }

func parentPath(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

// DocumentOf is the document that, merged into an empty Config, gives c.
func DocumentOf(c Config) Document {
	d := Document{DNS: c.DNS}
	for _, n := range c.HostNics {
		d.Nics = append(d.Nics, NicEdit{HostNic: n})
	}
	if c.Networks != nil {
		d.Networks = &c.Networks
	}
	if c.Routes != nil {
		d.Routes = &c.Routes
	}
	return d
}
