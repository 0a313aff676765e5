package plan

import (
	"fmt"
	"net/netip"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Path is a connection between this host and somebody who manages it.
type Path struct {
	// Client is the address at the other end. A link-local one has its link as zone.
	Client netip.Addr
	// Host is the address at this end; the zero address is whichever the host would
	// use.
	Host netip.Addr
}

// String is the path as a person reads it.
func (p Path) String() string {
	if !p.Host.IsValid() {
		return p.Client.String()
	}
	return fmt.Sprintf("%s to %s", p.Client, p.Host)
}

// Cut is a path that a plan interrupts.
type Cut struct {
	Path Path
	// Nic is the link that the path takes before the plan.
	Nic string
	// ForGood says that no way at all leads to the client after the plan.
	ForGood bool
	// Reason is one clause.
	Reason string
}

// Cuts tells which of the paths a plan interrupts, for a moment or for good. A path
// that the host does not have before the plan cannot be cut by it: nothing is said
// of a client that no route leads to, or of an address that is not the host's.
//
// The kernel's choice is followed as far as a snapshot tells it: the longest prefix,
// then the lowest metric, of the main table and then of the others. Policy rules are
// not seen.
func Cuts(before state.Snapshot, p Plan, paths []Path) []Cut {
	if p.Empty() {
		return nil
	}
	var after state.Snapshot
	var projected bool
	var out []Cut
	for _, path := range paths {
		path = Path{path.Client.Unmap(), path.Host.Unmap()}
		way, ok := wayTo(before, path.Client)
		if !ok || path.Host.IsValid() && !hasAddress(before, path.Host) {
			continue
		}
		if !projected {
			after, projected = Project(before, p.Ops()), true
		}
		c := Cut{Path: path, Nic: before.Name(way.link)}
		if c.ForGood, c.Reason = interrupted(before, after, p, path, way); c.Reason != "" {
			out = append(out, c)
		}
	}
	return out
}

// interrupted says why a path does not outlast a plan; empty when it does.
func interrupted(before, after state.Snapshot, p Plan, path Path, was way) (forGood bool, reason string) {
	is, ok := wayTo(after, path.Client)
	name := before.Name(was.link)
	switch {
	case !ok:
		return true, "no route leads to " + path.Client.String() + " any more"
	case path.Host.IsValid() && !hasAddress(after, path.Host):
		return false, path.Host.String() + " is taken off the host"
	case is.link != was.link:
		return false, fmt.Sprintf("the way to %s moves from %s to %s", path.Client, name, after.Name(is.link))
	case is.gateway != was.gateway:
		return false, fmt.Sprintf("the gateway to %s changes from %s to %s", path.Client, hop(was), hop(is))
	}
	for _, f := range p.Forecast {
		if f.Nic == name {
			return false, forecastWords(f)
		}
	}
	if bond := rebuilt(before, after, was.link); bond != "" {
		return false, "all slaves of " + bond + " are replaced"
	}
	for _, op := range p.Ops() {
		if op.Action == AddrDel && path.Host.IsValid() && op.Address.Prefix.Addr() == path.Host {
			return false, path.Host.String() + " is taken off and put back"
		}
	}
	return false, ""
}

func hop(w way) string {
	if !w.gateway.IsValid() {
		return "none"
	}
	return w.gateway.String()
}

func forecastWords(f Forecast) string {
	words := map[string]string{
		LinkDown.String():       "goes down for a moment",
		SlavesReleased.String(): "has no slaves for a moment",
		Recreated.String():      "is deleted and made anew",
	}[f.Disruption]
	if words == "" {
		words = "is " + f.Disruption
	}
	if f.Reason == "" {
		return f.Nic + " " + words
	}
	return f.Nic + " " + words + ": " + f.Reason
}

// rebuilt is the bond at or below a link that keeps none of its slaves.
func rebuilt(before, after state.Snapshot, index int) string {
	for l := before.Link(index); l != nil; l = before.Link(l.Parent) {
		slaves := before.SlavesOf(l.Index)
		if l.Kind != string(netcfg.KindBond) || len(slaves) == 0 {
			continue
		}
		kept := false
		for _, s := range slaves {
			now := after.Link(s)
			kept = kept || now != nil && now.Master == l.Index
		}
		if !kept {
			return l.Name
		}
	}
	return ""
}

func hasAddress(s state.Snapshot, a netip.Addr) bool {
	for _, have := range s.Addresses {
		if have.Prefix.Addr() == a.WithZone("") {
			return true
		}
	}
	return false
}

// way is how a packet leaves the host.
type way struct {
	link    int
	gateway netip.Addr
	// What the kernel prefers by.
	main, connected bool
	bits            int
	metric          uint32
}

func (w way) better(o way) bool {
	switch {
	case w.main != o.main:
		return w.main
	case w.bits != o.bits:
		return w.bits > o.bits
	case w.connected != o.connected:
		return w.connected
	}
	return w.metric < o.metric
}

// wayTo looks up a route as the kernel would. The routes that the kernel makes for
// addresses are taken from these, as a projected snapshot does not have them.
func wayTo(s state.Snapshot, to netip.Addr) (best way, ok bool) {
	if !to.IsValid() || hasAddress(s, to) {
		return way{}, false
	}
	if zone := to.Zone(); zone != "" {
		l := s.ByName(zone)
		if l == nil || !l.AdminUp {
			return way{}, false
		}
		return way{link: l.Index}, true
	}
	consider := func(w way) {
		if l := s.Link(w.link); l != nil && !l.AdminUp {
			return
		}
		if !ok || w.better(best) {
			best, ok = w, true
		}
	}
	for _, a := range s.Addresses {
		if a.Prefix.Contains(to) {
			consider(way{link: a.Link, main: true, connected: true, bits: a.Prefix.Bits(), metric: a.Metric})
		}
	}
	for _, r := range s.Routes {
		if r.Protocol != state.ProtocolKernel && r.Type == unicast && r.Dst.Contains(to) {
			consider(way{link: r.Link, gateway: r.Gateway, main: r.Table == state.MainTable, bits: r.Dst.Bits(), metric: r.Metric})
		}
	}
	return best, ok
}

// unicast is RTN_UNICAST.
const unicast = 1
