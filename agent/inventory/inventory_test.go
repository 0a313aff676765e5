package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// scripted is a host that counts the looks at it.
type scripted struct {
	state.Snapshot
	all, single int
	writes      uint64
}

// source is a scripted host as an Inventory wants it.
type source struct{ host *scripted }

func (s source) Snapshot(context.Context) (state.Snapshot, error) {
	s.host.all++
	return state.Snapshot{Links: slices.Clone(s.host.Links), Addresses: s.host.Addresses, Routes: s.host.Routes}, nil
}

func (s source) Link(_ context.Context, index int) (*state.Link, []state.Address, error) {
	s.host.single++
	if l := s.host.Link(index); l != nil {
		one := *l
		return &one, s.host.AddressesOf(index), nil
	}
	return nil, nil, nil
}

func (s source) Routes(context.Context) ([]state.Route, error) { return s.host.Routes, nil }

func (s source) Writes() uint64 { return s.host.writes }

func (s *scripted) change(index int, change ...func(*state.Link)) {
	for _, c := range change {
		c(s.Link(index))
	}
}

// hypervisor has a bond of two, a VLAN on it, and many taps.
func hypervisor(taps int) *scripted {
	h := &scripted{}
	h.Links = []state.Link{
		nic(2, "e0", slave(9, 0)), nic(3, "e1", slave(9, 0)),
		bond(9, "bond0", "active-backup", active(2)), vlan(10, "bond0.5", 9, 5),
	}
	for i := range taps {
		l := nic(2, fmt.Sprint("tap", i), virtual("tun"))
		l.Index = 100 + i
		h.Links = append(h.Links, l)
	}
	return h
}

func idOf(l *state.Link) string { return "id of " + l.Name }

func start(t *testing.T, h *scripted) (*inventory.Inventory, *inventory.Watch) {
	t.Helper()
	inv := inventory.New(source{h}, func(state.Snapshot) inventory.Knowledge { return inventory.Knowledge{ID: idOf} })
	w, v, err := inv.Watch(t.Context(), nil)
	if err != nil || v == nil || len(v.Nics()) != len(h.Links) {
		t.Fatalf("%v, %v", v, err)
	}
	return inv, w
}

func hear(t *testing.T, inv *inventory.Inventory, n inventory.News) {
	t.Helper()
	if err := inv.Hear(t.Context(), []inventory.News{n}); err != nil {
		t.Fatal(err)
	}
}

// told are the changes that a watch has for its reader, in words.
func told(t *testing.T, w *inventory.Watch) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	changes, v, err := w.Next(ctx)
	if v != nil {
		return []string{fmt.Sprintf("anew with %d", len(v.Nics()))}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var out []string
	for _, c := range changes {
		switch {
		case c.Old == nil:
			out = append(out, "+"+c.New.Name)
		case c.New == nil:
			out = append(out, "-"+c.Old.Name)
		default:
			out = append(out, c.New.Name)
		}
	}
	return out
}

func want(t *testing.T, what string, got []string, words string) {
	t.Helper()
	if strings.Join(got, " ") != words {
		t.Errorf("%s: told of %q, want %q", what, got, words)
	}
}

