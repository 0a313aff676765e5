package engine

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// DriftPolicy is what the agent does about drift.
type DriftPolicy string

// The policies.
const (
	DriftReport DriftPolicy = "report" // it tells, and touches nothing
	DriftHeal   DriftPolicy = "heal"   // it puts it right
)

// Drift is one difference between what is running and the host.
type Drift struct {
	plan.Drift
	// Since is when the field was first seen to differ.
	Since time.Time
}

// observe takes one look at the host: which NICs have come and gone, and how it
// differs from what is running. What waits no more is configured; other differences
// are healed where that is the policy.
func (e *Engine) observe(ctx context.Context) {
	e.eye.begin()
	defer func() { e.acted = e.Kernel.Writes() }()
	if e.window != nil && e.overdue() {
		return // on the way back: what is running is not what is wanted
	}
	began := time.Now()
	s, err := e.Kernel.Snapshot(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.Log.Warn("the host cannot be looked at", "error", err)
			e.eye.failed()
		}
		return
	}
	seen := converge.Compare(e.toRunning(), s)
	e.eye.looked(time.Since(began))
	e.follow(seen.Intent, s)
	arrived := e.arrived(seen.Intent.Waiting)
	if len(arrived) == 0 || e.writable() != nil {
		e.waiting = seen.Intent.Waiting
	} else if e.meet(ctx, arrived, seen.Drift, s) {
		return
	}
	e.notice(seen.Drift)
	if e.DriftPolicy == DriftHeal && e.writable() == nil {
		e.heal(ctx, seen, s)
	}
}

// toRunning is what the host ought to be.
func (e *Engine) toRunning() converge.Target {
	return converge.Target{Config: e.running, Memory: e.memory, Lenient: true, Leases: e.lent}
}

// arrived are the NICs that wait no more, and those whose lease has news.
func (e *Engine) arrived(waiting []plan.Waiting) []string {
	out := slices.Sorted(maps.Keys(e.unsettled))
	for _, w := range e.waiting {
		if !e.unsettled[w.Nic] && !slices.ContainsFunc(waiting, func(now plan.Waiting) bool { return now.Nic == w.Nic }) {
			out = append(out, w.Nic)
		}
	}
	return out
}

// meet brings the host to its configuration because NICs wait no more, or their lease
// has news. Where drift is
// only reported, it stays as it is on everything that they have nothing to do with. It
// is false when that cannot be done yet.
func (e *Engine) meet(ctx context.Context, arrived []string, drift []plan.Drift, s snapshot) bool {
	if left := e.meeting.left(); left > 0 {
		e.eye.again(left)
		return false
	}
	target := e.toRunning()
	target.Begin, target.Leave = e.foresee, e.damping.leave()
	if e.DriftPolicy != DriftHeal {
		concerned := stack(e.running, arrived)
		// The servers of leases go where the agent has written; what somebody else has
		// written there stays.
		concerned[""] = e.resolverUntouched(s) || slices.Contains(arrived, netcfg.DNSPath)
		for _, d := range drift {
			if name, _ := netcfg.NicOf(d.Field); !concerned[name] {
				target.Leave[name] = true
			}
		}
	}
	rep, err := converge.Run(ctx, e.Kernel, target)
	if err != nil {
		e.Log.Warn("what was waiting cannot be configured yet", "error", err)
		e.meeting.failed()
		e.eye.again(e.meeting.pause)
		return false
	}
	e.meeting = backoff{}
	clear(e.unsettled)
	e.remember(rep)
	e.notice(converge.Compare(e.toRunning(), rep.After).Drift)
	if rep.Wrote {
		e.Log.Info("configured what was waiting", "operations", len(rep.Plan.Ops()), "still_waiting", len(e.waiting))
	}
	return true
}

// resolverUntouched is true of a file of DNS servers that nobody else has written to
// since the agent has, or has found it.
func (e *Engine) resolverUntouched(s snapshot) bool {
	return s.Resolver != nil && (s.Resolver.Kept() || e.memory.Resolver != nil && s.Resolver.Same(e.memory.Resolver))
}

// stack are NICs with all that stands on them, under them or beside them.
func stack(c netcfg.Config, names []string) map[string]bool {
	in := map[string]bool{}
	for _, name := range names {
		in[name] = true
	}
	for before := -1; before < len(in); {
		before = len(in)
		for i := range c.HostNics {
			n := &c.HostNics[i]
			group := []string{n.Name}
			if n.BaseInterface != "" {
				group = append(group, n.BaseInterface)
			}
			if n.Bonding != nil {
				group = append(group, n.Bonding.Slaves...)
			}
			if slices.ContainsFunc(group, func(name string) bool { return in[name] }) {
				for _, name := range group {
					in[name] = true
				}
			}
		}
	}
	return in
}

// notice takes over how the host differs, and logs what is new and what has gone.
func (e *Engine) notice(found []plan.Drift) {
	before, fields := map[plan.Drift]bool{}, map[string]bool{}
	for _, d := range e.drift {
		before[d.Drift] = true
	}
	var fresh, gone []plan.Drift
	for _, d := range found {
		fields[d.Field] = true
		if !before[d] {
			fresh = append(fresh, d)
		}
	}
	for _, d := range e.drift {
		if !fields[d.Field] {
			gone = append(gone, d.Drift)
		}
	}
	e.bearWitness(fresh)
	e.drift = since(e.drift, found)
	e.logDrift(slog.LevelWarn, "the host differs from what is running", fresh)
	e.logDrift(slog.LevelInfo, "the host differs no more", gone)
}

// bearWitness tells of the NICs that did not differ before.
func (e *Engine) bearWitness(fresh []plan.Drift) {
	if e.Witness == nil || len(fresh) == 0 {
		return
	}
	told := map[string]bool{}
	for _, d := range e.drift {
		name, _ := netcfg.NicOf(d.Field)
		told[name] = true
	}
	for _, d := range fresh {
		if name, _ := netcfg.NicOf(d.Field); name != "" && !told[name] {
			told[name] = true
			e.Witness.Drifted(name)
		}
	}
}

// A host that is taken apart, or a link that is changed to and fro, does not flood the
// log: so many lines within so long.
const (
	mostDriftLines   = 20
	driftLinesWithin = 2 * time.Second
)

func (e *Engine) logDrift(level slog.Level, what string, drift []plan.Drift) {
	if time.Since(e.linesFrom) >= driftLinesWithin {
		e.linesFrom, e.lines = time.Now(), 0
	}
	for i, d := range drift {
		if e.lines++; e.lines == mostDriftLines+1 {
			e.Log.Log(context.Background(), level, what+", and so in other fields: agentctl status lists them", "more", len(drift)-i)
		}
		if e.lines > mostDriftLines {
			return
		}
		e.Log.Log(context.Background(), level, what, "field", d.Field, "wanted", d.Wanted, "actual", d.Actual)
	}
}

// since dates what a look has found: a field that differed before does so since then.
func since(before []Drift, found []plan.Drift) []Drift {
	dates, now := map[string]time.Time{}, time.Now()
	for _, d := range before {
		dates[d.Field] = d.Since
	}
	var out []Drift
	for _, d := range found {
		at, known := dates[d.Field]
		if !known {
			at = now
		}
		out = append(out, Drift{d, at})
	}
	return out
}
