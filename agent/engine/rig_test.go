package engine

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/resolver"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// rig is a host with a kernel in memory, whose engine can be killed.
type rig struct {
	*Engine
	t      *testing.T
	dir    string
	kernel *mortalKernel
	boot   string
	leaser Leaser
	heard  func(link string) []netcfg.Neighbour
	now    atomic.Int64 // of the clock
	// killAt is the point at which the engine dies, counted from 1; 0 is never.
	killAt int64
	seen   atomic.Int64
	died   chan struct{}
	stop   func()
}

// rigProbeLimit is short: on this host nothing comes later.
const rigProbeLimit = time.Second

// mortalKernel is the fake kernel with a real file of DNS servers, one operation at a
// time, with a point behind each.
type mortalKernel struct {
	*kerneltest.Fake
	host  *resolver.Host
	point func()
}

// fakeKernel is the fake as the resolver's host has a kernel.
type fakeKernel struct{ *kerneltest.Fake }

func (k fakeKernel) Writes() uint64 { return uint64(k.Fake.Writes()) }

func (k *mortalKernel) Writes() uint64 { return k.host.Writes() }

func (k *mortalKernel) Snapshot(ctx context.Context) (state.Snapshot, error) {
	return k.host.Snapshot(ctx)
}

func (k *mortalKernel) Apply(ctx context.Context, ops []plan.Op) error {
	for _, op := range ops {
		err := k.host.Apply(ctx, []plan.Op{op})
		k.point()
		if err != nil {
			return err
		}
	}
	return nil
}

// newRig makes a host with eth0 and eth1.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "state"), boot: "this boot"}
	r.plug()
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// plug makes a kernel that has just booted.
func (r *rig) plug() {
	fake := kerneltest.NewFake()
	r.kernel = &mortalKernel{fake, &resolver.Host{Kernel: fakeKernel{fake}, Path: r.resolvConf()}, r.point}
	for _, name := range []string{"eth0", "eth1"} {
		r.kernel.AddNIC(name, kerneltest.NIC{})
	}
}

// resolvConf is the file of DNS servers. There is none at first.
func (r *rig) resolvConf() string { return filepath.Join(filepath.Dir(r.dir), "resolv.conf") }

// point is where the engine may die: as by kill -9, nothing of its goroutine goes on.
func (r *rig) point() {
	if n := r.seen.Add(1); r.killAt != 0 && n >= r.killAt {
		runtime.Goexit()
	}
}

// dieAt counts the points anew.
func (r *rig) dieAt(killAt int64) {
	r.killAt = killAt
	r.seen.Store(0)
}

func (r *rig) start() {
	r.t.Helper()
	r.startAndDie(0)
	select {
	case <-r.Ready():
	case <-r.died:
		r.t.Fatal("the engine has died")
	}
}

// startAndDie starts an engine that dies at a point, which may come before it is ready.
func (r *rig) startAndDie(killAt int64) {
	r.t.Helper()
	st, err := store.Open(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	r.dieAt(killAt)
	st.Trace = func(step store.Step) error {
		// Of a file before and after it is in place: what may be in between is for the
		// tests of the store.
		if step.Deed == store.Created || step.Deed == store.SyncedDir {
			r.point()
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.Engine = New(Options{Kernel: r.kernel, Store: st, HostID: "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3", BootID: r.boot, Leaser: r.leaser, Heard: r.heard, ProbeLimit: rigProbeLimit,
		Clock: func() time.Duration { return time.Duration(r.now.Load()) }, Log: slog.New(slog.NewTextHandler(r.t.Output(), nil))})
	ended := make(chan struct{})
	r.died = ended
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			r.t.Errorf("engine: %v", err)
		}
	}()
	r.stop = func() {
		cancel()
		<-ended
		_ = st.Close()
		r.stop = func() {}
	}
}

func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

func (r *rig) stage(doc string) {
	r.t.Helper()
	d, err := codec.Decode([]byte(doc), codec.Auto)
	if err == nil {
		_, err = r.Stage(r.t.Context(), StageRequest{Documents: []netcfg.Document{d}})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// do performs an operation that has to be done.
func (r *rig) do(req Request) Operation {
	r.t.Helper()
	op, err := r.Do(r.t.Context(), req, nil)
	if err != nil || op.State != Done {
		r.t.Fatalf("%s: %v, %s, %v", req.Kind, err, op.State, op.Err)
	}
	return op
}

// doOrDie performs an operation in an engine that dies at a point, and is false when it
// has.
func (r *rig) doOrDie(req Request, killAt int64) bool {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	died := r.died
	go func() {
		<-died
		cancel()
	}()
	if err := r.call(ctx, func() { r.dieAt(killAt) }); err != nil {
		r.t.Fatal(err)
	}
	_, err := r.Do(ctx, req, nil)
	return err == nil
}

// pass lets time pass, and the engine see it.
func (r *rig) pass(length time.Duration) {
	r.t.Helper()
	r.now.Add(int64(length))
	if err := r.call(r.t.Context(), func() {}); err != nil {
		r.t.Fatal(err)
	}
}

// look is the host in lines.
func (r *rig) look() string {
	r.t.Helper()
	s, err := r.kernel.Snapshot(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, l := range s.Links {
		var addresses []string
		for _, a := range s.AddressesOf(l.Index) {
			if !a.LinkLocal() {
				addresses = append(addresses, a.Prefix.String())
			}
		}
		out = append(out, fmt.Sprint(l.Name, " ", l.Kind, " mtu ", l.MTU, " up ", l.AdminUp, " vlan ", l.VLANID, " ", addresses))
	}
	slices.Sort(out)
	return strings.Join(append(out, s.Resolver.String()), "\n")
}

// operation is the one of that id, which has to be there.
func (r *rig) operation(id string) Operation {
	r.t.Helper()
	op, err := r.Operation(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return op
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
