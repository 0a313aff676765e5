//go:build kernel

package kernel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// watch starts a Watch that ends with the test, and waits for its first nudge. The
// channel has no end of room.
func watch(t *testing.T, k *Kernel) <-chan Nudge {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	nudges := make(chan Nudge, 100000)
	var group sync.WaitGroup
	group.Go(func() {
		if err := k.Watch(ctx, func(all []Nudge) {
			for _, n := range all {
				nudges <- n
			}
		}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	if n := <-nudges; !n.Lost {
		t.Fatalf("first nudge: %+v", n)
	}
	return nudges
}

// expect waits until the nudges together say so.
func expect(t *testing.T, nudges <-chan Nudge, what string, enough func(Nudge) bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case n := <-nudges:
			if enough(n) {
				return
			}
		case <-limit:
			t.Fatalf("no nudge: %s", what)
		}
	}
}

func TestWatch(t *testing.T) {
	need.Kernel(t, need.Veth, need.IPv6)
	ns, far := netns.New(t), netns.New(t)
	ns.Veth(t, "eth0", far, "eth0")
	ns.Up(t, "eth0")
	far.Up(t, "eth0")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	nudges := watch(t, k)

	apply(t, k, addAddress(eth0, "eth0", "192.0.2.1/24"))
	expect(t, nudges, "IPv4 address", func(n Nudge) bool { return n.Index == eth0 && n.Address })
	apply(t, k, addAddress(eth0, "eth0", "2001:db8::1/64"))
	expect(t, nudges, "IPv6 address", func(n Nudge) bool { return n.Index == eth0 && n.Address })
	apply(t, k, route(plan.RouteAdd, eth0, "198.51.100.0/24", "192.0.2.254"))
	expect(t, nudges, "route", func(n Nudge) bool { return n.Index == eth0 && n.Route })
	far.Down(t, "eth0") // the cable is pulled
	expect(t, nudges, "carrier", func(n Nudge) bool { return n.Index == eth0 && n.Link })
	ns.IP(t, "link", "add", "eth9", "type", "veth")
	expect(t, nudges, "new link", func(n Nudge) bool { return n.Index > eth0 && n.Link })
}

// TestWatchAgain sees that one Watch follows another, and that a second one waits.
func TestWatchAgain(t *testing.T) {
	need.Kernel(t, need.Netns)
	k := open(t, netns.New(t), Options{})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan struct{})
		var group sync.WaitGroup
		var once sync.Once
		group.Go(func() {
			if err := k.Watch(ctx, func([]Nudge) { once.Do(func() { close(begun) }) }); err != nil {
				t.Error(err)
			}
		})
		<-begun
		short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := k.Watch(short, func([]Nudge) { t.Error("two at a time") }); err != nil {
			t.Error(err)
		}
		stop()
		cancel()
		group.Wait()
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	if err := k.Watch(t.Context(), func([]Nudge) {}); err == nil {
		t.Error("watch after close")
	}
}

// TestWatchOverflow loses events and hears of it; then it goes on.
func TestWatchOverflow(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	k, other := open(t, ns, Options{}), open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	var err error
	if cerr := k.events.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4096)
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	nudges := watch(t, k)
	var ops []plan.Op
	for i := range 1000 {
		ops = append(ops, addAddress(eth0, "eth0", fmt.Sprintf("10.0.%d.%d/32", i/250, i%250)))
	}
	k.acting.Add(1) // while it acts, nobody reads
	apply(t, other, ops...)
	k.acting.Add(-1)
	expect(t, nudges, "1,000 events through a buffer of 4 KiB", func(n Nudge) bool { return n.Lost })
	apply(t, k, setUp(link(t, k, "eth0"), true))
	expect(t, nudges, "after the overflow", func(n Nudge) bool { return n.Link && n.Index == eth0 || n.Lost })
}

