package dhcp

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/netcfg"
)

// Record is what is kept of a lease beyond the process.
type Record = drive.Record[netcfg.Lease]

// Store keeps one record for each NIC, across restarts and reboots.
type Store = drive.Store[netcfg.Lease]

// Options are what a manager needs of the agent.
type Options struct {
	// Boot is the id of this boot (/proc/sys/kernel/random/boot_id).
	Boot  string
	Store Store
	Log   *slog.Logger

	// Tests have another clock, and wires that end elsewhere.
	clock drive.Clock
	wires func(nic string) wire
}

// Host is what clients have to know of the host.
type Host struct {
	// MACs of all its NICs.
	MACs []MAC
	// Subnets by NIC.
	Subnets map[string][]netip.Prefix
	// ControlPlane are the addresses that the host is managed from.
	ControlPlane []netip.Addr
}

func (h Host) around(nic string) Around {
	a := Around{MACs: h.MACs, ControlPlane: h.ControlPlane}
	for _, other := range slices.Sorted(maps.Keys(h.Subnets)) {
		if other != nic {
			a.Subnets = append(a.Subnets, h.Subnets[other]...)
		}
	}
	return a
}

// ErrNoClient says that no client runs on the NIC.
var ErrNoClient = drive.ErrNoClient

// NotReadyError says that the link cannot carry packets, so there is nothing to do yet.
type NotReadyError = drive.NotReadyError

// Manager runs the clients of a host, one for each NIC. Its methods may be called by
// anybody at any time.
type Manager struct {
	*drive.Manager[Event, Action, State, netcfg.Lease]
	options Options
}

// New is a manager without clients. They end with ctx, or with Close, which has to be
// called in any case.
func New(ctx context.Context, o Options) *Manager {
	if o.wires == nil {
		o.wires = func(nic string) wire { return newSockets(nic, nil) }
	}
	return &Manager{drive.New[Event, Action, State, netcfg.Lease](ctx, drive.Protocol[Event]{Name: "DHCP", Tick: Tick{}}, o.clock, o.Log), o}
}

// Start runs a client on a NIC. One that runs already with the same configuration goes
// on, and only hears of the link; with another configuration it begins again from the
// record, which costs no packet while the lease is valid.
func (m *Manager) Start(c Config, l Link) error {
	return m.Manager.Start(drive.Spec[Event, Action, State, netcfg.Lease]{
		NIC: c.NIC, Config: c, Link: l, Ready: l.Ready,
		Make: func(log *slog.Logger) drive.Client[Event, Action, State, netcfg.Lease] {
			return &client{
				Machine: NewMachine(c, drive.Unforeseeable()), wire: m.options.wires(c.NIC), link: l, log: log,
				shelf: drive.Shelf[netcfg.Lease]{NIC: c.NIC, Boot: m.options.Boot, Store: m.options.Store, Log: log},
			}
		},
	})
}

// Link tells the client of a NIC what has become of its link. It does not wait.
func (m *Manager) Link(nic string, l Link) { m.Manager.Link(nic, l, l.Ready) }

// Host tells all clients what has become of the host. It does not wait.
func (m *Manager) Host(h Host) {
	m.Manager.Host(func(nic string) Event { return h.around(nic) })
}

// Renew has a lease renewed now, or the search for one begun again, also after a
// Release. It returns when that is under way. ErrNoClient; NotReadyError.
func (m *Manager) Renew(ctx context.Context, nic string) error {
	if err := m.Command(ctx, nic, Renew{}); err != nil {
		return err
	}
	if s, ok := m.Status(nic); ok && !s.Ready {
		return &NotReadyError{NIC: nic}
	}
	return nil
}

// Release gives the lease of a NIC back to its server, as far as one can know: there
// is no answer. The client then rests until Renew or another Start. ErrNoClient.
func (m *Manager) Release(ctx context.Context, nic string) error {
	return m.Command(ctx, nic, Release{})
}
