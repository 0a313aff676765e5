package netcfg

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
	// Lines maps a field path (host_nics[bond0].mtu) to its line in the text,
	// counted from 1. Paths that no text stands behind are absent.
	Lines map[string]int
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
// path without a line of its own takes that of the nearest path around it.
func (d *Document) Locate(ps Problems) Problems {
	for i := range ps {
		for path := ps[i].Path; ps[i].Line == 0 && path != ""; path = parentPath(path) {
			ps[i].Line = d.Lines[path]
		}
	}
	return ps
}

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
