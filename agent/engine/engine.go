package engine

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Kernel is the door to the host, and the count of what went through it.
type Kernel interface {
	converge.Kernel
	// Writes is the number of requests written since the start.
	Writes() uint64
}

// Missing is something that this host cannot do, and why.
type Missing struct{ Feature, Reason string }

// Features that an Engine asks about.
const (
	FeatureBond  = "bond"
	FeatureVLAN  = "vlan"
	FeatureWrite = "write"
)

// Options are what an Engine is made of. Kernel, Store, HostID,
// BootID and Log are required.
type Options struct {
	Kernel Kernel
	// Prober makes the probes that reach out; nil is nobody, and those do not vote.
	Prober Prober
	// Heard are the LLDP neighbours at the other end of the link of that name, now; nil is
	// that nobody listens.
	Heard func(link string) []netcfg.Neighbour
	// ProbeLimit is how long all probes of a change may take after it;
	// DefaultProbeLimit if zero.
	ProbeLimit time.Duration
	Store      *store.Store
	// HostID is the UUID of the host; see netcfg.NicID.
	HostID string
	// BootID tells one boot of the machine from another.
	BootID string
	Limits netcfg.Limits
	// ControlPlane are addresses from which the host is managed; see Request.Paths.
	ControlPlane []netip.Addr
	// Missing is what the kernel or the process cannot do.
	Missing []Missing
	// Clock is the time since boot, suspend included (CLOCK_BOOTTIME). A
	// window is measured by it, so that no change of the wall clock moves it. Nil is
	// the time since New, with which no window outlives the engine.
	Clock func() time.Duration
	// Guard is told of deadlines; nil is nobody.
	Guard Guard
	// Leaser gets leases; nil is nobody, and NICs on dhcp wait.
	Leaser Leaser
	// Rehearse is where plans are rehearsed; nil is nowhere.
	Rehearse Rehearse
	// Managers are the other programs that configure links; nil knows of none.
	Managers Managers
	// Known is told, and must not wait, when readers that keep what they have read should
	// read the View again; nil is nobody.
	Known func()
	// Witness is told what happens; nil is nobody.
	Witness Witness
	// Nudges say that something in the kernel has changed.
	Nudges <-chan struct{}
	// Duplicates are addresses that the kernel has found another host to have.
	Duplicates <-chan Duplicate
	// DriftPolicy is what to do about drift; empty is DriftReport.
	DriftPolicy DriftPolicy
	Log         *slog.Logger
}

// Witness is told, in the loop, what happens, and must not wait.
type Witness interface {
	// Ended tells of an operation that has.
	Ended(op Operation)
	// Drifted tells of a NIC that has begun to differ from what is running.
	Drifted(nic string)
}

// Engine is the owner of the configuration. Its exported methods may be called
// from any goroutine while Run runs.
type Engine struct {
	Options
	requests chan func()
	view     atomic.Pointer[View]
	onStage  chan struct{} // taken while there is a rehearsal
	ops      *operations
	turned   chan struct{}
	loaded   chan struct{}
	ready    chan struct{}
	stopped  chan struct{}
	ending   <-chan struct{} // closed when Run is to end; nil outside of it
	contacts contacts
	born     time.Time
	life     atomic.Int64 // since born; see Alive

	// What follows belongs to the loop.
	staged, running, committed netcfg.Config
	stagedRevision             int64
	committedRevision          int64
	memory                     plan.Memory
	serial                     int64 // of the last journal that is over
	ended                      *operationRecord
	waiting                    []plan.Waiting
	verdict                    *verdict // the last
	degraded, passing          []string
	readOnly                   string
	lost                       bool // nothing is known of what was stored
	window                     *window
	lapsed                     string // id of the operation whose window has lapsed

	lending *lending
	// unsettled are the NICs whose lease has news that are not brought to the host yet.
	unsettled map[string]bool
	// carrying is since when bonds have a carrier but nobody who speaks LACP, by index.
	carrying map[int]time.Duration

	eye              pace
	acted            uint64 // Kernel.Writes when the last look had ended
	drift            []Drift
	lines            int // logged about drift since linesFrom
	linesFrom        time.Time
	damping          damping
	meeting, healing backoff
}

