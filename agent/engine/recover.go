package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// found is what lay on the disk at start.
type found struct {
	committed         netcfg.Config
	committedRevision int64
	// newest is the newest good revision, whose configuration is committed; nil is none.
	newest  *revisionRecord
	running *runningRecord
	journal *journalRecord
}

// start is what to do at start.
type start struct {
	config netcfg.Config
	memory plan.Memory
	before *snapshot
	// journal is the operation that was under way; resume says that its window goes
	// on.
	journal *journalRecord
	resume  bool
	reason  string
	// cut is the operation whose end is not on the disk, and outcome what becomes of it;
	// reverts says that its change is taken back. Another boot may have begun it.
	cut      *journalRecord
	outcome  State
	reverts  bool
	rebooted bool
}

// decide is the rule of recovery, a pure function of what lay on the disk, the boot
// and the time since boot. In the middle of an operation of this boot: back to what
// was before it. With a change that waits to be confirmed: go on waiting for the
// rest of its time, or back to what is committed when that is over. Otherwise within
// the boot: go on with what was running. After a reboot: what is committed; of the
// memory only what outlives a boot is kept: the identity of hardware, and how the
// resolver's file was found.
func decide(f found, bootID string, now time.Duration) start {
	s := f.configuration(bootID, now)
	if s.cut = f.cut(bootID); s.cut == nil {
		return s
	}
	s.rebooted = s.cut.BootID != bootID
	switch stored := f.stored() > s.cut.Revision; {
	case stored || s.resume:
		s.outcome = Done
	case s.cut.Confirming:
		s.outcome, s.reverts = Done, true
	default:
		s.outcome = RolledBack
	}
	return s
}

// configuration is what decide says about the host.
func (f found) configuration(bootID string, now time.Duration) start {
	j, r := f.live(bootID)
	if j != nil && r != nil {
		// What came up while the change waited is only in the other record.
		both := *j
		both.Memory = j.Memory.Union(r.Memory)
		j = &both
	}
	switch {
	case j != nil && f.stored() > j.Revision:
		return start{config: f.committed, memory: j.Memory, reason: "a commit was stored, and cut off after that; going on with it"}
	case j != nil && !j.Confirming:
		return start{config: j.Previous, memory: j.Memory, before: &j.Before, journal: j, reason: "an operation was cut off; going back to what was before it"}
	case j != nil && now >= j.Deadline:
		return start{config: f.committed, memory: j.Memory, before: &j.Before, journal: j, reason: "a change was not confirmed in time; going back to what is committed"}
	case j != nil:
		return start{config: j.Next, memory: j.Memory, journal: j, resume: true, reason: "a change waits to be confirmed; keeping it until its deadline"}
	}
	if r != nil && f.stored() > r.Revision { // a commit stores what is running
		return start{config: f.committed, memory: r.Memory, reason: "going on with what was committed last"}
	}
	if r != nil {
		return start{config: r.Config, memory: r.Memory, reason: "going on with what was running"}
	}
	s := start{config: f.committed, reason: "starting with what is committed"}
	if f.running != nil {
		s.memory.Identity, s.memory.Resolver = f.running.Memory.Identity, f.running.Memory.Resolver
	}
	if j := f.journal; s.memory.Resolver == nil && j != nil {
		s.memory.Resolver = j.Memory.Resolver
	}
	return s
}

// stored is the number of the newest good revision. A damaged one tells nothing of
// what was running.
func (f found) stored() int64 {
	if f.newest == nil {
		return 0
	}
	return f.newest.Revision
}

// cut is the journal of an operation that is not over, of whatever boot.
func (f found) cut(bootID string) *journalRecord {
	j, r := f.journal, f.running
	switch {
	case j == nil || !j.Pending:
		return nil
	case j.BootID == bootID:
		j, _ = f.live(bootID)
	case j.Serial != 0 && r != nil && r.Serial >= j.Serial:
		return nil
	}
	return j
}

