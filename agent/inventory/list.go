package inventory

import (
	"cmp"
	"slices"
)

// chunkLength is how many NICs a chunk of a list begins with. A change copies one chunk,
// and the list of the chunks.
const chunkLength = 64

// list is NICs in order. It is never changed: one that differs in a NIC shares all but
// that one's chunk, so that a change costs about as much with 4,000 NICs as with ten.
type list struct {
	chunks [][]*Nic // none is empty
	length int
}

// listOf takes NICs in any order, and keeps the slice.
func listOf(all []*Nic) list {
	slices.SortFunc(all, compare)
	l := list{length: len(all)}
	for chunk := range slices.Chunk(all, chunkLength) {
		l.chunks = append(l.chunks, chunk)
	}
	return l
}

// with is the list after changes.
func (l list) with(changes []Change) list {
	l.chunks = slices.Clone(l.chunks)
	stays := func(c Change) bool { return c.Old != nil && c.New != nil && compare(c.Old, c.New) == 0 }
	for _, c := range changes { // who comes may have the place of one who goes
		if c.Old != nil && !stays(c) {
			l.remove(c.Old)
		}
	}
	for _, c := range changes {
		switch {
		case stays(c):
			l.replace(c.New)
		case c.New != nil:
			l.insert(c.New)
		}
	}
	return l
}

// chunk is the number of the one in which a NIC is, or would be; -1 in an empty list.
func (l *list) chunk(n *Nic) int {
	i, found := slices.BinarySearchFunc(l.chunks, n, func(chunk []*Nic, n *Nic) int { return compare(chunk[0], n) })
	if !found {
		i = max(i-1, min(0, len(l.chunks)-1))
	}
	return i
}

func (l *list) replace(n *Nic) {
	c := l.chunk(n)
	if i, found := slices.BinarySearchFunc(l.chunks[c], n, compare); found {
		l.chunks[c] = slices.Clone(l.chunks[c])
		l.chunks[c][i] = n
	}
}

func (l *list) remove(n *Nic) {
	c := l.chunk(n)
	i, found := slices.BinarySearchFunc(l.chunks[c], n, compare)
	if !found {
		return
	}
	l.length--
	if len(l.chunks[c]) == 1 {
		l.chunks = slices.Delete(l.chunks, c, c+1)
		return
	}
	l.chunks[c] = slices.Concat(l.chunks[c][:i], l.chunks[c][i+1:])
}

func (l *list) insert(n *Nic) {
	l.length++
	c := l.chunk(n)
	if c < 0 {
		l.chunks = [][]*Nic{{n}}
		return
	}
	i, _ := slices.BinarySearchFunc(l.chunks[c], n, compare)
	grown := slices.Concat(l.chunks[c][:i], []*Nic{n}, l.chunks[c][i:])
	if len(grown) <= 2*chunkLength {
		l.chunks[c] = grown
		return
	}
	l.chunks = slices.Replace(l.chunks, c, c+1, grown[:chunkLength:chunkLength], grown[chunkLength:])
}

// all is the whole of it in one slice.
func (l list) all() []*Nic { return slices.Concat(l.chunks...) }

// compare orders by index, those that are not there last, by name.
func compare(a, b *Nic) int {
	if a.Present != b.Present {
		if a.Present {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Name, b.Name))
}
