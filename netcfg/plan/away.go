package plan

import (
	"fmt"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Known are configurations that have been in place on this host.
type Known []netcfg.Config

// mention is true of a NIC that one of them has, or refers to.
func (k Known) mention(name string) bool {
	return k.any(func(c *netcfg.Config) bool {
		return slices.ContainsFunc(c.HostNics, func(n netcfg.HostNic) bool {
			return n.Name == name || n.BaseInterface == name || n.Bonding != nil && slices.Contains(n.Bonding.Slaves, name)
		})
	})
}

// resolves is true where one of them fills the resolver's file.
func (k Known) resolves() bool {
	return k.any(func(c *netcfg.Config) bool { return c.DNS != nil })
}

// slave is true where one of them has the NIC in that bond.
func (k Known) slave(bond, name string) bool {
	return k.any(func(c *netcfg.Config) bool {
		n := c.Nic(bond)
		return n != nil && n.Bonding != nil && slices.Contains(n.Bonding.Slaves, name)
	})
}

// addressed is true where one of them gives the NIC an address, or has a server do so.
func (k Known) addressed(name string) bool {
	return k.any(func(c *netcfg.Config) bool {
		n := c.Nic(name)
		return n != nil && (len(n.Addresses()) > 0 || leased(n) || discovers(n))
	})
}

func (k Known) any(is func(*netcfg.Config) bool) bool {
	for i := range k {
		if is(&k[i]) {
			return true
		}
	}
	return false
}

// Away is a NIC of the configuration that somebody has put into a bridge or bond of
// his own since. It is not torn out of there: whoever has put it there may need it, and
// no change of anything else may fail for it.
type Away struct {
	Nic, KernelName string
	// Bond is where it ought to be a slave; empty for a NIC that ought to stand alone.
	Bond string
	// Master is where it stands, and Kind what that is.
	Master, Kind string
}

// String says what has happened, and what to do about it.
func (a Away) String() string {
	cost := "its addresses do not work there"
	if a.Bond != "" {
		cost = a.Bond + " goes on without it"
	}
	return fmt.Sprintf("somebody has put %s into %s (%s), where the agent leaves it, and %s; ip link set dev %s nomaster gives it back",
		a.Nic, a.Master, a.Kind, cost, a.KernelName)
}

// away lets a NIC stand where somebody has put it.
func (r *resolver) away(a Away) {
	r.out.Away = append(r.out.Away, a)
	r.warn(netcfg.NicPath(a.Nic, ""), "nic-away", "%s", a)
}

// takenBy is the link of somebody else that a NIC stands in instead of its bond, or
// nil.
func (r *resolver) takenBy(l *state.Link, bond *Link) *state.Link {
	if l == nil {
		return nil
	}
	m := r.Snapshot.Link(l.Master)
	if m == nil || m.Index == bond.Index || r.doomed[m.Index] || r.ownedKind(m.Name) != "" {
		return nil
	}
	return m
}

func (i *Intent) isAway(name string) bool {
	return slices.ContainsFunc(i.Away, func(a Away) bool { return a.Nic == name })
}

// taken reports a NIC that somebody has put into his own.
func (c *checker) taken(a Away) {
	c.drift = append(c.drift, Drift{Field: netcfg.NicPath(a.Nic, "master"), Wanted: a.Bond, Actual: a.Master, Outside: true, Hint: a.String()})
}
