package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// healed are the operations that the policy has begun, oldest first.
func (r *rig) healed() []engine.Operation {
	var out []engine.Operation
	for _, op := range slices.Backward(r.Operations()) {
		if op.Kind == engine.Heal {
			out = append(out, op)
		}
	}
	return out
}

// Healed, a difference is gone within a second, by an operation that says what it did.
func TestHeal(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		for _, c := range []struct {
			link  string
			op    plan.Op
			field string
		}{
			{"eth2", setMTU(1300), "host_nics[eth2].mtu"},
			{"bond0.7", plan.Op{Action: plan.LinkDel}, "host_nics[bond0.7]"},
			{"eth0", plan.Op{Action: plan.LinkSet, Master: new(int)}, "host_nics[bond0].bonding.slaves"},
			{"bond0", plan.Op{Action: plan.LinkSet, Options: []plan.Option{{Name: "miimon", Value: "70"}}}, "host_nics[bond0].bonding.options.miimon"},
			{"bond0", plan.Op{Action: plan.LinkDel}, "host_nics[bond0]"},
		} {
			before, writes := len(r.healed()), r.kernel.Writes()
			r.hand(c.link, c.op)
			time.Sleep(time.Second)
			s, _ := r.kernel.Fake.Snapshot(r.t.Context())
			if d := r.Drift(s); len(d) != 0 || len(r.View().Drift) != 0 {
				r.t.Errorf("%s: drift %v, in the view %v", c.field, d, r.View().Drift)
			}
			ops := r.healed()[before:]
			if len(ops) != 1 {
				r.t.Fatalf("%s: operations %+v", c.field, ops)
			}
			op := ops[0]
			if op.State != engine.Done || op.Author != "drift policy" || op.Writes == 0 || op.Writes != r.kernel.Writes()-writes || op.Err != nil ||
				!slices.ContainsFunc(op.Healed, func(d plan.Drift) bool { return d.Field == c.field }) {
				r.t.Errorf("%s: %+v, %d requests", c.field, op, r.kernel.Writes()-writes)
			}
		}
		// What was done is still known after a restart.
		n := len(r.healed())
		r.stop()
		r.start()
		if all := r.healed(); len(all) != n || all[0].State != engine.Done || all[0].Healed[0].Field != "host_nics[eth2].mtu" {
			r.t.Errorf("after a restart: %+v", all)
		}
		// Memory is as after an apply: all can be taken away again.
		r.apply(`removed: [bond0, bond0.7]`)
		if s, _ := r.kernel.Fake.Snapshot(r.t.Context()); s.ByName("bond0") != nil || s.ByName("bond0.7") != nil {
			r.t.Error("what was healed is not the agent's any more")
		}
	})
}

