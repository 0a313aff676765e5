package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// probing are the probes of one operation.
type probing struct {
	e  *Engine
	t  *tracked
	op *Operation
	// list is what is asked for, named whether the request said so.
	list  []asked
	named bool
	limit time.Duration
	of    change
	// voting are those that passed before the change, or come with it.
	voting []voter
}

// probing begins with nothing chosen yet. What the request says was checked before.
func (e *Engine) probing(t *tracked, op *Operation, next netcfg.Config) *probing {
	p := &probing{e: e, t: t, op: op, limit: e.probeLimit(), of: change{running: e.running, next: next}}
	p.list, p.named, _ = probesOf(t.request)
	if e.Prober == nil {
		p.list = slices.DeleteFunc(slices.Clone(p.list), asked.reachesOut)
	}
	if e.Heard == nil {
		p.list = slices.DeleteFunc(slices.Clone(p.list), func(a asked) bool { return a.kind == lldpProbe })
	}
	if window := t.request.RevertAfter; window > 0 && !p.named {
		p.limit = min(p.limit, window) // nobody has asked for probes, and somebody for this
	}
	return p
}

// choose makes the probes before the change, of which intent and before are the two
// ends. Those that pass will vote. Of those that were asked for by name one that
// fails is a refusal, unless it tests what comes with the change only.
func (p *probing) choose(ctx context.Context, intent plan.Intent, before snapshot) error {
	p.of.before, p.of.owned, p.of.intent = before, p.e.memory.Owned, intent
	all := p.of.voters(p.list)
	if !p.named {
		all = slices.DeleteFunc(all, func(v voter) bool { return v.fresh && v.kind != lldpProbe })
	}
	ctx, cancel := p.within(ctx, min(p.limit, beforeLimit))
	defer cancel()
	outcomes := p.each(all, func(v *voter) Probe { return p.first(ctx, v) })
	if errors.Is(context.Cause(ctx), errStopped) {
		return errStopped
	}
	passed := map[string]bool{}
	for i, v := range all {
		o := outcomes[i]
		if o.State == ProbePassed {
			passed[o.Name] = true
			p.voting = append(p.voting, v)
		} else {
			p.op.Probes = append(p.op.Probes, o)
		}
	}
	return p.refusal(passed)
}

const failingBefore = "was failing before, does not vote: "

// first makes one probe before the change.
func (p *probing) first(ctx context.Context, v *voter) Probe {
	out := Probe{v.name(), ProbePassed, "comes with the change"}
	if v.fresh {
		return out
	}
	said, err := p.test(ctx, *v, p.of.before)
	switch {
	case err == nil:
		out.Detail = said
	case v.kind == tcpProbe && errors.Is(err, syscall.ENETUNREACH):
		v.fresh, out.Detail = true, "no route leads there yet; comes with the change"
	default:
		out.State, out.Detail = ProbeNotVoting, failingBefore+err.Error()
	}
	return out
}

// refusal is that a probe that was asked for cannot tell whether the change breaks
// anything: nothing of what it tests works now.
func (p *probing) refusal(passed map[string]bool) error {
	if !p.named {
		return nil
	}
	for _, a := range p.list {
		works, why := false, "there is nothing of the kind on this host"
		for _, v := range p.of.voters([]asked{a}) {
			works = works || passed[v.name()]
			for _, o := range p.op.Probes {
				if o.Name == v.name() {
					why = strings.TrimPrefix(o.Detail, failingBefore)
				}
			}
		}
		if !works {
			return &Error{Kind: Precondition, Rule: "probe-failing",
				Message: fmt.Sprintf("the probe %s fails before the change already, so that it cannot tell what the change does: %s; nothing was touched, mend it or leave it out", a.word, why)}
		}
	}
	return nil
}

// vote makes the probes after the change, side by side, each again and again until
// it passes or the time is over. The error is a *VetoError.
func (p *probing) vote(ctx context.Context, after snapshot) error {
	if len(p.voting) == 0 {
		return nil
	}
	p.e.arm(p.e.Clock() + p.limit + applyLimit)
	since := time.Now()
	ctx, cancel := p.within(ctx, p.limit)
	defer cancel()
	outcomes := p.each(p.voting, func(v *voter) Probe { return p.insist(ctx, *v, after, since) })
	p.e.arm(p.e.Clock() + applyLimit)
	var veto VetoError
	for _, o := range outcomes {
		if o.State == ProbeFailed {
			veto.Probes = append(veto.Probes, o)
		}
	}
	if len(veto.Probes) > 0 && errors.Is(context.Cause(ctx), errStopped) {
		return fmt.Errorf("the probes were cut short: %w", errStopped)
	}
	p.op.Probes = append(p.op.Probes, outcomes...)
	if len(veto.Probes) > 0 {
		return &veto
	}
	return nil
}

