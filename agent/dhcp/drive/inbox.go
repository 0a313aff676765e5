package drive

import "sync"

// inbox holds what is known of link and host until the worker takes it. The latest
// counts; nobody who adds waits.
type inbox[E any] struct {
	ready chan struct{}

	mu sync.Mutex
	// link is how it is now, away how it was when it was not ready meanwhile.
	link, away *E
	linkReady  bool
	host       *E
}

func (b *inbox[E]) setLink(e E, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.link, b.linkReady = &e, ready
	if !ready {
		b.away = &e
	}
	b.signal()
}

func (b *inbox[E]) setHost(e E) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.host = &e
	b.signal()
}

func (b *inbox[E]) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take empties it.
func (b *inbox[E]) take() []E {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []E
	if b.host != nil {
		all = append(all, *b.host)
	}
	if b.away != nil && b.linkReady {
		all = append(all, *b.away)
	}
	if b.link != nil {
		all = append(all, *b.link)
	}
	b.link, b.away, b.host = nil, nil, nil
	return all
}
