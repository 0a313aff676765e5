// Package drivetest has what tests of clients have in common: time that costs nothing, and
// records that are nowhere. Tests only: nothing that ships imports it.
package drivetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

// Clock is one in a bubble of synctest, since a boot.
type Clock struct{ Boot time.Time }

// Now is how long ago the boot was.
func (c *Clock) Now() time.Duration { return time.Since(c.Boot) }

// Timer is one that is not set.
func (c *Clock) Timer() (drive.Timer, error) {
	return &timer{clock: c, c: make(chan struct{}, 1)}, nil
}

type timer struct {
	clock *Clock
	c     chan struct{}
	t     *time.Timer
}

func (t *timer) C() <-chan struct{} { return t.c }

func (t *timer) Set(at time.Duration) {
	t.Close()
	if at == drive.Never {
		return
	}
	t.t = time.AfterFunc(max(0, at-t.clock.Now()), func() {
		select {
		case t.c <- struct{}{}:
		default:
		}
	})
}

func (t *timer) Close() {
	if t.t != nil {
		t.t.Stop()
	}
}

// Hurried is the clock since boot, so many times as fast.
type Hurried struct{ Times int64 }

// Now is what it reads.
func (h *Hurried) Now() time.Duration { return drive.BootClock{}.Now() * time.Duration(h.Times) }

// Timer is one that is not set.
func (h *Hurried) Timer() (drive.Timer, error) {
	t, err := drive.BootClock{}.Timer()
	return &hurriedTimer{t, h.Times}, err
}

type hurriedTimer struct {
	drive.Timer
	times int64
}

func (t *hurriedTimer) Set(at time.Duration) {
	if at != drive.Never {
		at = time.Duration(int64(at)/t.times) + 1
	}
	t.Timer.Set(at)
}

// Records is a store.
type Records[L any] struct {
	// Mu is for who looks at the rest while clients run.
	Mu    sync.Mutex
	By    map[string]drive.Record[L]
	Saves int
	// Fail is what it says to whatever it is asked.
	Fail error
}

// LoadLease is that of drive.Store.
func (r *Records[L]) LoadLease(nic string) (*drive.Record[L], error) {
	r.Mu.Lock()
	defer r.Mu.Unlock()
	if rec, ok := r.By[nic]; ok {
		return &rec, r.Fail
	}
	return nil, r.Fail
}

// SaveLease is that of drive.Store.
func (r *Records[L]) SaveLease(nic string, rec *drive.Record[L]) error {
	r.Mu.Lock()
	defer r.Mu.Unlock()
	r.Saves++
	if r.By == nil {
		r.By = map[string]drive.Record[L]{}
	}
	if rec == nil {
		delete(r.By, nic)
	} else if r.Fail == nil {
		b, err := json.Marshal(rec) // as a file has it
		if err != nil {
			return err
		}
		var read drive.Record[L]
		if err := json.Unmarshal(b, &read); err != nil {
			return err
		}
		r.By[nic] = read
	}
	return r.Fail
}

// Same says that two things print alike.
func Same(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// Within says that a time is one that is allowed.
func Within(t testing.TB, what string, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s: %s, want %s to %s", what, got, least, most)
	}
}
