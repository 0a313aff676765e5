//go:build kernel

package crash

import (
	stdcmp "cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// change is something that is done to a host, and cut off anywhere in between.
type change struct {
	name string
	// begin brings the host to where the change begins, wherever it was, and gives
	// what to ask for.
	begin func(v *victim) asking
	// kept tells from the points that were passed whether the change is kept; until
	// then it is taken back. A kind of file that was put in place decides.
	kept func(points []string) bool
	// untold is a change that nobody has asked for, by an id.
	untold bool
	// faults come along with the kill, ends is how the change ends without it, done if
	// empty. Points before first are those of another change.
	faults []string
	ends   string
	first  int
	// steps makes every step with a file a point.
	steps bool
}

// committing goes from one committed document to another.
func committing(name, from, to string) change {
	return change{name: name, kept: placed("revision", 1), begin: func(v *victim) asking {
		v.committed(from)
		v.replace(to)
		return commit
	}}
}

// representative are commits of every kind.
var representative = []change{
	committing("create", plain, bonded),
	committing("rebuild", bonded, rebuilt),
	committing("remove", bonded, plain),
	committing("move a slave", twoBonds, slaveMoved),
	committing("change the mode", xor, lacp),
	committing("change MTUs", smallLarge, largeSmall),
	committing("change addresses", addressed, readdressed),
}

// applying goes there without storing it.
func applying(name, from, to string) change {
	return change{name: name, kept: placed("running", 1), begin: func(v *victim) asking {
		v.committed(from)
		v.replace(to)
		return apply(0)
	}}
}

// committed makes a document the committed one, whatever waits or runs.
func (v *victim) committed(doc string) {
	v.T.Helper()
	if v.status().GetPending() != nil {
		v.must(rollback(0))
	}
	v.discard()
	v.replace(doc)
	v.must(commit)
}

// opening applies with a window, which is open from the second journal on.
func opening(name, from, to string) change {
	return change{name: name, kept: placed("journal", 2), begin: func(v *victim) asking {
		v.committed(from)
		v.replace(to)
		return apply(time.Hour)
	}}
}

// waiting has a change that waits to be confirmed, and then asks for more.
func waiting(name, from, to string, window time.Duration, ask asking, kept func([]string) bool) change {
	return change{name: name, kept: kept, begin: func(v *victim) asking {
		v.committed(from)
		v.replace(to)
		v.must(apply(window))
		return ask
	}}
}

// placed is true once so many files of that kind were put in place.
func placed(kind string, times int) func([]string) bool {
	return func(points []string) bool {
		n := 0
		for _, p := range points {
			file, ok := strings.CutPrefix(p, "rename ")
			if ok && (strings.HasPrefix(file, kind+".") || kind == "revision" && !strings.Contains(file, ".")) {
				n++
			}
		}
		return n >= times
	}
}

func always([]string) bool { return true }
func never([]string) bool  { return false }

// lapse waits for the deadline to have its way.
func lapse(ctx context.Context, c hostnicv1.NetConfigServiceClient, _ string) (*hostnicv1.Operation, error) {
	for {
		s, err := c.GetStatus(ctx, &hostnicv1.GetStatusRequest{})
		if err != nil || s.GetPending() == nil && s.GetOperation().GetDone() {
			return s.GetOperation(), err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestKilledAnywhere kills the real daemon at every file that it puts in place, and
// after every single request to the kernel, in the middle of every kind of change.
// After a restart the host is exactly as it was before, or exactly as asked for, by
// the rule of recovery: faults A2, A3, A4, A5, A6 and A7.
func TestKilledAnywhere(t *testing.T) {
	kills := 0
	for _, c := range append(slices.Clone(representative),
		applying("apply", bonded, plain),
		opening("apply with a window", slaveMoved, twoBonds),
		waiting("confirm", little, littleMore, time.Hour, commit, placed("revision", 1)),
		waiting("take back", xor, lacp, time.Hour, rollback(0), placed("journal", 1)),
		unasked(waiting("deadline", little, littleMore, time.Second, lapse, always)),
		rollingBack("roll back to a revision", smallLarge, largeSmall),
		undoing("undo", xor, lacp, 5),
	) {
		t.Run(c.name, func(t *testing.T) {
			v := newVictim(t)
			v.killEverywhere(c)
			kills += v.kills
			t.Logf("%d kills", v.kills)
		})
	}
	t.Logf("%d kills", kills)
}

func unasked(c change) change   { c.untold = true; return c }
func everyStep(c change) change { c.steps = true; return c }

// rollingBack goes from a committed document to the revision before it.
func rollingBack(name, to, from string) change {
	return change{name: name, kept: placed("running", 1), begin: func(v *victim) asking {
		v.committed(to)
		v.committed(from)
		return rollback(v.status().GetCommittedRevision() - 1)
	}}
}

// undoing is a commit of which the kernel refuses an operation, cut off on the way
// back.
func undoing(name, from, to string, operation int) change {
	c := committing(name, from, to)
	c.faults, c.ends, c.kept = []string{fmt.Sprintf("refuse %d %d 22", operation, operation)}, "rolled-back", never
	c.first = 2 + operation // after the journal and the operations before
	return c
}

func (v *victim) killEverywhere(c change) {
	before, after, points := v.unharmed(c)
	if after.revision > before.revision+1 || len(points) < 4 {
		v.T.Fatalf("this is no change: from %+v to %+v by\n%s", before, after, strings.Join(points, "\n"))
	}
	step := after.revision - before.revision
	for at, tries := max(1, c.first), 0; at <= len(points); {
		ask := c.begin(v)
		before.revision = v.status().GetCommittedRevision()
		after.revision = before.revision + step
		v.plan(append(c.faults, c.killAt(at))...)
		if op := v.survives(ask); op != nil {
			// A deadline may have passed before anybody looked; and an option that lingers
			// in a bond need not be set a second time.
			if tries++; tries > 3 && at < len(points) {
				v.T.Fatalf("point %d is never reached: %v\n%s", at, op, strings.Join(v.reached(), "\n"))
			}
			v.plan()
			if tries > 3 {
				return
			}
			continue
		}
		passed, cut := v.reached(), v.look()
		v.buried()
		v.live()
		want, kept := before, c.kept(passed)
		if kept {
			want = after
		}
		what := fmt.Sprintf("killed at point %d, %s", at, passed[len(passed)-1])
		v.stands(what, want, cut)
		v.settled(what)
		if !c.untold {
			v.tells(what, ask, kept)
		}
		at, tries = at+1, 0
	}
}

func (c change) killAt(at int) string {
	if c.steps {
		return fmt.Sprint("kill ", at, " steps")
	}
	return fmt.Sprint("kill ", at)
}

// unharmed has the change done without any kill, and gives where it begins, where it
// leads, and what it passes.
func (v *victim) unharmed(c change) (before, after standing, points []string) {
	v.T.Helper()
	ask := c.begin(v)
	before = v.standing()
	v.plan(append(c.faults, c.killAt(0))...)
	ctx, cancel := v.context()
	defer cancel()
	op, err := ask(ctx, v.api, v.newID())
	if want := stdcmp.Or(c.ends, "done"); err != nil || op.GetState() != want {
		v.T.Fatalf("%v, %s: %s", err, op.GetState(), op.GetError())
	}
	points = v.reached()
	v.plan()
	after = v.standing()
	v.settled("undisturbed")
	return before, after, points
}

// stands wants the host to stand there.
func (v *victim) stands(what string, want standing, cut string) {
	v.T.Helper()
	if diff := cmp.Diff(want, v.standing(), cmp.AllowUnexported(standing{})); diff != "" {
		v.T.Fatalf("%s: it is not where it ought to be (-want +is):\n%s\ncut off it was:\n%s", what, diff, cut)
	}
}
