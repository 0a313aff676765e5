package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// heal puts right how the host differs, but for links that somebody fights over. What
// the kernel refuses on one link keeps no other from being healed, and is tried again.
func (e *Engine) heal(ctx context.Context, seen converge.Comparison, s state.Snapshot) {
	if left := e.healing.left(); left > 0 {
		e.eye.again(left)
		return
	}
	now := e.Clock()
	for _, alarm := range e.damping.fights(now, seen.Mendable(e.damping.leave(), s)) {
		e.Log.Error(alarm)
		e.healing = backoff{}
	}
	leave, failed := e.damping.leave(), false
	for mend := seen.Mendable(leave, s); len(mend) > 0; mend = seen.Mendable(leave, s) {
		rep, drift, err := e.correct(ctx, mend, leave)
		refused := refusals(rep.Intent, err)
		e.damping.corrected(now, counted(refused, drift, err))
		if failed = failed || err != nil; err != nil {
			e.Log.Warn("drift cannot be put right yet", "error", err)
		}
		before := len(leave)
		for link := range refused {
			leave[link] = true
		}
		if len(leave) == before {
			break
		}
	}
	if !failed {
		e.healing = backoff{}
		return
	}
	e.healing.failed()
	e.eye.again(e.healing.pause)
}

// counted are the links to which a correction counts: those that were refused, for
// others may not have had their turn, or else all that differed. There was none when it
// ended with something that is no link's fault.
func counted(refused map[string]string, drift []plan.Drift, err error) map[string]string {
	out := map[string]string{}
	var missed *converge.NotReachedError
	if len(refused) > 0 || err != nil && !errors.As(err, &missed) {
		return refused
	}
	for _, d := range drift {
		link, _ := netcfg.NicOf(d.Field)
		out[link] = ""
	}
	return out
}

// refusals are the links of which the kernel has refused something, with its words.
func refusals(intent plan.Intent, err error) map[string]string {
	out := map[string]string{}
	for _, refused := range converge.Refusals(err) {
		name := refused.Op.Name
		for _, l := range intent.Links {
			if l.Index == refused.Op.Index {
				name = l.Name
			}
		}
		out[name] = refused.Error()
	}
	return out
}

// correct brings the host to what is running, but for some links, as an operation that
// anybody can see. There is none when nothing needed to be written. It returns the drift
// that it has found: what was seen, and what has come since.
func (e *Engine) correct(ctx context.Context, drift []plan.Drift, leave map[string]bool) (converge.Report, []plan.Drift, error) {
	var t *tracked
	writes := e.Kernel.Writes()
	target := e.toRunning()
	target.Leave = leave
	target.Begin = func(intent plan.Intent, p plan.Plan, s state.Snapshot) (err error) {
		e.ops.thin(Heal, keepHeals)
		if t, _, err = e.ops.begin(Request{Kind: Heal, Author: "drift policy"}); err != nil {
			return err
		}
		t.step("planning", "%s", amount(len(p.Ops()), "operation"))
		drift = converge.Comparison{Intent: intent}.Mendable(leave, s)
		return e.foresee(intent, p, s)
	}
	target.Progress = func(ph plan.Phase) { t.step("healing", "%s: %s", ph.Name, describe(ph)) }
	rep, err := converge.Run(ctx, e.Kernel, target)
	if err == nil {
		e.remember(rep)
		e.notice(converge.Compare(e.toRunning(), rep.After).Drift)
	}
	if t == nil {
		return rep, drift, err
	}
	op := t.op
	op.State, op.Err, op.Healed, op.Writes = Done, err, drift, e.Kernel.Writes()-writes
	op.Waiting, op.Warnings, op.Disrupted = rep.Intent.Waiting, rep.Warnings, rep.Plan.Forecast
	if err != nil {
		op.State, op.Remaining = Incomplete, rep.Drift
	}
	e.end(t, op)
	return rep, drift, err
}

// keepHeals is how many operations that nobody has asked for are remembered, so that
// they do not crowd out the others.
const keepHeals = 20

// thin forgets the oldest operations of a kind, so that there is room for one more.
func (o *operations) thin(kind Kind, most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, t := range o.list {
		if t.request.Kind == kind {
			n++
		}
	}
	o.list = slices.DeleteFunc(o.list, func(t *tracked) bool {
		if t.request.Kind != kind || n < most {
			return false
		}
		n--
		return true
	})
}

// forgive takes the links up again that were left alone: somebody has asked for the
// configuration anew.
func (e *Engine) forgive(op Operation) {
	if op.State != Done {
		return
	}
	e.damping, e.healing, e.meeting = damping{}, backoff{}, backoff{}
	e.eye.news()
}