// A link's news have that link read again, not the others, however many there are; and
// all that shows something of it is described anew.
func TestHear(t *testing.T) {
	h := hypervisor(1000)
	inv, w := start(t, h)
	if h.all != 1 {
		t.Fatalf("%d looks at everything at the start", h.all)
	}
	h.change(2, unplugged, func(l *state.Link) { l.Slave.MIIStatus = "down" })
	h.change(9, active(3), func(l *state.Link) { l.CarrierDowns++; l.CarrierUps++ })
	hear(t, inv, inventory.News{Index: 2, Link: true})
	want(t, "a cable", told(t, w), "e0 bond0")
	v, _ := inv.Current(t.Context())
	if n := v.Nics()[2]; n.Name != "bond0" || n.ActiveSlave != "e1" || n.CarrierUps != 1 {
		t.Errorf("%s: active slave %s, %d carriers", n.Name, n.ActiveSlave, n.CarrierUps)
	}
	h.change(9, func(l *state.Link) { l.AdminUp, l.Carrier = false, false })
	hear(t, inv, inventory.News{Index: 9, Link: true})
	want(t, "the bond, and the speed of what is on it", told(t, w), "bond0 bond0.5")
	hear(t, inv, inventory.News{Index: 9, Link: true})
	want(t, "nothing new", told(t, w), "")
	h.change(9, func(l *state.Link) { l.Name = "uplink" })
	hear(t, inv, inventory.News{Index: 9, Link: true})
	want(t, "another name", told(t, w), "e0 e1 -bond0 +uplink bond0.5")
	h.Addresses = []state.Address{address(10, "192.0.2.1/24", 0)}
	hear(t, inv, inventory.News{Index: 10, Link: true})
	want(t, "an address", told(t, w), "bond0.5")
	h.Routes = []state.Route{{Table: state.MainTable, Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.254"), Link: 10}}
	hear(t, inv, inventory.News{Index: 10, Gateways: true})
	want(t, "a gateway", told(t, w), "bond0.5")
	h.Links = slices.DeleteFunc(h.Links, func(l state.Link) bool { return l.Index == 10 })
	hear(t, inv, inventory.News{Index: 10, Link: true})
	want(t, "a link less", told(t, w), "-bond0.5")
	h.Links = append(h.Links, vlan(5000, "bond0.6", 9, 6))
	hear(t, inv, inventory.News{Index: 5000, Link: true})
	want(t, "a link more", told(t, w), "+bond0.6")
	if h.all != 1 || h.single > 14 {
		t.Errorf("%d looks at everything, %d at one link", h.all, h.single)
	}
	v, _ = inv.Current(t.Context())
	if !slices.IsSortedFunc(v.Nics(), func(a, b *inventory.Nic) int { return a.Index - b.Index }) || len(v.Nics()) != 1004 {
		t.Errorf("%d NICs, or not in order", len(v.Nics()))
	}
	if v.Revision == 0 || v.Epoch == "" {
		t.Errorf("revision %d of %q", v.Revision, v.Epoch)
	}
}

// What the agent has done itself its clients see at once, and lost news are made up
// for by a look at everything.
func TestCurrent(t *testing.T) {
	h := hypervisor(0)
	inv, w := start(t, h)
	h.change(2, func(l *state.Link) { l.MTU = 9000 })
	h.writes++
	v, err := inv.Current(t.Context())
	if err != nil || v.Nics()[0].MTU != 9000 {
		t.Errorf("%v, %v", v, err)
	}
	want(t, "the agent's own", told(t, w), "e0")
	h.change(3, func(l *state.Link) { l.MTU = 9000 })
	hear(t, inv, inventory.News{All: true})
	want(t, "lost news", told(t, w), "e1")
	if h.all != 3 {
		t.Errorf("%d looks at everything", h.all)
	}
}

// Somebody comes back and goes on where he was; who comes too late, or from before a
// restart, has to begin anew (faults D9 and D10), and so has who is too slow (D8).
func TestWatchSince(t *testing.T) {
	h := hypervisor(0)
	inv, w := start(t, h)
	flap := func(n int) {
		for range n {
			h.change(2, func(l *state.Link) { l.MTU++ })
			hear(t, inv, inventory.News{Index: 2, Link: true})
		}
	}
	before, _ := inv.Current(t.Context())
	flap(3)
	again, v, err := inv.Watch(t.Context(), &inventory.Since{Epoch: before.Epoch, Revision: before.Revision})
	if err != nil || v != nil {
		t.Fatalf("%v, %v", v, err)
	}
	want(t, "who comes back", told(t, again), "e0 e0 e0")
	again.Close()
	if _, _, err := inv.Watch(t.Context(), &inventory.Since{Epoch: "another", Revision: before.Revision}); !errors.Is(err, inventory.ErrTooOld) {
		t.Errorf("from before a restart: %v", err)
	}
	if _, _, err := inv.Watch(t.Context(), &inventory.Since{Epoch: before.Epoch, Revision: before.Revision + 99}); !errors.Is(err, inventory.ErrTooOld) {
		t.Errorf("from the future: %v", err)
	}
	told(t, w)
	flap(1025)
	want(t, "who is too slow", told(t, w), "anew with 4")
	flap(4096)
	if _, _, err := inv.Watch(t.Context(), &inventory.Since{Epoch: before.Epoch, Revision: before.Revision}); !errors.Is(err, inventory.ErrTooOld) {
		t.Errorf("too late: %v", err)
	}
	for range inventory.MostWatches - 1 {
		if _, _, err := inv.Watch(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := inv.Watch(t.Context(), nil); !errors.Is(err, inventory.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	w.Close()
	if _, _, err := inv.Watch(t.Context(), nil); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}

// A NIC that is configured and not there yet is one NIC with the one that comes, where
// its hardware is known.
func TestArrival(t *testing.T) {
	h := hypervisor(0)
	inv := inventory.New(source{h}, func(s state.Snapshot) inventory.Knowledge {
		k := inventory.Knowledge{Config: netcfg.Config{HostNics: []netcfg.HostNic{{Name: "e7"}}}, ID: func(l *state.Link) string { return "id of " + l.Name }}
		if l := s.ByName("e7"); l != nil {
			k.Links = []plan.Link{{Name: "e7", KernelName: "e7", Index: l.Index}}
		} else {
			k.Waiting = []plan.Waiting{{Nic: "e7", Reason: "it is not there"}}
		}
		return k
	})
	w, v, err := inv.Watch(t.Context(), nil)
	if err != nil || len(v.Nics()) != 5 || v.Nics()[4].Present || v.Nics()[4].Waiting == "" {
		t.Fatalf("%v, %v", v, err)
	}
	e7 := nic(7, "e7")
	h.Links = slices.Insert(h.Links, 2, e7)
	hear(t, inv, inventory.News{Index: 7, Link: true})
	want(t, "it comes", told(t, w), "e7")
	v, _ = inv.Current(t.Context())
	if len(v.Nics()) != 5 || !v.Nics()[2].Present || v.Nics()[2].Name != "e7" {
		t.Errorf("%+v", v.Nics()[2])
	}
	h.Links = slices.Delete(h.Links, 2, 3)
	hear(t, inv, inventory.News{Index: 7, Link: true})
	want(t, "it goes", told(t, w), "e7")
	if v, _ = inv.Current(t.Context()); len(v.Nics()) != 5 || v.Nics()[4].Present {
		t.Errorf("%d NICs", len(v.Nics()))
	}
}
