package plan

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Plan is what is to be done, in order. The operations of one phase may be sent
// together; a phase begins when the one before it has been acknowledged.
type Plan struct {
	Phases   []Phase
	Forecast []Forecast
	// Warnings tell what of others is lost for good.
	Warnings netcfg.Problems
	// Others is what the plan keeps, for the Intent of the next look.
	Others Others
}

// Phase is a step of a plan with a name for progress.
type Phase struct {
	Name string
	Ops  []Op
}

// Forecast is what a plan does to the traffic of one link.
type Forecast struct {
	Nic string
	// Disruption is its word, or "removed".
	Disruption string
	Reason     string
}

// Ops are all operations in order.
func (p Plan) Ops() []Op {
	out := make([]Op, 0, p.Len())
	for _, ph := range p.Phases {
		out = append(out, ph.Ops...)
	}
	return out
}

// Len is the number of operations.
func (p Plan) Len() int {
	n := 0
	for _, ph := range p.Phases {
		n += len(ph.Ops)
	}
	return n
}

// Empty is true of a plan that does nothing.
func (p Plan) Empty() bool { return len(p.Phases) == 0 }

// Build works out the operations that lead from a snapshot to an intent. Each
// phase compares what is wanted with what the phases before it leave, so that
// whatever an earlier operation costs by the way (addresses of a bounced link,
// secondaries of a removed address) is put back by a later one. What somebody
// else owns on links that stay is kept or put back as it was.
func Build(in Intent, s state.Snapshot) Plan {
	b := &builder{in: in, before: s, now: newModel(s), touched: map[int]bounce{}, left: map[int]bool{}}
	for i := range in.Links {
		l := &in.Links[i]
		if in.Left[l.Name] {
			b.left[l.Index] = true
		}
		if l.New {
			b.fresh++
		}
	}
	b.keep()
	for _, phase := range []struct {
		name string
		run  func()
	}{
		{"remove routes", b.routesOut},
		{"remove addresses", b.addressesOut},
		{"remove links", b.linksOut},
		{"release slaves", b.release},
		{"lower MTU", b.lowerMTU},
		{"NICs and bonds", b.bonds},
		{"enslave", b.enslave},
		{"NICs and bonds up", b.basesUp},
		{"VLANs", b.vlans},
		{"VLANs up", b.vlansUp},
		{"router discovery", b.discover},
		{"addresses", b.addressesIn},
		{"routes", b.routesIn},
		{"remove old addresses", b.oldAddressesOut},
		{"links down", b.downs},
		{"DNS", b.dns},
	} {
		b.ops = nil
		phase.run()
		if len(b.ops) > 0 {
			b.plan.Phases = append(b.plan.Phases, Phase{phase.name, b.ops})
		}
	}
	b.forecast()
	return b.plan
}

type builder struct {
	in     Intent
	before state.Snapshot
	now    *model
	ops    []Op
	plan   Plan

	keptAddrs  []state.Address
	keptRoutes []state.Route
	// fresh is how many links are made.
	fresh int
	// touched are links whose traffic is interrupted, by index.
	touched map[int]bounce
	// left are links of the intent that stay as they are, by index.
	left map[int]bool
}

type bounce struct {
	class  Disruption
	reason string
}

// room is made for operations, so many on each link that is made.
func (b *builder) room(each int) { b.ops = slices.Grow(b.ops, each*b.fresh) }

// do adds an operation and lets it take effect on what later phases see.
func (b *builder) do(op Op) {
	b.ops = append(b.ops, op)
	b.now.do(&b.ops[len(b.ops)-1])
}

// disrupt notes that a link that was there loses traffic, and with it the VLANs
// above.
func (b *builder) disrupt(index int, class Disruption, reason string) {
	if have, ok := b.touched[index]; !ok || have.class < class {
		b.touched[index] = bounce{class, reason}
	}
	for _, c := range b.now.childrenOf(index) {
		b.disrupt(c, LinkDown, "its base interface "+b.now.links[index].Name+" goes down for a moment")
	}
}

func (b *builder) name(index int) string {
	if l := b.now.links[index]; l != nil {
		return l.Name
	}
	return ""
}

// downs lets go of links that were found down, and of somebody's VLANs that were down
// and have come up with their base interface. It is last, so that nothing that needs
// them up comes after it.
func (b *builder) downs() {
	wanted := make(map[int]bool, len(b.in.Links))
	for i := range b.in.Links {
		l := &b.in.Links[i]
		wanted[l.Index] = true
		if have := b.now.links[l.Index]; have != nil && !l.Up && have.AdminUp && !l.NoAddresses {
			b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Up: no(), Why: "was down when it was found"})
		}
	}
	for _, was := range b.before.Links {
		now := b.now.links[was.Index]
		if was.Kind == "vlan" && !was.AdminUp && !wanted[was.Index] && now != nil && now.AdminUp {
			b.do(Op{Action: LinkSet, Index: was.Index, Name: was.Name, Up: no(), Why: "was down before its base interface came up"})
		}
	}
}

// forecast tells which links that carry something are interrupted. A link that
// was down or is new has nothing to lose.
func (b *builder) forecast() {
	recreated := map[string]bool{}
	for i := range b.in.Links {
		if w := &b.in.Links[i]; w.New && w.Replaces != 0 {
			recreated[w.Name] = true
		}
	}
	for _, l := range b.before.Links {
		after, hit := b.now.links[l.Index], b.touched[l.Index]
		switch {
		case after == nil && recreated[l.Name]:
			b.plan.Forecast = append(b.plan.Forecast, Forecast{l.Name, Recreated.String(), "its kind, its base interface or its id changes"})
		case after == nil:
			b.plan.Forecast = append(b.plan.Forecast, Forecast{l.Name, "removed", ""})
		case hit.class != Live && l.AdminUp:
			b.plan.Forecast = append(b.plan.Forecast, Forecast{l.Name, hit.class.String(), hit.reason})
		}
	}
}

func yes() *bool { v := true; return &v }
func no() *bool  { v := false; return &v }

func isVLAN(l Link) bool { return l.Kind == netcfg.KindVLAN }
