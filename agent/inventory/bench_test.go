package inventory_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg/state"
)

// One event costs the same on a small host and on a large one.
func BenchmarkEvent(b *testing.B) {
	for _, links := range []int{10, 1000, 4000} {
		for _, kind := range []string{"carrier", "gateway", "coming and going"} {
			b.Run(fmt.Sprintf("%s of one of %d", kind, links), func(b *testing.B) { benchmarkEvent(b, kind, links) })
		}
	}
}

func benchmarkEvent(b *testing.B, kind string, links int) {
	h := hypervisor(links)
	fast := indexed{h, map[int]*state.Link{}}
	for i := range h.Links {
		fast.links[h.Links[i].Index] = &h.Links[i]
	}
	inv := inventory.New(fast, func(state.Snapshot) inventory.Knowledge { return inventory.Knowledge{ID: idOf} })
	if _, err := inv.Current(b.Context()); err != nil {
		b.Fatal(err)
	}
	const index = 105
	one := fast.links[index]
	news := []inventory.News{{Index: index, Link: true}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		switch kind {
		case "carrier":
			one.Carrier = !one.Carrier
		case "gateway":
			news[0].Gateways = true
			h.Routes = []state.Route{{Link: index, Table: state.MainTable, Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}}
		default:
			if fast.links[index] = one; i%2 == 0 {
				fast.links[index] = nil
			}
		}
		if err := inv.Hear(b.Context(), news); err != nil {
			b.Fatal(err)
		}
	}
}

// indexed is a scripted host that finds a link at once, as the kernel does.
type indexed struct {
	*scripted
	links map[int]*state.Link
}

func (s indexed) Snapshot(ctx context.Context) (state.Snapshot, error) {
	return source{s.scripted}.Snapshot(ctx)
}

func (s indexed) Link(_ context.Context, index int) (*state.Link, []state.Address, error) {
	if l := s.links[index]; l != nil {
		one := *l
		return &one, nil, nil
	}
	return nil, nil, nil
}

func (s indexed) Routes(context.Context) ([]state.Route, error) { return s.scripted.Routes, nil }

func (s indexed) Writes() uint64 { return 0 }
