//go:build kernel

package scenario

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Damaged state.

// damages are what happens to files.
var damages = map[string]func([]byte) []byte{
	"cut":   func(b []byte) []byte { return b[:len(b)/2] },
	"empty": func([]byte) []byte { return nil },
	"bit":   func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-20] ^= 1; return b },
}

// newest are the files of the newest generation of each record.
func newest(files map[string][]byte) []string {
	var out []string
	for path, data := range files {
		if b, ok := strings.CutSuffix(path, ".b"); ok && generation(data) > generation(files[b+".a"]) {
			out = append(out, path)
		} else if a, ok := strings.CutSuffix(path, ".a"); ok && generation(data) > generation(files[a+".b"]) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// generation is in the first line of a record.
func generation(data []byte) int {
	words := strings.Fields(string(data[:min(len(data), 80)]))
	if len(words) < 3 {
		return 0
	}
	n := 0
	for _, c := range words[2] {
		n = n*10 + int(c-'0')
	}
	return n
}

// TestFault_A16 damages the newest generation of each record in turn. The one before
// it is used, and that is said. The network is what it was all the same: of what is
// running there is a second record, that of the last operation.
func TestFault_A16(t *testing.T) { damaged(t, "cut", "empty") }

// TestFault_A17 flips a bit in it.
func TestFault_A17(t *testing.T) { damaged(t, "bit") }

// recorded is a host whose agent has ended, with every record there is on its disk, and
// how both are.
func recorded(t *testing.T) (h *host, before state.Snapshot, whole map[string][]byte) {
	t.Helper()
	h = newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	h.commit()
	h.apply(`host_nics: [{name: eth2, mtu: 1400}]`)
	before = h.look()
	h.stop()
	return h, before, h.files()
}

func damaged(t *testing.T, how ...string) {
	h, before, whole := recorded(t)
	same(t, "records", len(newest(whole)), 4)
	for _, path := range newest(whole) {
		for _, damage := range how {
			h.putBack(whole)
			if err := os.WriteFile(path, damages[damage](whole[path]), 0o600); err != nil {
				t.Fatal(err)
			}
			writes := h.kernel.Writes()
			h.start()
			what := filepath.Base(path) + " " + damage
			same(t, what+": writes", h.kernel.Writes()-writes, 0)
			h.unchanged(before)
			same(t, what+": drift", h.Drift(h.look()), "[]")
			v := h.View()
			same(t, what+": running, committed", []any{*v.Running.Nic("eth2").MTU, v.CommittedRevision}, "[1400 1]")
			if len(v.Degraded) == 0 || !strings.Contains(strings.Join(v.Degraded, " "), "the generation before it is used") {
				t.Errorf("%s: nobody is told: %q", what, v.Degraded)
			}
			h.stop()
		}
	}
}

// TestFault_A18 leaves no good generation of a record: the agent does not know what
// is its own, touches nothing and says so; changes are refused.
func TestFault_A18(t *testing.T) {
	h, before, whole := recorded(t)
	for _, record := range []string{"running", "journal"} {
		h.putBack(whole)
		for path, data := range whole {
			if strings.HasPrefix(filepath.Base(path), record+".") {
				if err := os.WriteFile(path, damages["bit"](data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !h.untouched(before, record) {
			t.Errorf("%s: what was committed is said to be known", record)
		}
	}
}

// untouched starts the agent on a state that it cannot use, and returns whether it says
// that it knows nothing of what was stored.
func (h *host) untouched(before state.Snapshot, what string) (lost bool) {
	h.t.Helper()
	files := h.files()
	writes := h.kernel.Writes()
	h.start()
	op, err := h.Do(h.t.Context(), engine.Request{Kind: engine.Rollback}, nil)
	var e *engine.Error
	if !errors.As(err, &e) || e.Rule != "read-only" || op.State != engine.Refused {
		h.t.Errorf("%s: a change: %s, %v", what, op.State, err)
	}
	if err := h.stage(`host_nics: [{name: eth2, mtu: 1300}]`); !errors.As(err, &e) || e.Rule != "read-only" {
		h.t.Errorf("%s: staging: %v", what, err)
	}
	if len(h.View().Degraded) == 0 {
		h.t.Errorf("%s: nobody is told", what)
	}
	lost = h.View().Lost
	if _, _, err := h.Config(h.t.Context(), engine.Selector{Source: engine.CommittedConfig}); (err != nil) != lost || lost && (!errors.As(err, &e) || e.Rule != "state-lost") {
		h.t.Errorf("%s: lost %v, and asked for what was committed: %v", what, lost, err)
	}
	h.unchanged(before)
	same(h.t, what+": writes", h.kernel.Writes()-writes, 0)
	h.stop()
	same(h.t, what+": files changed", changed(files, h.files()), "[]")
	return lost
}

func changed(a, b map[string][]byte) []string {
	out := []string{}
	for path, data := range b {
		if !bytes.Equal(a[path], data) {
			out = append(out, filepath.Base(path))
		}
	}
	return out
}

// TestFault_A19 is a state that a newer version has written.
func TestFault_A19(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	h.commit()
	before := h.look()
	h.stop()
	whole := h.files()
	for path, data := range whole {
		h.putBack(whole)
		newer := bytes.Replace(data, []byte("hostnic-state 1 "), []byte("hostnic-state 2 "), 1)
		if err := os.WriteFile(path, newer, 0o600); err != nil {
			t.Fatal(err)
		}
		h.untouched(before, filepath.Base(path))
	}
}

func TestScenario_S04(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	_, err := store.Open(h.state)
	var locked *store.LockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), "another hostnicd") || !strings.Contains(err.Error(), h.state) {
		t.Errorf("a second one: %v", err)
	}
	h.settled()
	h.stop()
	h.start() // the place is free again
}

// TestScenario_S05 damages what is committed. Within the boot the network goes on
// with what is running; after a reboot, with the last good revision.
func TestScenario_S05(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	h.commit()
	h.apply(`host_nics: [{name: eth2, mtu: 1400}]`)
	h.commit()
	before := h.look()
	h.stop()
	whole := h.files()
	second := filepath.Join(h.state, "revisions", "00000002")
	for name, damage := range damages {
		h.putBack(whole)
		if err := os.WriteFile(second, damage(whole[second]), 0o600); err != nil {
			t.Fatal(err)
		}
		h.boot = "this boot"
		writes := h.kernel.Writes()
		h.start()
		same(t, name+": writes", h.kernel.Writes()-writes, 0)
		h.unchanged(before)
		v := h.View()
		if len(v.Degraded) == 0 || !strings.Contains(strings.Join(v.Degraded, " "), "revision 2") {
			t.Errorf("%s: nobody is told: %q", name, v.Degraded)
		}
		same(t, name+": running", *v.Running.Nic("eth2").MTU, 1400)
		if v.Committed.Nic("eth2").MTU != nil {
			t.Errorf("%s: what is committed is not the revision before", name)
		}
		// A new commit does not take the number of the damaged one.
		h.commit()
		same(t, name+": the next revision", h.View().CommittedRevision, 3)
		h.stop()
	}
	h.putBack(whole)
	if err := os.WriteFile(second, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.reboot("another boot", "eth0", "eth1", "eth2")
	same(t, "drift", h.Drift(h.look()), "[]")
	same(t, "slaves, MTU", []any{h.slaves("bond0"), h.link("eth2").MTU}, "[[eth0 eth1] 1500]")
	h.stop()
	// No good revision at all: nothing is touched.
	h.putBack(whole)
	for _, path := range []string{second, filepath.Join(h.state, "revisions", "00000001")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.boot = "a third boot"
	h.untouched(h.look(), "no revision")
}
