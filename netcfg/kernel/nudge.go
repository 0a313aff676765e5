package kernel

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// decodeEvent reads which link a message is about. It is not ok for what says
// nothing about the state of a network, such as the kernel's own routes in the table
// local, which come and go with addresses.
func decodeEvent(m message) (Nudge, bool) {
	switch m.typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(m.body) >= unix.SizeofIfInfomsg {
			return Nudge{Index: int(u32(m.body[4:])), Link: true}, true
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(m.body) >= unix.SizeofIfAddrmsg {
			n := Nudge{Index: int(u32(m.body[4:])), Address: true}
			if a, ok, err := decodeAddress(m.body); ok && err == nil && a.Flags&state.FlagDADFailed != 0 {
				n.Duplicate = a.Prefix.Addr()
			}
			return n, true
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if len(m.body) < unix.SizeofRtMsg {
			return Nudge{}, false
		}
		if u32(m.body[8:])&unix.RTM_F_CLONED != 0 || m.body[4] == unix.RT_TABLE_LOCAL {
			return Nudge{}, false
		}
		// struct rtmsg has the length of the destination at 1.
		return Nudge{Index: int(u32(attribute(m.body[unix.SizeofRtMsg:], unix.RTA_OIF))), Route: true, Default: m.body[1] == 0}, true
	}
	return Nudge{}, false
}

// mostPending is how many links may have changed before it is simpler to look at
// all of them.
const mostPending = 1024

// pending is what has changed since somebody last asked. It never blocks who adds.
type pending struct {
	// ready has a token while there is something.
	ready chan struct{}

	mu   sync.Mutex
	lost bool
	set  map[pendingKey]Nudge
}

// pendingKey tells nudges apart that do not become one.
type pendingKey struct {
	index     int
	duplicate netip.Addr
}

func newPending() *pending {
	return &pending{ready: make(chan struct{}, 1), set: map[pendingKey]Nudge{}}
}

func (p *pending) add(n Nudge) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost {
		return // looking at everything is in store already
	}
	key := pendingKey{n.Index, n.Duplicate}
	before := p.set[key]
	p.set[key] = Nudge{
		Index: n.Index, Duplicate: n.Duplicate,
		Link: before.Link || n.Link, Address: before.Address || n.Address, Route: before.Route || n.Route, Default: before.Default || n.Default,
	}
	if len(p.set) > mostPending {
		p.lost = true
		clear(p.set)
	}
	p.signal()
}

func (p *pending) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = true
	clear(p.set)
	p.signal()
}

func (p *pending) signal() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// take empties it, in the order of the links. What was signalled until now is taken
// with it, so that no later signal finds it empty.
func (p *pending) take() []Nudge {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ready:
	default:
	}
	if p.lost {
		p.lost = false
		return []Nudge{{Lost: true}}
	}
	var all []Nudge
	for _, n := range p.set {
		all = append(all, n)
	}
	clear(p.set)
	slices.SortFunc(all, func(a, b Nudge) int { return cmp.Or(cmp.Compare(a.Index, b.Index), a.Duplicate.Compare(b.Duplicate)) })
	return all
}
