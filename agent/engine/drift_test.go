package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/textlog"
)

// rig is an engine over a kernel in memory, in time that passes when all wait.
type rig struct {
	*engine.Engine
	t      *testing.T
	kernel *slowKernel
	nudges chan struct{}
	// options of the next engine; stop ends the one that runs.
	options engine.Options
	stop    func()
	log     *textlog.Log
}

// slowKernel takes its time to look, and counts the looks.
type slowKernel struct {
	*kerneltest.Fake
	look  atomic.Int64 // how long a look takes
	looks atomic.Int64
	fail  atomic.Bool // a look fails
}

func (k *slowKernel) Writes() uint64 { return uint64(k.Fake.Writes()) }

func (k *slowKernel) Snapshot(ctx context.Context) (state.Snapshot, error) {
	k.looks.Add(1)
	time.Sleep(time.Duration(k.look.Load()))
	if k.fail.Load() {
		return state.Snapshot{}, errors.New("interrupted")
	}
	return k.Fake.Snapshot(ctx)
}

const driftDoc = `host_nics:
  - {name: bond0, bonding: {slaves: [eth0, eth1]}}
  - {base_interface: bond0, vlan: {id: 7}, ip: {address: 198.51.100.1, netmask: 24}}
  - {name: eth2, mtu: 1400, ip: {address: 192.0.2.1, netmask: 24}}
`

// inRig runs a test with an engine that has brought its host to driftDoc.
func inRig(t *testing.T, change func(*engine.Options), test func(*rig)) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory
			t.Fatal(err)
		}
		st, err := store.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{t: t, kernel: &slowKernel{Fake: kerneltest.NewFake()}, nudges: make(chan struct{}, 1), log: &textlog.Log{}}
		for _, name := range []string{"eth0", "eth1", "eth2", "eth3"} {
			r.kernel.AddNIC(name, kerneltest.NIC{})
		}
		r.options = engine.Options{Kernel: r.kernel, Store: st, HostID: "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3", BootID: "this boot", Nudges: r.nudges,
			Log: slog.New(slog.NewTextHandler(r.log, nil))}
		change(&r.options)
		r.start()
		defer func() {
			r.stop()
			if err := st.Close(); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Logf("%s", r.log.String())
			}
		}()
		r.apply(driftDoc)
		time.Sleep(time.Minute)
		test(r)
	})
}

// start runs an engine with the rig's options until stop.
func (r *rig) start() {
	r.Engine = engine.New(r.options)
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
	<-r.Ready()
}

func heals(o *engine.Options) { o.DriftPolicy = engine.DriftHeal }

func reports(*engine.Options) {}

func (r *rig) stage(doc string) {
	r.t.Helper()
	d, err := codec.Decode([]byte(doc), codec.Auto)
	if err == nil {
		_, err = r.Stage(r.t.Context(), engine.StageRequest{Documents: []netcfg.Document{d}})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// apply stages and applies a document.
func (r *rig) apply(doc string) engine.Operation {
	r.t.Helper()
	r.stage(doc)
	op, err := r.Do(r.t.Context(), engine.Request{Kind: engine.Apply}, nil)
	if err != nil || op.State != engine.Done {
		r.t.Fatalf("%v, %v", err, op.Err)
	}
	return op
}

// hand is what somebody does to a link, with the news of it.
func (r *rig) hand(link string, op plan.Op) {
	r.t.Helper()
	op.Index = r.kernel.Index(link)
	if err := r.kernel.Foreign(op); err != nil {
		r.t.Fatal(err)
	}
	r.nudge()
}

func (r *rig) nudge() {
	select {
	case r.nudges <- struct{}{}:
	default:
	}
}

func (r *rig) mtu(link string) int {
	r.t.Helper()
	s, err := r.kernel.Fake.Snapshot(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return s.ByName(link).MTU
}

// fields are those that drift, by the last look of the loop.
func (r *rig) fields() string {
	var out []string
	for _, d := range r.View().Drift {
		out = append(out, d.Field+" "+d.Wanted+" "+d.Actual)
	}
	return strings.Join(out, "; ")
}

func setMTU(n int) plan.Op { return plan.Op{Action: plan.LinkSet, MTU: n} }

// Reported, drift shows within a second with the time it was first seen, is logged
// once when it comes and once when it goes, and nothing is written.
func TestDriftReport(t *testing.T) {
	inRig(t, reports, func(r *rig) {
		writes, at := r.kernel.Writes(), time.Now()
		r.hand("eth2", setMTU(1300))
		time.Sleep(time.Second)
		if got := r.fields(); got != "host_nics[eth2].mtu 1400 1300" {
			r.t.Fatalf("drift %q", got)
		}
		since := r.View().Drift[0].Since
		if seen := since.Sub(at); seen <= 0 || seen > time.Second {
			r.t.Errorf("seen after %s", seen)
		}
		r.nudge()
		time.Sleep(time.Second)
		r.hand("eth2", setMTU(1350))
		time.Sleep(time.Second)
		if d := r.View().Drift; len(d) != 1 || d[0].Actual != "1350" || !d[0].Since.Equal(since) {
			r.t.Errorf("after another change: %v, want it since %s", d, since)
		}
		r.hand("eth2", setMTU(1400))
		time.Sleep(time.Second)
		if got := r.fields(); got != "" {
			r.t.Errorf("drift when it is right again: %q", got)
		}
		for _, c := range []struct {
			words []string
			want  int
		}{
			{[]string{"level=WARN", "differs from", "host_nics[eth2].mtu", "wanted=1400", "actual=1300"}, 1},
			{[]string{"level=WARN", "differs from", "actual=1350"}, 1},
			{[]string{"level=INFO", "differs no more", "actual=1350"}, 1},
			{[]string{"differs"}, 3},
		} {
			if n := len(r.log.With(c.words...)); n != c.want {
				r.t.Errorf("%d lines with %q, want %d", n, c.words, c.want)
			}
		}
		if n := r.kernel.Writes() - writes; n != 0 {
			r.t.Errorf("%d requests were written", n)
		}
		if ops := r.Operations(); len(ops) != 1 {
			r.t.Errorf("operations %v", ops)
		}
	})
}

// What others have is no drift.
func TestDriftOfOthers(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		writes := r.kernel.Writes()
		r.hand("eth3", setMTU(1300))
		r.kernel.AddBridge("br0")
		if _, err := r.kernel.AddVLAN("guests", "eth2", 9); err != nil {
			r.t.Fatal(err)
		}
		r.kernel.SetCarrier("eth2", false)
		r.nudge()
		time.Sleep(time.Second)
		if got := r.fields(); got != "" || r.kernel.Writes() != writes {
			r.t.Errorf("drift %q, %d requests written", got, r.kernel.Writes()-writes)
		}
	})
}

// A storm of news wakes the loop no more often than the looks may cost, and a change
// that comes after it is seen at once.
func TestDriftStorm(t *testing.T) {
	inRig(t, reports, func(r *rig) {
		const look = 50 * time.Millisecond
		r.kernel.look.Store(int64(look))
		before := r.kernel.looks.Load()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			r.nudge()
		}
		n := r.kernel.looks.Load() - before
		if most := int64(10*time.Second/(10*look)) + 1; n < 5 || n > most {
			r.t.Errorf("%d looks in ten seconds, want no more than %d", n, most)
		}
		time.Sleep(10 * time.Second)
		at := time.Now()
		r.hand("eth2", setMTU(1300))
		time.Sleep(time.Second)
		if d := r.View().Drift; len(d) != 1 || d[0].Since.Sub(at) > 200*time.Millisecond {
			r.t.Errorf("after the storm: %v, changed at %s", d, at)
		}
	})
}

