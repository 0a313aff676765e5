//go:build kernel

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// many is a document with so many VLANs on eth1.
func many(vlans int) string {
	doc := "host_nics:\n- {name: eth0, ip: {address: 192.0.2.1, netmask: '24'}}\n"
	for id := 1; id <= vlans; id++ {
		doc += fmt.Sprintf("- {name: eth1.%d, vlan: {id: %d}, base_interface: eth1, ip: {address: 10.%d.%d.1, netmask: '24'}}\n", id, id, id/250, id%250)
	}
	return doc
}

// applyHalfway begins an apply by agentctl and returns with the daemon stopped in the
// middle of it.
func (h *host) applyHalfway() (client *exec.Cmd, ended func() (out string, code int)) {
	h.T.Helper()
	var out bytes.Buffer
	client = exec.Command(os.Getenv("AGENTCTL"), "--socket", h.Socket(), "apply")
	client.Stdout, client.Stderr = &out, &out
	if err := client.Start(); err != nil {
		h.T.Fatal(err)
	}
	devices := fmt.Sprintf("/proc/%d/net/dev", h.Daemon.Process.Pid)
	for end := time.Now().Add(time.Minute); ; {
		list, err := os.ReadFile(devices)
		if err != nil || time.Now().After(end) {
			h.T.Fatalf("the apply does not begin: %v", err)
		}
		if bytes.Contains(list, []byte("eth1.")) {
			break
		}
	}
	if err := h.Daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		h.T.Fatal(err)
	}
	if now := strings.Count(h.Look(), "/24"); now > lots {
		h.T.Fatalf("the apply was not stopped in the middle: there are %d addresses", now)
	}
	return client, func() (string, int) {
		_ = client.Wait()
		return out.String(), client.ProcessState.ExitCode()
	}
}

// lots are so many that whoever looks for the first of them gets his turn before the last.
const lots = 1000

// The client is killed in the middle of a long apply: that goes on, and its result is
// there when somebody asks.
func TestFault_D18(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.Start()
	h.Stage(many(lots))
	client, ended := h.applyHalfway()
	if err := client.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended()
	if err := h.Daemon.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	h.Eventually("the apply has ended", time.Minute, func() bool { all := h.Operations(); return len(all) == 1 && all[0].GetDone() })
	op := h.Operations()[0]
	if op.GetKind() != "apply" || op.GetState() != "done" || op.GetWrites() < lots {
		t.Errorf("%v", op)
	}
	if n := strings.Count(h.Look(), " vlan mtu "); n != lots {
		t.Errorf("%d VLANs, want %d", n, lots)
	}
}

// The daemon is killed in the middle of a long apply, and started again. The client that
// was watching finds out by itself that nothing was applied.
func TestClientSeesTheRestart(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.Start()
	before := h.Look()
	h.Stage(many(lots))
	_, ended := h.applyHalfway()
	h.Kill()
	h.Start()
	if out, code := ended(); code != 4 || !strings.Contains(out, "the agent was killed in the middle of this operation") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if now := h.Look(); now != before {
		t.Errorf("the host is\n%s\nwant\n%s", now, before)
	}
}
