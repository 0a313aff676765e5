package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hostnic/hostnic/agent/dhcp"
	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/agent/dhcp6"
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
)

// leases are the engine's Leaser: a DHCP client for each NIC that it follows, and one of
// DHCPv6. Clients go by the kernel's names of links, the engine and the records by those
// of the configuration.
type leases struct {
	v4 *dhcp.Manager
	v6 *dhcp6.Manager

	settings     DHCP
	allowOverlap bool
	controlPlane []netip.Addr
	host, boot   string
	store        *store.Store
	log          *slog.Logger

	// changed has a token when either has news; gathering ends with closing.
	changed   chan struct{}
	closing   chan struct{}
	gathering sync.WaitGroup

	mu      sync.Mutex
	clients map[leaseKey]engine.Client
	nics    map[string]string // the name in the configuration, by the kernel's
	around  engine.Around
}

// leaseKey is the name of a NIC in the configuration, with the protocol.
type leaseKey struct {
	nic string
	v6  bool
}

// newLeases begins without clients. Close ends them and waits.
func newLeases(ctx context.Context, c Config, st *store.Store, host, boot string, log *slog.Logger) *leases {
	l := &leases{settings: c.DHCP, allowOverlap: c.AllowOverlap, controlPlane: c.ControlPlane, host: host, boot: boot, store: st, log: log,
		changed: make(chan struct{}, 1), closing: make(chan struct{}), clients: map[leaseKey]engine.Client{}, nics: map[string]string{}}
	// Clients end with Close, when nobody needs them any more, and not before.
	ctx = context.WithoutCancel(ctx)
	l.v4 = dhcp.New(ctx, dhcp.Options{Boot: boot, Store: l.records(), Log: log})
	l.v6 = dhcp6.New(ctx, dhcp6.Options{Boot: boot, Store: l.records6(), Log: log})
	l.gathering.Go(l.gather)
	return l
}

// Close ends all clients and waits for them.
func (l *leases) Close() {
	close(l.closing)
	l.gathering.Wait()
	l.v4.Close()
	l.v6.Close()
}

// gather makes one channel of two.
func (l *leases) gather() {
	for {
		select {
		case <-l.closing:
			return
		case <-l.v4.Changed():
		case <-l.v6.Changed():
		}
		select {
		case l.changed <- struct{}{}:
		default:
		}
	}
}

// Changed is that of engine.Leaser.
func (l *leases) Changed() <-chan struct{} { return l.changed }

// Follow is that of engine.Leaser.
func (l *leases) Follow(clients []engine.Client, around engine.Around) {
	l.tell(around)
	wanted := make(map[leaseKey]string, len(clients)) // the kernel's name
	for _, c := range clients {
		wanted[leaseKey{c.NIC, c.V6}] = c.Link
	}
	for key, link := range l.links() {
		if wanted[key] != link {
			l.stop(key, link)
		}
	}
	for _, c := range clients {
		if !l.news(c) {
			continue
		}
		if err := l.start(c); err != nil {
			l.log.Error("no lease can be asked for", "nic", c.NIC, "error", err)
			l.forget(leaseKey{c.NIC, c.V6}, c.Link)
		}
	}
}

// tell has all clients know what has changed around them.
func (l *leases) tell(around engine.Around) {
	l.mu.Lock()
	before := l.around
	l.around = around
	l.mu.Unlock()
	if !slices.Equal(around.MACs, before.MACs) || !sameLists(around.Subnets, before.Subnets) {
		h := dhcp.Host{Subnets: around.Subnets, ControlPlane: l.controlPlane}
		for _, text := range around.MACs {
			if mac, ok := macOf(text); ok {
				h.MACs = append(h.MACs, mac)
			}
		}
		l.v4.Host(h)
	}
	if !sameLists(around.Addresses, before.Addresses) || before.Addresses == nil {
		l.v6.Host(dhcp6.Host{Addresses: around.Addresses, ControlPlane: l.controlPlane})
	}
}

func sameLists[V comparable](a, b map[string][]V) bool {
	for nic, list := range a {
		if !slices.Equal(list, b[nic]) {
			return false
		}
	}
	return len(a) == len(b)
}

func macOf(text string) (out drive.MAC, ok bool) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != len(out) {
		return out, false
	}
	return drive.MAC(mac), true
}

// links are the kernel's names of the NICs that have a client.
func (l *leases) links() map[leaseKey]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[leaseKey]string, len(l.clients))
	for key, c := range l.clients {
		out[key] = c.Link
	}
	return out
}

func (l *leases) forget(key leaseKey, link string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, key)
	if _, other := l.clients[leaseKey{key.nic, !key.v6}]; !other && l.nics[link] == key.nic {
		delete(l.nics, link)
	}
}

