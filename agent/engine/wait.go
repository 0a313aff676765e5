package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// The bounds of Request.Wait. Other changes wait for as long.
const (
	MinWait = time.Second
	MaxWait = 10 * time.Minute
)

// ValidWait refuses a wait out of bounds.
func ValidWait(length time.Duration) error {
	if length < MinWait || length > MaxWait {
		return &Error{Kind: Misused, Rule: "wait-length", Message: fmt.Sprintf("a change can be waited for from %s to %s, not %s", MinWait, MaxWait, length)}
	}
	return nil
}

// waitPace is how often it is looked whether everything is ready where the kernel has
// no news. The end of a check for duplicates makes none on some kernels.
const waitPace = 250 * time.Millisecond

// await waits until nothing is waited for any more, where the request asks for that.
// A NIC that comes meanwhile is configured. What is not ready in time is an error,
// and the change is taken back.
func (e *Engine) await(ctx context.Context, t *tracked, target converge.Target, rep *converge.Report, journal *journalRecord) error {
	if t.request.Wait == 0 {
		return nil
	}
	target.Begin = func(intent plan.Intent, _ plan.Plan, before snapshot) error {
		journal.Memory = e.memory.Union(intent.Memory)
		if !rep.Wrote {
			journal.Before = e.foreign(before)
		}
		return e.begin(*journal)
	}
	until, told := e.Clock()+t.request.Wait, ""
	for {
		e.lives(applyLimit)
		e.follow(rep.Intent, rep.After)
		if twice := plan.Duplicates(rep.Intent, rep.After); len(twice) > 0 {
			return &Error{Kind: Precondition, Rule: "duplicate-address", Message: strings.Join(twice, "; ") + ": give either host another address"}
		}
		missing := lacking(plan.Unready(rep.Intent, rep.After))
		if missing == "" {
			return nil
		}
		if e.Clock() >= until {
			return &Error{Kind: Precondition, Rule: "not-ready", Message: fmt.Sprintf("not ready within %s: %s", t.request.Wait, missing)}
		}
		if missing != told {
			told = missing
			t.step("waiting", "%s", missing)
		}
		if rep.Wrote {
			e.arm(e.Clock() + applyLimit)
		}
		select {
		case <-e.ending:
			return errStopped
		case <-e.Nudges:
		case <-e.leaseNews():
			e.heed()
		case d := <-e.Duplicates:
			e.duplicate(d)
		case <-time.After(waitPace):
		}
		target.Memory = rep.Intent.Memory // how links were found, before any of this
		next, err := converge.Run(ctx, e.Kernel, target)
		next.Wrote, next.Plan = next.Wrote || rep.Wrote, rep.Plan
		*rep = next
		if err != nil {
			return err
		}
	}
}

func lacking(list []plan.Waiting) string {
	var out []string
	for _, w := range list {
		out = append(out, w.Nic+": "+w.Reason)
	}
	return strings.Join(out, "; ")
}
