package kerneltest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// ErrKilled is what every call gives between the moment that StopAfter chose and
// Revive: the process that would have made it is gone.
var ErrKilled = errors.New("killed")

// Fake is a network namespace in memory. Only lo is in it at first. It may be
// used from several goroutines; every call is atomic. What takes the kernel time
// (carrier, monitoring, duplicate address detection) is done when the call that
// caused it returns.
type Fake struct {
	// KeepAddrOnDown is net.ipv6.conf.all.keep_addr_on_down: static IPv6 addresses
	// stay when their link goes down.
	KeepAddrOnDown bool

	mu sync.Mutex
	// links in the order of their index, byIndex the same.
	links   []*link
	byIndex map[int]*link
	routes  []state.Route
	// lastIndex is the newest index that the kernel itself has chosen.
	lastIndex int
	random    *rand.Rand

	ops      []plan.Op
	writes   int
	injected int
	inject   func(n int, op plan.Op) syscall.Errno
	killed   bool
	// allowed is the number of operations until death; negative is for ever.
	allowed int
}

// NewFake makes a namespace with nothing in it but lo, up. What is random in the
// kernel comes from a fixed seed here: the same calls give the same namespace.
func NewFake() *Fake {
	f := &Fake{byIndex: map[int]*link{}, allowed: -1, random: rand.New(rand.NewPCG(1, 2))}
	lo := &link{Link: state.Link{Name: "lo", Type: typeLoopback, MTU: 65536, Discovery: state.UsualDiscovery()}, v6: true, cable: true}
	f.register(lo)
	_ = f.setUp(lo)
	f.settle()
	return f
}

// Snapshot is a deep copy of everything.
func (f *Fake) Snapshot(ctx context.Context) (state.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killed {
		return state.Snapshot{}, ErrKilled
	}
	if err := ctx.Err(); err != nil {
		return state.Snapshot{}, err
	}
	return f.snapshot(), nil
}

// Apply performs the operations in order. It goes on behind a refused one, as
// the kernel does with the messages of one send, and joins a *plan.OpError for
// each refusal.
func (f *Fake) Apply(ctx context.Context, ops []plan.Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killed {
		return ErrKilled
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var errs []error
	for _, op := range ops {
		if f.allowed == 0 {
			f.killed = true
			return errors.Join(append(errs, ErrKilled)...)
		}
		f.allowed = max(f.allowed-1, -1)
		if err := f.receive(op); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// receive counts an operation, and performs it unless the test refuses it.
func (f *Fake) receive(op plan.Op) error {
	f.writes++
	f.ops = append(f.ops, op)
	var r *refusal
	injected := syscall.Errno(0)
	if f.inject != nil {
		injected = f.inject(f.injected, op)
		f.injected++
	}
	if injected != 0 {
		r = &refusal{errno: injected}
	} else {
		r = f.perform(op)
	}
	return r.opError(op)
}

func (f *Fake) perform(op plan.Op) (r *refusal) {
	switch op.Action {
	case plan.AddrAdd, plan.AddrReplace:
		return f.addrAdd(op)
	case plan.DiscoverySet:
		return f.discoverySet(op)
	case plan.AddrDel:
		return f.addrDel(op)
	case plan.RouteAdd, plan.RouteReplace:
		return f.routeAdd(op.Route, op.Action == plan.RouteReplace)
	case plan.RouteDel:
		return f.routeDel(op.Route)
	case plan.LinkAdd:
		r = f.linkAdd(op)
	case plan.LinkSet:
		r = f.linkSet(op)
	case plan.LinkDel:
		r = f.linkDel(op)
	case plan.GroupDel:
		r = f.groupDel(op)
	default:
		return refuse(syscall.EOPNOTSUPP, "")
	}
	f.settle()
	return r
}

// Inject has the answer of every coming operation decided by fn: 0 performs it,
// anything else refuses it with that number. n counts the operations from 0.
// A nil fn ends that.
func (f *Fake) Inject(fn func(n int, op plan.Op) syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inject, f.injected = fn, 0
}

// StopAfter performs n more operations. The next one, and every call after it,
// gives ErrKilled and does nothing. What was performed stays, as it does in the
// kernel when the agent is killed.
func (f *Fake) StopAfter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.allowed = n
}

// Revive ends what StopAfter began: the agent has been started again.
func (f *Fake) Revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed, f.allowed = false, -1
}

// Writes is the number of operations received, refused ones included.
func (f *Fake) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// Ops are the operations received, refused ones included, since the start or the
// last ForgetOps.
func (f *Fake) Ops() []plan.Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}

// ForgetOps empties the log of Ops. Writes goes on counting.
func (f *Fake) ForgetOps() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = f.ops[:0]
}
