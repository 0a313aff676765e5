package converge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// maxRounds bounds how often a converge looks again. One round does the work and
// the next finds nothing to do; more are needed only where the kernel did
// something by itself, or somebody else changed the host in between.
const maxRounds = 5

// Target is where to converge to.
type Target struct {
	Config netcfg.Config
	Memory plan.Memory
	// Lenient makes missing NICs wait, and takes out what does not fit this host
	// instead of refusing the whole; see plan.Input.
	Lenient bool
	// Leave are links that stay as they are, by their names in the configuration, with
	// what cannot be had without them. How they differ is no drift of the Report.
	Leave map[string]bool
	// Known and Before are those of plan.Input.
	Known  plan.Known
	Before *state.Snapshot
	// Leases tells those of now; nil is none.
	Leases func() plan.Leases
	// Begin is called once, before the first write, with what will be done. An
	// error stops the converge with nothing written. It may be nil.
	Begin func(plan.Intent, plan.Plan, state.Snapshot) error
	// Progress is called before each phase; it may be nil.
	Progress func(plan.Phase)
	// BestEffort goes on behind what the kernel refuses, and leaves out what remains to
	// be done to a link of which something was refused. It is for a way back that fails
	// as a whole.
	BestEffort bool
}

// Report is the outcome of a converge.
type Report struct {
	// Before is the first look, After the last, and Intent what the last was
	// compared with.
	Intent        plan.Intent
	Before, After state.Snapshot
	// Plan is what the first look asked for, and Warnings what it found.
	Plan     plan.Plan
	Warnings netcfg.Problems
	// Wrote says whether anything was sent to the kernel.
	Wrote bool
	// Drift is what is not as wanted; without an error, only what lies outside of
	// the host.
	Drift []plan.Drift
}

// NotReachedError says that the kernel took every operation, and still the host
// is not as wanted.
type NotReachedError struct{ Drift []plan.Drift }

// Error lists the first differences.
func (e *NotReachedError) Error() string {
	var lines []string
	for i, d := range e.Drift {
		if i == 8 {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.Drift)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%s: wanted %q, is %q", d.Field, d.Wanted, d.Actual))
	}
	if len(lines) == 0 {
		return "the host does not settle: every look finds something to do"
	}
	return "the kernel took every operation, but the host is not as wanted: " + strings.Join(lines, "; ")
}

// Run brings the host to the target: look, plan, apply, look again, until a fresh
// look finds nothing to do and Check agrees. It returns nil only then. The error
// is netcfg.Problems when the target does not fit this host (nothing was written
// then, unless the host changed in the middle), a joined *plan.OpError when the
// kernel refused, or *NotReachedError. The report is valid in every case.
func Run(ctx context.Context, k Kernel, t Target) (Report, error) {
	var rep Report
	var part plan.Intent
	var refused error
	memory, others := t.Memory, plan.Others{}
	for round := range maxRounds {
		s, err := k.Snapshot(ctx)
		if err != nil {
			return rep.checked(part), errors.Join(refused, fmt.Errorf("look at the host: %w", err))
		}
		intent, problems := resolve(t, s, memory)
		if len(problems) > 0 {
			rep = rep.checked(part) // by the look before
		}
		rep.Intent, rep.After = intent, s
		if round == 0 {
			rep.Before, rep.Warnings = s, intent.Warnings
		}
		if len(problems) > 0 {
			return rep, errors.Join(refused, problems)
		}
		part = intent.Leaving(t.Leave, s)
		part.Others = others
		p := plan.Build(part, s)
		others = p.Others
		if round == 0 {
			rep.Plan, rep.Warnings = p, slices.Concat(intent.Warnings, p.Warnings)
		}
		if p.Empty() {
			rep = rep.checked(part)
			return rep, settled(rep.Drift, refused)
		}
		if round == 0 && t.Begin != nil {
			if err := t.Begin(intent, p, s); err != nil {
				return rep, err
			}
		}
		memory = intent.Memory
		rep.Wrote = true
		refused = t.apply(ctx, k, p)
		if refused != nil && !worthAnotherLook(refused) {
			return t.left(ctx, k, rep.checked(part)), refused
		}
	}
	rep = rep.checked(part)
	if refused != nil {
		return t.left(ctx, k, rep), refused
	}
	return rep, &NotReachedError{rep.Drift}
}

// checked fills in how the last look differed from what was wanted of it. On the way
// nobody asks, and of 1,000 VLANs that are yet to be made it takes its time.
func (r Report) checked(part plan.Intent) Report {
	r.Drift = plan.Check(part, r.After)
	return r
}

func input(t Target, s state.Snapshot, memory plan.Memory) plan.Input {
	in := plan.Input{Config: t.Config, Snapshot: s, Memory: memory, Lenient: t.Lenient, Known: t.Known, Before: t.Before}
	if t.Leases != nil {
		in.Leases = t.Leases()
	}
	return in
}

// resolve finds an intent that fits the host. A lenient one gives up what does not
// fit and reports it as waiting.
func resolve(t Target, s state.Snapshot, memory plan.Memory) (plan.Intent, netcfg.Problems) {
	var waiting []plan.Waiting
	in := input(t, s, memory)
	for {
		intent, problems := plan.Resolve(in)
		if len(problems) == 0 || !t.Lenient {
			intent.Waiting = append(intent.Waiting, waiting...)
			return intent, problems
		}
		config, more, ok := prune(in.Config, problems)
		if !ok {
			return intent, problems
		}
		in.Config, waiting = config, append(waiting, more...)
		in.Leave = map[string]bool{}
		for _, w := range waiting {
			in.Leave[w.Nic] = true
		}
	}
}

// settled judges a look that finds nothing to do. What lies outside of the host is
// reported, and is no reason to take back what was done on it.
func settled(drift []plan.Drift, refused error) error {
	if !slices.ContainsFunc(drift, func(d plan.Drift) bool { return !d.Outside }) {
		return nil
	}
	if refused != nil {
		return refused
	}
	return &NotReachedError{drift}
}

// worthAnotherLook is true when every refusal says that the host was not as it
// looked: a link that vanished or appeared. A fresh look then decides.
func worthAnotherLook(err error) bool {
	var one *plan.OpError
	if !errors.As(err, &one) {
		return false
	}
	for _, e := range Refusals(err) {
		switch e.Kind {
		case plan.Absent, plan.Present, plan.Busy:
		default:
			return false
		}
	}
	return true
}

// Refusals are the refused operations in an error of Run; none when it is about
// something else.
func Refusals(err error) []*plan.OpError {
	var one *plan.OpError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*plan.OpError
		for _, e := range joined.Unwrap() {
			out = append(out, Refusals(e)...)
		}
		return out
	}
	if errors.As(err, &one) {
		return []*plan.OpError{one}
	}
	return nil
}
