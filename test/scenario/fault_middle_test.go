//go:build kernel

package scenario

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// What happens in the middle of an operation.

// lived is what others have on the host of the rack: on NICs that become slaves, on
// one that stays, and on none of them.
func (h *host) lived() {
	h.t.Helper()
	hand := h.hand()
	hand.addBridge()
	hand.up("eth0", "eth2")
	hand.addAddress("eth0", "10.70.0.7/24", "2001:db8:70::7/64")
	hand.addRoute("10.71.0.0/16", "10.70.0.1", "eth0", protocol(unix.RTPROT_BIRD))
	hand.addRoute("2001:db8:71::/48", "2001:db8:70::1", "eth0", protocol(unix.RTPROT_BIRD))
	hand.addAddress("eth2", "10.72.0.7/24", "10.72.0.8/24", "2001:db8:72::7/64")
	hand.addRoute("10.73.0.0/16", "10.72.0.1", "eth2", table(100))
	hand.addRoute("2001:db8:73::/48", "2001:db8:72::1", "eth2")
	hand.must("MTU", hand.LinkSetMTU(hand.link("eth1"), 1400))
}

func TestFault_B1(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		h := newHost(t, "eth0", "eth2")
		p := h.problem(rack, "nic-unknown")
		same(t, "problem", []any{p.Kind, p.Path}, []any{netcfg.NotFound, "host_nics[bond0].bonding.slaves[1]"})
	})
	t.Run("after", func(t *testing.T) {
		h := newHost(t, "eth0", "eth1", "eth2")
		h.apply(rack)
		h.hand().del("eth2")
		eventually(t, "eth2 is waited for", func() bool { w := h.View().Waiting; return len(w) == 1 && w[0].Nic == "eth2" })
		same(t, "what is wanted", len(h.View().Running.HostNics), 4)
		h.plug("eth2")
		eventually(t, "eth2 is configured", func() bool { return len(h.View().Waiting) == 0 })
		h.settled()
		same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth2]")
	})
	// In the middle: whatever the operation before which the NIC vanishes, what was
	// done to the rest is undone.
	rest := []string{"eth1", "eth2", "br0", "eth8", "tap0"}
	for i := range rackOperations(t) {
		t.Run(fmt.Sprint("before operation ", i), func(t *testing.T) {
			h := newHost(t, "eth0", "eth1", "eth2")
			h.lived()
			before := h.look()
			hand, n := h.hand(), 0
			h.inject(func(plan.Op) syscall.Errno {
				if n++; n == i+1 {
					hand.unplug("eth0")
				}
				return 0
			})
			op, err := h.tryApply(rack)
			if err != nil || op.State != engine.RolledBack {
				t.Fatalf("apply: %v, state %s, %v", err, op.State, op.Err)
			}
			if !strings.Contains(op.Err.Error(), "eth0") {
				t.Errorf("eth0 is not named: %v", op.Err)
			}
			h.inject(nil)
			h.unchangedBut(before, "eth0")
			h.absent("bond0", "bond0.100", "bond0.200")
			for _, name := range rest {
				h.link(name)
			}
			// The cable is back, and so is all that was asked for.
			h.plug("eth0")
			h.apply(rack)
			h.settled()
		})
	}
}

