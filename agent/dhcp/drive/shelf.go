package drive

import (
	"log/slog"
	"time"
)

// Record is what is kept of a lease beyond the process.
type Record[L any] struct {
	Lease L `json:"lease"`
	// Boot is the boot whose clock the times of the lease are of; Expires is the same
	// end by the time of day, zero for a lease without one.
	Boot    string    `json:"boot"`
	Expires time.Time `json:"expires,omitzero"`
}

// Store keeps one record for each NIC, across restarts and reboots.
type Store[L any] interface {
	// LoadLease returns nil where there is none.
	LoadLease(nic string) (*Record[L], error)
	// SaveLease replaces the record; nil removes it.
	SaveLease(nic string, r *Record[L]) error
}

// Shelf is where the record of one NIC is.
type Shelf[L any] struct {
	NIC, Boot string
	Store     Store[L]
	Log       *slog.Logger
}

// Load is what is on record; nil is nothing, or nothing that can be read.
func (s *Shelf[L]) Load() *Record[L] {
	r, err := s.Store.LoadLease(s.NIC)
	if err != nil {
		s.Log.Warn("the lease on record cannot be read; another one is asked for", "error", err)
		return nil
	}
	return r
}

// Save puts a lease on record that ends in so long, or Never.
func (s *Shelf[L]) Save(lease *L, ends time.Duration) error {
	r := Record[L]{Lease: *lease, Boot: s.Boot}
	if ends != Never {
		r.Expires = time.Now().Add(ends)
	}
	return s.said(s.Store.SaveLease(s.NIC, &r))
}

// Forget takes what is on record off it.
func (s *Shelf[L]) Forget() error { return s.said(s.Store.SaveLease(s.NIC, nil)) }

func (s *Shelf[L]) said(err error) error {
	if err != nil {
		s.Log.Error("the lease is not on record: after a restart it will be asked for again", "error", err)
	}
	return err
}
