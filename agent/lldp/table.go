package lldp

import (
	"cmp"
	"slices"
	"time"
)

// mostNeighbours is how many of them one link may have. A cable has one; behind a dumb
// switch there are some.
const mostNeighbours = 16

// table are the neighbours that are known. It belongs to one goroutine.
type table struct {
	of map[int][]Neighbour // by index of the link
}

func newTable() *table { return &table{of: map[int][]Neighbour{}} }

// hear takes over what was said now on a link. Where there is no room for another neighbour the new one is left out:
// who makes up many does not drive out the one that was there first.
func (t *table) hear(now time.Time, n Neighbour) {
	list := t.of[n.Index]
	i := slices.IndexFunc(list, func(have Neighbour) bool { return have.Chassis == n.Chassis && have.Port == n.Port })
	n.First, n.Last = now, now
	switch {
	case n.TTL == 0 && i >= 0:
		t.of[n.Index] = slices.Delete(slices.Clone(list), i, i+1)
	case n.TTL == 0 || i < 0 && len(list) >= mostNeighbours:
	case i < 0:
		t.of[n.Index] = append(slices.Clone(list), n)
	default:
		n.First = list[i].First
		t.of[n.Index] = slices.Clone(list)
		t.of[n.Index][i] = n
	}
}

// age forgets those whose time is over, and tells when the next one's is; false is none.
func (t *table) age(now time.Time) (next time.Time, ok bool) {
	for index, list := range t.of {
		list = slices.DeleteFunc(slices.Clone(list), func(n Neighbour) bool { return !now.Before(n.Last.Add(n.TTL)) })
		t.of[index] = list
		if len(list) == 0 {
			delete(t.of, index)
		}
		for _, n := range list {
			if end := n.Last.Add(n.TTL); !ok || end.Before(next) {
				next, ok = end, true
			}
		}
	}
	return next, ok
}

// drop forgets a link.
func (t *table) drop(index int) { delete(t.of, index) }

// all are the neighbours by link.
func (t *table) all() []Neighbour {
	var out []Neighbour
	for _, list := range t.of {
		out = append(out, list...)
	}
	slices.SortFunc(out, func(a, b Neighbour) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), a.First.Compare(b.First), cmp.Compare(a.Chassis.Value, b.Chassis.Value))
	})
	return out
}
