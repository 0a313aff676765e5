//go:build kernel

package crash

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// TestFault_B12 has the kernel refuse any one operation of the representative changes,
// below the encoder of the real daemon. What is refused for good is taken back, in the
// kernel's words, and the host is as it was; what is refused for the moment is tried
// again, and the change arrives.
func TestFault_B12(t *testing.T) {
	refusals := 0
	for _, c := range append(slices.Clone(representative), committing("change MTUs back", largeSmall, smallLarge)) {
		t.Run(c.name, func(t *testing.T) {
			v := newVictim(t)
			before, after, points := v.unharmed(c)
			for k := range operations(points) {
				v.refused(c, before, k+1)
				v.retried(c, after, k+1)
				refusals += 2
			}
		})
	}
	t.Logf("%d refusals", refusals)
}

// operations are those points that are the kernel's.
func operations(points []string) (out []string) {
	for _, p := range points {
		if op, ok := strings.CutPrefix(p, "kernel "); ok {
			out = append(out, op)
		}
	}
	return out
}

// refused has the kernel refuse the operation of that number for good.
func (v *victim) refused(c change, want standing, number int) {
	v.T.Helper()
	errno := []unix.Errno{unix.EINVAL, unix.EPERM, unix.EOPNOTSUPP, unix.ERANGE}[number%4]
	c.begin(v)
	want.revision = v.status().GetCommittedRevision()
	v.plan(fmt.Sprintf("refuse %d %d %d", number, number, errno))
	var ok bool
	var said string
	if number%8 == 1 { // as an operator sees it
		out, code := v.Try("commit", "--no-rehearse", "--probe", "none")
		ok, said = code == 4, fmt.Sprintf("exit code %d\n%s", code, out)
	} else {
		answer := v.answer(commit)
		ok, said = answer.GetState() == "rolled-back", answer.GetState()+": "+answer.GetError()
	}
	op := operations(v.reached())[number-1]
	what := fmt.Sprintf("operation %d, %s, refused with %v", number, op, errno)
	if !ok || !strings.Contains(said, errno.Error()) || !strings.Contains(said, op) {
		v.T.Errorf("%s: %s", what, said)
	}
	v.plan()
	v.stands(what, want, "")
	v.settled(what)
}

// retried has the kernel refuse it once, in a way that is worth another try.
func (v *victim) retried(c change, want standing, number int) {
	v.T.Helper()
	errno := []unix.Errno{unix.EBUSY, unix.ENOBUFS, unix.EINTR, unix.EAGAIN}[number%4]
	c.begin(v)
	want.revision = v.status().GetCommittedRevision() + 1
	v.plan(fmt.Sprintf("refuse %d %d %d", number, number, errno))
	answer := v.answer(commit)
	what := fmt.Sprintf("operation %d refused once with %v", number, errno)
	if answer.GetState() != "done" {
		v.T.Errorf("%s: %s, %s", what, answer.GetState(), answer.GetError())
	}
	v.plan()
	v.stands(what, want, "")
	v.settled(what)
}

// TestFault_D21 has the kernel refuse one operation on the way and another on the way
// back, and then every one from some operation on. What cannot be taken back is
// told, and is taken back as soon as the kernel lets it: by a retry, or at once when
// somebody asks.
func TestFault_D21(t *testing.T) {
	c := committing("", little, littleMore)
	v := newVictim(t)
	before, _, points := v.unharmed(c)
	ops := operations(points)
	incomplete, n := 0, 0
	for k := 1; k <= len(ops); k++ {
		c.begin(v)
		v.plan(fmt.Sprintf("refuse %d %d 22", k, k))
		v.answer(commit)
		all := len(operations(v.reached()))
		for j := k + 1; j <= all+1; j++ {
			n++
			last := j
			if j == all+1 { // all of them
				last = 1 << 30
			}
			if v.twice(c, before, k, j, last) {
				incomplete++
			}
		}
	}
	t.Logf("%d times refused twice, %d rollbacks incomplete at first", n, incomplete)
	if incomplete < len(ops)-1 { // all but those of which nothing had been done
		t.Errorf("only %d rollbacks were incomplete", incomplete)
	}
}

// twice refuses operation k, and those from j to last. It is true when the way back
// was not completed at once.
func (v *victim) twice(c change, want standing, k, j, last int) (incomplete bool) {
	v.T.Helper()
	c.begin(v)
	want.revision = v.status().GetCommittedRevision()
	if last > j {
		j = k + 1
	}
	v.plan(fmt.Sprintf("refuse %d %d 22", k, k), fmt.Sprintf("refuse %d %d 22", j, last))
	what := fmt.Sprintf("operations %d and %d to %d refused", k, j, last)
	answer := v.answer(commit)
	switch state := answer.GetState(); {
	case state == "incomplete":
		incomplete = true
		v.stuck(what, answer, last > j)
	case state != "rolled-back":
		v.T.Fatalf("%s: %s, %s", what, state, answer.GetError())
	}
	v.plan()
	if incomplete && j%2 == 0 {
		v.must(rollback(0)) // not waiting for the next try
	}
	v.Eventually(what+": taken back", patience, v.healthy)
	v.stands(what, want, "")
	v.settled(what)
	return incomplete
}

// stuck is a host that could not be taken back: that is told, and nothing else begins
// meanwhile.
func (v *victim) stuck(what string, answer *hostnicv1.Operation, lasting bool) {
	v.T.Helper()
	if len(answer.GetRemaining()) == 0 || !strings.Contains(answer.GetError(), "and the way back failed") {
		v.T.Errorf("%s: incomplete, but what is left is %v, and the error\n%s", what, answer.GetRemaining(), answer.GetError())
	}
	if !lasting {
		return // it may be over by now
	}
	if out, code := v.Try("status"); code != 5 || len(v.status().GetDegraded()) == 0 {
		v.T.Errorf("%s: status: exit code %d\n%s", what, code, out)
	}
	if out, code := v.Try("commit"); code != 3 || !strings.Contains(out, "on its way back") {
		v.T.Errorf("%s: a commit in the middle of that: exit code %d\n%s", what, code, out)
	}
}

// TestRefusedForLong has the daemon try in vain for some time, with the pauses that
// grow, before the kernel lets it.
func TestRefusedForLong(t *testing.T) {
	v := newVictim(t)
	c := committing("", little, littleMore)
	c.begin(v)
	before := v.standing()
	v.plan(fmt.Sprintf("refuse 2 %d 22", 1<<30))
	if answer := v.answer(commit); answer.GetState() != "incomplete" {
		t.Fatalf("%s: %s", answer.GetState(), answer.GetError())
	}
	tried := func() int { return len(operations(v.reached())) }
	for range 2 {
		n := tried()
		v.Eventually("it is tried again", patience, func() bool { return tried() > n })
	}
	// A restart in between knows of it.
	v.plan(fmt.Sprintf("refuse 1 %d 22", 1<<30))
	v.Kill()
	v.endGuards()
	v.Launch(os.Getenv("HOSTNICD_CRASH"))
	v.ready()
	n := tried()
	v.Eventually("the next daemon tries, too", patience, func() bool { return tried() > n && !v.healthy() })
	began := time.Now()
	v.plan()
	v.Eventually("taken back", patience, v.healthy)
	t.Logf("taken back %v after the kernel let it", time.Since(began).Round(10*time.Millisecond))
	v.stands("in the end", before, "")
	v.settled("in the end")
}

// healthy is true of an agent that has nothing to complain about and waits for nothing.
func (v *victim) healthy() bool {
	s := v.status()
	return s.GetPending() == nil && len(s.GetDegraded()) == 0
}
