package dhcp6

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

// Record is what is kept of a lease beyond the process.
type Record struct {
	Lease netcfg.Lease6 `json:"lease"`
	// Boot is the boot whose clock the times of the lease are of; Expires is the same
	// end by the time of day, zero for a lease without one.
	Boot    string    `json:"boot"`
	Expires time.Time `json:"expires,omitzero"`
}

// Store keeps one record for each NIC, across restarts and reboots.
type Store interface {
	// LoadLease returns nil where there is none.
	LoadLease(nic string) (*Record, error)
	// SaveLease replaces the record; nil removes it.
	SaveLease(nic string, r *Record) error
}

// Options are what a manager needs of the agent.
type Options struct {
	// Boot is the id of this boot (/proc/sys/kernel/random/boot_id).
	Boot  string
	Store Store
	Log   *slog.Logger
}

// Host is what clients have to know of the host.
type Host struct {
	// Addresses of the host by NIC: an address that another NIC has is not taken.
	Addresses map[string][]netip.Addr
	// ControlPlane are the addresses that the host is managed from.
	ControlPlane []netip.Addr
}

// ErrNoClient says that no client runs on the NIC.
var ErrNoClient = errors.New("no DHCPv6 client runs on the NIC")

// NotReadyError says that the link cannot carry packets, so there is nothing to do yet.
type NotReadyError struct{ NIC string }

// Error says what happens next.
func (e *NotReadyError) Error() string {
	return fmt.Sprintf("the link of %s is not ready; the client starts by itself when it is", e.NIC)
}

// Manager runs the clients of a host, one for each NIC. Its methods may be called by
// anybody at any time.
type Manager struct{ ready chan struct{} }

// New is a manager without clients. They end with ctx, or with Close, which has to be
// called in any case.
func New(_ context.Context, _ Options) *Manager { return &Manager{make(chan struct{}, 1)} }

// Close ends all clients and waits for them. Leases stay on record, and addresses
// where they are.
func (m *Manager) Close() {}

// Start runs a client on a NIC. One that runs already with the same configuration goes
// on, and only hears of the link; with another configuration it begins again from the
// record, which costs no packet while the lease is valid.
func (m *Manager) Start(_ Config, _ Link) error { return nil }

// Stop ends the client of a NIC and forgets its status. The lease stays on record, so
// that a later Start has it back if it is still valid by then; to give it back to the
// server, Release first. No client is no error.
func (m *Manager) Stop(_ string) {}

// Link tells the client of a NIC what has become of its link. It does not wait.
func (m *Manager) Link(_ string, _ Link) {}

// Host tells all clients what has become of the host. It does not wait.
func (m *Manager) Host(_ Host) {}

// Renew has a lease renewed now, or the search for one begun again, also after a
// Release. It returns when that is under way. ErrNoClient; NotReadyError.
func (m *Manager) Renew(_ context.Context, nic string) error {
	return fmt.Errorf("%s: %w", nic, ErrNoClient)
}

// Release gives the lease of a NIC back to its server. It returns when that is under
// way, and the lease not in use any more; the client then rests until Renew or another
// Start. ErrNoClient.
func (m *Manager) Release(_ context.Context, nic string) error {
	return fmt.Errorf("%s: %w", nic, ErrNoClient)
}

// Decline says that somebody else has an address of the lease: the kernel's duplicate
// address detection has failed. The server is told, and another is asked for, after a
// pause. An address that is not of the lease is no error. ErrNoClient.
func (m *Manager) Decline(_ context.Context, nic string, _ netip.Addr) error {
	return fmt.Errorf("%s: %w", nic, ErrNoClient)
}

// Changed has a token when Take has something to give.
func (m *Manager) Changed() <-chan struct{} { return m.ready }

// Take returns the status of every client that has news since the last Take, in the
// order of names: how it is now, not how it got there. It is for one consumer.
func (m *Manager) Take() []Status { return nil }

// Status of the client of a NIC; ok is false where none runs.
func (m *Manager) Status(_ string) (s Status, ok bool) { return s, ok }
