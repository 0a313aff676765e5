//go:build kernel

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An operator sees with status what somebody has changed, since when, and what to type,
// and that puts it right.
func TestDriftReported(t *testing.T) {
	h, committed := committedHost(t)
	h.NS.IP(t, "link", "set", "eth0", "mtu", "1400")
	changed := h.Look()
	h.Eventually("the log says it", 10*time.Second, func() bool {
		log, _ := os.ReadFile(filepath.Join(h.Dir, "log"))
		return strings.Contains(string(log), "host_nics[eth0].mtu")
	})
	status := h.Run("status")
	for _, want := range []string{"host_nics[eth0].mtu should be 1500, is 1400, since 20", "policy report: agentctl apply puts it right"} {
		if !strings.Contains(status, want) {
			t.Errorf("status does not say %q:\n%s", want, status)
		}
	}
	if out := h.Run("nics"); !strings.Contains(out, "drift") {
		t.Errorf("nics does not show it:\n%s", out)
	}
	if now := h.Look(); now != changed {
		t.Errorf("the agent has changed\n%s\nto\n%s", changed, now)
	}
	if out := h.Run("apply"); !strings.Contains(out, "applied: 1 operation") {
		t.Errorf("apply says %q", out)
	}
	if now := h.Look(); now != committed {
		t.Errorf("after an apply:\n%s\nwant\n%s", now, committed)
	}
	if status := h.Run("status"); strings.Contains(status, "drift") || strings.Contains(status, "not what is committed") {
		t.Errorf("after an apply:\n%s", status)
	}
}

// With the setting heal it is put right by itself, and the operator sees what was done.
func TestDriftHealed(t *testing.T) {
	h, committed := committedHost(t)
	h.End()
	if err := os.WriteFile(filepath.Join(h.Dir, "agent.yaml"), []byte("drift: heal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.NS.IP(t, "link", "set", "eth0", "mtu", "1400")
	h.NS.IP(t, "address", "del", "192.0.2.1/24", "dev", "eth0")
	h.Eventually("it is healed", 10*time.Second, func() bool { return h.Look() == committed })
	h.Eventually("status says what was done", 10*time.Second, func() bool { return strings.Contains(h.Run("status"), "last operation: heal done") })
	status := h.Run("status")
	if !strings.Contains(status, "by drift policy") || !strings.Contains(status, "put right: host_nics[eth0].addresses[192.0.2.1/24] was absent, should be present") {
		t.Errorf("status says\n%s", status)
	}
	// A flag wins over the file.
	h.End()
	h.Args = []string{"--drift", "report"}
	h.Start()
	h.NS.IP(t, "link", "set", "eth0", "mtu", "1400")
	h.Eventually("it is reported", 10*time.Second, func() bool { return strings.Contains(h.Run("status"), "policy report") })
}
