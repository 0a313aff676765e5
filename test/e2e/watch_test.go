//go:build kernel

package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

// watchLine is what of a line of agentctl watch -o json is looked at.
type watchLine struct {
	Event    string
	Old, New *struct {
		Name        string
		Speed       string
		ActiveSlave string `json:"active_slave"`
		Carrier     *bool
	}
}

// watch runs agentctl watch, and passes on what it prints.
func (h *host) watch(args ...string) <-chan watchLine {
	h.T.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", h.Socket(), "watch", "-o", "json"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := make(chan watchLine, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			var l watchLine
			if err := json.Unmarshal(s.Bytes(), &l); err != nil {
				h.T.Errorf("%v in %s", err, s.Text())
				return
			}
			lines <- l
		}
	}()
	return lines
}

// until reads lines up to one that is waited for, and counts those before.
func (h *host) until(lines <-chan watchLine, what string, enough func(watchLine) bool) (before int) {
	h.T.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				h.T.Fatalf("the watch has ended before %s", what)
			}
			if enough(l) {
				return before
			}
			before++
		case <-limit:
			h.T.Fatalf("waited in vain for %s", what)
		}
	}
}

// A watcher sees a cable being pulled, at the slave and at the bond that chooses another
// one, and goes on after a restart of the agent with everything as it is then.
func TestScenario_E01(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.Start()
	h.Stage(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup, primary: eth0, miimon: 50}, slaves: [eth0, eth1]}}]`)
	h.Run("commit")
	lines := h.watch()
	synced := func(l watchLine) bool { return l.Event == "WATCH_EVENT_SYNCED" }
	if n := h.until(lines, "all NICs", synced); n != 4 {
		t.Errorf("%d NICs were told", n)
	}
	h.Far.Down(t, "p-eth0")
	noCarrier := func(l watchLine) bool {
		return l.New != nil && l.New.Name == "eth0" && l.New.Carrier != nil && !*l.New.Carrier
	}
	h.until(lines, "the slave's loss", noCarrier)
	h.until(lines, "another active slave", func(l watchLine) bool {
		return l.New != nil && l.New.Name == "bond0" && l.Old.ActiveSlave == "eth0" && l.New.ActiveSlave == "eth1"
	})
	h.Stop()
	h.Far.Up(t, "p-eth0")
	h.Start()
	h.until(lines, "all NICs anew", synced)
	h.Far.Down(t, "p-eth0")
	h.until(lines, "the slave's loss after a restart", noCarrier)
}