// within is a context for probes, which ends with the engine, too: an operation does
// not, but probes may take minutes.
func (p *probing) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	ctx, cancel := context.WithTimeout(ctx, limit)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-p.e.ending:
			end(errStopped)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-watched; end(nil) }
}

// probeAgain is the pause before a probe that failed is made again.
const probeAgain = 250 * time.Millisecond

// insist makes one probe after the change until it passes, or the time is over.
func (p *probing) insist(ctx context.Context, v voter, now snapshot, since time.Time) Probe {
	out := Probe{Name: v.name(), State: ProbePassed}
	var seen error // what the last try saw that was not cut short
	for {
		var said string
		var err error
		if v.kind == callerProbe {
			p.t.step("probing", "%s: waiting for a call by another client on a new connection", out.Name)
			said, err = p.e.contacts.await(ctx, p.t.request.Client, since)
		} else {
			said, err = p.test(ctx, v, now)
		}
		var abstains *abstention
		switch {
		case err == nil:
			out.Detail = said
			return out
		case errors.As(err, &abstains):
			out.State, out.Detail = ProbeNotVoting, err.Error()
			return out
		}
		if seen == nil && ctx.Err() == nil {
			p.t.step("probing", "%s: not yet: %v", out.Name, err)
		}
		if seen == nil || ctx.Err() == nil {
			seen = err
		}
		select {
		case <-ctx.Done():
			out.State, out.Detail = ProbeFailed, v.verdict(seen, p.limit)
			return out
		case <-time.After(probeAgain):
		}
		if s, err := p.e.Kernel.Snapshot(ctx); err == nil {
			now = s
		}
	}
}

// verdict is the veto in words: how it was, what was to be seen since and was not,
// and why where that is known.
func (v voter) verdict(err error, limit time.Duration) string {
	m := &miss{what: "no answer", why: err.Error()}
	errors.As(err, &m)
	text := fmt.Sprintf("%s, %s within %v s after it", v.was(), m.what, limit.Seconds())
	if m.why != "" {
		text += " (" + m.why + ")"
	}
	return text
}

// connectLimit is for one connection, so that a lost packet does not take all of the
// time.
const connectLimit = 3 * time.Second

// test makes one probe once, on the host as it is now. It returns what it saw, in a
// few words.
func (p *probing) test(ctx context.Context, v voter, now snapshot) (string, error) {
	switch v.kind {
	case lacpProbe:
		return v.partnerNow(p.of, now)
	case lldpProbe:
		return v.expectedNow(p.e.heardOn(v.link))
	case callerProbe:
		return "it has asked for this", nil
	case tcpProbe:
		ctx, cancel := context.WithTimeout(ctx, connectLimit)
		defer cancel()
		if err := p.e.Prober.Connect(ctx, v.target); err != nil {
			return "", &miss{"no connection", err.Error(), err}
		}
		return "connected", nil
	case gatewayProbe, neighbourProbe:
	}
	hops, err := v.hops(p.of, now)
	var said string
	for _, h := range hops {
		if said, err = p.askHop(ctx, v, h); err != nil {
			break
		}
	}
	return said, err
}

func (p *probing) askHop(ctx context.Context, v voter, h hop) (string, error) {
	switch {
	case !h.link.AdminUp:
		return "", v.silent(h, h.link.Name+" is down")
	case !h.link.Carrier:
		return "", v.silent(h, h.link.Name+" has no carrier")
	}
	n, err := p.e.Prober.Neighbour(ctx, h.link.Index, h.address)
	if err != nil {
		return "", v.silent(h, err.Error())
	}
	return v.answered(h, n)
}

// each does something for every voter, side by side, tells what came of it, and waits
// for all.
func (p *probing) each(list []voter, do func(*voter) Probe) []Probe {
	out := make([]Probe, len(list))
	var group sync.WaitGroup
	for i := range list {
		group.Go(func() {
			out[i] = do(&list[i])
			p.t.step("probing", "%s: %s", out[i].Name, out[i].Detail)
		})
	}
	group.Wait()
	return out
}
