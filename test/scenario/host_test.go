//go:build kernel

package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a hypervisor: a namespace with NICs, and the engine in it.
type host struct {
	*engine.Engine
	t *testing.T
	// ns is the host, far where its cables end.
	ns, far *netns.NS
	kernel  *kernel.Kernel
	state   string
	stop    func()
	// fail answers in the kernel's place, as kernel.Options.Inject; nil lets all
	// through.
	fail atomic.Pointer[func(plan.Op) syscall.Errno]
	// missing is what the next engine is told that the host cannot do.
	missing []engine.Missing
	// boot tells one boot of the machine from another.
	boot string
	// prober and probeLimit are those of the next engine; see probing.
	prober     engine.Prober
	probeLimit time.Duration
	// policy is what the next engine does about drift.
	policy engine.DriftPolicy
}

// newHost makes a host with NICs of these names. The far end of eth0 is p-eth0 in
// the namespace far, and up, so that eth0 has a carrier once it is up itself.
func newHost(t *testing.T, nics ...string) *host {
	t.Helper()
	need.Kernel(t, need.Netns, need.Veth, need.Bond, need.VLAN, need.IPv6)
	h := &host{t: t, ns: netns.New(t), far: netns.New(t), state: t.TempDir(), boot: "this boot"}
	for _, n := range nics {
		h.plug(n)
	}
	if err := os.Chmod(h.state, 0o700); err != nil { //nolint:gosec // a directory
		t.Fatal(err)
	}
	h.ns.Do(func() {
		k, err := kernel.Open(kernel.Options{Inject: h.injected})
		if err != nil {
			t.Fatal(err)
		}
		h.kernel = k
	})
	t.Cleanup(func() { _ = h.kernel.Close() })
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *host) injected(_ int, op plan.Op) syscall.Errno {
	if fail := h.fail.Load(); fail != nil {
		return (*fail)(op)
	}
	return 0
}

func (h *host) plug(nic string) {
	h.t.Helper()
	h.ns.Veth(h.t, nic, h.far, "p-"+nic)
	h.far.Up(h.t, "p-"+nic)
}

// start runs an engine on the host, as a boot of the daemon would.
func (h *host) start() {
	h.t.Helper()
	st, err := store.Open(h.state)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := io.Discard
	if testing.Verbose() {
		out = os.Stderr
	}
	nudges := make(chan struct{}, 1)
	h.Engine = engine.New(engine.Options{Kernel: h.kernel, Prober: h.prober, ProbeLimit: h.probeLimit, Store: st, HostID: "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3", BootID: h.boot,
		Limits: netcfg.Limits{MaxNics: 1024}, Rehearse: h.rehearse, Missing: h.missing, Nudges: nudges, Log: slog.New(slog.NewTextHandler(out, nil))})
	h.DriftPolicy = h.policy
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := h.Run(ctx); err != nil {
			h.t.Errorf("the engine: %v", err)
		}
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = h.kernel.Watch(ctx, func([]kernel.Nudge) {
			select {
			case nudges <- struct{}{}:
			default:
			}
		})
	}()
	<-h.Ready()
	h.stop = func() {
		cancel()
		<-ended
		<-watched
		_ = st.Close()
		h.stop = func() {}
	}
}

// rehearse is what the daemon does, and fails where the stand-ins do not do what the
// host is about to do.
func (h *host) rehearse(ctx context.Context, host state.Snapshot, p plan.Plan, play func(converge.Kernel) error) error {
	err := kernel.Rehearse(ctx, host, p, func(s *kernel.Stage) error { return play(s) })
	var op *plan.OpError
	if err != nil && !errors.As(err, &op) {
		h.t.Errorf("the rehearsal: %v", err)
	}
	return err
}

// restart ends the engine and starts it again, and returns how many requests the
// new one has written to the kernel.
func (h *host) restart() uint64 {
	h.t.Helper()
	h.stop()
	before := h.kernel.Writes()
	h.start()
	return h.kernel.Writes() - before
}

// stage puts a document into the candidate.
func (h *host) stage(doc string) error {
	h.t.Helper()
	d, err := codec.Decode([]byte(doc), codec.Auto)
	if err != nil {
		return err
	}
	_, err = h.Stage(h.t.Context(), engine.StageRequest{Documents: []netcfg.Document{d}})
	return err
}

// tryApply stages and applies a document.
func (h *host) tryApply(doc string) (engine.Operation, error) {
	h.t.Helper()
	if err := h.stage(doc); err != nil {
		return engine.Operation{State: engine.Refused}, err
	}
	return h.Do(h.t.Context(), engine.Request{Kind: engine.Apply, Author: "test"}, func(s engine.Step) { h.t.Log(s.Phase, s.Text) })
}

