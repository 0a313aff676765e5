//go:build kernel

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	first  = "host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: '24'}}]"
	second = "host_nics: [{name: eth0, ip: {address: 198.51.100.1, netmask: '24'}}, {name: bond0, bonding: {slaves: [eth1, eth2]}, ip: {address: 10.9.0.1, netmask: '24'}}]"
)

// committedHost has the first document committed, and remembers how that looks.
func committedHost(t *testing.T) (h *host, committed string) {
	t.Helper()
	h = newHost(t, "eth0", "eth1", "eth2")
	h.Start()
	h.Stage(first)
	h.Run("commit")
	return h, h.Look()
}

// wait applies the second document with a window and returns when it ends.
func (h *host) wait(window time.Duration) (deadline time.Time, applied string) {
	h.T.Helper()
	h.Stage(second)
	h.Run("apply", "--revert-after", window.String())
	applied = h.Look()
	if !strings.Contains(applied, "198.51.100.1/24") || !strings.Contains(applied, "bond0 bond") {
		h.T.Fatalf("the change is not in place:\n%s", applied)
	}
	return time.Now().Add(window), applied
}

// back wants the host as committed at the deadline, and not before.
func (h *host) back(committed string, deadline time.Time, applied string) {
	h.T.Helper()
	for time.Until(deadline) > 1500*time.Millisecond {
		if now := h.Look(); now != applied {
			h.T.Fatalf("%v before the deadline the change is gone:\n%s", time.Until(deadline), now)
		}
		time.Sleep(200 * time.Millisecond)
	}
	h.Eventually("the host is back", time.Until(deadline)+5*time.Second, func() bool { return h.Look() == committed })
	if late := time.Since(deadline); late > 1500*time.Millisecond {
		h.T.Errorf("back %v after the deadline", late)
	}
}

func TestScenario_C09(t *testing.T) {
	h, committed := committedHost(t)
	deadline, applied := h.wait(3 * time.Second)
	if h.Status().Pending == nil {
		t.Error("status does not say that a change waits")
	}
	// The terminal from which the daemon was started has gone with the address.
	if err := h.Daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	h.back(committed, deadline, applied)
	h.Eventually("the status is settled", 5*time.Second, func() bool { s := h.Status(); return s.Pending == nil && !s.Uncommitted })
	h.takenBack()
	h.tooLate()
}

// tooLate wants a confirmation that comes after the deadline refused: it must not
// bring the change back for good.
func (h *host) tooLate() {
	h.T.Helper()
	if out, code := h.Try("commit"); code != 3 || !strings.Contains(out, "not confirmed in time") {
		h.T.Errorf("a late commit: exit code %d\n%s", code, out)
	}
}

func TestScenario_C10(t *testing.T) {
	h, _ := committedHost(t)
	deadline, applied := h.wait(3 * time.Second)
	h.Run("commit", "-m", "confirmed")
	time.Sleep(time.Until(deadline) + time.Second)
	if now := h.Look(); now != applied {
		t.Errorf("a confirmed change is gone:\n%s", now)
	}
	if s := h.Status(); s.CommittedRevision != 2 || s.Pending != nil {
		t.Errorf("status: %+v", s)
	}
}

func TestScenario_C11(t *testing.T) {
	h, committed := committedHost(t)
	h.wait(time.Minute)
	if out, code := h.Try("apply"); code != 3 {
		t.Errorf("another apply while one waits: exit code %d\n%s", code, out)
	}
	h.Run("rollback")
	if now := h.Look(); now != committed {
		t.Errorf("after a rollback:\n%s\nwant:\n%s", now, committed)
	}
	if out := h.Run("rollback"); !strings.Contains(out, "nothing to do") {
		t.Errorf("a second rollback: %s", out)
	}
}

// takenBack wants the apply told as done, and as taken back by a revert that is.
func (h *host) takenBack() {
	h.T.Helper()
	all := h.Operations()
	if len(all) < 2 {
		h.T.Fatalf("operations: %v", all)
	}
	revert, apply := all[0], all[1]
	if revert.GetKind() != "revert" || revert.GetState() != "done" || apply.GetKind() != "apply" || apply.GetState() != "done" || apply.GetRevertedBy() != revert.GetId() {
		h.T.Errorf("operations: %v", all)
	}
}

// The agent is killed in the window and started again: the rest of the time holds.
func TestFault_A5(t *testing.T) {
	h, committed := committedHost(t)
	deadline, applied := h.wait(5 * time.Second)
	h.Kill()
	h.Start()
	if h.Status().Pending == nil {
		t.Error("the new agent does not know of the window")
	}
	h.back(committed, deadline, applied)
}

// Killed and kept dead: the guard goes back.
func TestFault_A8(t *testing.T) {
	h, committed := committedHost(t)
	deadline, applied := h.wait(4 * time.Second)
	h.Kill()
	h.back(committed, deadline, applied)
	h.Start()
	if s := h.Status(); s.Pending != nil || s.Uncommitted {
		t.Errorf("status after the guard: %+v", s)
	}
	h.takenBack()
	h.tooLate()
}

// Stopped by a signal: the guard ends it and goes back.
func TestFault_A9(t *testing.T) {
	h, committed := committedHost(t)
	deadline, applied := h.wait(4 * time.Second)
	if err := h.Daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.back(committed, deadline, applied)
	<-h.Exited
	h.Start()
	if s := h.Status(); s.Pending != nil || s.Uncommitted {
		t.Errorf("status after the guard: %+v", s)
	}
	h.takenBack()
	h.tooLate()
}
