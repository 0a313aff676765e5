package remote

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How many connections there may be at once.
const (
	// MostPending are those of which it is not known yet whose they are.
	MostPending = 128
	// MostConnections are all others, and MostOfOne those of one identity.
	MostConnections = 128
	MostOfOne       = 16
)

// Gate counts the connections of all listeners that lead through it. One that has not
// said who it is makes room for the next when there are too many, so that whoever can
// say it at once gets in.
type Gate struct {
	refused atomic.Int64

	mu sync.Mutex
	// pending are in the order in which they have come.
	pending []*Conn
	known   map[string]int
	total   int
}

// NewGate makes one.
func NewGate() *Gate { return &Gate{known: map[string]int{}} }

// Listen makes a listener whose connections are counted, each of which is a *Conn.
func (g *Gate) Listen(l net.Listener) net.Listener { return &gated{l, g} }

type gated struct {
	net.Listener
	gate *Gate
}

// Accept waits for the next connection.
func (l *gated) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: conn, Accepted: time.Now(), gate: l.gate, source: sourceOf(conn.RemoteAddr())}
	if out := l.gate.enter(c); out != nil {
		_ = out.Close()
	}
	return c, nil
}

// sourceOf is whom a connection is held against: an IPv4 address, or the /64 of an IPv6
// one, of which everybody has as many as they like.
func sourceOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip
	}
	net64, err := ip.Prefix(64)
	if err != nil {
		return ip
	}
	return net64.Addr()
}

// enter adds a connection. It returns the one that has to go for it: the oldest of the
// source that has the most.
func (g *Gate) enter(c *Conn) (out *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending = append(g.pending, c)
	if len(g.pending) <= MostPending {
		return nil
	}
	count, most := map[netip.Addr]int{}, 0
	for _, p := range g.pending {
		count[p.source]++
		most = max(most, count[p.source])
	}
	i := slices.IndexFunc(g.pending, func(p *Conn) bool { return count[p.source] == most })
	out = g.pending[i]
	g.pending = slices.Delete(g.pending, i, i+1)
	return out
}

// Refused counts a connection that was refused.
func (g *Gate) Refused() { g.refused.Add(1) }

// Counts are how many connections are known, and how many were refused.
func (g *Gate) Counts() (known int, refused int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total, g.refused.Load()
}

// Conn is a connection that is counted until it is closed.
type Conn struct {
	net.Conn
	Accepted time.Time

	gate   *Gate
	source netip.Addr
	// Both belong to the gate.
	identity string
	closed   bool
}

// Admit notes whose connection it is. The error is that there are too many.
func (c *Conn) Admit(identity string) error {
	g := c.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case g.total >= MostConnections:
		return fmt.Errorf("there are %d connections already, the most there may be", g.total)
	case g.known[identity] >= MostOfOne:
		return fmt.Errorf("%s has %d connections already, the most that one identity may have", identity, g.known[identity])
	}
	g.forget(c)
	c.identity = identity
	g.known[identity]++
	g.total++
	return nil
}

func (g *Gate) forget(c *Conn) {
	g.pending = slices.DeleteFunc(g.pending, func(p *Conn) bool { return p == c })
}

// Close closes it, and counts it no more.
func (c *Conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

func (c *Conn) leave() {
	g := c.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	g.forget(c)
	if c.identity == "" {
		return
	}
	g.total--
	if g.known[c.identity]--; g.known[c.identity] == 0 {
		delete(g.known, c.identity)
	}
}
