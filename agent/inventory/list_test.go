package inventory

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// A list that NICs come to, go from and change in is the list that is made of the same
// NICs at once, and the lists before it stay as they were.
func TestListWith(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	there := map[int]*Nic{}
	l := listOf(nil)
	for round := range 3000 {
		before, was := l, l.all()
		var changes []Change
		most := 1 + random.IntN(8)
		if round%1000 > 700 {
			most = 60 // with whole chunks that go
		}
		for _, place := range random.Perm(700)[:random.IntN(most)] {
			changes = append(changes, happen(random, there, place))
		}
		l = before.with(changes)
		want := slices.SortedFunc(maps.Values(there), compare)
		if !slices.Equal(l.all(), want) || l.length != len(want) {
			t.Fatalf("round %d: %d NICs of %d, or out of order, after %v", round, l.length, len(want), changes)
		}
		if !slices.Equal(before.all(), was) {
			t.Fatalf("round %d: the list before has changed", round)
		}
		if slices.ContainsFunc(l.chunks, func(c []*Nic) bool { return len(c) == 0 || len(c) > 2*chunkLength }) {
			t.Fatalf("round %d: a chunk is empty or too long", round)
		}
	}
}

// happen has a NIC come to a place, go from it, change there, or be followed by another.
func happen(random *rand.Rand, there map[int]*Nic, place int) Change {
	n := &Nic{Index: place, Present: place%7 != 0, Name: fmt.Sprint("nic", place)}
	if !n.Present {
		n.Index = 0
	}
	old := there[place]
	switch {
	case old != nil && random.IntN(3) == 0:
		delete(there, place)
		return Change{Old: old}
	case random.IntN(3) == 0:
		n.Name += "-renamed"
	}
	there[place] = n
	return Change{Old: old, New: n}
}

// What is kept of the past is its newest part, in order.
func TestHistory(t *testing.T) {
	var h history
	for i := range 3*mostPast + 5 {
		h.add([]Change{{Revision: uint64(i)}})
	}
	for _, n := range []int{0, 1, 7, mostPast} {
		newest := h.newest(n)
		if len(newest) != n || n > 0 && (newest[n-1].Revision != 3*mostPast+4 || newest[0].Revision != uint64(3*mostPast+5-n)) {
			t.Errorf("%d: %v", n, newest)
		}
	}
}
