package converge

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// prune takes the NICs that the problems speak of, and what stands on them, out of
// a configuration, so that one NIC that does not fit keeps no other from coming up
// at boot. The slaves of a bond go with it: on their own they would be taken for NICs
// that nobody wants any more, and out of the bond. ok is false when a problem names no
// NIC.
func prune(c netcfg.Config, problems netcfg.Problems) (out netcfg.Config, waiting []plan.Waiting, ok bool) {
	reasons := map[string]string{}
	for _, p := range problems {
		name, found := netcfg.NicOf(p.Path)
		if !found {
			return c, nil, false
		}
		reasons[name] = p.Message
	}
	for again := true; again; {
		again = false
		for i := range c.HostNics {
			again = spread(&c.HostNics[i], reasons) || again
		}
	}
	wait := func(name string) bool {
		reason, bad := reasons[name]
		if bad && !slices.ContainsFunc(waiting, func(w plan.Waiting) bool { return w.Nic == name }) {
			waiting = append(waiting, plan.Waiting{Nic: name, Reason: reason})
		}
		return bad
	}
	out = c.Clone()
	out.HostNics = slices.DeleteFunc(out.HostNics, func(n netcfg.HostNic) bool { return wait(n.Name) })
	for i := range c.HostNics {
		if b := c.HostNics[i].Bonding; b != nil {
			for _, s := range b.Slaves {
				wait(s)
			}
		}
	}
	return out, waiting, len(out.HostNics) < len(c.HostNics)
}

// spread adds what cannot be configured because of n, or n itself because of what it
// stands on. It is false when there is nothing new.
func spread(n *netcfg.HostNic, reasons map[string]string) bool {
	before := len(reasons)
	add := func(name, because, of string) {
		if reason, bad := reasons[of]; bad && reasons[name] == "" {
			reasons[name] = "its " + because + " " + of + " cannot be configured: " + reason
		}
	}
	if n.BaseInterface != "" {
		add(n.Name, "base interface", n.BaseInterface)
	}
	if n.Bonding == nil {
		return len(reasons) > before
	}
	for _, s := range n.Bonding.Slaves {
		add(n.Name, "slave", s)
	}
	for _, s := range n.Bonding.Slaves {
		add(s, "bond", n.Name)
	}
	return len(reasons) > before
}