// apply is tryApply that has to succeed.
func (h *host) apply(doc string) engine.Operation {
	h.t.Helper()
	op, err := h.tryApply(doc)
	if err != nil || op.State != engine.Done {
		h.t.Fatalf("apply: %v, state %s, %v", err, op.State, op.Err)
	}
	return op
}

// commit stores what is running.
func (h *host) commit() {
	h.t.Helper()
	op, err := h.Do(h.t.Context(), engine.Request{Kind: engine.Commit, Author: "test"}, nil)
	if err != nil || op.State != engine.Done {
		h.t.Fatalf("commit: %v, state %s, %v", err, op.State, op.Err)
	}
}

// refuse wants the document refused by the rule, on staging or applying, with
// nothing written and the candidate as it was.
func (h *host) refuse(doc, rule string) {
	h.t.Helper()
	writes, before := h.kernel.Writes(), h.View()
	op, err := h.tryApply(doc)
	if err == nil {
		h.t.Fatalf("not refused: state %s, %v", op.State, op.Err)
	}
	if !hasRule(err, rule) {
		h.t.Errorf("refused, but not by %s:\n%v", rule, err)
	}
	if n := h.kernel.Writes() - writes; n != 0 {
		h.t.Errorf("%d requests were written to the kernel for a refused document", n)
	}
	if !netcfg.Equal(before.Running, h.View().Running) {
		h.t.Error("a refused document changed what is running")
	}
	if _, err := h.Discard(h.t.Context()); err != nil {
		h.t.Error(err)
	}
}

func hasRule(err error, rule string) bool {
	ps, ok := err.(netcfg.Problems)
	if !ok {
		return strings.Contains(err.Error(), rule)
	}
	for _, p := range ps {
		if p.Rule == rule {
			return true
		}
	}
	return false
}

// look is the host as it is.
func (h *host) look() state.Snapshot {
	h.t.Helper()
	s, err := h.kernel.Snapshot(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// link is one link as it is; the test ends when it is not there.
func (h *host) link(name string) state.Link {
	h.t.Helper()
	s := h.look()
	l := s.ByName(name)
	if l == nil {
		h.t.Fatalf("there is no %s", name)
	}
	return *l
}

func (h *host) absent(names ...string) {
	h.t.Helper()
	s := h.look()
	for _, n := range names {
		if s.ByName(n) != nil {
			h.t.Errorf("%s is there, and ought not to be", n)
		}
	}
}

// addresses of a link without the kernel's own, in the kernel's order.
func (h *host) addresses(name string) []string {
	h.t.Helper()
	s := h.look()
	out := []string{}
	for _, a := range s.AddressesOf(h.link(name).Index) {
		if !a.LinkLocal() {
			out = append(out, a.Prefix.String())
		}
	}
	return out
}

// slaves of a bond by name, in the order of their indexes.
func (h *host) slaves(bond string) []string {
	h.t.Helper()
	s := h.look()
	out := []string{}
	for _, i := range s.SlavesOf(h.link(bond).Index) {
		out = append(out, s.Name(i))
	}
	return out
}

// routes of the main table by those who are not the kernel.
func (h *host) routes() []string {
	h.t.Helper()
	s := h.look()
	out := []string{}
	for _, r := range s.Routes {
		if r.Table == state.MainTable && r.Protocol != state.ProtocolKernel && r.Protocol != state.ProtocolRA {
			out = append(out, fmt.Sprintf("%s via %s dev %s", r.Dst, r.Gateway, s.Name(r.Link)))
		}
	}
	return out
}

// option of a bond as the kernel tells it.
func (h *host) option(bond, name string) string {
	h.t.Helper()
	l := h.link(bond)
	if l.Bond == nil {
		h.t.Fatalf("%s is no bond", bond)
	}
	return l.Bond.Options[name]
}

// same wants two values printed alike.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// eventually waits for a condition, up to ten seconds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited ten seconds in vain: %s", what)
		}
	}
}

// settled wants a second apply of the same to find nothing to do.
func (h *host) settled() {
	h.t.Helper()
	writes := h.kernel.Writes()
	rep, err := h.Plan(h.t.Context(), engine.Selector{}, nil, nil)
	if err != nil || !rep.Plan.Empty() {
		h.t.Errorf("planning again: %v, %v", err, rep.Plan.Ops())
	}
	if d := h.Drift(h.look()); len(d) != 0 {
		h.t.Errorf("drift after an apply: %v", d)
	}
	if n := h.kernel.Writes() - writes; n != 0 {
		h.t.Errorf("looking wrote %d requests", n)
	}
}