// View is what readers see. It is never changed once published.
type View struct {
	Staged, Running, Committed        netcfg.Config
	StagedRevision, CommittedRevision int64
	StagedChanges, Uncommitted        bool
	Memory                            plan.Memory
	Waiting                           []plan.Waiting
	// Drift is how the host differed from Running at the last look of the loop.
	Drift []Drift
	// LeftAlone are the NICs that are not healed any more.
	LeftAlone []string
	// Degraded says why the agent cannot do all of its work.
	Degraded []string
	// ReadOnly says why every change is refused; empty when none is. Lost is true where
	// what was staged, running and committed is not known, for that reason.
	ReadOnly string
	Lost     bool
	// Leases are where the DHCP clients stand, by NIC, and Leases6 those of DHCPv6.
	Leases, Leases6 map[string]netcfg.LeaseStatus
	// Pending is the change that waits to be confirmed; nil when none does.
	Pending *Pending
	// Incomplete is the change that could not be taken back yet; nil when there is none.
	Incomplete *IncompleteRollback

	lending *lending
}

// Writable says whether changes are taken. While a change could not be taken back all
// but another try at that are refused.
func (v View) Writable() bool { return v.ReadOnly == "" && v.Incomplete == nil }

// New makes an engine; Run starts it.
func New(o Options) *Engine {
	if o.Clock == nil {
		start := time.Now()
		o.Clock = func() time.Duration { return time.Since(start) }
	}
	e := &Engine{Options: o, lending: &lending{}, unsettled: map[string]bool{}, carrying: map[int]time.Duration{}, requests: make(chan func()), onStage: make(chan struct{}, 1), ops: newOperations(), turned: make(chan struct{}, 1),
		loaded: make(chan struct{}), ready: make(chan struct{}), stopped: make(chan struct{})}
	e.born = time.Now()
	e.lives(applyLimit)
	e.publish()
	return e
}

// Loaded is closed once what was stored has been read, so that View tells it.
func (e *Engine) Loaded() <-chan struct{} { return e.loaded }

// Ready is closed once the engine has brought the host to what it ought to be at
// start, as far as that was possible.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Turned receives when View.Writable may have changed. It is for one reader.
func (e *Engine) Turned() <-chan struct{} { return e.turned }

// View returns what there is to read, without waiting.
func (e *Engine) View() View { return *e.view.Load() }

// Run recovers what was stored, converges to it, and then serves requests until
// ctx ends. The kernel is left as it is. The error is one that makes starting
// impossible; a host that does not fit its configuration is not one.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.stopped)
	e.ending = ctx.Done()
	if err := e.Recover(ctx); err != nil {
		return err
	}
	e.publish()
	close(e.ready)
	pulse := time.NewTicker(pulsePace)
	defer pulse.Stop()
	for {
		e.lives(applyLimit)
		select {
		case <-ctx.Done():
			return nil
		case request := <-e.requests:
			request()
		case <-e.windowTick():
			e.watchWindow(ctx)
		case <-e.eye.nudges(e.Nudges):
			if len(e.running.HostNics)+len(e.drift) > 0 {
				e.eye.news()
			}
			if e.lending.waits() {
				e.eye.soon()
			}
			continue
		case <-e.leaseNews():
			if e.heed() {
				e.observe(ctx)
			}
		case d := <-e.Duplicates:
			e.duplicate(d)
			continue
		case <-e.eye.due:
			e.observe(ctx)
		case <-pulse.C:
			continue
		}
		if e.Kernel.Writes() != e.acted {
			e.eye.news()
		}
		e.publish()
	}
}

// foresee notes, before the first write outside of an operation, what the agent will
// own by it and how the host was. A disk that does not take it keeps no NIC from
// coming up.
func (e *Engine) foresee(intent plan.Intent, _ plan.Plan, _ state.Snapshot) error {
	e.memory = e.memory.Union(intent.Memory)
	e.degrade(e.saveRunning())
	return nil
}

// remember takes over what a successful converge has found and done.
func (e *Engine) remember(rep converge.Report) {
	e.memory, e.waiting = rep.Intent.Settled(), rep.Intent.Waiting
	e.follow(rep.Intent, rep.After)
	e.degrade(e.saveRunning())
}

// degrade makes an error known that stops nothing; nil is none. One that the disk
// had is over with the next operation that gets to its end.
func (e *Engine) degrade(err error) {
	var storage *Error
	e.degradeUntil(err, errors.As(err, &storage) && (storage.Kind == Full || storage.Kind == Storage))
}

