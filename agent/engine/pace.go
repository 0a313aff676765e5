package engine

import "time"

const (
	// settle is how long the kernel's news are gathered before a look: a NIC that
	// appears comes with a dozen messages.
	settle = 100 * time.Millisecond
	// hurry is the same where a client waits for its link: half a dozen messages.
	hurry = 10 * time.Millisecond
	// restPerLook bounds what looks cost: after each the loop rests so many times as
	// long as it took, whatever else the kernel has to tell.
	restPerLook = 10
	// longestPause is between two tries of what does not work.
	longestPause = time.Minute
)

// pace spaces the looks at the host.
type pace struct {
	// due is when the next one is taken; nil while none is.
	due <-chan time.Time
	at  time.Time
	// gathering is true once there are news: more of them change nothing.
	gathering bool
	last      time.Time
	rest      time.Duration
}

// nudges is where to listen for news. A storm of them wakes nobody.
func (p *pace) nudges(from <-chan struct{}) <-chan struct{} {
	if p.gathering {
		return nil
	}
	return from
}

// news asks for a look soon.
func (p *pace) news() {
	if p.gathering {
		return
	}
	p.gathering = true
	p.again(max(settle, p.rest-time.Since(p.last)))
}

// again asks for a look after so long at the latest.
func (p *pace) again(after time.Duration) {
	if at := time.Now().Add(after); p.due == nil || at.Before(p.at) {
		p.due, p.at = time.After(after), at
	}
}

// soon has a look that is asked for already taken without gathering: somebody waits for
// the news.
func (p *pace) soon() { p.again(max(hurry, p.rest-time.Since(p.last))) }

// begin is called when a look begins, and looked when it has ended.
func (p *pace) begin() { p.due, p.gathering = nil, false }

func (p *pace) looked(took time.Duration) { p.last, p.rest = time.Now(), restPerLook*took }

// failed is a look that did not come about. It is tried again.
func (p *pace) failed() {
	p.last, p.rest = time.Now(), min(max(settle, 2*p.rest), longestPause)
	p.again(p.rest)
}

// backoff spaces the tries of what does not work. The zero value lets the next one
// come at once.
type backoff struct {
	pause time.Duration
	until time.Time
}

func (b *backoff) failed() {
	b.pause = min(max(settle, 2*b.pause), longestPause)
	b.until = time.Now().Add(b.pause)
}

// left is how long to wait still; 0 or less is not at all.
func (b *backoff) left() time.Duration { return time.Until(b.until) }