// ended is the operation that was the last to end, as far as the record of what is
// running or the journal tells; nil is unknown.
func (f found) ended() *operationRecord {
	switch j, r := f.journal, f.running; {
	case j != nil && !j.Pending && j.Ended != nil && (r == nil || r.Serial <= j.Serial):
		return j.Ended
	case r != nil:
		return r.Ended
	}
	return nil
}

// live are the records that hold, of this boot: the journal when it is under way, and
// what is running. Where one of them is an older generation of itself, the other one
// tells.
func (f found) live(bootID string) (*journalRecord, *runningRecord) {
	j, r := f.journal, f.running
	if j != nil && j.BootID != bootID {
		j = nil
	}
	if r != nil && r.BootID != bootID {
		r = nil
	}
	switch {
	case j == nil:
		return nil, r
	case j.Pending && (j.Serial == 0 || r == nil || r.Serial < j.Serial):
		return j, r
	case !j.Pending && j.Serial != 0 && (r == nil || r.Serial < j.Serial):
		return nil, j.over()
	}
	return nil, r
}

// serial is that of the last journal that is over.
func (f found) serial() int64 {
	var last int64
	if f.running != nil {
		last = f.running.Serial
	}
	if f.journal != nil && !f.journal.Pending {
		last = max(last, f.journal.Serial)
	}
	return last
}

// Recover reads the state and converges to what it says. Damaged state is loud,
// and where nothing good is left the host is not touched. Run begins with it; on its
// own it is what the guard does when the agent cannot.
func (e *Engine) Recover(ctx context.Context) error {
	e.Store.Tidy()
	s, known := e.recall()
	e.publish()
	close(e.loaded)
	if known {
		e.converge(ctx, s)
		e.release()
	}
	e.publish()
	return nil
}

// Unfinished is whether an operation of this boot, or a change that waits to be
// confirmed, is not over, as far as the disk tells: where it cannot be read one may be.
// It is asked instead of Recover.
func (e *Engine) Unfinished() bool {
	f, err := e.load()
	if err != nil {
		return true
	}
	j := f.cut(e.BootID)
	return j != nil && j.BootID == e.BootID
}

// recall takes over what was stored, and says what to do with it. It is not known
// when nothing good is left.
func (e *Engine) recall() (s start, known bool) {
	operations := e.recallOperations()
	f, err := e.load()
	var newer *store.NewerError
	e.lost = err != nil
	switch {
	case errors.As(err, &newer):
		e.readOnly = err.Error()
		e.degrade(err)
		return start{}, false
	case err != nil:
		e.readOnly = "the stored configuration is lost, so that the agent does not know what is its own; to begin anew keep what is wanted of the revisions (agentctl history, agentctl config 1), remove " + e.Store.Dir() + " and start the agent again"
		e.degrade(fmt.Errorf("%s: %w", e.readOnly, err))
		return start{}, false
	}
	s = decide(f, e.BootID, e.Clock())
	e.committed, e.committedRevision = f.committed, f.committedRevision
	e.running, e.memory, e.serial = s.config, s.memory, f.serial()
	e.recallLeases(s.config, f.committed)
	e.Log.Info(s.reason, "revision", e.committedRevision, "nics", len(s.config.HostNics))
	if f.running != nil {
		e.lapsed = f.running.Lapsed
	}
	e.loadStaged()
	e.recallOthers(operations, f, s)
	return s, e.readOnly == ""
}

// converge brings the host to what it ought to be at start. What does not fit is
// waiting or degraded, never a reason not to start.
func (e *Engine) converge(ctx context.Context, s start) {
	t := e.recovering(s)
	if err := e.writable(); err != nil {
		e.degrade(err)
		if t != nil {
			e.end(t, e.recovered(t, s, converge.Report{}, err))
		}
		return
	}
	rep, err := e.arrive(ctx, t, s)
	e.follow(rep.Intent, rep.After)
	var op Operation
	if t != nil {
		op = e.recovered(t, s, rep, err)
	}
	if err == nil {
		e.atStart(s, t, &op, rep)
	} else {
		e.waiting = rep.Intent.Waiting
	}
	if err != nil && e.incomplete() == nil {
		e.degradeUntil(fmt.Errorf("the host could not be brought to its configuration: %w", err), true)
	}
	if t != nil {
		e.end(t, op)
	}
}