// news notes a client, and says whether it has to be told something.
func (l *leases) news(c engine.Client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := leaseKey{c.NIC, c.V6}
	before, runs := l.clients[key]
	l.clients[key], l.nics[c.Link] = c, c.NIC
	return !runs || before != c
}

func (l *leases) start(c engine.Client) error {
	mac, _ := macOf(c.MAC)
	if c.V6 {
		return l.v6.Start(dhcp6.Config{NIC: c.Link, DUID: dhcp.DUID(l.host), IAID: dhcp.IAID(c.Base, c.VLAN), Stateless: c.Stateless, RapidCommit: l.settings.RapidCommit},
			dhcp6.Link{Index: c.Index, Ready: c.Ready, Ups: c.Ups, MAC: mac, Local: c.Local})
	}
	return l.v4.Start(dhcp.Config{
		NIC: c.Link, ClientID: dhcp.ClientID(l.host, c.Base, c.VLAN), Servers: l.settings.Servers, Trusted: l.settings.Trusted,
		AllowOverlap: l.allowOverlap, NoConflictDetection: !l.settings.ConflictDetection,
		HostName: l.settings.HostName, RapidCommit: l.settings.RapidCommit, IPv6Only: l.settings.IPv6Only,
	}, dhcp.Link{Index: c.Index, Ready: c.Ready, Ups: c.Ups, MAC: mac, MTU: c.MTU})
}

func (l *leases) stop(key leaseKey, link string) {
	if key.v6 {
		l.v6.Stop(link)
	} else {
		l.v4.Stop(link)
	}
	l.forget(key, link)
}

// Take is that of engine.Leaser.
func (l *leases) Take() []netcfg.LeaseStatus {
	var out []netcfg.LeaseStatus
	add := func(link string, s netcfg.LeaseStatus) {
		l.mu.Lock()
		nic, known := l.nics[link]
		l.mu.Unlock()
		if known {
			s.NIC, s.Link = nic, link
			out = append(out, s)
		}
	}
	for _, s := range l.v4.Take() {
		seen := statusOf(s)
		seen.Lease = s.Lease
		add(s.NIC, seen)
	}
	for _, s := range l.v6.Take() {
		seen := statusOf(s)
		seen.V6, seen.Lease6 = true, s.Lease
		add(s.NIC, seen)
	}
	return out
}

// statusOf is what the engine is told of a client, but for the lease.
func statusOf[S ~string, L any](s drive.Status[S, L]) netcfg.LeaseStatus {
	out := netcfg.LeaseStatus{State: string(s.State), Ready: s.Ready, Server: s.Server, Tries: s.Tries, NextTry: s.NextTry, Trouble: s.Trouble}
	if r := s.Refusal; r != nil {
		out.Refusal = r.Reason
		if r.Server.IsValid() {
			out.Refusal = r.Server.String() + ": " + r.Reason
		}
	}
	return out
}

// Renew is that of engine.Leaser.
func (l *leases) Renew(ctx context.Context, nic string) error {
	return l.each(nic, func(link string) error { return l.v4.Renew(ctx, link) }, func(link string) error { return l.v6.Renew(ctx, link) })
}

// Release is that of engine.Leaser.
func (l *leases) Release(ctx context.Context, nic string) error {
	return l.each(nic, func(link string) error { return l.v4.Release(ctx, link) }, func(link string) error { return l.v6.Release(ctx, link) })
}

// each does something with the clients of a NIC.
func (l *leases) each(nic string, v4, v6 func(link string) error) error {
	links := l.links()
	link, runs := links[leaseKey{nic, false}]
	link6, runs6 := links[leaseKey{nic, true}]
	var errs []error
	if runs || !runs6 {
		errs = append(errs, notNow(v4(link)))
	}
	if runs6 {
		errs = append(errs, notNow(v6(link6)))
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func notNow(err error) error {
	var notReady *drive.NotReadyError
	switch {
	case errors.Is(err, drive.ErrNoClient):
		return &engine.Error{Kind: engine.Precondition, Rule: "no-dhcp-client", Message: "nothing to be done", Err: err}
	case errors.As(err, &notReady):
		return &engine.Error{Kind: engine.Precondition, Rule: "link-not-ready", Message: "nothing can be asked for yet", Err: err}
	}
	return err
}

// declineLimit is how long a client may be busy when it is to hear that an address is
// somebody else's. One that does not hear it keeps the lease until the address is put on
// the link again, by a renewal or when drift is healed: the kernel finds the same then.
const declineLimit = time.Second

// Decline is that of engine.Leaser.
func (l *leases) Decline(nic string, address netip.Addr) {
	ctx, cancel := context.WithTimeout(context.Background(), declineLimit)
	defer cancel()
	if err := l.v6.Decline(ctx, l.links()[leaseKey{nic, true}], address); err != nil {
		l.log.Warn("the server is not told of an address that somebody else has", "nic", nic, "address", address, "error", err)
	}
}
