package inventory

import (
	"context"
	"errors"
)

const (
	// mostPast is how many changes are kept for those who come back.
	mostPast = 4096
	// mostQueued is how many changes wait for one watch before it has to begin anew.
	mostQueued = 1024
	// MostWatches is how many there may be at once.
	MostWatches = 512
)

// Errors of Watch.
var (
	// ErrTooOld says that the changes since a revision are not known any more, or were
	// of another run of the agent: begin anew.
	ErrTooOld = errors.New("the changes since then are not known any more")
	// ErrTooMany says that there are as many watches as there may be.
	ErrTooMany = errors.New("too many watches")
)

// Watch is a reader of changes. It is for one goroutine.
type Watch struct {
	inv   *Inventory
	ready chan struct{}
	// queue and lost belong to inv.mu. lost says that changes were dropped.
	queue []Change
	lost  bool
}

// Since names a revision to go on from.
type Since struct {
	Epoch    string
	Revision uint64
}

// Watch begins with a version, or goes on from a revision without one. Close ends it.
func (inv *Inventory) Watch(ctx context.Context, since *Since) (*Watch, *Version, error) {
	if err := inv.catchUp(ctx); err != nil {
		return nil, nil, err
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if len(inv.watches) >= MostWatches {
		return nil, nil, ErrTooMany
	}
	w := &Watch{inv: inv, ready: make(chan struct{}, 1)}
	now := inv.current.Load()
	if since != nil {
		oldest := now.Revision - uint64(len(inv.past.ring))
		if since.Epoch != inv.epoch || since.Revision < oldest || since.Revision > now.Revision {
			return nil, nil, ErrTooOld
		}
		w.push(inv.past.newest(int(now.Revision - since.Revision)))
		now = nil
	}
	inv.watches[w] = struct{}{}
	return w, now, nil
}

// Watches is how many there are.
func (inv *Inventory) Watches() int {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return len(inv.watches)
}

// Close ends the watch.
func (w *Watch) Close() {
	w.inv.mu.Lock()
	defer w.inv.mu.Unlock()
	delete(w.inv.watches, w)
}

// Next waits for changes. Where it returns a version the reader was too slow, changes
// were left out, and it goes on from that version.
func (w *Watch) Next(ctx context.Context) ([]Change, *Version, error) {
	for {
		w.inv.mu.Lock()
		queue, lost := w.queue, w.lost
		w.queue, w.lost = nil, false
		now := w.inv.current.Load()
		w.inv.mu.Unlock()
		if lost {
			return nil, now, nil
		}
		if len(queue) > 0 {
			return queue, nil, nil
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// push is called with inv.mu held.
func (w *Watch) push(changes []Change) {
	if len(w.queue)+len(changes) > mostQueued {
		w.queue, w.lost = nil, true
	}
	if !w.lost {
		w.queue = append(w.queue, changes...)
	}
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// tell makes a version the current one, for readers and watches at once.
func (inv *Inventory) tell(v *Version, changes []Change) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.current.Store(v)
	inv.past.add(changes)
	for w := range inv.watches {
		w.push(changes)
	}
}

// history is the newest changes, mostPast at most. The next one goes into ring[next]
// once that is all.
type history struct {
	ring []Change
	next int
}

func (h *history) add(changes []Change) {
	for _, c := range changes {
		if len(h.ring) < mostPast {
			h.ring = append(h.ring, c)
			continue
		}
		h.ring[h.next] = c
		h.next = (h.next + 1) % mostPast
	}
}

// newest are the last n, from the oldest on.
func (h *history) newest(n int) []Change {
	out := make([]Change, 0, n)
	for i := len(h.ring) - n; i < len(h.ring); i++ {
		out = append(out, h.ring[(h.next+i)%len(h.ring)])
	}
	return out
}
