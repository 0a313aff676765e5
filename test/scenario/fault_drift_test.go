//go:build kernel

package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// change is what somebody does to a host with the rack on it, with ip.
type change struct {
	what string
	by   func(hand)
	// drift is the difference that it makes, as field, wanted, actual.
	drift string
}

func (h *host) changes() []change {
	return []change{
		{"address removed", func(hand hand) { hand.delAddress("eth2", "192.0.2.10/24") }, "host_nics[eth2].addresses[192.0.2.10/24] present absent"},
		{"MTU", func(hand hand) { hand.must("mtu", hand.LinkSetMTU(hand.link("bond0.100"), 1300)) }, "host_nics[bond0.100].mtu 9000 1300"},
		{"link down", func(hand hand) { hand.down("bond0.200") }, "host_nics[bond0.200].admin_state up down"},
		{"slave out", func(hand hand) { hand.must("eth1", hand.LinkSetNoMaster(hand.link("eth1"))) }, "host_nics[bond0].bonding.slaves eth0,eth1 eth0"},
		{"bond option", func(hand hand) {
			b := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
			b.Miimon = 70
			hand.must("miimon", hand.LinkModify(b))
		}, "host_nics[bond0].bonding.options.miimon 100 70"},
		{"VLAN deleted", func(hand hand) { hand.del("bond0.100") }, "host_nics[bond0.100] present absent"},
		{"MAC", func(hand hand) {
			hand.must("mac", hand.LinkSetHardwareAddr(hand.link("eth2"), []byte{0x52, 0x54, 0, 1, 2, 3}))
		}, "host_nics[eth2].mac.address " + h.mac("eth2") + " 52:54:00:01:02:03"},
		{"route removed", func(hand hand) { hand.delRoute("0.0.0.0/0", "192.0.2.1", "eth2", protocol(state.ProtocolHostnic)) },
			"host_nics[eth2].routes[0.0.0.0/0 via 192.0.2.1] present absent"},
		{"bond deleted", func(hand hand) { hand.del("bond0") }, "host_nics[bond0] present absent"},
	}
}

// told are the differences that the agent's own look has found.
func (h *host) told() []string {
	var out []string
	for _, d := range h.View().Drift {
		out = append(out, d.Field+" "+d.Wanted+" "+d.Actual)
	}
	return out
}

// What somebody changes with ip is found by the kernel's own news, field by field. With
// the policy report nothing is written until somebody applies, which puts it right with
// nothing staged; with heal it is put right at once.
func TestFault_B10(t *testing.T) {
	t.Run("report", func(t *testing.T) {
		h := newHost(t, "eth0", "eth1", "eth2")
		h.apply(rack)
		before := h.look()
		for _, c := range h.changes() {
			writes, began := h.kernel.Writes(), time.Now()
			c.by(h.hand())
			eventually(t, c.what+": "+c.drift, func() bool { return slices.Contains(h.told(), c.drift) })
			t.Logf("%s: seen after %s", c.what, time.Since(began).Round(time.Millisecond))
			same(t, c.what+": requests written", h.kernel.Writes()-writes, 0)
			h.apply(`{}`)
			h.settled()
			eventually(t, c.what+": no drift after an apply", func() bool { return len(h.View().Drift) == 0 })
		}
		unchanged(t, before, h.look(), "eth0", "eth1", "eth2")
		same(t, "operations by the agent itself", len(h.healed()), 0)
	})
	t.Run("heal", func(t *testing.T) {
		h := newHost(t, "eth0", "eth1", "eth2")
		h.heals()
		h.apply(rack)
		before := h.look()
		for _, c := range h.changes() {
			began, n := time.Now(), len(h.healed())
			c.by(h.hand())
			eventually(t, c.what+" is healed", func() bool { return len(h.healed()) > n && len(h.View().Drift) == 0 })
			t.Logf("%s: healed after %s", c.what, time.Since(began).Round(time.Millisecond))
			if op := h.healed()[n]; op.State != engine.Done || op.Writes == 0 || !slices.ContainsFunc(op.Healed, func(d plan.Drift) bool {
				return d.Field+" "+d.Wanted+" "+d.Actual == c.drift
			}) {
				t.Errorf("%s: %+v", c.what, op)
			}
			h.settled()
		}
		unchanged(t, before, h.look(), "eth0", "eth1", "eth2")
		same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.1 dev eth2]")
		same(t, "degraded", len(h.View().Degraded), 0)
	})
	t.Run("others", others)
}

// others is what others put there: no drift, and untouched.
func others(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	h.heals()
	h.apply(rack)
	hand, writes := h.hand(), h.kernel.Writes()
	hand.addAddress("eth2", "203.0.113.9/24")
	hand.addAddress("bond0", "2001:db8:9::9/64")
	hand.addVLAN("guests", "bond0", 300)
	hand.up("eth3")
	hand.addRoute("203.0.114.0/24", "203.0.113.1", "eth2")
	h.far.Down(t, "p-eth0") // a cable
	eventually(t, "the bond has lost a cable", func() bool { return !h.link("eth0").Carrier })
	// The agent has looked since: it has seen a difference that came later.
	hand.must("mtu", hand.LinkSetMTU(hand.link("bond0.200"), 1300))
	eventually(t, "the MTU is healed", func() bool { return len(h.healed()) > 0 && len(h.View().Drift) == 0 })
	ops := h.healed()
	if len(ops) != 1 || len(ops[0].Healed) != 1 || h.kernel.Writes()-writes != 1 {
		t.Errorf("%d requests written by %+v", h.kernel.Writes()-writes, ops)
	}
	same(t, "addresses", h.addresses("eth2"), "[192.0.2.10/24 203.0.113.9/24]")
	h.link("guests")
}

