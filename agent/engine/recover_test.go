package engine

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

func named(name string) netcfg.Config {
	return netcfg.Config{HostNics: []netcfg.HostNic{{Name: name}}}
}

// TestDecide is the rule of recovery, case by case.
func TestDecide(t *testing.T) {
	committed, running, previous := named("committed"), named("running"), named("previous")
	identity := map[string]plan.Identity{"eth0": {PermMAC: "52:54:00:00:00:01"}}
	run := func(boot string) *runningRecord {
		return &runningRecord{BootID: boot, Config: running, Memory: plan.Memory{Identity: identity, Owned: plan.Owned{Links: map[string]netcfg.Kind{"bond0": netcfg.KindBond}}}}
	}
	pending := func(boot string) *journalRecord {
		return &journalRecord{Pending: true, BootID: boot, Previous: previous, Next: named("next")}
	}
	waits := func(boot string, deadline time.Duration) *journalRecord {
		return &journalRecord{Pending: true, Confirming: true, ID: "op", Deadline: deadline, BootID: boot, Previous: previous, Next: named("next")}
	}
	stored := func(boot string) *journalRecord {
		return &journalRecord{Pending: true, BootID: boot, Revision: 3, Previous: previous, Next: committed, Memory: run(boot).Memory}
	}
	const now = time.Hour
	for _, c := range []struct {
		name     string
		running  *runningRecord
		journal  *journalRecord
		want     netcfg.Config
		before   bool
		owns     bool
		resume   bool
		revision int64
		outcome  State
		reverts  bool
	}{
		{name: "nothing but a commit", want: committed},
		{name: "same boot", running: run("now"), want: running, owns: true},
		{name: "another boot: running is lost", running: run("then"), want: committed},
		{name: "same boot, a finished journal", running: run("now"), journal: &journalRecord{BootID: "now", Previous: previous}, want: running, owns: true},
		{name: "same boot, cut off in the middle", running: run("now"), journal: pending("now"), want: previous, before: true, owns: true, outcome: RolledBack},
		{name: "another boot, cut off in the middle", running: run("then"), journal: pending("then"), want: committed, outcome: RolledBack},
		{name: "cut off in the first operation ever", journal: pending("now"), want: previous, before: true, outcome: RolledBack},
		{name: "cut off after its commit was stored", running: run("now"), journal: stored("now"), revision: 4, want: committed, owns: true, outcome: Done},
		{name: "cut off after its commit was stored, in another boot", running: run("then"), journal: stored("then"), revision: 4, want: committed, outcome: Done},
		{name: "a commit was stored that wrote nothing to the kernel", running: run("now"), revision: 1, want: committed, owns: true},
		{name: "waits to be confirmed, time left", running: run("now"), journal: waits("now", now+1), want: named("next"), resume: true, owns: true, outcome: Done},
		{name: "waits to be confirmed, time over", running: run("now"), journal: waits("now", now), want: committed, before: true, owns: true, outcome: Done, reverts: true},
		{name: "waited to be confirmed in another boot", running: run("then"), journal: waits("then", now+1), want: committed, outcome: Done, reverts: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := found{committed: committed, committedRevision: c.revision, running: c.running, journal: c.journal}
			if c.revision > 0 {
				f.newest = &revisionRecord{Revision: c.revision}
			}
			got := decide(f, "now", now)
			if !netcfg.Equal(got.config, c.want) || (got.before != nil) != c.before {
				t.Errorf("got %v, before %v, want %v, %v", got.config, got.before != nil, c.want, c.before)
			}
			if owns := len(got.memory.Owned.Links) > 0; owns != c.owns {
				t.Errorf("owns links of a former life: %v, want %v", owns, c.owns)
			}
			if got.resume != c.resume {
				t.Errorf("resume %v, want %v", got.resume, c.resume)
			}
			if got.outcome != c.outcome || got.reverts != c.reverts || (got.cut != nil) != (c.outcome != "") {
				t.Errorf("of the operation: %q, reverts %v, want %q, %v", got.outcome, got.reverts, c.outcome, c.reverts)
			}
			if c.running != nil && c.journal == nil && got.memory.Identity["eth0"] != identity["eth0"] {
				t.Error("the identity of hardware is forgotten")
			}
		})
	}
}

