package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quiet keeps those who can make the agent log from filling the disk: a kind of line is
// written mostLines times a second, and then one tells how many were left out.
type quiet struct {
	mu    sync.Mutex
	kinds map[string]*logged
}

type logged struct {
	since         time.Time
	written, left int
}

const mostLines = 9 // and the one that tells of the others

func (q *quiet) say(log *slog.Logger, level slog.Level, kind string, args ...any) {
	if left, ok := q.may(kind, time.Now()); ok {
		if left > 0 {
			log.Log(context.Background(), level, kind+": more of the same were left out", "lines", left)
		}
		log.Log(context.Background(), level, kind, args...)
	}
}

func (q *quiet) warn(log *slog.Logger, kind string, args ...any) {
	q.say(log, slog.LevelWarn, kind, args...)
}

// may tells whether a line of that kind is written now, and how many were not since the
// last that was.
func (q *quiet) may(kind string, now time.Time) (left int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kinds == nil {
		q.kinds = map[string]*logged{}
	}
	k := q.kinds[kind]
	if k == nil {
		k = &logged{since: now}
		q.kinds[kind] = k
	}
	if now.Sub(k.since) >= time.Second {
		left = k.left
		*k = logged{since: now}
	}
	if k.written == mostLines {
		k.left++
		return 0, false
	}
	k.written++
	return left, true
}

// A rate is how many calls of a kind an identity may make a second, over time, and how
// many at once.
type rate struct {
	second float64
	burst  float64
}

var (
	callRate   = rate{second: 50, burst: 200}
	changeRate = rate{second: 1, burst: 10}
)

// paces hold identities to their rates.
type paces struct {
	mu   sync.Mutex
	left map[pace]*bucket
}

type pace struct {
	identity string
	rate     rate
}

type bucket struct {
	tokens float64
	at     time.Time
}

// mostPaces is how many are remembered before those that are full again are forgotten.
const mostPaces = 1024

// take is false of a call that comes too soon.
func (p *paces) take(identity string, r rate, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == nil {
		p.left = map[pace]*bucket{}
	}
	if len(p.left) >= mostPaces {
		for key, b := range p.left {
			if b.refill(key.rate, now); b.tokens == key.rate.burst {
				delete(p.left, key)
			}
		}
	}
	key := pace{identity, r}
	b := p.left[key]
	if b == nil {
		b = &bucket{r.burst, now}
		p.left[key] = b
	}
	b.refill(r, now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (b *bucket) refill(r rate, now time.Time) {
	b.tokens = min(r.burst, b.tokens+r.second*now.Sub(b.at).Seconds())
	b.at = now
}