// heals starts the agent anew with the policy heal.
func (h *host) heals() {
	h.t.Helper()
	h.stop()
	h.policy = engine.DriftHeal
	h.start()
}

// healed are the operations by which the agent has put things right, oldest first.
func (h *host) healed() []engine.Operation {
	var out []engine.Operation
	for _, op := range slices.Backward(h.Operations()) {
		if op.Kind == engine.Heal && op.State != engine.Running {
			out = append(out, op)
		}
	}
	return out
}

// Somebody sets a link back as often as the agent sets it right. After five times the
// agent leaves it alone and raises an alarm, heals others, and takes the link up again
// with the next apply.
func TestFault_B11(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.heals()
	h.apply(rack)
	stop := h.fight("eth2", 1500, 1400)
	eventually(t, "eth2 is left alone", func() bool { return fmt.Sprint(h.View().LeftAlone) == "[eth2]" })
	same(t, "corrections", len(h.healed()), 5)
	eventually(t, "the drift is told", func() bool { return slices.Contains(h.told(), "host_nics[eth2].mtu 1500 1400") })
	alarm := strings.Join(h.View().Degraded, " ")
	for _, want := range []string{"eth2", "host_nics[eth2].mtu", "1500", "1400", "agentctl apply"} {
		if !strings.Contains(alarm, want) {
			t.Errorf("the alarm %q does not name %s", alarm, want)
		}
	}
	hand := h.hand()
	for n := 6; n < 8; n++ {
		hand.must("mtu", hand.LinkSetMTU(hand.link("bond0.100"), 1300))
		eventually(t, "another link is healed", func() bool { return len(h.healed()) == n })
		same(t, "MTU of the other link", h.link("bond0.100").MTU, 9000)
	}
	same(t, "MTU of eth2", h.link("eth2").MTU, 1400)
	stop()
	h.apply(`{}`)
	same(t, "MTU after an apply", h.link("eth2").MTU, 1500)
	same(t, "alarms after an apply", len(h.View().Degraded)+len(h.View().LeftAlone), 0)
	hand.must("mtu", hand.LinkSetMTU(hand.link("eth2"), 1400))
	eventually(t, "eth2 is healed again", func() bool { return h.link("eth2").MTU == 1500 })
	h.settled()
}

// Guests come and go on somebody's bridge while somebody changes a link of ours: that is
// found among all the news and healed, nothing else is written, and nothing waits.
func TestScenario_P10(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.heals()
	h.apply(rack)
	h.ns.Bridge(t, "br0")
	writes, hand := h.kernel.Writes(), h.hand()
	for range 4 {
		for i := range 50 {
			tap := fmt.Sprintf("tap%d", i)
			hand.addTap(tap)
			hand.must(tap, hand.LinkSetMaster(hand.link(tap), hand.link("br0")))
			hand.up(tap)
		}
		hand.must("mtu", hand.LinkSetMTU(hand.link("bond0.100"), 1300))
		for i := range 50 {
			hand.del(fmt.Sprintf("tap%d", i))
		}
	}
	eventually(t, "it is healed", func() bool { return h.link("bond0.100").MTU == 9000 })
	eventually(t, "what was written was written to heal", func() bool {
		var healing uint64
		for _, op := range h.healed() {
			same(t, "healed", op.Healed, "[{host_nics[bond0.100].mtu 9000 1300 false }]")
			healing += op.Writes
		}
		return healing == h.kernel.Writes()-writes
	})
	same(t, "waiting and degraded", len(h.View().Waiting)+len(h.View().Degraded), 0)
	h.settled()
}

// fight sets the MTU of a link whenever somebody sets it right, until it is stopped.
func (h *host) fight(nic string, right, wrong int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended, other := make(chan struct{}), h.hand()
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if l, err := other.LinkByName(nic); err == nil && l.Attrs().MTU == right {
				_ = other.LinkSetMTU(l, wrong)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// A slave that somebody puts into his bridge is not torn out of it by healing either:
// it is told, with what gives it back, and then it is put in again at once.
func TestScenario_P08_Heal(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.heals()
	h.ns.Bridge(t, "br0")
	h.apply(rack)
	hand := h.hand()
	hand.enslave("br0", "eth1")
	eventually(t, "told", func() bool { return slices.Contains(h.told(), "host_nics[eth1].master bond0 br0") })
	for _, d := range h.View().Drift {
		if d.Field == "host_nics[eth1].master" && !strings.Contains(d.Hint, "ip link set dev eth1 nomaster") {
			t.Errorf("no command in the hint %q", d.Hint)
		}
	}
	hand.must("mtu", hand.LinkSetMTU(hand.link("bond0.100"), 1300))
	eventually(t, "others are healed", func() bool { return h.link("bond0.100").MTU == 9000 })
	same(t, "master", h.link("eth1").Master, h.link("br0").Index)
	hand.must("give back", hand.LinkSetNoMaster(hand.link("eth1")))
	eventually(t, "eth1 is a slave again", func() bool { return h.link("eth1").Master == h.link("bond0").Index })
	eventually(t, "no drift", func() bool { return len(h.View().Drift) == 0 })
	h.settled()
}
