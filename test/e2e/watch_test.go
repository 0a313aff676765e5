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
	h.t.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", h.socket(), "watch", "-o", "json"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := make(chan watchLine, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			var l watchLine
			if err := json.Unmarshal(s.Bytes(), &l); err != nil {
				h.t.Errorf("%v in %s", err, s.Text())
				return
			}
			lines <- l
		}
	}()
	return lines
}

// until reads lines up to one that is waited for, and counts those before.
func (h *host) until(lines <-chan watchLine, what string, enough func(watchLine) bool) (before int) {
	h.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				h.t.Fatalf("the watch has ended before %s", what)
			}
			if enough(l) {
				return before
			}
			before++
		case <-limit:
			h.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A watcher sees a cable being pulled, at the slave and at the bond that chooses another
// one, and goes on after a restart of the agent with everything as it is then.
func TestScenario_E01(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.start()
	h.stage(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup, primary: eth0, miimon: 50}, slaves: [eth0, eth1]}}]`)
	h.run("commit")
	lines := h.watch()
	synced := func(l watchLine) bool { return l.Event == "WATCH_EVENT_SYNCED" }
	if n := h.until(lines, "all NICs", synced); n != 4 {
		t.Errorf("%d NICs were told", n)
	}
	h.far.Down(t, "p-eth0")
	noCarrier := func(l watchLine) bool {
		return l.New != nil && l.New.Name == "eth0" && l.New.Carrier != nil && !*l.New.Carrier
	}
	h.until(lines, "the slave's loss", noCarrier)
	h.until(lines, "another active slave", func(l watchLine) bool {
		return l.New != nil && l.New.Name == "bond0" && l.Old.ActiveSlave == "eth0" && l.New.ActiveSlave == "eth1"
	})
	h.stop()
	h.far.Up(t, "p-eth0")
	h.start()
	h.until(lines, "all NICs anew", synced)
	h.far.Down(t, "p-eth0")
	h.until(lines, "the slave's loss after a restart", noCarrier)
}