// fight sets the MTU of a link whenever it finds it set right, until the test ends.
func (r *rig) fight(ctx context.Context, link string, right, wrong int) {
	for ctx.Err() == nil {
		if r.mtu(link) == right {
			r.hand(link, setMTU(wrong))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// After five corrections the agent leaves a link alone that somebody fights over, says
// so, heals others, and takes it up again with the next apply.
func TestHealFight(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		ctx, stop := context.WithCancel(r.t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.fight(ctx, "eth2", 1400, 1300)
		}()
		time.Sleep(30 * time.Second)
		if n := len(r.healed()); n != 5 {
			r.t.Errorf("%d corrections", n)
		}
		v := r.View()
		if len(v.Degraded) != 1 || fmt.Sprint(v.LeftAlone) != "[eth2]" {
			r.t.Errorf("degraded %q, left alone %v", v.Degraded, v.LeftAlone)
		}
		for _, want := range []string{"eth2", "host_nics[eth2].mtu", `"1400"`, `"1300"`, "agentctl apply"} {
			if !strings.Contains(strings.Join(v.Degraded, ""), want) {
				r.t.Errorf("%q is not in %q", want, v.Degraded)
			}
		}
		if n := len(r.log.With("level=ERROR", "eth2")); n != 1 {
			r.t.Errorf("%d alarms", n)
		}
		if got := r.fields(); got != "host_nics[eth2].mtu 1400 1300" {
			r.t.Errorf("drift %q", got)
		}
		writes := r.kernel.Writes()
		time.Sleep(5 * time.Minute)
		if n := r.kernel.Writes() - writes; n != 0 {
			r.t.Errorf("%d requests although nobody heals it", n)
		}
		r.hand("bond0.7", setMTU(1300))
		time.Sleep(time.Second)
		if got := r.fields(); got != "host_nics[eth2].mtu 1400 1300" || r.mtu("bond0.7") != 1500 {
			r.t.Errorf("another link: drift %q", got)
		}
		stop()
		<-ended
		r.apply(`{}`)
		if v := r.View(); r.mtu("eth2") != 1400 || len(v.Degraded)+len(v.LeftAlone) != 0 {
			r.t.Errorf("after an apply: %v, %v", v.Degraded, v.LeftAlone)
		}
		r.hand("eth2", setMTU(1300))
		time.Sleep(time.Second)
		if r.mtu("eth2") != 1400 {
			r.t.Error("an apply does not take up healing again")
		}
	})
}

// What the kernel refuses on one link is tried a few times, and does not keep others
// from being healed.
func TestHealRefused(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		r.refuseOn("eth2")
		r.hand("eth2", setMTU(1300))
		r.hand("bond0", plan.Op{Action: plan.LinkDel})
		time.Sleep(time.Second)
		if got := r.fields(); got != "host_nics[eth2].mtu 1400 1300" || r.View().LeftAlone != nil {
			r.t.Errorf("after a second: drift %q, left alone %v", got, r.View().LeftAlone)
		}
		ops := r.healed()
		if op := ops[0]; op.State != engine.Incomplete || op.Err == nil || !slices.ContainsFunc(op.Remaining, func(d plan.Drift) bool { return d.Field == "host_nics[eth2].mtu" }) {
			r.t.Errorf("the first: %+v", op)
		}
		if op := ops[1]; op.State != engine.Done || op.Err != nil {
			r.t.Errorf("the second, without eth2: %+v", op)
		}
		time.Sleep(time.Minute)
		if ops := r.healed(); len(ops) != 6 || ops[5].State != engine.Incomplete {
			r.t.Errorf("%d operations, the last %+v", len(ops), ops[len(ops)-1])
		}
		v := r.View()
		if fmt.Sprint(v.LeftAlone) != "[eth2]" || !strings.Contains(fmt.Sprint(v.Degraded), "mtu 1400: kernel: invalid argument") {
			r.t.Errorf("left alone %v, degraded %v", v.LeftAlone, v.Degraded)
		}
	})
}

// A NIC that comes back and cannot be configured does not keep others from being
// healed, and is left alone in the end like any that cannot be healed.
func TestHealBesideArrival(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		r.kernel.Remove("eth1")
		r.nudge()
		time.Sleep(time.Second)
		r.kernel.AddNIC("eth1", kerneltest.NIC{})
		r.refuseOn("eth1")
		r.hand("eth2", setMTU(1300))
		time.Sleep(time.Second)
		if got := r.mtu("eth2"); got != 1400 {
			r.t.Errorf("the MTU of eth2 is %d", got)
		}
		time.Sleep(5 * time.Minute)
		if v := r.View(); fmt.Sprint(v.LeftAlone) != "[eth1]" || len(v.Waiting) != 0 {
			r.t.Errorf("left alone %v, waiting %v", v.LeftAlone, v.Waiting)
		}
		r.kernel.Inject(nil)
		r.apply(`{}`)
		time.Sleep(time.Second)
		if got := r.fields(); got != "" || len(r.View().LeftAlone) != 0 {
			r.t.Errorf("after an apply: drift %q, left alone %v", got, r.View().LeftAlone)
		}
	})
}

