package engine

import (
	"errors"
	"fmt"
	"time"

	"syscall"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

type snapshot = state.Snapshot

// Names of the records in the store.
const (
	recordStaged  = "staged"
	recordRunning = "running"
	recordJournal = "journal"
)

// stagedRecord is the candidate on disk.
type stagedRecord struct {
	Revision int64
	Config   netcfg.Config
}

// runningRecord is what the agent has applied, and what it remembers of the host.
// It is believed within the boot that wrote it only.
type runningRecord struct {
	BootID string
	Config netcfg.Config
	// Revision is the committed one at the time.
	Revision int64
	Memory   plan.Memory
	// Lapsed is the operation whose change was taken back for want of a
	// confirmation, until somebody stages anew.
	Lapsed string
	// Serial is that of the last journal whose end this is, and Ended the operation
	// that was the last to end.
	Serial int64
	Ended  *operationRecord
}

// journalRecord is the operation in flight. It is on the disk before the first
// request goes to the kernel.
type journalRecord struct {
	// Serial counts journals; 0 is unknown. By it the record of what is running tells
	// which journal is over, and a damaged record of either kind does not bring a
	// former state back: the older generation of a journal is always a pending one.
	Serial int64
	// Pending is false once the operation has ended: the record is then the one of what
	// is running, stored a second time. It is overwritten, never deleted.
	Pending bool
	// Confirming is true once Next is in place and waits to be confirmed until
	// Deadline, a reading of Options.Clock.
	Confirming bool
	Deadline   time.Duration
	BootID     string
	ID         string
	Begun      begun
	// Back is the rollback that takes the change back, once it has begun.
	Back *begun
	// Ended is the operation that was the last to end, once Pending is false.
	Ended *operationRecord
	// Revision was the committed one when the operation began. A higher one on disk
	// says that the operation has stored its change: there is no way back then.
	Revision int64
	// Previous is what to go back to, Next what was on the way.
	Previous, Next netcfg.Config
	// Config is what is running, and Lapsed as there, once Pending is false.
	Config netcfg.Config
	Lapsed string
	// Memory knows what either side owns.
	Memory plan.Memory
	// Before is the host as it was, as far as others have touched it.
	Before state.Snapshot
	// Kind is in journals of the first version only, which lack Begun and Revision.
	Kind Kind `json:",omitempty"`
}

// today gives a journal of the first version what it lacks: the kind of the operation,
// and the revision that was the committed one, as the record of what was running has it.
func (j *journalRecord) today(r *runningRecord) {
	if j.Kind == "" {
		return
	}
	j.Begun.Request.Kind, j.Begun.Request.ID, j.Kind = j.Kind, j.ID, ""
	if r != nil {
		j.Revision = r.Revision
	}
}

// begun is an operation that has begun, on disk.
type begun struct {
	Request Request
	Started time.Time
}

// revisionRecord is one commit on disk.
type revisionRecord struct {
	Revision int64
	Time     time.Time
	Author   string
	Comment  string
	Config   netcfg.Config
	// Request is that of the operation that has stored it.
	Request *Request
}

// keepRevisions is how many commits are kept.
const keepRevisions = 200

func (e *Engine) saveStaged(c netcfg.Config, revision int64) error {
	if e.readOnly != "" {
		return &Error{Kind: Precondition, Rule: "read-only", Message: e.readOnly}
	}
	if err := e.Store.Put(recordStaged, stagedRecord{revision, c}); err != nil {
		return storageError("the candidate cannot be stored, and is left as it was", err)
	}
	e.staged, e.stagedRevision = c, revision
	return nil
}

func (e *Engine) saveRunning() error {
	return notNoted(e.Store.Put(recordRunning, e.runningNow()))
}

func (e *Engine) runningNow() runningRecord {
	return runningRecord{
		BootID: e.BootID, Config: e.running, Lapsed: e.lapsed, Revision: e.committedRevision,
		Memory: e.memory, Serial: e.serial, Ended: e.ended,
	}
}

// saveEnded notes what is running, and over the journal that nothing is under way: the
// same record twice, so that either tells what happened when the other is damaged.
func (e *Engine) saveEnded() (running, journal error) {
	p, err := store.Encode(e.runningNow())
	if err != nil {
		return notNoted(err), notNoted(err)
	}
	return notNoted(e.Store.PutPayload(recordRunning, p)), notNoted(e.Store.PutPayload(recordJournal, p))
}

func notNoted(err error) error {
	if err == nil {
		return nil
	}
	return storageError("what was applied cannot be noted on disk", err)
}

// over is what an ended journal says of what is running.
func (j *journalRecord) over() *runningRecord {
	return &runningRecord{
		BootID: j.BootID, Config: j.Config, Lapsed: j.Lapsed, Revision: j.Revision,
		Memory: j.Memory, Serial: j.Serial, Ended: j.Ended,
	}
}

func (e *Engine) saveJournal(j journalRecord) error {
	if err := e.Store.Put(recordJournal, j); err != nil {
		return storageError("the operation cannot be journaled, so nothing was touched", err)
	}
	return nil
}

func (e *Engine) saveRevision(c netcfg.Config, by Request) error {
	r := revisionRecord{Revision: e.committedRevision + 1, Time: time.Now().UTC(), Author: by.Author, Comment: by.Comment, Config: c, Request: &by}
	if err := e.Store.PutRevision(r.Revision, r); err != nil {
		return storageError("the commit cannot be stored", err)
	}
	e.committed, e.committedRevision = c, r.Revision
	if old := r.Revision - keepRevisions; old > 0 {
		if err := e.Store.DropRevision(old); err != nil {
			e.Log.Warn("an old revision cannot be removed", "revision", old, "error", err)
		}
	}
	return nil
}

func storageError(what string, err error) error {
	kind, hint := Storage, "is the state directory writable?"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind, hint = Full, "make room on its file system"
	}
	return &Error{Kind: kind, Rule: "state-not-written", Message: fmt.Sprintf("%s (%s)", what, hint), Err: err}
}
