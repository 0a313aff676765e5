package inventory

import (
	"context"
	"time"

	"github.com/hostnic/hostnic/netcfg/state"
)

// Statistics are the counters of one link.
type Statistics struct {
	// Nic is the link's name, for people; ID its stable id, empty where nobody asked.
	Nic, ID string
	// At is when the kernel was asked.
	At time.Time
	// Totals never go back while the link is there, whatever its driver does.
	Totals state.Counters
	// Resets is how often the driver, or somebody who made the link anew, has begun to
	// count from the start; ResetAt when that was last noticed.
	Resets  int
	ResetAt time.Time
	// Rates are the means over the time before; nil where there is no measurement to
	// compare with.
	Rates *Rates
}

// Rates are means per second.
type Rates struct {
	RxBytes, TxBytes     float64
	RxPackets, TxPackets float64
	// Over is how long the time was that they are means of.
	Over time.Duration
}

// The ages of the measurement that rates are worked out from: a closer one makes
// noise, an older one tells of what has been.
const (
	leastOver = 500 * time.Millisecond
	mostOver  = 5 * time.Minute
)

// Meter reads counters. It remembers two measurements of each link that is there.
type Meter struct {
	// turn is held while the kernel is asked: measurements must not overtake each other.
	turn  chan struct{}
	links map[string]*metered
}

type metered struct {
	index        int
	raw, base    state.Counters
	resets       int
	resetAt      time.Time
	last, before measurement
}

type measurement struct {
	at     time.Time
	totals state.Counters
}

// NewMeter makes a meter that has measured nothing yet.
func NewMeter() *Meter { return &Meter{turn: make(chan struct{}, 1), links: map[string]*metered{}} }

// Measure asks for the counters of all links, and tells them in the order of the
// kernel's index. Links without counters, and the loopback, are left out.
func (m *Meter) Measure(ctx context.Context, look func(context.Context) (state.Snapshot, error)) ([]Statistics, error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := look(ctx)
	if err != nil {
		return nil, err
	}
	return m.take(time.Now(), s), nil
}

func (m *Meter) take(now time.Time, s state.Snapshot) []Statistics {
	there := make(map[string]*metered, len(s.Links))
	var out []Statistics
	for i := range s.Links {
		l := &s.Links[i]
		if l.Counters == nil || l.Type == loopback {
			continue
		}
		one := m.links[l.Name]
		if one == nil {
			one = &metered{index: l.Index}
		}
		there[l.Name] = one
		out = append(out, one.take(now, l))
	}
	m.links = there // what is gone is forgotten
	return out
}

// take counts on from where the link was. A counter that has gone back has begun anew,
// be it that the driver has reset it or that it holds no more than 32 bits: what is
// lost of it then nobody can tell.
func (one *metered) take(now time.Time, l *state.Link) Statistics {
	if l.Index != one.index || behind(*l.Counters, one.raw) {
		one.base, one.index = sum(one.base, one.raw), l.Index
		one.resets, one.resetAt = one.resets+1, now
	}
	one.raw = *l.Counters
	out := Statistics{Nic: l.Name, At: now, Totals: sum(one.base, one.raw), Resets: one.resets, ResetAt: one.resetAt}
	for _, then := range []measurement{one.last, one.before} {
		if age := now.Sub(then.at); !then.at.IsZero() && age >= leastOver && age <= mostOver {
			out.Rates = RatesBetween(then.totals, out.Totals, age)
			break
		}
	}
	if one.last.at.IsZero() || now.Sub(one.last.at) >= leastOver {
		one.before = one.last
		one.last = measurement{now, out.Totals}
	}
	return out
}

// RatesBetween are the means over a time in which totals have grown.
func RatesBetween(then, now state.Counters, over time.Duration) *Rates {
	per := func(a, b uint64) float64 { return float64(b-a) / over.Seconds() }
	return &Rates{
		RxBytes: per(then.RxBytes, now.RxBytes), TxBytes: per(then.TxBytes, now.TxBytes),
		RxPackets: per(then.RxPackets, now.RxPackets), TxPackets: per(then.TxPackets, now.TxPackets), Over: over,
	}
}

func fields(c *state.Counters) []*uint64 {
	return []*uint64{&c.RxBytes, &c.TxBytes, &c.RxPackets, &c.TxPackets, &c.RxErrors, &c.TxErrors, &c.RxDropped, &c.TxDropped, &c.Multicast}
}

func behind(now, then state.Counters) bool {
	was := fields(&then)
	for i, n := range fields(&now) {
		if *n < *was[i] {
			return true
		}
	}
	return false
}

func sum(a, b state.Counters) state.Counters {
	more := fields(&b)
	for i, n := range fields(&a) {
		*n += *more[i]
	}
	return a
}
