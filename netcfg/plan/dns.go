package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// mostServers is how many of them the C library asks (MAXNS of resolv.h).
const mostServers = 3

// dns takes the resolver's file over where the configuration says what is to be in it,
// and gives it back as it was found when it does not any more. What somebody else has
// written there since is his.
func (r *resolver) dns() {
	now := r.Snapshot.Resolver
	if now == nil {
		return
	}
	found := r.Memory.Resolver
	switch wanted := r.Config.DNS; {
	case wanted != nil && now.Keeper != "":
		r.unresolved("dns-kept-elsewhere", now.Keeper)
	case wanted != nil:
		if found == nil {
			found = r.foundNow()
		}
		want := r.resolverOf(wanted, found)
		if len(want.Content) > state.MostResolver { // which would not be read again
			r.unresolved("dns-too-large", fmt.Sprintf("would have %d bytes, and %d are the most: have fewer servers and search domains, or take options out of it", len(want.Content), state.MostResolver))
			return
		}
		r.out.Memory.Resolver = found
		r.out.Resolver, r.out.ownsResolver = want, true
	case found != nil && now.Kept() && now.Keeper != "": // not to be had just now
		r.wait(netcfg.DNSPath, now.Path+" is to be as it was found, and "+now.Keeper)
		r.out.ownsResolver = true
	case now.Kept() && now.Keeper == "":
		r.out.Resolver = r.givenBack(found)
	}
}

// unresolved is dns that cannot be had: it waits where it has been in place.
func (r *resolver) unresolved(rule, reason string) {
	if r.Lenient || r.Known.resolves() {
		r.wait(netcfg.DNSPath, r.Snapshot.Resolver.Path+" "+reason)
		r.out.ownsResolver = r.Memory.Resolver != nil
		return
	}
	r.refuse(netcfg.Precondition, netcfg.DNSPath, rule, "", "%s %s", r.Snapshot.Resolver.Path, reason)
}

// givenBack is what the file is to be when it is the agent's no more: on a way back what
// it was before the operation, if the agent could see that and had not written it, else
// as it was found.
func (r *resolver) givenBack(found *state.Resolver) *state.Resolver {
	if r.Before != nil && r.Before.Resolver != nil && !r.Before.Resolver.Kept() && r.Before.Resolver.Keeper == "" {
		return r.Before.Resolver
	}
	return found
}

// foundNow is the file that is taken over. One that the agent has written, which
// remembers no more what was there before, has told of nothing.
func (r *resolver) foundNow() *state.Resolver {
	found := *r.Snapshot.Resolver
	if found.Kept() {
		found.Content = ""
	}
	return &found
}

// resolverOf is the file with what is configured and what leases tell. With no server at
// all it is as it was found: nobody is better off without one.
func (r *resolver) resolverOf(d *netcfg.DNS, found *state.Resolver) *state.Resolver {
	servers, search := slices.Clone(d.Servers), slices.Clone(d.Search)
	for _, n := range r.nics {
		if !d.TakesLeases() || r.want[n.Name] == nil {
			continue
		}
		if l := r.lease(n); l != nil {
			servers = merge(servers, texts(l.DNS))
			search = merge(search, l.Domains())
		}
		if l := r.told6(n); l != nil {
			servers = merge(servers, texts(l.DNS))
			search = merge(search, l.Search)
		}
	}
	if len(servers) == 0 {
		return found
	}
	if len(servers) > mostServers {
		r.warn("dns.servers", "dns-many", "there are %d DNS servers, of which most programs ask the first %d: %s",
			len(servers), mostServers, strings.Join(servers[:mostServers], ", "))
	}
	var b strings.Builder
	b.WriteString(state.ResolverHead)
	if len(search) > 0 {
		b.WriteString("search " + strings.Join(search, " ") + "\n")
	}
	for _, s := range servers {
		b.WriteString("nameserver " + s + "\n")
	}
	for line := range strings.Lines(found.Content) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "options" || f[0] == "sortlist") {
			b.WriteString(strings.Join(f, " ") + "\n")
		}
	}
	return &state.Resolver{Path: r.Snapshot.Resolver.Path, Content: b.String()}
}

// told6 is what DHCPv6 has told of a NIC, with addresses or without.
func (r *resolver) told6(n *netcfg.HostNic) *netcfg.Lease6 {
	if l := r.lease6(n); l != nil {
		return l
	}
	if n.IPv6Boot() == netcfg.BootAutoconf {
		return r.Leases.Informed[n.Name]
	}
	return nil
}

func texts(list []netip.Addr) []string {
	out := make([]string, 0, len(list))
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

// resolverSettled is what is remembered of the file that was found.
func (i *Intent) resolverSettled() *state.Resolver {
	if !i.ownsResolver {
		return nil
	}
	return i.Memory.Resolver
}

// dns writes the file where it differs.
func (b *builder) dns() {
	if want, now := b.in.Resolver, b.now.resolver; want != nil && now != nil && !want.Same(now) {
		b.do(Op{Action: ResolverSet, Resolver: &state.Resolver{Path: now.Path, Content: want.Content, Absent: want.Absent}})
	}
}

// dns compares the file.
func (c *checker) dns(in Intent) {
	want, now := in.Resolver, c.snapshot.Resolver
	if want == nil || now == nil || want.Same(now) {
		return
	}
	d := Drift{Field: netcfg.DNSPath, Wanted: want.String(), Actual: now.String()}
	if d.Wanted == d.Actual {
		d.Actual += ", in other words"
	}
	c.drift = append(c.drift, d)
}
