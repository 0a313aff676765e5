//go:build kernel

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// twoWays is a host that is managed over a bond, and could be over eth0.
	twoWays = `
host_nics:
- {name: eth0, ip: {address: 198.51.100.1, netmask: '24'}}
- {name: bond0, bonding: {slaves: [eth1, eth2]}, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}}
`
	otherWay = `
removed: [bond0]
host_nics:
- {name: eth0, ip: {address: 198.51.100.1, netmask: '24', gateway: 198.51.100.254}}
`
	noWay = `removed: [bond0]`

	operator = "203.0.113.9 50000 192.0.2.1 22"
)

// pathHost has twoWays committed by somebody on the console, and is then looked after
// over ssh.
func pathHost(t *testing.T) (h *host, before string) {
	t.Helper()
	h = newHost(t, "eth0", "eth1", "eth2")
	h.Start()
	h.Stage(twoWays)
	h.Run("commit")
	h.SSH = operator
	return h, h.Look()
}

// refused wants a command refused with these words, and the host as it was.
func (h *host) refused(words, before string, args ...string) (out string) {
	h.T.Helper()
	out, code := h.Try(args...)
	if code != 3 || !strings.Contains(out, words) {
		h.T.Errorf("agentctl %v: exit code %d, want 3 and %s:\n%s", args, code, words, out)
	}
	if now := h.Look(); now != before {
		h.T.Errorf("agentctl %v was refused, and has changed the host:\n%s", args, now)
	}
	return out
}

// Deleting the bond that carries the control plane's route needs a window, and the
// plan says so.
func TestFault_C24(t *testing.T) {
	h, before := pathHost(t)
	h.Stage(otherWay)
	for _, command := range []string{"diff", "check"} {
		if out, code := h.Try(command); code != 10 || !strings.Contains(out, "cuts: the path from 203.0.113.9 to 192.0.2.1 (bond0): 192.0.2.1 is taken off the host; it takes --revert-after") {
			t.Errorf("agentctl %s, exit code %d:\n%s", command, code, out)
		}
	}
	h.refused("interrupts the path from 203.0.113.9 to 192.0.2.1 (192.0.2.1 is taken off the host)", before, "apply")
	h.refused("interrupts the path from 203.0.113.9 to 192.0.2.1 (192.0.2.1 is taken off the host)", before, "commit")
	h.Run("apply", "--revert-after", "60s")
	if now := h.Look(); strings.Contains(now, "bond0") {
		t.Errorf("not applied:\n%s", now)
	}
	h.Run("rollback")
	h.Stage(otherWay)
	h.Run("commit", "--force")
	if now := h.Look(); strings.Contains(now, "bond0") {
		t.Errorf("not applied:\n%s", now)
	}
}

// What leaves no way to those who manage the host has to be forced, window or not.
func TestFault_C25(t *testing.T) {
	h, before := pathHost(t)
	h.Stage(noWay)
	if out, _ := h.Try("diff"); !strings.Contains(out, "no route leads to 203.0.113.9 any more; it takes --force") {
		t.Errorf("agentctl diff:\n%s", out)
	}
	h.refused("cuts the path from 203.0.113.9", before, "apply")
	h.refused("cuts the path from 203.0.113.9", before, "apply", "--revert-after", "60s")
	h.refused("cuts the path from 203.0.113.9", before, "commit")
	// On the console nobody's way is cut, unless the settings name who manages the host.
	h.SSH = ""
	h.Stop()
	if err := os.WriteFile(filepath.Join(h.Dir, "agent.yaml"), []byte("control_plane: [203.0.113.80]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.refused("cuts the path from 203.0.113.80", before, "apply")
	h.Run("apply", "--force", "--revert-after", "60s")
	if now := h.Look(); strings.Contains(now, "bond0") {
		t.Errorf("not applied:\n%s", now)
	}
}
