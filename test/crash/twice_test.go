//go:build kernel

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/test/netns"
)

// TestKilledInRecovery kills the daemon in the middle of a commit, and its successor
// at every point of the way back.
func TestKilledInRecovery(t *testing.T) {
	v := newVictim(t)
	c := committing("", twoBonds, slaveMoved)
	const at = 4 // behind the journal and both operations
	cutOff := func() standing {
		ask := c.begin(v)
		before := v.standing()
		v.plan(fmt.Sprint("kill ", at))
		if op := v.survives(ask); op != nil {
			t.Fatalf("it has ended: %v", op)
		}
		v.buried()
		return before
	}
	v.diesOnTheWay("way back", 8, cutOff)
}

// diesOnTheWay kills a starting daemon at every point of what it does then, at least so
// many. Its successor has to bring the host to where prepare says.
func (v *victim) diesOnTheWay(way string, least int, prepare func() standing) {
	v.T.Helper()
	for m := 1; ; m++ {
		want := prepare()
		died := v.diesAtStart(m)
		points := v.reached()
		if died {
			v.live()
		} else {
			v.plan()
		}
		what := fmt.Sprintf("killed at point %d of the %s, %s", m, way, points[len(points)-1])
		v.stands(what, want, "")
		v.settled(what)
		if !died {
			if m < least {
				v.T.Errorf("the %s takes but %q", way, points)
			}
			break
		}
	}
	v.T.Logf("%d kills", v.kills)
}

// diesAtStart starts a daemon that is to die at that point, and is false when it is
// ready before.
func (v *victim) diesAtStart(point int) bool {
	v.T.Helper()
	v.plan(fmt.Sprint("kill ", point))
	v.Launch(os.Getenv("HOSTNICD_CRASH"))
	if v.isUp() {
		return false
	}
	v.buried()
	return true
}

// TestKilledAtBoot kills the daemon at every point of bringing a host that was
// switched on to what is committed. What was running and not committed is forgotten.
func TestKilledAtBoot(t *testing.T) {
	v := newVictim(t)
	v.committed(twoBonds)
	want := v.standing()
	v.replace(bonded)
	v.must(apply(0))
	v.Kill()
	v.reboot()
	v.live()
	v.stands("booted", want, "")
	v.diesOnTheWay("boot", 12, func() standing {
		v.Kill()
		v.reboot()
		return want
	})
}

// reboot is the host switched off and on again: bare NICs, and another boot id. The
// daemon is dead.
func (v *victim) reboot() {
	v.T.Helper()
	v.endGuards()
	if err := v.Kernel.Close(); err != nil {
		v.T.Fatal(err)
	}
	v.NS, v.Far = netns.New(v.T), netns.New(v.T)
	v.plug()
	v.boots++
	id := filepath.Join(v.Dir, fmt.Sprint("boot_id", v.boots))
	if err := os.WriteFile(id, fmt.Appendf(nil, "00000000-0000-4000-8000-%012d\n", v.boots), 0o600); err != nil {
		v.T.Fatal(err)
	}
	const place = "/proc/sys/kernel/random/boot_id"
	if err := unix.Mount(id, place, "", unix.MS_BIND, ""); err != nil {
		v.T.Fatal(err)
	}
	v.T.Cleanup(func() { _ = unix.Unmount(place, unix.MNT_DETACH) })
	var err error
	v.NS.Do(func() { v.Kernel, err = kernel.Open(kernel.Options{}) })
	if err != nil {
		v.T.Fatal(err)
	}
}

// TestGuardKilled kills the daemon while a change waits to be confirmed, and at the
// deadline its guard, at every point of the way back. Whoever comes next finishes it.
func TestGuardKilled(t *testing.T) {
	v := newVictim(t)
	c := waiting("", little, littleMore, time.Second, nil, always)
	v.committed(little)
	want := v.standing()
	guarded := func(m int) []string {
		c.begin(v)
		v.plan(fmt.Sprint("guard kill ", m))
		v.Kill()
		v.Eventually("the guard has ended", patience, func() bool { return len(v.guards()) == 0 })
		return v.reached()
	}
	points := guarded(0)
	if len(points) < 5 {
		t.Fatalf("the way back takes but %q", points)
	}
	for m := 1; m <= len(points); {
		v.live()
		passed := guarded(m)
		cut := v.look()
		v.live()
		want.revision = v.status().GetCommittedRevision()
		if len(passed) == 0 {
			continue // the daemon has seen the deadline itself
		}
		what := fmt.Sprintf("the guard killed at point %d, %s", m, passed[len(passed)-1])
		v.stands(what, want, cut)
		v.settled(what)
		v.kills += 2
		m++
		v.Kill()
	}
	t.Logf("%d kills", v.kills)
}
