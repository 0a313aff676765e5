package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// heardOn are the neighbours of a link.
func (e *Engine) heardOn(link string) []netcfg.Neighbour {
	if e.Heard == nil {
		return nil
	}
	return e.Heard(link)
}

// lldpVoters are the NICs of which the configuration says who ought to be at the other
// end. One that it has not said the same of before comes with the change.
func (c change) lldpVoters(a asked) []voter {
	var out []voter
	for i := range c.next.HostNics {
		n := &c.next.HostNics[i]
		if n.ExpectedNeighbour == nil || a.required && !n.ExpectedNeighbour.IsRequired() {
			continue
		}
		l := slices.IndexFunc(c.intent.Links, func(l plan.Link) bool { return l.Name == n.Name })
		if l < 0 {
			continue // it waits
		}
		was := c.running.Nic(n.Name)
		fresh := was == nil || was.ExpectedNeighbour == nil || was.ExpectedNeighbour.String() != n.ExpectedNeighbour.String()
		out = append(out, voter{asked: a, nic: n.Name, link: c.intent.Links[l].KernelName, expected: n.ExpectedNeighbour, fresh: fresh})
	}
	return out
}

// expectedNow judges who is heard now.
func (v voter) expectedNow(heard []netcfg.Neighbour) (string, error) {
	switch {
	case v.expected.Among(heard):
		return v.expected.String(), nil
	case len(heard) == 0:
		return "", &miss{what: "nobody heard by LLDP", why: v.expected.String() + " is expected"}
	}
	return "", &miss{what: "another LLDP neighbour", why: v.expected.Others(heard) + ", and " + v.expected.String() + " is expected"}
}

// expect makes the probes of what an operation expects anew that has nothing to write to
// the kernel. The error is a refusal.
func (p *probing) expect(ctx context.Context, intent plan.Intent, now snapshot) error {
	p.of.before, p.of.intent = now, intent
	asks := slices.DeleteFunc(slices.Clone(p.list), func(a asked) bool { return a.kind != lldpProbe })
	all := slices.DeleteFunc(p.of.voters(asks), func(v voter) bool { return !v.fresh })
	if len(all) == 0 {
		return nil
	}
	p.voting = all
	p.e.lives(p.limit + applyLimit)
	since := time.Now()
	ctx, cancel := p.within(ctx, p.limit)
	defer cancel()
	var veto VetoError
	for _, o := range p.each(p.voting, func(v *voter) Probe { return p.insist(ctx, *v, now, since) }) {
		p.op.Probes = append(p.op.Probes, o)
		if o.State == ProbeFailed {
			veto.Probes = append(veto.Probes, o)
		}
	}
	if len(veto.Probes) == 0 {
		return nil
	}
	return &Error{Kind: Precondition, Rule: "neighbour-unexpected",
		Message: veto.Error() + "; nothing was touched: see to the cable (agentctl lldp), or to expected_neighbour"}
}

// strangers are the NICs at whose other end somebody else than the expected one, or
// nobody, is heard, and that is no reason to take the change back.
func (p *probing) strangers() (warnings netcfg.Problems) {
	if p.e.Heard == nil {
		return nil
	}
	for _, v := range p.of.lldpVoters(asked{kind: lldpProbe}) {
		if heard := p.e.heardOn(v.link); !v.expected.Among(heard) {
			warnings = append(warnings, netcfg.Problem{Path: netcfg.NicPath(v.nic, "expected_neighbour"), Rule: "neighbour-unexpected", Found: v.expected.Others(heard), Allowed: v.expected.String(),
				Message: fmt.Sprintf("the expected neighbour of %s is not at the other end of its cable, or has not been heard there yet: agentctl lldp %s", v.nic, v.nic)})
		}
	}
	return warnings
}