// degradeUntil is degrade for what may pass.
func (e *Engine) degradeUntil(err error, passes bool) {
	if err == nil {
		return
	}
	e.Log.Error(err.Error())
	if slices.Contains(e.degraded, err.Error()) {
		return
	}
	e.degraded = append(e.degraded, err.Error())
	if passes {
		e.passing = append(e.passing, err.Error())
	}
}

// pass forgets what was wrong only until an operation gets to its end.
func (e *Engine) pass() {
	if len(e.passing) == 0 {
		return
	}
	// Published views hold the old list.
	e.degraded = slices.DeleteFunc(slices.Clone(e.degraded), func(d string) bool { return slices.Contains(e.passing, d) })
	e.passing = nil
}

func (e *Engine) publish() {
	readOnly := ""
	if err := e.writable(); err != nil {
		readOnly = err.Error()
	}
	next := &View{
		Staged: e.staged, Running: e.running, Committed: e.committed,
		StagedRevision: e.stagedRevision, CommittedRevision: e.committedRevision,
		StagedChanges: !netcfg.Equal(e.staged, e.running), Uncommitted: !netcfg.Equal(e.running, e.committed),
		Memory: e.memory, Waiting: e.waiting, Degraded: slices.Concat(e.degraded, e.damping.alarms()), ReadOnly: readOnly, Lost: e.lost, Pending: e.pending(), Incomplete: e.incomplete(),
		Drift: e.drift, LeftAlone: e.damping.leftAlone(), Leases: e.lending.clients, Leases6: e.lending.clients6, lending: e.lending,
	}
	if i := next.Incomplete; i != nil {
		next.Degraded = append(next.Degraded, i.Error())
	}
	last := e.view.Swap(next)
	if last == nil || last.Writable() != next.Writable() {
		select {
		case e.turned <- struct{}{}:
		default: // nobody has come for the last one yet
		}
	}
	if e.Known != nil && last != nil && !last.tellsTheSame(next) {
		e.Known()
	}
}

// tellsTheSame is true of views that tell the same about NICs.
func (v *View) tellsTheSame(o *View) bool {
	a, b := v.Running.HostNics, o.Running.HostNics
	same := len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) // configurations are never changed, only replaced
	return same && slices.Equal(v.Waiting, o.Waiting) && slices.Equal(v.Drift, o.Drift) && maps.Equal(v.Leases, o.Leases) && maps.Equal(v.Leases6, o.Leases6)
}

// call runs f in the loop and waits for it.
func (e *Engine) call(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case e.requests <- func() { f(); e.publish(); close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stopped:
		return errStopped
	}
	<-done
	return nil
}

// names turns ids and names into names, as the host has them now. Most documents
// have names only, so that the ids are worked out for the first that may be one.
func (e *Engine) names(s state.Snapshot) netcfg.Names {
	ids := sync.OnceValue(func() map[string]string { return e.ids(s) })
	return func(ref string) string {
		if len(ref) != netcfg.IDLength {
			return ref
		}
		if name, ok := ids()[ref]; ok {
			return name
		}
		return ref
	}
}

// ids are the names of links by their ids.
func (e *Engine) ids(s state.Snapshot) map[string]string {
	ids := map[string]string{}
	for i := range s.Links {
		ids[e.NicID(&s.Links[i])] = s.Links[i].Name
	}
	for _, c := range []netcfg.Config{e.staged, e.running} {
		for _, n := range c.HostNics {
			id := netcfg.NicID(e.HostID, "name:"+n.Name)
			if _, taken := ids[id]; !taken && n.Kind() != netcfg.KindNIC {
				ids[id] = n.Name
			}
		}
	}
	return ids
}

// NicID is the stable id of a link: hardware is known by its permanent MAC or its
// place on the bus, everything else by its name.
func (e *Engine) NicID(l *state.Link) string {
	switch {
	case l.Kind == "" && l.PermMAC != "":
		return netcfg.NicID(e.HostID, "mac:"+l.PermMAC)
	case l.Kind == "" && l.BusPath != "":
		return netcfg.NicID(e.HostID, "bus:"+l.BusPath)
	}
	return netcfg.NicID(e.HostID, "name:"+l.Name)
}

// Drift is how the host differs from what is running, by a look taken now.
func (e *Engine) Drift(s state.Snapshot) []plan.Drift { return e.Sight(s).Differences() }

// errStopped is the answer to a request that comes after the end.
var errStopped = &Error{Kind: Unavailable, Rule: "stopping", Message: "the agent is stopping"}