// TestForgedEvents has another process write to the socket of events, as only root
// can.
func TestForgedEvents(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0")
	nudges := watch(t, k)
	var port uint32
	if err := k.events.raw.Control(func(fd uintptr) {
		if name, err := unix.Getsockname(int(fd)); err == nil {
			port = name.(*unix.SockaddrNetlink).Pid
		}
	}); err != nil || port == 0 {
		t.Fatal(err, port)
	}
	forged := appendMessage(nil, request{typ: unix.RTM_DELLINK, body: appendIfInfo(nil, nobody, 0, 0)}, 0, 0)
	fd := k.reader.wire.(*netlinkWire).fd
	if err := unix.Sendto(fd, forged, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port}); err != nil {
		t.Fatal(err)
	}
	apply(t, k, setUp(eth0, true))
	expect(t, nudges, "after the forged one", func(n Nudge) bool {
		if n.Index == nobody {
			t.Error("the forged message was believed")
		}
		return n.Link && n.Index == eth0.Index
	})
}

// TestSlowWatcher blocks the reader of nudges while things happen, and sees that the
// kernel is not kept waiting and that what comes then is one nudge a link.
func TestSlowWatcher(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	k, other := open(t, ns, Options{}), open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	ctx, cancel := context.WithCancel(t.Context())
	first, release := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var got []Nudge
	var group sync.WaitGroup
	group.Go(func() {
		err := k.Watch(ctx, func(all []Nudge) {
			if all[0].Lost {
				close(first)
				<-release
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, all...)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-first
	var ops []plan.Op
	for i := range 2000 {
		ops = append(ops, addAddress(eth0, "eth0", fmt.Sprintf("10.0.%d.%d/32", i/250, i%250)))
	}
	apply(t, other, ops...)
	close(release)
	eventually(t, "the nudge", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) > 0 })
	cancel()
	group.Wait()
	for _, n := range got {
		if n.Index != eth0 || !n.Address || n.Link {
			t.Errorf("nudge: %+v", n)
		}
	}
	if len(got) > 200 { // if the reader of the socket was late, a few
		t.Errorf("%d nudges for 2,000 addresses", len(got))
	}
}

// TestLookWhileThingsChange looks again and again while links come and go. Each look
// has to fit together.
func TestLookWhileThingsChange(t *testing.T) {
	need.Kernel(t, need.Veth, need.IPv6)
	ns := netns.New(t)
	var names []string
	for i := range 100 {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		ns.Veth(t, a, ns, b)
		names = append(names, a, b)
	}
	k, other := open(t, ns, Options{}), open(t, ns, Options{})
	stop := make(chan struct{})
	var group sync.WaitGroup
	var churns atomic.Int64
	group.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			index := 1000 + i%500
			add := plan.Op{Action: plan.LinkAdd, Kind: "veth", Index: index, Name: "churn", Up: new(true)}
			err := other.Apply(t.Context(), []plan.Op{add, addAddress(index, "churn", "192.0.2.1/24"),
				{Action: plan.LinkDel, Index: index, Name: "churn"}})
			if err != nil {
				t.Error(err)
				return
			}
			churns.Add(1)
		}
	})
	looks, interrupted, torn := 0, 0, 0
	// The kernel may take its time over one deletion.
	start := time.Now()
	for ; time.Since(start) < 2*time.Second || churns.Load() < 20 && time.Since(start) < 30*time.Second; looks++ {
		err := k.reader.talk(t.Context(), func(conn *socket) error {
			if errors.Is(conn.dump(linkRequest(0, What{}), func([]byte) error { return nil }), errOnce) {
				torn++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := k.Snapshot(t.Context())
		if errors.Is(err, ErrInterrupted) {
			interrupted++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		there := 0
		for _, name := range names {
			if s.ByName(name) != nil {
				there++
			}
		}
		if there != len(names) || !whole(&s) {
			t.Fatalf("%d of %d links, whole: %v", there, len(names), whole(&s))
		}
	}
	close(stop)
	group.Wait()
	t.Logf("%d looks, %d given up; a single dump was torn %d times; %d links came and went", looks, interrupted, torn, churns.Load())
	if looks == interrupted || churns.Load() < 20 {
		t.Error("nothing was tried")
	}
	if _, err := k.Snapshot(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
}
