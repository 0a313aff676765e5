package plan

import (
	"cmp"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// discovering is what the switches are while the kernel is to find routers on a link. A
// host that forwards, as hypervisors do, ignores advertisements otherwise; further
// routes and redirects are nobody's to send; and a flood of prefixes has its bounds.
var discovering = state.Discovery{AcceptRA: 2, AcceptRADefrtr: 1, AcceptRAPinfo: 1, Autoconf: 1, MaxAddresses: 16}

// autoconfigured is true of a NIC that is to have the addresses that routers advertise.
func autoconfigured(n *netcfg.HostNic) bool {
	return n.IPv6Boot() == netcfg.BootAutoconf || n.IPv6Boot() == netcfg.BootPolyDHCPAutoconf
}

// discovers is true of a NIC on which routers are looked for. DHCPv6 tells of none, nor
// of what is on the link.
func discovers(n *netcfg.HostNic) bool { return autoconfigured(n) || OnDHCP6(n) }

// discovery hands the switches over to the agent on links on which routers are looked
// for, and gives them back as they were found on those that are not any more. A slave has no
// IPv6: its turn comes when it is released.
func (r *resolver) discovery() {
	for _, n := range r.nics {
		w := r.want[n.Name]
		if w == nil || w.NoAddresses || r.out.isAway(n.Name) {
			continue
		}
		l := r.Snapshot.Link(w.Index)
		found, owned := r.out.Memory.Discovery[n.Name]
		switch {
		case discovers(n):
			if !owned {
				found = state.UsualDiscovery()
				if l != nil {
					found = l.Discovery
				}
				r.out.Memory.Discovery[n.Name] = found
			}
			wanted, no := discovering, false
			if !autoconfigured(n) {
				wanted.Autoconf = 0
			}
			w.Discovery, w.Discovers, w.NoLinkLocal = &wanted, true, &no
			w.Informed = n.IPv6Boot() == netcfg.BootAutoconf && l != nil && l.RAOther
			r.waitForIPv6(n, w)
		case owned:
			w.Discovery = &found
			if b, known := r.out.Memory.Baseline[n.Name]; known {
				none := b.Link.AddrGenModeNone
				w.NoLinkLocal = &none
			}
		}
	}
}

// waitForIPv6 says what a NIC still lacks that gets its addresses from others. One on
// both protocols does with either: not every network has both.
func (r *resolver) waitForIPv6(n *netcfg.HostNic, w *Link) {
	noRouter := "no router has advertised a prefix yet"
	if d := r.Leases.Duplicates[w.Index]; d.IsValid() {
		noRouter = "another host on the link has its address " + d.String()
	}
	switch without := cmp.Or(r.Leases.Why6[n.Name], "there is no lease of DHCPv6 yet"); {
	case r.learnt(w.Index) && autoconfigured(n):
	case !OnDHCP6(n):
		r.wait(n.Name, noRouter)
	case r.lease6(n) != nil:
	case autoconfigured(n):
		r.wait(n.Name, noRouter+", and "+without)
	default:
		r.wait(n.Name, without)
	}
}

func (r *resolver) learnt(index int) bool {
	for _, a := range r.addrs[index] {
		if a.Learnt() {
			return true
		}
	}
	return false
}

// unlearns is true of a link that is not to have addresses of router advertisements any
// more, and letsGo of one that is not to have anything of them, because that is how it
// was found.
func (l *Link) unlearns() bool { return l.Discovery != nil && !l.Discovery.Learns() }

func (l *Link) letsGo() bool { return l.unlearns() && !l.Discovers }

// discoverySettled is what of the switches is still to be given back one day.
func (i *Intent) discoverySettled(links map[string]*Link, waits map[string]bool) map[string]state.Discovery {
	out := map[string]state.Discovery{}
	for name, found := range i.Memory.Discovery {
		if l := links[name]; l == nil && waits[name] || l != nil && (l.Discovers || l.Discovery == nil) {
			out[name] = found
		}
	}
	return out
}

// switchAddrGenMode has the kernel make a link-local address, or not
// (IN6_ADDR_GEN_MODE_EUI64 is 0, include/uapi/linux/if_link.h).
const switchAddrGenMode = "addr_gen_mode"

// discover sets the switches that differ.
func (b *builder) discover() {
	for i := range b.in.Links {
		w := &b.in.Links[i]
		have := b.now.links[w.Index]
		if w.Discovery == nil || have == nil || have.MTU < minIPv6MTU || b.left[w.Index] {
			continue
		}
		op := Op{Action: DiscoverySet, Index: w.Index, Name: have.Name}
		if w.Discovers && have.AddrGenModeNone {
			// By netlink, a link that is up would get its address when it next comes up.
			op.Options = append(op.Options, Option{switchAddrGenMode, "0"})
		}
		there := have.Discovery.Switches()
		for i, s := range w.Discovery.Switches() {
			if there[i].Value != s.Value {
				op.Options = append(op.Options, Option{s.Name, itoa(int(s.Value))})
			}
		}
		if len(op.Options) > 0 {
			b.do(op)
		}
	}
}

// discovery compares the switches.
func (c *checker) discovery(w *Link, l *state.Link) {
	if w.Discovery == nil || l.MTU < minIPv6MTU { // it has no IPv6, and no switches
		return
	}
	there := l.Discovery.Switches()
	for i, s := range w.Discovery.Switches() {
		c.differ(w.Name, "ipv6."+s.Name, itoa(int(s.Value)), itoa(int(there[i].Value)))
	}
}