// What the agent does by itself does not crowd out what it was asked for.
func TestHealsRemembered(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		for range 150 {
			r.hand("eth2", setMTU(1300))
			time.Sleep(20 * time.Second)
		}
		if n := len(r.healed()); n != 20 {
			r.t.Errorf("%d heals are remembered", n)
		}
		if all := r.Operations(); len(all) != 21 || all[20].Kind != engine.Apply {
			r.t.Errorf("%d operations, the oldest %s", len(all), all[len(all)-1].Kind)
		}
	})
}

// Nobody heals while the agent may only look.
func TestHealReadOnly(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		r.commit()
		r.stop()
		r.options.Missing = []engine.Missing{{Feature: engine.FeatureWrite, Reason: "for the test"}}
		r.start()
		writes := r.kernel.Writes()
		r.hand("eth2", setMTU(1300))
		time.Sleep(time.Minute)
		if got := r.fields(); got != "host_nics[eth2].mtu 1400 1300" || r.kernel.Writes() != writes {
			r.t.Errorf("drift %q, %d requests", got, r.kernel.Writes()-writes)
		}
	})
}

func (r *rig) commit() {
	r.t.Helper()
	if op, err := r.Do(r.t.Context(), engine.Request{Kind: engine.Commit}, nil); err != nil || op.State != engine.Done {
		r.t.Fatalf("%v, %v", err, op.Err)
	}
}

// A change that waits to be confirmed is healed like any other, and still goes back at
// its deadline; once it is on its way back nothing of it is healed.
func TestHealInWindow(t *testing.T) {
	inRig(t, heals, func(r *rig) {
		r.commit()
		r.stage(`host_nics: [{name: eth2, mtu: 1450}]`)
		if op, err := r.Do(r.t.Context(), engine.Request{Kind: engine.Apply, RevertAfter: 10 * time.Second}, nil); err != nil || op.State != engine.Done {
			r.t.Fatalf("%v, %v", err, op.Err)
		}
		r.hand("eth2", setMTU(1300))
		time.Sleep(time.Second)
		if got := r.mtu("eth2"); got != 1450 {
			r.t.Errorf("in the window: MTU %d", got)
		}
		r.refuseOn("eth2") // so that the way back fails
		time.Sleep(10 * time.Second)
		n := len(r.healed())
		r.hand("eth2", setMTU(1350))
		time.Sleep(5 * time.Second)
		if len(r.healed()) != n || r.View().Incomplete == nil {
			r.t.Errorf("healed on the way back: %+v", r.healed()[n:])
		}
		r.kernel.Inject(nil)
		time.Sleep(time.Minute)
		if got := r.mtu("eth2"); got != 1400 || r.View().Pending != nil || r.fields() != "" {
			r.t.Errorf("at last: MTU %d, drift %q", got, r.fields())
		}
	})
}

// A confirmation stores what was applied, whatever has become of the host since; but it
// says so.
func TestConfirmationTellsOfDrift(t *testing.T) {
	inRig(t, reports, func(r *rig) {
		r.stage("host_nics: [{name: eth2, mtu: 1400}]")
		confirm := func(change func()) engine.Operation {
			t.Helper()
			if op, err := r.Do(r.t.Context(), engine.Request{Kind: engine.Apply, RevertAfter: time.Hour}, nil); err != nil || op.State != engine.Done {
				t.Fatal(err, op.Err)
			}
			change()
			time.Sleep(5 * time.Second)
			op, err := r.Do(r.t.Context(), engine.Request{Kind: engine.Commit}, nil)
			if err != nil || op.State != engine.Done {
				t.Fatal(err, op.Err)
			}
			return op
		}
		if op := confirm(func() {}); len(op.Warnings) != 0 {
			t.Errorf("warnings %v", op.Warnings)
		}
		r.stage("host_nics: [{name: eth2, mtu: 1300}]")
		op := confirm(func() { r.hand("eth2", plan.Op{Action: plan.LinkSet, MTU: 1500}) })
		if len(op.Warnings) != 1 || op.Warnings[0].Path != "host_nics[eth2].mtu" || op.Warnings[0].Found != "1500" || r.mtu("eth2") != 1500 {
			t.Errorf("warnings %v, MTU %d", op.Warnings, r.mtu("eth2"))
		}
	})
}