// TestDecideBySerial has one of the two records in an older generation, because the
// newer one is damaged: the other one tells what happened since.
func TestDecideBySerial(t *testing.T) {
	running := func(serial int64, name string) *runningRecord {
		return &runningRecord{BootID: "now", Serial: serial, Config: named(name)}
	}
	pending := &journalRecord{BootID: "now", Serial: 7, Pending: true, Previous: named("previous"), Next: named("next")}
	waits := &journalRecord{BootID: "now", Serial: 7, Pending: true, Confirming: true, Deadline: time.Hour, Previous: named("previous"), Next: named("next")}
	over := &journalRecord{BootID: "now", Serial: 7, Config: named("next")}
	for _, c := range []struct {
		name    string
		running *runningRecord
		journal *journalRecord
		want    string
	}{
		{"under way", running(6, "previous"), pending, "previous"},
		{"over, its journal is an older generation", running(7, "next"), pending, "next"},
		{"over, what is running is an older generation", running(6, "previous"), over, "next"},
		{"over, and noted twice", running(7, "next"), over, "next"},
		{"waits to be confirmed", running(6, "next"), waits, "next"},
		{"confirmed, its journal is an older generation", running(7, "next"), waits, "next"},
		{"taken back, its journal is an older generation", running(7, "previous"), waits, "previous"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decide(found{running: c.running, journal: c.journal}, "now", time.Minute)
			if !netcfg.Equal(got.config, named(c.want)) {
				t.Errorf("got %v, want %v", got.config, c.want)
			}
			if over := c.running.Serial == 7 || !c.journal.Pending; over != (got.cut == nil) {
				t.Errorf("cut off: %v", got.cut)
			}
		})
	}
}

// A revision that is damaged tells nothing of what was running: the one before it is
// older than that.
func TestDecideDamagedRevision(t *testing.T) {
	f := found{committed: named("older"), committedRevision: 2, newest: &revisionRecord{Revision: 1},
		running: &runningRecord{BootID: "now", Revision: 1, Config: named("running")}}
	if got := decide(f, "now", 0); !netcfg.Equal(got.config, f.running.Config) {
		t.Errorf("got %v, want what was running", got.config)
	}
}

// TestEndedTwice stores the end of an operation, and wants it from either record when
// the other one is lost.
func TestEndedTwice(t *testing.T) {
	for _, lost := range []string{recordRunning, recordJournal} {
		t.Run(lost, func(t *testing.T) {
			st, err := store.Open(filepath.Join(t.TempDir(), "state"))
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			e := New(Options{Store: st, BootID: "now", Log: slog.New(slog.DiscardHandler)})
			e.running, e.serial, e.committedRevision = named("eth0"), 7, 3
			e.memory.Owned.Links = map[string]netcfg.Kind{"eth0.7": netcfg.KindVLAN}
			running, journal := e.saveEnded()
			if err := errors.Join(running, journal, os.Remove(filepath.Join(st.Dir(), lost+".a"))); err != nil {
				t.Fatal(err)
			}
			f, err := e.load()
			if err != nil {
				t.Fatal(err)
			}
			j, r := f.live("now")
			if j != nil || r == nil || !netcfg.Equal(r.Config, e.running) || r.Serial != 7 || r.Revision != 3 || r.Memory.Owned.Links["eth0.7"] != netcfg.KindVLAN {
				t.Errorf("journal %v, running %+v", j, r)
			}
		})
	}
}

// The state of the first version, killed while a change waited to be confirmed: what is
// committed, staged and running is read, the change waits for the rest of its time, and in
// another boot it is gone. Damage is found by its checksums, too.
func TestFault_A20(t *testing.T) {
	first := func(t *testing.T) *rig {
		r := newRig(t)
		r.stop()
		if err := errors.Join(os.RemoveAll(r.dir), os.CopyFS(r.dir, os.DirFS("testdata/first")), os.Chmod(r.dir, 0o700)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	const deadline = 604948038144 // of the journal there
	mtu := func(c netcfg.Config) int {
		if n := c.Nic("bond0"); n != nil && n.MTU != nil {
			return *n.MTU
		}
		return 0
	}
	check := func(t *testing.T, r *rig, wait bool, running, staged int) {
		t.Helper()
		v := r.View()
		if len(v.Degraded) != 0 || v.CommittedRevision != 1 || (v.Pending != nil) != wait || mtu(v.Running) != running || mtu(v.Staged) != staged {
			t.Errorf("degraded by %v, committed %d, waits %v, running with mtu %d, staged with mtu %d", v.Degraded, v.CommittedRevision, v.Pending, mtu(v.Running), mtu(v.Staged))
		}
		if all, err := r.Revisions(t.Context()); err != nil || len(all) != 1 || all[0].Comment != "first bond" || all[0].Author != "root" {
			t.Errorf("revisions: %v, %v", all, err)
		}
	}
	t.Run("the same boot", func(t *testing.T) {
		r := first(t)
		r.boot = "4eb9bf02-df98-422b-be38-b55e0cad78ae"
		r.now.Store(deadline - int64(time.Minute))
		r.start()
		check(t, r, true, 1400, 1300)
		if p := r.View().Pending; p == nil || p.Deadline != deadline {
			t.Errorf("waits until %v", p)
		}
		r.restart() // from what this version has written
		check(t, r, true, 1400, 1300)
		r.pass(time.Minute)
		eventually(t, "it goes back", func() bool { return r.View().Pending == nil })
		check(t, r, false, 0, 0) // what was staged goes with the change
	})
	t.Run("another boot", func(t *testing.T) {
		r := first(t)
		r.start()
		check(t, r, false, 0, 0)
	})
	t.Run("damaged", func(t *testing.T) {
		r := first(t)
		path := filepath.Join(r.dir, "revisions", "00000001")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-10] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r.start()
		if len(r.View().Degraded) == 0 {
			t.Error("nobody has noticed")
		}
	})
}
