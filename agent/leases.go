package agent

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/hostnic/hostnic/agent/dhcp"
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
)

// leases are the engine's Leaser: a DHCP client for each NIC that it follows. Clients
// go by the kernel's names of links, the engine and the records by those of the
// configuration.
type leases struct {
	*dhcp.Manager
	settings     DHCP
	allowOverlap bool
	controlPlane []netip.Addr
	host, boot   string
	store        *store.Store
	log          *slog.Logger

	mu      sync.Mutex
	clients map[string]engine.Client // by the name in the configuration
	nics    map[string]string        // that name, by the kernel's
	around  dhcp.Host
}

// newLeases begins without clients. Close ends them and waits.
func newLeases(ctx context.Context, c Config, st *store.Store, host, boot string, log *slog.Logger) *leases {
	l := &leases{settings: c.DHCP, allowOverlap: c.AllowOverlap, controlPlane: c.ControlPlane, host: host, boot: boot, store: st, log: log,
		clients: map[string]engine.Client{}, nics: map[string]string{}}
	// Clients end with Close, when nobody needs them any more, and not before.
	l.Manager = dhcp.New(context.WithoutCancel(ctx), dhcp.Options{Boot: boot, Store: l, Log: log})
	return l
}

// Follow is that of engine.Leaser.
func (l *leases) Follow(clients []engine.Client, around engine.Around) {
	l.tell(around)
	wanted := make(map[string]string, len(clients)) // the kernel's name, by that of the configuration
	for _, c := range clients {
		wanted[c.NIC] = c.Link
	}
	for nic, link := range l.links() {
		if wanted[nic] != link {
			l.Stop(link)
			l.forget(nic, link)
		}
	}
	for _, c := range clients {
		if !l.news(c) {
			continue
		}
		if err := l.Start(l.config(c), link(c)); err != nil {
			l.log.Error("no lease can be asked for", "nic", c.NIC, "error", err)
			l.forget(c.NIC, c.Link)
		}
	}
}

// tell has all clients know what has changed around them.
func (l *leases) tell(around engine.Around) {
	h := dhcp.Host{Subnets: around.Subnets, ControlPlane: l.controlPlane}
	for _, text := range around.MACs {
		if mac, err := net.ParseMAC(text); err == nil && len(mac) == len(dhcp.MAC{}) {
			h.MACs = append(h.MACs, dhcp.MAC(mac))
		}
	}
	l.mu.Lock()
	same := slices.Equal(h.MACs, l.around.MACs) && sameSubnets(h.Subnets, l.around.Subnets)
	l.around = h
	l.mu.Unlock()
	if !same {
		l.Host(h)
	}
}

func sameSubnets(a, b map[string][]netip.Prefix) bool {
	for nic, list := range a {
		if !slices.Equal(list, b[nic]) {
			return false
		}
	}
	return len(a) == len(b)
}

// links are the kernel's names of the NICs that have a client.
func (l *leases) links() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]string, len(l.clients))
	for nic, c := range l.clients {
		out[nic] = c.Link
	}
	return out
}

func (l *leases) forget(nic, link string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, nic)
	if l.nics[link] == nic {
		delete(l.nics, link)
	}
}

// news notes a client, and says whether it has to be told something.
func (l *leases) news(c engine.Client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, runs := l.clients[c.NIC]
	l.clients[c.NIC], l.nics[c.Link] = c, c.NIC
	return !runs || before != c
}

func (l *leases) config(c engine.Client) dhcp.Config {
	return dhcp.Config{
		NIC: c.Link, ClientID: dhcp.ClientID(l.host, c.Base, c.VLAN), Servers: l.settings.Servers, Trusted: l.settings.Trusted,
		AllowOverlap: l.allowOverlap, NoConflictDetection: !l.settings.ConflictDetection,
	}
}

func link(c engine.Client) dhcp.Link {
	out := dhcp.Link{Index: c.Index, Ready: c.Ready, Ups: c.Ups, MTU: c.MTU}
	if mac, err := net.ParseMAC(c.MAC); err == nil && len(mac) == len(out.MAC) {
		out.MAC = dhcp.MAC(mac)
	}
	return out
}

// Take is that of engine.Leaser.
func (l *leases) Take() []netcfg.LeaseStatus {
	var out []netcfg.LeaseStatus
	for _, s := range l.Manager.Take() {
		l.mu.Lock()
		nic, known := l.nics[s.NIC]
		l.mu.Unlock()
		if known {
			out = append(out, statusOf(nic, s))
		}
	}
	return out
}

func statusOf(nic string, s dhcp.Status) netcfg.LeaseStatus {
	out := netcfg.LeaseStatus{NIC: nic, Link: s.NIC, State: string(s.State), Ready: s.Ready, Lease: s.Lease, Server: s.Server,
		Tries: s.Tries, NextTry: s.NextTry, Trouble: s.Trouble}
	if s.Refusal != nil {
		out.Refusal = s.Refusal.Reason
		if s.Refusal.Server.IsValid() {
			out.Refusal = s.Refusal.Server.String() + ": " + out.Refusal
		}
	}
	return out
}

// Renew is that of engine.Leaser.
func (l *leases) Renew(ctx context.Context, nic string) error {
	return notNow(l.Manager.Renew(ctx, l.links()[nic]))
}

// Release is that of engine.Leaser.
func (l *leases) Release(ctx context.Context, nic string) error {
	return notNow(l.Manager.Release(ctx, l.links()[nic]))
}

func notNow(err error) error {
	var notReady *dhcp.NotReadyError
	switch {
	case errors.Is(err, dhcp.ErrNoClient):
		return &engine.Error{Kind: engine.Precondition, Rule: "no-dhcp-client", Message: "nothing to be done", Err: err}
	case errors.As(err, &notReady):
		return &engine.Error{Kind: engine.Precondition, Rule: "link-not-ready", Message: "nothing can be asked for yet", Err: err}
	}
	return err
}

// Recorded is that of engine.Leaser.
func (l *leases) Recorded(nic string) *netcfg.Lease {
	r, err := l.load(nic)
	switch now := sinceBoot(); {
	case err != nil:
		l.log.Warn("the lease on record cannot be read; another one is asked for", "nic", nic, "error", err)
	case r != nil && r.Boot == l.boot && r.Lease.Valid(now) && r.Lease.Obtained <= now:
		return &r.Lease
	}
	return nil
}

// recordOf is the name of the record of a NIC.
func recordOf(nic string) string { return "lease-" + nic }

func (l *leases) load(nic string) (*dhcp.Record, error) {
	var r dhcp.Record
	err := l.store.Get(recordOf(nic), &r)
	var damaged *store.DamagedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &damaged) && damaged.Recovered, err == nil:
		return &r, nil
	}
	return nil, err
}

// LoadLease is that of dhcp.Store.
func (l *leases) LoadLease(link string) (*dhcp.Record, error) { return l.load(l.nicOf(link)) }

// SaveLease is that of dhcp.Store.
func (l *leases) SaveLease(link string, r *dhcp.Record) error {
	if r == nil {
		return l.store.Drop(recordOf(l.nicOf(link)))
	}
	return l.store.Put(recordOf(l.nicOf(link)), r)
}

func (l *leases) nicOf(link string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if nic, known := l.nics[link]; known {
		return nic
	}
	return link
}

// onRecord are the leases for who only recovers: those on record, and no clients.
type onRecord struct{ *leases }

func (onRecord) Follow([]engine.Client, engine.Around) {}
