//go:build kernel

package scenario

import (
	"testing"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg/kernel"
)

// What clients are told of speed and status, from drivers of a real kernel. All the
// cases are in agent/inventory.

// nics are what a client sees.
func (h *host) nics() []*inventory.Nic {
	h.t.Helper()
	s, err := h.kernel.SnapshotWith(h.t.Context(), kernel.What{Speeds: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return inventory.Build(s, inventory.Knowledge{})
}

func TestScenario_E05(t *testing.T) {
	h := newHost(t, "eth0")
	h.ns.Dummy(t, "eth8")
	h.ns.Bridge(t, "br0")
	h.hand().up("eth8")
	nics := h.nics()
	for _, name := range []string{"eth8", "br0", "eth0"} { // a dummy, a bridge, one that is down
		n := inventory.Find(nics, name)
		if n.Speed != nil || n.Absent["speed"] == "" {
			t.Errorf("%s: speed %v, because %q", name, n.Speed, n.Absent["speed"])
		}
	}
}

func TestScenario_E06(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{name: bond0, bonding: {options: {mode: balance-xor}, slaves: [eth0, eth1]}}, {vlan: {id: 5}, base_interface: bond0}]`)
	eventually(t, "the bond has a carrier", func() bool { return h.link("bond0").Carrier && h.link("bond0.5").Carrier })
	nics := h.nics()
	for name, want := range map[string]int64{"eth0": 10e9, "bond0": 20e9, "bond0.5": 20e9} {
		n := inventory.Find(nics, name)
		if n.Speed == nil || *n.Speed != want || n.Duplex != "full" {
			t.Errorf("%s: speed %v, because %q, duplex %s", name, n.Speed, n.Absent["speed"], n.Duplex)
		}
	}
}

func TestScenario_E07(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.far.Down(t, "p-eth1")
	h.ns.Dummy(t, "eth8")
	h.hand().up("eth1", "eth2", "eth8")
	eventually(t, "the kernel has seen the cables", func() bool { return h.link("eth2").Carrier && !h.link("eth1").Carrier })
	same(t, "the state of a dummy", h.link("eth8").OperState, "unknown")
	nics := h.nics()
	for name, up := range map[string]bool{"eth0": false, "eth1": false, "eth2": true, "eth8": true} {
		same(t, name+" is up", inventory.Find(nics, name).Up, up)
	}
}
