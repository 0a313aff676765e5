//go:build kernel

package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ledger counts what a soak has done.
type ledger struct {
	seed   uint64
	began  time.Time
	rounds int
	// phases are the kills by where they struck.
	phases map[string]int
	// returned and on are how often a host was taken back after a kill, and how often
	// the change was kept.
	returned, on          int
	reboots, guardsKilled int
	// undisturbed, takenBack and incomplete are the operations that were answered.
	undisturbed, takenBack, incomplete int
	wrong                              int
}

func newLedger(seed uint64) ledger {
	return ledger{seed: seed, began: time.Now(), phases: map[string]int{}}
}

func (l *ledger) killed(phase string) { l.phases[phase]++ }

// phase says where the daemon was when it died.
func phase(m mission, f fault, passed []string) string {
	last := passed[len(passed)-1]
	switch {
	case strings.HasPrefix(last, "kernel ") && (m.back || f.undone(passed) > 1):
		return "operations of a way back"
	case strings.HasPrefix(last, "kernel "):
		return "operations of a change"
	}
	_, file, _ := strings.Cut(last, " ")
	switch name, _, record := strings.Cut(file, "."); {
	case record:
		return "writing " + name
	default:
		return "writing a revision"
	}
}

// table is the end of a soak.
func (l *ledger) table(kills int) string {
	var b strings.Builder
	row := func(what string, n any) { fmt.Fprintf(&b, "%-44s %8v\n", what, n) }
	row("random changes", l.rounds)
	row("kill -9 of the daemon", kills)
	for _, p := range slices.Sorted(maps.Keys(l.phases)) {
		row("  "+p, l.phases[p])
	}
	row("guards at work after that", l.guardsKilled)
	row("hosts switched off after that", l.reboots)
	row("after a kill: back to what was before", l.returned)
	row("after a kill: on to what was asked for", l.on)
	row("answered: done", l.undisturbed)
	row("answered: refused, and rolled back", l.takenBack)
	row("answered: rollback incomplete, healed later", l.incomplete)
	row("wrong", l.wrong)
	row("time", time.Since(l.began).Round(time.Second))
	row("seed", l.seed)
	return b.String()
}
