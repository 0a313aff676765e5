//go:build kernel

package eyes

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hostnic/hostnic/test/need"
)

const gigabit = 1_000_000_000

// The slaves of a bond are lost one by one, from the slowest on: 1, 10 and 25 Gb/s. The
// speed is what is left of it by the rule of its mode, and never a zero.
func TestSpeedOfEveryMode(t *testing.T) {
	t.Parallel()
	need.Kernel(t, need.TUN)
	h := newHost(t)
	var taps []*tap
	for i, megabits := range []uint32{1000, 10000, 25000} {
		d := newTap(t, h.NS, fmt.Sprint("eth", i))
		d.medium(megabits, 1)
		taps = append(taps, d)
	}
	h.start()
	for _, mode := range []struct {
		name string
		want []int64 // in Gb/s, with all slaves and after the loss of each but the last
	}{
		{"balance-rr", []int64{36, 35, 25}},
		{"active-backup, primary: eth2", []int64{25, 25, 25}},
		{"active-backup, primary: eth0", []int64{1, 0, 0}}, // then whichever is next
		{"balance-xor", []int64{36, 35, 25}},
		{"broadcast", []int64{1, 10, 25}},
		{"balance-tlb", []int64{36, 35, 25}},
		{"balance-alb", []int64{36, 35, 25}},
		{"802.3ad", []int64{0, 0, 0}}, // nobody answers: each port has an aggregator of its own
	} {
		t.Run(mode.name, func(t *testing.T) {
			h.T = t
			for _, d := range taps {
				d.plug(true)
			}
			h.commit(fmt.Sprintf(`host_nics: [{name: bond0, bonding: {options: {mode: %s, miimon: 20}, slaves: [eth0, eth1, eth2]}}]`, mode.name))
			for i := range taps {
				h.wantSpeed(mode.want[i])
				taps[i].plug(false)
			}
			h.eventually("no speed without slaves", func() bool {
				n := h.nic("bond0")
				return n.Speed == nil && n.GetAbsentReasons()["speed"] != ""
			})
			h.commit(`{}`)
		})
	}
}

// wantSpeed waits for a speed of bond0, in Gb/s; 0 is that of one of its slaves, whose
// links differ in it.
func (h *host) wantSpeed(gigabits int64) {
	h.T.Helper()
	var last string
	defer func() {
		if h.T.Failed() {
			h.T.Logf("the last was %s", last)
		}
	}()
	h.eventually(fmt.Sprint("a speed of ", gigabits, " Gb/s"), func() bool {
		n := h.nic("bond0")
		last = fmt.Sprint(n.GetSpeed(), " ", n.GetAbsentReasons()["speed"])
		if gigabits != 0 || n.Speed == nil {
			return n.Speed != nil && n.GetSpeed() == gigabits*gigabit
		}
		for i := range 3 {
			s := h.nic(fmt.Sprint("eth", i))
			used := n.GetActiveSlave() == s.GetName() || n.GetActiveSlave() == "" && s.AdAggregatorId != nil && s.GetAdAggregatorId() == n.GetAdAggregatorId()
			if used && s.Speed != nil && s.GetSpeed() == n.GetSpeed() {
				return true
			}
		}
		return false
	})
}

// Both ends speak LACP: the speed is that of the ports in the active aggregator, and each
// slave tells the state of its port and of the other end's, of which the kernel tells
// nobody when it changes.
func TestSpeedOfLACP(t *testing.T) {
	t.Parallel()
	need.Kernel(t, need.LACP)
	h := newHost(t, "eth0", "eth1", "eth2")
	h.Far.IP(t, "link", "add", "bond0", "type", "bond", "mode", "802.3ad", "lacp_rate", "fast", "miimon", "50")
	for _, p := range []string{"p-eth0", "p-eth1", "p-eth2"} {
		h.Far.Down(t, p)
		h.Far.IP(t, "link", "set", p, "master", "bond0")
		h.Far.Up(t, p)
	}
	h.Far.Up(t, "bond0")
	h.start()
	h.commit(`host_nics: [{name: bond0, bonding: {options: {mode: 802.3ad, lacp_rate: fast, miimon: 50}, slaves: [eth0, eth1, eth2]}}]`)
	for i, slave := range []string{"eth0", "eth1", "eth2"} {
		ports := int32(3 - i)
		h.wantSpeed(int64(ports) * 10)
		h.eventually("the partner and its ports", func() bool {
			n := h.nic("bond0")
			return n.GetAdPartnerMac() != "" && n.GetAdPorts() == ports
		})
		h.eventually(slave+" passes traffic", func() bool {
			s := h.nic(slave)
			return s.GetSlaveState() == "active" && s.GetMiiStatus() == "up" && slices.Contains(s.GetLacpActorState(), "distributing") &&
				slices.Contains(s.GetLacpPartnerState(), "distributing")
		})
		h.Far.Down(t, "p-"+slave)
		h.eventually(slave+" is down", func() bool {
			s := h.nic(slave)
			return s.GetMiiStatus() == "down" && s.GetLinkFailures() >= 1
		})
	}
}
