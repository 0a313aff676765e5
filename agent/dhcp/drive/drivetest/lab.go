package drivetest

import (
	"context"
	"sync"
	"testing/synctest"
	"time"
)

// Manager is one of clients with statuses T, as a consumer sees it.
type Manager[T any] interface {
	Changed() <-chan struct{}
	Take() []T
	Close()
}

// Consume passes all news of a manager on to take, until off has closed the manager. It may
// be called more than once.
func Consume[T any](m Manager[T], take func(T)) (off func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var consumer sync.WaitGroup
	consumer.Go(func() {
		for {
			select {
			case <-m.Changed():
				for _, s := range m.Take() {
					take(s)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		m.Close()
		cancel()
		consumer.Wait()
	}
}

// Rest waits, in a bubble of synctest, until nothing moves any more unless time goes on.
// The race detector is shown that what the test does to what the locks are for comes
// before or after what clients do, which synctest sees to.
func Rest(locks ...sync.Locker) {
	inOrder(locks)
	synctest.Wait()
	inOrder(locks)
}

// Sleep lets time go on, and rests.
func Sleep(d time.Duration, locks ...sync.Locker) {
	inOrder(locks)
	time.Sleep(d)
	Rest(locks...)
}

func inOrder(locks []sync.Locker) {
	for _, l := range locks {
		l.Lock()
		defer l.Unlock()
	}
}
