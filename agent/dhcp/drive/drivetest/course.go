package drivetest

import (
	"slices"
	"time"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

// Course is the course of time for a machine alone, from one event to the next.
type Course struct {
	// Now is the time since boot.
	Now time.Duration
	// Burst are the messages that may go within ten seconds of the machine's own accord.
	Burst int
	// Most are the messages after which a run is cut short; 0 is no bound.
	Most int
	// Messages are all that were sent.
	Messages int

	coming []arrival
	sent   []time.Duration
	// disturbed is when somebody who is no timer last made it send.
	disturbed time.Duration
	still     int
}

type arrival struct {
	at time.Duration
	in drive.Inbound
}

// Send notes that a message is sent.
func (c *Course) Send() {
	c.sent = append(c.sent, c.Now)
	c.Messages++
}

// Arrive has something come in after a while.
func (c *Course) Arrive(after time.Duration, in drive.Inbound) {
	c.coming = append(c.coming, arrival{c.Now + after, in})
	slices.SortStableFunc(c.coming, func(a, b arrival) int { return int(a.at - b.at) })
}

// Lose loses all that is on its way.
func (c *Course) Lose() { c.coming = nil }

// Disturb says that what is sent now is nobody's own accord.
func (c *Course) Disturb() { c.disturbed = c.Now }

// Run lets time go on. wake is when the machine wants to be told that it is time, which
// next does with nil, and otherwise with what has come in.
func (c *Course) Run(t interface{ Fatalf(string, ...any) }, d time.Duration, wake func() time.Duration, next func(in *drive.Inbound)) {
	before := c.Messages
	for end := c.Now + d; c.Most == 0 || c.Messages-before <= c.Most; {
		due, at := wake(), end
		if len(c.coming) > 0 {
			at = min(at, c.coming[0].at)
		}
		if at = min(at, due); at > c.Now {
			c.Now, c.still = at, 0
		} else if c.still++; c.still > 20 {
			t.Fatalf("%s: it does not come to rest", c.Now)
		}
		switch {
		case len(c.coming) > 0 && c.coming[0].at <= c.Now:
			in := c.coming[0].in
			c.coming = c.coming[1:]
			next(&in)
		case due <= c.Now:
			next(nil)
		default:
			c.modest(t)
			return
		}
	}
}

// modest: nobody sends more than a few messages a minute of his own accord.
func (c *Course) modest(t interface{ Fatalf(string, ...any) }) {
	for i := c.Burst; i < len(c.sent); i++ {
		if first := c.sent[i-c.Burst]; first > c.disturbed && c.sent[i]-first < 10*time.Second {
			t.Fatalf("%s: %d messages within %s", c.Now, c.Burst, c.sent[i]-first)
		}
	}
	c.sent = nil
}