// rackOperations is what it takes to make the rack, tried out on a host of its own.
func rackOperations(t *testing.T) []plan.Op {
	t.Helper()
	h := newHost(t, "eth0", "eth1", "eth2")
	h.lived()
	if err := h.stage(rack); err != nil {
		t.Fatal(err)
	}
	p, err := h.Plan(t.Context(), engine.Selector{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p.Plan.Ops()
}

// unplug takes a NIC away, also from where the test cannot be ended.
func (h hand) unplug(name string) {
	if l, err := h.LinkByName(name); err == nil {
		_ = h.LinkDel(l)
	}
}

// unchangedBut is unchanged of all links but those.
func (h *host) unchangedBut(before state.Snapshot, names ...string) {
	h.t.Helper()
	gone := map[int]bool{}
	for _, n := range names {
		if l := before.ByName(n); l != nil {
			gone[l.Index] = true
		}
	}
	before = lasting(before)
	before.Links = slices.DeleteFunc(before.Links, func(l state.Link) bool { return gone[l.Index] })
	before.Addresses = slices.DeleteFunc(before.Addresses, func(a state.Address) bool { return gone[a.Link] })
	before.Routes = slices.DeleteFunc(before.Routes, func(r state.Route) bool { return gone[r.Link] })
	h.unchanged(before)
}

// A NIC is renamed in the middle, as udev does it while the NIC is down. A veth has
// no permanent MAC to be known by, so that all is undone; TestFault_B3 of
// netcfg/plan has those that have one.
func TestFault_B2(t *testing.T) {
	for i := range rackOperations(t) {
		t.Run(fmt.Sprint("before operation ", i), func(t *testing.T) {
			h := newHost(t, "eth0", "eth1", "eth2")
			h.lived()
			before := h.look()
			hand, n, renamed := h.hand(), 0, false
			h.inject(func(plan.Op) syscall.Errno {
				if n++; n == i+1 {
					l, err := hand.LinkByName("eth1")
					renamed = err == nil && hand.LinkSetName(l, "lan1") == nil
				}
				return 0
			})
			op, err := h.tryApply(rack)
			h.inject(nil)
			if !renamed { // it was up
				same(t, "outcome", []any{op.State, err, op.Err}, []any{engine.Done, nil, nil})
				return
			}
			if err != nil || op.State != engine.RolledBack {
				t.Fatalf("apply: %v, state %s, %v", err, op.State, op.Err)
			}
			if !strings.Contains(op.Err.Error(), "eth1") {
				t.Errorf("eth1 is not named: %v", op.Err)
			}
			before.ByName("eth1").Name = "lan1"
			h.unchanged(before)
		})
	}
}

// TestFault_B12 fails each operation of the rack in each way. Whichever it is, the
// host is either as wanted or exactly as it was, others' things included.
func TestFault_B12(t *testing.T) {
	ops := rackOperations(t)
	h := newHost(t, "eth0", "eth1", "eth2")
	h.lived()
	before := h.look()
	once := []syscall.Errno{unix.EBUSY, unix.ENODEV, unix.EPERM, unix.ENOBUFS, unix.EINTR, unix.EINVAL, unix.ENOMEM, unix.EEXIST}
	lasting := []syscall.Errno{unix.ENODEV, unix.EEXIST}
	tried := map[plan.Action]bool{}
	for i, op := range ops {
		for _, errno := range once {
			h.failing(before, i, errno, false)
		}
		for _, errno := range lasting {
			h.failing(before, i, errno, true)
		}
		if !tried[op.Action] { // each takes most of a second to give up
			tried[op.Action] = true
			h.failing(before, i, unix.EBUSY, true)
		}
	}
}

// failing applies the rack while the operation of that number fails, and then takes
// it away again if it is there all the same.
func (h *host) failing(before state.Snapshot, i int, errno syscall.Errno, lasting bool) {
	h.t.Helper()
	var failed plan.Op
	h.failAt(i, errno, lasting, &failed)
	op, err := h.tryApply(rack)
	h.inject(nil)
	what := fmt.Sprintf("operation %d, %s, %v, lasting %v", i, failed, errno, lasting)
	switch {
	case err == nil && op.State == engine.RolledBack:
	case err == nil && op.State == engine.Done:
		h.settled()
		back, err := h.Do(h.t.Context(), engine.Request{Kind: engine.Rollback}, nil)
		if err != nil || back.State != engine.Done {
			h.t.Fatalf("%s: rollback: %v, %s, %v", what, err, back.State, back.Err)
		}
	default:
		h.t.Fatalf("%s: %v, %s, %v", what, err, op.State, op.Err)
	}
	h.unchanged(before)
	if h.t.Failed() {
		h.t.Fatalf("%s: %s", what, op.State)
	}
}

// failAt makes the operation of that number fail: the first time that it is sent, or
// every time.
func (h *host) failAt(i int, errno syscall.Errno, lasting bool, failed *plan.Op) {
	n := 0
	h.inject(func(op plan.Op) syscall.Errno {
		if n++; n == i+1 {
			*failed = op
			return errno
		}
		if lasting && n > i+1 && op.String() == failed.String() {
			return errno
		}
		return 0
	})
}
