package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/agent/lldp"
	"github.com/hostnic/hostnic/agent/managers"
	"github.com/hostnic/hostnic/agent/metrics"
	"github.com/hostnic/hostnic/agent/probe"
	"github.com/hostnic/hostnic/agent/resolver"
	"github.com/hostnic/hostnic/agent/server"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Run runs the daemon until ctx ends, and then leaves the kernel as it is. It
// works in the network namespace of the calling thread, which must be that of the
// process. The error is why it could not start, or not go on.
func Run(ctx context.Context, c Config, log *slog.Logger) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	st, err := openState(ctx, c.StateDir, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	in, err := entranceOf(c, log)
	if err != nil {
		return err
	}
	socks, err := listenAll(c.Socket, in.access, log)
	defer socks.end()
	if err != nil {
		return err
	}
	k, err := kernel.Open(kernelOptions())
	if err != nil {
		return fmt.Errorf("open the kernel: %w", err)
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	a, err := assemble(ctx, c, st, k, in, log)
	if err != nil {
		return err
	}
	defer a.guard.close()
	defer a.leases.Close() // when nobody follows them any more; addresses stay
	return a.run(ctx, socks)
}

// agent is what the daemon is made of.
type agent struct {
	log    *slog.Logger
	kernel *kernel.Kernel
	// resolver is the kernel with the file of DNS servers.
	resolver *resolver.Host
	engine   *engine.Engine
	server   *server.Server
	guard    *guard
	listen   []string // addresses of the remote API
	leases   *leases
	nudges   chan struct{}
	// duplicates are addresses that the kernel has found another host to have.
	duplicates chan engine.Duplicate
	// inventory is the one eye for clients; known has a token when what the engine knows
	// has changed.
	inventory *inventory.Inventory
	known     chan struct{}
	metrics   *metrics.Metrics
	lldp      *lldp.Listener
	// scrapes is where the metrics are told; empty is nowhere.
	scrapes string
	group   *uint32
}

func assemble(ctx context.Context, c Config, st *store.Store, k *kernel.Kernel, in entrance, log *slog.Logger) (*agent, error) {
	host, err := identify(c.HostID, machineIDFile, st, log)
	if err != nil {
		return nil, err
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	caps, err := k.Capabilities(ctx)
	if err != nil {
		// Nothing is known to be missing; the kernel itself will say.
		log.Warn("what this kernel can do was not found out", "error", err)
		caps = kernel.Capabilities{Admin: true, Bonds: true, VLANs: true}
	}
	for _, m := range caps.Missing {
		log.Warn(m)
	}
	machine := &resolver.Host{Kernel: k, Path: c.resolvConf(), Inject: kernelOptions().Inject}
	a := &agent{log: log, kernel: k, resolver: machine, guard: newGuard(c, log), leases: newLeases(ctx, c, st, host, boot, log), listen: c.Listen, nudges: make(chan struct{}, 1), duplicates: make(chan engine.Duplicate, mostDuplicates), known: make(chan struct{}, 1), scrapes: c.Metrics, group: in.access.Operators}
	a.lldp = lldp.New(log)
	meter := inventory.NewMeter()
	a.metrics = a.newMetrics(meter, in.remote)
	a.engine = engine.New(engine.Options{
		Kernel: counted{crashing(machine, st), a.metrics}, Witness: a.metrics, Prober: prober{Kernel: k}, ProbeLimit: c.ProbeLimit, Store: st, HostID: host, BootID: boot, Guard: a.guard,
		Missing: missing(caps), Clock: sinceBoot, Nudges: a.nudges, Duplicates: a.duplicates, Log: log, ControlPlane: c.ControlPlane,
		Leaser: a.leases, Known: func() { token(a.known) },
		Heard: a.heard,
		Rehearse: func(ctx context.Context, host state.Snapshot, p plan.Plan, play func(converge.Kernel) error) error {
			return kernel.Rehearse(ctx, host, p, func(s *kernel.Stage) error { return play(s) })
		},
		Limits:      netcfg.Limits{ExtraBondNames: c.ExtraBondNames, AllowOverlap: c.AllowOverlap},
		DriftPolicy: engine.DriftPolicy(c.Drift),
		Managers:    others(c, log),
	})
	a.inventory = inventory.New(eye{k}, func(s state.Snapshot) inventory.Knowledge { return server.Known(a.engine, s) })
	a.server = server.New(server.Options{
		Engine:     a.engine,
		Look:       machine.Snapshot,
		Inventory:  a.inventory,
		Counters:   a.counters,
		Meter:      meter,
		Called:     a.metrics.Called,
		Neighbours: a.lldp.Neighbours,
		Examine:    examiner{(&resolver.Host{Kernel: eye{k}, Path: machine.Path}).Snapshot, a.heard, a.engine, in.remote, c.StateDir}.Examine,
		Access:     in.access, Remote: in.remote,
		Transient: []error{kernel.ErrInterrupted, kernel.ErrHung},
		Features:  server.Features{Release: caps.Release, BondOptions: caps.BondOptions},
		Version:   Version, Log: log,
	})
	return a, nil
}

// others are the other programs that configure links; nil where there are none to meet:
// what they say about themselves is about the network namespace of the machine.
func others(c Config, log *slog.Logger) engine.Managers {
	own, err := os.Readlink("/proc/self/ns/net")
	first, err1 := os.Readlink("/proc/1/ns/net") // which a sandbox may hide
	if c.Netns != "" || err == nil && err1 == nil && own != first {
		return nil
	}
	return managers.Host{Root: "/", Run: managers.Command, Log: log}
}

// prober is engine.Prober, of what reaches out by netlink and by sockets.
type prober struct {
	*kernel.Kernel
	probe.TCP
}

// sinceBoot goes on while the machine sleeps, and no change of the wall clock moves
// it.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	// It fails for clocks that the kernel does not have, and has had this one since 2.6.39.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// missing is what the engine refuses for lack of the kernel or of rights, and what
// this version of the agent cannot do.
func missing(caps kernel.Capabilities) []engine.Missing {
	var out []engine.Missing
	if !caps.Admin {
		out = append(out, engine.Missing{Feature: engine.FeatureWrite, Reason: "it has no right to change the network: give it CAP_NET_ADMIN"})
	}
	if caps.Admin && !caps.Bonds {
		out = append(out, engine.Missing{Feature: engine.FeatureBond, Reason: "load the module bonding"})
	}
	if caps.Admin && !caps.VLANs {
		out = append(out, engine.Missing{Feature: engine.FeatureVLAN, Reason: "load the module 8021q"})
	}
	for _, feature := range []string{"networks", "routes"} {
		out = append(out, engine.Missing{Feature: feature, Reason: "this version of the agent keeps it but cannot apply it yet"})
	}
	return out
}

// run starts the tasks, each of which runs until ctx ends, and waits for all. The
// first that fails ends the others.
func (a *agent) run(ctx context.Context, socks sockets) error {
	group, ctx := errgroup.WithContext(ctx)
	tasks := map[string]func(context.Context) error{
		"engine":   a.engine.Run,
		"watch":    a.watch,
		"resolver": a.watchResolver,
		"renew":    a.renew,
		"recheck":  a.recheck,
		"metrics":  a.tell,
		"lldp":     a.lldp.Run,
		"server":   func(ctx context.Context) error { return a.serve(ctx, socks) },
		"sockets":  func(ctx context.Context) error { return socks.keep(ctx, a.log) },
		"announce": func(ctx context.Context) error { return a.announce(ctx, socks[0].path) },
	}
	for _, address := range a.listen {
		tasks["remote "+address] = func(ctx context.Context) error { return a.serveRemote(ctx, address) }
	}
	for name, task := range tasks {
		group.Go(func() error {
			if err := task(ctx); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	err := group.Wait()
	if err == nil {
		a.log.Info("hostnicd stopped; the network stays as it is")
	}
	return err
}

// serve answers from the moment when there is something true to say. Reading does
// not wait for the host to be brought to its configuration; changing does.
func (a *agent) serve(ctx context.Context, socks sockets) error {
	select {
	case <-a.engine.Loaded():
	case <-ctx.Done():
		return nil
	}
	return a.server.Serve(ctx, socks.listeners()...)
}

func token(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

func newsOf(nudges []kernel.Nudge) []inventory.News {
	var news []inventory.News
	for _, n := range nudges {
		news = append(news, inventory.News{All: n.Lost, Index: n.Index, Link: n.Link || n.Address, Gateways: n.Default})
	}
	return news
}

// renew has the inventory look again when the engine knows something new.
func (a *agent) renew(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.known:
		}
		if err := a.inventory.Renew(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the host cannot be looked at", "error", err)
		}
	}
}

// eye is the kernel as the inventory looks at it: with speeds, and drivers.
type eye struct{ *kernel.Kernel }

var everything = kernel.What{Speeds: true, Drivers: true}

func (e eye) Snapshot(ctx context.Context) (state.Snapshot, error) {
	return e.SnapshotWith(ctx, everything)
}

func (e eye) Link(ctx context.Context, index int) (*state.Link, []state.Address, error) {
	return e.Kernel.Link(ctx, index, everything)
}

// mostDuplicates is how many of them wait for the engine. Further ones are forgotten:
// their addresses are asked for again, and found again.
const mostDuplicates = 64

func (a *agent) duplicated(nudges []kernel.Nudge) {
	for _, n := range nudges {
		if !n.Duplicate.IsValid() {
			continue
		}
		select {
		case a.duplicates <- engine.Duplicate{Index: n.Index, Address: n.Duplicate}:
		default:
		}
	}
}

// watchResolver passes changes of the file of DNS servers on to the engine. Where it
// cannot be watched they are found with the next look.
func (a *agent) watchResolver(ctx context.Context) error {
	again(ctx, func() error { return a.resolver.Watch(ctx, func() { token(a.nudges) }) }, func(err error, first bool) {
		if first {
			a.log.Warn("the file of DNS servers is not watched; trying again", "error", err)
		}
	})
	return nil
}

// watchAgain is the pause before watching the kernel is tried again.
const watchAgain = time.Second

// watch passes the kernel's news on to the engine, as one nudge for many.
func (a *agent) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		begun := false
		err := a.kernel.Watch(ctx, func(nudges []kernel.Nudge) {
			if begun && slices.ContainsFunc(nudges, func(n kernel.Nudge) bool { return n.Lost }) {
				a.metrics.Resync(metrics.CauseLost)
			}
			begun = true // with a look at everything
			token(a.nudges)
			a.duplicated(nudges)
			if err := a.inventory.Hear(ctx, newsOf(nudges)); err != nil && ctx.Err() == nil {
				a.log.Warn("the host cannot be looked at", "error", err)
			}
		})
		if err == nil {
			return nil
		}
		a.log.Error("the kernel's news are lost; looking again", "error", err)
		a.metrics.Resync(metrics.CauseBroken)
		select {
		case <-ctx.Done():
		case <-time.After(watchAgain):
		}
	}
	return nil
}