// A look that fails is taken again, without any more news.
func TestDriftLookFails(t *testing.T) {
	inRig(t, reports, func(r *rig) {
		r.kernel.fail.Store(true)
		r.hand("eth2", setMTU(1300))
		time.Sleep(10 * time.Second)
		if n := len(r.log.With("cannot be looked at")); n < 2 || n > 10 {
			r.t.Errorf("%d tries in ten seconds", n)
		}
		r.kernel.fail.Store(false)
		time.Sleep(time.Minute)
		if got := r.fields(); got != "host_nics[eth2].mtu 1400 1300" {
			r.t.Errorf("drift %q", got)
		}
	})
}

// A NIC that comes back is configured under either policy. Where drift is only
// reported, what has nothing to do with the NIC stays as it is.
func TestDriftAndHotPlug(t *testing.T) {
	for name, c := range map[string]struct {
		policy func(*engine.Options)
		mtu    int
	}{"report": {reports, 1300}, "heal": {heals, 1400}} {
		t.Run(name, func(t *testing.T) {
			inRig(t, c.policy, func(r *rig) {
				r.kernel.Remove("eth1")
				r.nudge()
				time.Sleep(time.Second)
				if w := r.View().Waiting; len(w) != 1 || w[0].Nic != "eth1" || r.fields() != "" {
					r.t.Fatalf("waiting %v, drift %q", w, r.fields())
				}
				r.hand("eth2", setMTU(1300))
				time.Sleep(time.Second)
				r.kernel.AddNIC("eth1", kerneltest.NIC{})
				r.nudge()
				time.Sleep(time.Second)
				s, _ := r.kernel.Fake.Snapshot(t.Context())
				if n := len(s.SlavesOf(s.ByName("bond0").Index)); n != 2 || len(r.View().Waiting) != 0 {
					r.t.Errorf("%d slaves, waiting %v", n, r.View().Waiting)
				}
				if got := r.mtu("eth2"); got != c.mtu {
					r.t.Errorf("the MTU of eth2 is %d, want %d", got, c.mtu)
				}
			})
		})
	}
}

// A host that is taken apart does not flood the log.
func TestDriftFlood(t *testing.T) {
	inRig(t, reports, func(r *rig) {
		doc := "host_nics:\n"
		for id := range 40 {
			doc += "  - {base_interface: eth3, vlan: {id: " + string(rune('1'+id/10)) + string(rune('0'+id%10)) + "}}\n"
		}
		r.apply(doc)
		time.Sleep(time.Second)
		r.hand("eth3", plan.Op{Action: plan.LinkSet, Up: new(bool)})
		time.Sleep(time.Second)
		if n := len(r.View().Drift); n != 41 {
			r.t.Errorf("%d differences", n)
		}
		if n := len(r.log.With("level=WARN")); n > 21 || len(r.log.With("more=21")) != 1 {
			r.t.Errorf("%d lines", n)
		}
	})
}

// Nor does a link that somebody changes to and fro.
func TestDriftFlapping(t *testing.T) {
	inRig(t, reports, func(r *rig) {
		for i := range 600 {
			r.hand("eth2", setMTU([]int{1300, 1400}[i%2]))
			time.Sleep(101 * time.Millisecond)
		}
		if n := len(r.log.With("differs")); n < 100 || n > 10*60+60 {
			r.t.Errorf("%d lines in a minute", n)
		}
	})
}

// refuseOn makes the kernel refuse whatever is sent for a link.
func (r *rig) refuseOn(link string) {
	index := r.kernel.Index(link)
	r.kernel.Inject(func(_ int, op plan.Op) syscall.Errno {
		if op.Index == index {
			return syscall.EINVAL
		}
		return 0
	})
}
