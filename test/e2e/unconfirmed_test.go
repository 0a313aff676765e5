//go:build kernel

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const network = "host_nics: [{name: eth1.7, vlan: {id: 7}, base_interface: eth1, ip: {address: 10.7.0.1, netmask: '24'}}]"

// A new network that nobody checks in on goes away, and the history says why.
func TestScenario_C05(t *testing.T) {
	h, before := committedHost(t)
	h.Stage(network)
	h.Run("apply", "--revert-after", "1s")
	h.Eventually("the network is gone", time.Minute, func() bool { return h.Look() == before })
	h.Eventually("its end is told", time.Minute, func() bool { return h.Operations()[0].GetDone() })
	h.takenBack()
	if out, code := h.Try("commit"); code == 0 || !strings.Contains(out, "was not confirmed in time and has been taken back") {
		t.Errorf("a commit that comes too late: exit code %d\n%s", code, out)
	}
}

// An operator who breaks off the apply with ^C has not confirmed it: it goes back at its
// deadline, whether it had ended or not.
func TestScenario_C16(t *testing.T) {
	h, before := committedHost(t)
	h.Stage(many(lots))
	client := exec.Command(os.Getenv("AGENTCTL"), "--socket", h.Socket(), "apply", "--revert-after", "1s")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	h.Eventually("the apply has begun", time.Minute, func() bool { return h.Look() != before })
	if err := client.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait()
	h.Eventually("the host is as it was", time.Minute, func() bool { return h.Look() == before })
	h.tooLate()
}

// One commit of the candidate applies and stores, without a second call; a commit that
// fails stores nothing.
func TestScenario_C21(t *testing.T) {
	h, before := committedHost(t)
	revision := h.Status().CommittedRevision
	h.Stage(network)
	h.Run("commit")
	after := h.Look()
	if s := h.Status(); after == before || s.CommittedRevision != revision+1 || s.Uncommitted {
		t.Errorf("%+v\n%s", s, after)
	}
	h.NS.Do(func() {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth1.7/disable_ipv6", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	})
	h.Stage(`host_nics: [{name: eth1.7, ipv6: {address: "2001:db8:7::1", prefix: 64}}]`)
	if out, code := h.Try("commit", "--no-rehearse"); code != 4 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if s := h.Status(); s.CommittedRevision != revision+1 || s.Uncommitted || h.Look() != after {
		t.Errorf("%+v\n%s", s, h.Look())
	}
}

// A watcher's stream ends with the daemon, and the one that it opens anew begins with
// everything.
func TestScenario_S07(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.Start()
	lines := h.watch()
	synced := func(l watchLine) bool { return l.Event == "WATCH_EVENT_SYNCED" }
	first := h.until(lines, "all NICs", synced)
	for range 2 {
		h.Stop()
		h.Start()
		if n := h.until(lines, "all NICs anew", synced); n != first {
			t.Errorf("%d NICs after a restart, %d before", n, first)
		}
	}
}
