//go:build kernel

package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// TestInjected sees how often each failure is tried, and what becomes of it.
func TestInjected(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	var errno syscall.Errno
	var times, asked int
	k := open(t, ns, Options{Inject: func(i int, _ plan.Op) syscall.Errno {
		if i != 1 {
			return 0
		}
		if asked++; asked > times {
			return 0
		}
		return errno
	}})
	eth0 := link(t, k, "eth0").Index
	tests := []struct {
		name  string
		errno syscall.Errno
		times int // that it fails
		tries int
		kind  plan.ErrorKind
		ok    bool
	}{
		{"interrupted once", unix.EINTR, 1, 2, 0, true},
		{"no memory twice", unix.ENOBUFS, 2, 3, 0, true},
		{"busy three times", unix.EBUSY, 3, 4, 0, true},
		{"busy for ever", unix.EBUSY, 99, 4, plan.Busy, false},
		{"gone", unix.ENODEV, 99, 1, plan.Absent, false},
		{"refused", unix.EINVAL, 99, 1, plan.Refused, false},
		{"refused although permitted", unix.EPERM, 99, 1, plan.Refused, false},
		{"no answer", unix.ETIMEDOUT, 99, 1, plan.Hung, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			errno, times, asked = test.errno, test.times, 0
			before := k.Writes()
			ops := []plan.Op{addAddress(eth0, "eth0", "192.0.2.1/24"), addAddress(eth0, "eth0", "192.0.2.2/24"), addAddress(eth0, "eth0", "192.0.2.3/24")}
			err := k.Apply(t.Context(), ops)
			var op *plan.OpError
			if errors.As(err, &op) == test.ok || !test.ok && (op.Kind != test.kind || op.Errno != test.errno) {
				t.Errorf("error: %v", err)
			}
			want := []string{"192.0.2.1/24", "192.0.2.3/24"}
			if test.ok {
				want = append(want, "192.0.2.2/24")
			}
			var got []string
			for _, a := range addressesOf(t, k, eth0) {
				got = append(got, a.Prefix.String())
			}
			if !slices.Equal(got, want) {
				t.Errorf("addresses %v, want %v", got, want)
			}
			if asked != test.tries || k.Writes()-before != uint64(len(want)) {
				t.Errorf("%d tries, %d writes", asked, k.Writes()-before)
			}
			for i := range ops { // away with all, the last being a primary too by then
				ops[i].Action = plan.AddrDel
			}
			asked = times
			if err := k.Apply(t.Context(), ops); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestApplyNothing(t *testing.T) {
	need.Kernel(t, need.Netns)
	k := open(t, netns.New(t), Options{})
	if err := k.Apply(t.Context(), nil); err != nil || k.Writes() != 0 {
		t.Errorf("%v, %d writes", err, k.Writes())
	}
	snapshot(t, k)
	if k.Writes() != 0 {
		t.Errorf("looking has written %d times", k.Writes())
	}
}

func TestApplyEnds(t *testing.T) {
	need.Kernel(t, need.Netns)
	k := open(t, netns.New(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	op := plan.Op{Action: plan.LinkAdd, Kind: "veth", Index: 100, Name: "x"}
	if err := k.Apply(ctx, []plan.Op{op}); !errors.Is(err, context.Canceled) || k.Writes() != 0 {
		t.Errorf("%v, %d writes", err, k.Writes())
	}
	if _, err := k.Snapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("snapshot: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	if err := k.Apply(t.Context(), []plan.Op{op}); err == nil {
		t.Error("apply after close")
	}
	if _, err := k.Snapshot(t.Context()); err == nil {
		t.Error("snapshot after close")
	}
}

// TestChunks makes the chunks small and sees that nothing is lost between them.
func TestChunks(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	for _, limit := range [][2]int{{1, 1000}, {200, 1000}, {1 << 20, 1}, {1 << 20, 3}} {
		k.writer.sendLimit, k.writer.answerLimit = limit[0], limit[1]
		k.writer.seq = ^uint32(0) - 5 // around the end of the sequence numbers
		var ops []plan.Op
		for _, prefix := range strings.Fields("10.0.0.1/32 10.0.0.2/32 10.0.0.3/32 10.0.0.4/32 10.0.0.5/32 10.0.0.6/32 10.0.0.7/32") {
			ops = append(ops, addAddress(eth0, "eth0", prefix))
		}
		ops[2].Index = nobody
		if err := k.Apply(t.Context(), ops); err == nil || strings.Count(err.Error(), "kernel:") != 1 {
			t.Errorf("error: %v", err)
		}
		if n := len(addressesOf(t, k, eth0)); n != 6 {
			t.Errorf("limits %v: %d addresses", limit, n)
		}
		ops[2].Index = eth0
		for i := range ops {
			ops[i].Action = plan.AddrDel
		}
		apply(t, k, ops...)
	}
}

// TestHung has a kernel that keeps an operation for longer than anybody waits: it is
// the deletion of many links, for which there is no patience here. Then the kernel
// comes to, and all goes on.
func TestHung(t *testing.T) {
	need.Kernel(t, need.Bond, need.VLAN)
	const n, base = 600, 1 << 20
	ns := netns.New(t)
	k, impatient := open(t, ns, Options{}), open(t, ns, Options{Patience: 2 * time.Millisecond})
	ops := []plan.Op{addBond(base, "bond0", "active-backup")}
	for i := 1; i <= n; i++ {
		ops = append(ops, addVLAN(base+i, base, i, fmt.Sprint("bond0.", i), false))
	}
	apply(t, k, ops...)
	del := plan.Op{Action: plan.LinkDel, Index: base, Name: "bond0"}
	err := impatient.Apply(t.Context(), []plan.Op{del, {Action: plan.LinkDel, Index: nobody, Name: "x"}})
	var op *plan.OpError
	if !errors.As(err, &op) || op.Kind != plan.Hung {
		t.Fatalf("error: %v", err)
	}
	eventually(t, "the kernel to come to", func() bool {
		return impatient.Apply(t.Context(), []plan.Op{{Action: plan.LinkDel, Index: nobody, Name: "x"}}) == nil
	})
	if s := snapshot(t, k); len(s.Links) != 1 {
		t.Errorf("%d links left", len(s.Links))
	}
}

// TestTogether looks, applies and asks one link at the same time.
func TestTogether(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	k := open(t, ns, Options{})
	l := link(t, k, "eth0")
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for range 50 {
				if _, err := k.SnapshotWith(t.Context(), What{Speeds: true, Counters: true, Drivers: true}); err != nil {
					t.Error(err)
				}
				if _, _, err := k.Link(t.Context(), l.Index, What{Speeds: true}); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for range 50 {
				if err := k.Apply(t.Context(), []plan.Op{setUp(l, true), setUp(l, false)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestCapabilities(t *testing.T) {
	need.Kernel(t, need.Bond, need.VLAN)
	k := open(t, netns.New(t), Options{})
	c, err := k.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Release == "" || !c.Admin || !c.Bonds || !c.VLANs || len(c.Missing) != 0 {
		t.Errorf("%+v", c)
	}
	for _, mode := range netcfg.BondModes {
		var want []string
		for _, spec := range netcfg.BondOptions {
			if spec.ValidIn(mode) {
				want = append(want, spec.Name)
			}
		}
		if !slices.Equal(c.BondOptions[mode], want) {
			t.Errorf("%s: got %v\nwant %v", mode, c.BondOptions[mode], want)
		}
	}
	if s := snapshot(t, k); len(s.Links) != 1 || k.Writes() != 0 {
		t.Errorf("it left %+v, %d writes", s.Links, k.Writes())
	}
}

// TestKnowsKind looks for a kind that no kernel has.
func TestKnowsKind(t *testing.T) {
	need.Kernel(t, need.Netns)
	k := open(t, netns.New(t), Options{})
	err := k.writer.talk(t.Context(), func(conn *socket) error {
		if knowsKind(conn, "warp") || !knowsKind(conn, "veth") || !mayChange(conn) {
			t.Error("wrong")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNotPermitted asks as somebody who may not.
func TestNotPermitted(t *testing.T) {
	need.Kernel(t, need.Netns)
	ns := netns.New(t)
	ns.Do(func() {
		// Of this thread only, which ends with it.
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Fatal(err)
		}
		s, err := openSocket(unix.NETLINK_ROUTE)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.close() }()
		if mayChange(s) {
			t.Error("may change")
		}
		if links, err := dumpLinks(s, newBudget(t.Context()), What{}); err != nil || len(links) != 1 {
			t.Errorf("%+v, %v", links, err)
		}
	})
}

// TestScratch sees that nothing of it is left, not even when it is asked for from
// the process's first thread.
func TestScratch(t *testing.T) {
	need.Kernel(t, need.Netns)
	outside := open(t, netns.New(t), Options{})
	err := Scratch(Options{}, func(k *Kernel) error {
		if err := k.Apply(t.Context(), []plan.Op{{Action: plan.LinkAdd, Kind: "veth", Index: 100, Name: "x"}}); err != nil {
			return err
		}
		s, err := k.Snapshot(t.Context())
		if err == nil && s.Link(100) == nil {
			err = errors.New("the link is not there")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if s := snapshot(t, outside); len(s.Links) != 1 {
		t.Errorf("links outside: %+v", s.Links)
	}
	wrong := errors.New("wrong")
	if err := Scratch(Options{}, func(*Kernel) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("error: %v", err)
	}
}
