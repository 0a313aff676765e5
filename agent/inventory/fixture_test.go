package inventory_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

const gigabit = int64(1e9)

// nic is a NIC that is up, with a carrier.
func nic(index int, name string, change ...func(*state.Link)) state.Link {
	l := state.Link{Index: index, Name: name, Type: 1, MAC: "52:54:00:00:00:0" + string(rune('0'+index)), PermMAC: "52:54:00:00:00:0" + string(rune('0'+index)),
		MTU: 1500, AdminUp: true, Carrier: true, OperState: "up", BusPath: "0000:03:00.0", Driver: "igb", Duplex: "full", Speed: new(gigabit)}
	for _, c := range change {
		c(&l)
	}
	return l
}

func speed(bits int64) func(*state.Link) { return func(l *state.Link) { l.Speed = &bits } }

func noSpeed(l *state.Link) { l.Speed, l.Duplex = nil, "" }

func down(l *state.Link) { l.AdminUp, l.Carrier, l.OperState = false, false, "down" }

func unplugged(l *state.Link) { l.Carrier, l.OperState = false, "down" }

// slave makes a slave of the bond of that index. port is its aggregator in mode
// 802.3ad, 0 in others.
func slave(master, port int) func(*state.Link) {
	return func(l *state.Link) {
		l.Master, l.Slave = master, &state.Slave{State: "active", MIIStatus: "up"}
		if !l.Carrier {
			l.Slave.MIIStatus = "down"
		}
		if port != 0 {
			l.Slave.AggregatorID = &port
		}
	}
}

func virtual(kind string) func(*state.Link) {
	return func(l *state.Link) {
		l.Kind, l.PermMAC, l.BusPath, l.Driver, l.Speed, l.Duplex = kind, "", "", "", nil, ""
	}
}

// bond is a bond that is up.
func bond(index int, name, mode string, change ...func(*state.Link)) state.Link {
	l := nic(index, name, virtual("bond"))
	l.Bond = &state.Bond{Options: map[string]string{"mode": mode, "miimon": "100"}}
	for _, c := range change {
		c(&l)
	}
	return l
}

func active(index int) func(*state.Link) { return func(l *state.Link) { l.Bond.ActiveSlave = index } }

func aggregator(id int, partner string) func(*state.Link) {
	return func(l *state.Link) { l.Bond.AD = &state.AggregatorInfo{ID: id, NumPorts: 2, PartnerMAC: partner} }
}

func vlan(index int, name string, parent, id int, change ...func(*state.Link)) state.Link {
	l := nic(index, name, virtual("vlan"))
	l.Parent, l.VLANID = parent, id
	for _, c := range change {
		c(&l)
	}
	return l
}

func address(link int, prefix string, flags uint32) state.Address {
	return state.Address{Link: link, Prefix: netip.MustParsePrefix(prefix), Flags: flags, Valid: state.Forever, Preferred: state.Forever}
}

func snapshot(links ...state.Link) state.Snapshot { return state.Snapshot{Links: links} }

// build is all NICs of a host that nobody has configured.
func build(links ...state.Link) []*inventory.Nic {
	return inventory.Build(snapshot(links...), inventory.Knowledge{})
}

func find(t *testing.T, nics []*inventory.Nic, name string) *inventory.Nic {
	t.Helper()
	n := inventory.Find(nics, name)
	if n == nil {
		t.Fatalf("%s is not listed", name)
	}
	return n
}

// wantAbsent wants a field to be left out for a reason that holds these words.
func wantAbsent(t *testing.T, n *inventory.Nic, field, words string) {
	t.Helper()
	reason, ok := n.Absent[field]
	if !ok || !strings.Contains(reason, words) {
		t.Errorf("%s: %s is absent because %q, want something with %q", n.Name, field, reason, words)
	}
}

// managed is what the engine tells of NICs that the agent manages.
func managed(c netcfg.Config, links ...plan.Link) inventory.Knowledge {
	return inventory.Knowledge{Config: c, Links: links, ID: func(l *state.Link) string { return "id-of-" + l.Name }}
}
