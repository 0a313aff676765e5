//go:build kernel

package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/test/need"
)

// The kernel runs out of memory while a change waits, and ends the daemon for it.
func TestFault_A10(t *testing.T) {
	need.Kernel(t, need.Own)
	h, committed := committedHost(t)
	deadline, applied := h.wait(8 * time.Second)
	score := fmt.Sprintf("/proc/%d/oom_score_adj", h.Daemon.Process.Pid)
	if err := os.WriteFile(score, []byte("1000"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sysrq-trigger", []byte("f"), 0); err != nil { // Documentation/admin-guide/sysrq.rst
		t.Fatal(err)
	}
	select {
	case <-h.Exited:
	case <-time.After(5 * time.Second):
		t.Fatal("the kernel has let it live")
	}
	h.Start()
	if h.Status().Pending == nil {
		t.Error("the daemon does not know that a change waits")
	}
	h.back(committed, deadline, applied)
}

// Another version of the daemon takes over while a change waits, and the older one
// after it.
func TestFault_A24(t *testing.T) {
	h, committed := committedHost(t)
	deadline, applied := h.wait(8 * time.Second)
	for _, version := range []string{"HOSTNICD_CRASH", "HOSTNICD"} { // the first has more built in, and is not asked for it
		h.Stop()
		if now := h.Look(); now != applied {
			t.Fatalf("stopping has changed the host:\n%s", now)
		}
		h.StartProgram(os.Getenv(version))
		if h.Status().Pending == nil {
			t.Error("the daemon does not know that a change waits")
		}
	}
	h.back(committed, deadline, applied)
}

// The wall clock jumps while a change waits.
func TestFault_D25(t *testing.T) {
	need.Kernel(t, need.Own)
	start, began := time.Now(), time.Now()
	t.Cleanup(func() { setClock(t, start.Add(time.Since(began))) })
	h, committed := committedHost(t)
	deadline, applied := h.wait(6 * time.Second)
	for _, jump := range []time.Duration{time.Hour, -2 * time.Hour, 10 * 365 * 24 * time.Hour} {
		setClock(t, time.Now().Add(jump))
		left, err := time.ParseDuration(h.Status().Pending.Remaining)
		if err != nil || left > 6*time.Second || left < time.Second {
			t.Errorf("the clock jumps by %v, and %v are left (%v)", jump, left, err)
		}
	}
	setClock(t, time.Unix(24*60*60, 0)) // the kernel takes no time that lies before its start
	h.back(committed, deadline, applied)
}

func setClock(t *testing.T, to time.Time) {
	t.Helper()
	at := unix.NsecToTimeval(to.UnixNano())
	if err := unix.Settimeofday(&at); err != nil {
		t.Fatal(err)
	}
}