// atStart notes that the host is where it ought to be at start.
func (e *Engine) atStart(s start, t *tracked, op *Operation, rep converge.Report) {
	if s.cut != nil && !s.resume {
		e.serial = s.cut.Serial
	}
	if t != nil {
		e.over(t, op, op.State)
	}
	if e.window != nil {
		e.remember(rep)
	} else {
		e.memory, e.waiting = rep.Intent.Settled(), rep.Intent.Waiting
		e.degrade(errors.Join(e.closeWindow()))
	}
	e.Log.Info("the host is as configured", "operations", rep.Plan.Len(), "waiting", len(e.waiting))
}

// arrive is the way to where the host ought to be at start. A window that goes on is
// open after it, and a way back that does not work is tried again later.
func (e *Engine) arrive(ctx context.Context, t *tracked, s start) (rep converge.Report, err error) {
	if s.journal != nil {
		e.arm(e.Clock() + applyLimit)
	}
	switch {
	case s.reverts && s.cut.Back != nil:
		e.forgetStaged()
	case s.reverts:
		e.lapse(s.cut.ID)
	}
	target := converge.Target{Config: s.config, Memory: s.memory, Lenient: true, Before: s.before, Begin: e.foresee, Leases: e.lent}
	if s.journal != nil && !s.resume {
		if rep, err = e.goBack(ctx, t, target); err != nil {
			e.window = &window{journal: *s.journal}
			e.retryLater(rep, err)
		}
		return rep, err
	}
	if s.journal != nil {
		target.Progress = func(plan.Phase) { e.arm(e.Clock() + applyLimit) }
	}
	rep, err = converge.Run(ctx, e.Kernel, target)
	if s.journal != nil {
		e.window = &window{journal: *s.journal}
		e.arm(e.window.journal.Deadline)
	}
	return rep, err
}

// load reads everything but the candidate. A record that was recovered from its
// older generation is reported and used.
func (e *Engine) load() (found, error) {
	var f found
	var running runningRecord
	if ok, err := e.get(recordRunning, &running); err != nil {
		return f, err
	} else if ok {
		f.running = &running
	}
	var journal journalRecord
	if ok, err := e.get(recordJournal, &journal); err != nil {
		return f, err
	} else if ok {
		journal.today(f.running)
		f.journal = &journal
	}
	return f, e.loadCommitted(&f)
}

func (e *Engine) get(name string, v any) (bool, error) {
	err := e.Store.Get(name, v)
	var damaged *store.DamagedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.As(err, &damaged) && damaged.Recovered:
		e.degrade(err)
		return true, nil
	}
	return err == nil, err
}

// loadCommitted takes the highest good revision.
func (e *Engine) loadCommitted(f *found) error {
	all, err := e.Store.Revisions()
	if err != nil {
		return err
	}
	var last error
	for i := len(all) - 1; i >= 0; i-- {
		var r revisionRecord
		if last = e.Store.GetRevision(all[i], &r); last == nil {
			f.committed, f.committedRevision, f.newest = r.Config, all[len(all)-1], &r
			return nil
		}
		var newer *store.NewerError
		if errors.As(last, &newer) {
			return last
		}
		e.degrade(fmt.Errorf("%w; the revision before it is used", last))
	}
	return last
}

func (e *Engine) loadStaged() {
	var rec stagedRecord // its own: decoding writes into slices that are there
	ok, err := e.get(recordStaged, &rec)
	var newer *store.NewerError
	if errors.As(err, &newer) {
		e.readOnly = err.Error()
	}
	if err != nil {
		e.degrade(err)
	}
	if !ok {
		rec.Config = e.running
	}
	e.staged, e.stagedRevision = rec.Config, rec.Revision
}
