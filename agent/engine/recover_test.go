package engine

import (
	"testing"

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
	for _, c := range []struct {
		name    string
		running *runningRecord
		journal *journalRecord
		want    netcfg.Config
		before  bool
		owns    bool
	}{
		{"nothing but a commit", nil, nil, committed, false, false},
		{"same boot", run("now"), nil, running, false, true},
		{"another boot: running is lost", run("then"), nil, committed, false, false},
		{"same boot, a finished journal", run("now"), &journalRecord{BootID: "now", Previous: previous}, running, false, true},
		{"same boot, cut off in the middle", run("now"), pending("now"), previous, true, false},
		{"another boot, cut off in the middle", run("then"), pending("then"), committed, false, false},
		{"cut off in the first operation ever", nil, pending("now"), previous, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decide(found{committed: committed, running: c.running, journal: c.journal}, "now")
			if !netcfg.Equal(got.config, c.want) || (got.before != nil) != c.before {
				t.Errorf("got %v, before %v, want %v, %v", got.config, got.before != nil, c.want, c.before)
			}
			if owns := len(got.memory.Owned.Links) > 0; owns != c.owns {
				t.Errorf("owns links of a former life: %v, want %v", owns, c.owns)
			}
			if c.running != nil && c.journal == nil && got.memory.Identity["eth0"] != identity["eth0"] {
				t.Error("the identity of hardware is forgotten")
			}
		})
	}
}
