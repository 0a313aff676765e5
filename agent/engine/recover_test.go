package engine

import (
	"testing"
	"time"

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
		lapsed   bool
		revision int64
	}{
		{name: "nothing but a commit", want: committed},
		{name: "same boot", running: run("now"), want: running, owns: true},
		{name: "another boot: running is lost", running: run("then"), want: committed},
		{name: "same boot, a finished journal", running: run("now"), journal: &journalRecord{BootID: "now", Previous: previous}, want: running, owns: true},
		{name: "same boot, cut off in the middle", running: run("now"), journal: pending("now"), want: previous, before: true, owns: true},
		{name: "another boot, cut off in the middle", running: run("then"), journal: pending("then"), want: committed},
		{name: "cut off in the first operation ever", journal: pending("now"), want: previous, before: true},
		{name: "cut off after its commit was stored", running: run("now"), journal: stored("now"), revision: 4, want: committed, owns: true},
		{name: "waits to be confirmed, time left", running: run("now"), journal: waits("now", now+1), want: named("next"), resume: true, owns: true},
		{name: "waits to be confirmed, time over", running: run("now"), journal: waits("now", now), want: committed, before: true, lapsed: true, owns: true},
		{name: "waited to be confirmed in another boot", running: run("then"), journal: waits("then", now+1), want: committed, lapsed: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decide(found{committed: committed, committedRevision: c.revision, running: c.running, journal: c.journal}, "now", now)
			if !netcfg.Equal(got.config, c.want) || (got.before != nil) != c.before {
				t.Errorf("got %v, before %v, want %v, %v", got.config, got.before != nil, c.want, c.before)
			}
			if owns := len(got.memory.Owned.Links) > 0; owns != c.owns {
				t.Errorf("owns links of a former life: %v, want %v", owns, c.owns)
			}
			if got.resume != c.resume || (got.lapsed != "") != c.lapsed {
				t.Errorf("resume %v, lapsed %v, want %v, %v", got.resume, got.lapsed, c.resume, c.lapsed)
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
	over := &journalRecord{BootID: "now", Serial: 7, Next: named("next")}
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
			if got := decide(found{running: c.running, journal: c.journal}, "now", time.Minute); !netcfg.Equal(got.config, named(c.want)) {
				t.Errorf("got %v, want %v", got.config, c.want)
			}
		})
	}
}
