package engine

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Contact is a call that a listener has answered with success, on behalf of somebody
// who may change the configuration.
type Contact struct {
	// Client tells one caller from another: the process on a unix socket. Listeners
	// where a connection of its own proves enough, as TCP is, name each connection.
	Client string
	// Accepted is when its connection was accepted, Began when the call came in.
	Accepted, Began time.Time
}

// Met is told of every contact by those who listen. It does not wait.
func (e *Engine) Met(c Contact) { e.contacts.meet(c) }

// contactSettle is how long after a change calls do not count yet: what was under
// way when the network changed may still get through.
const contactSettle = 2 * time.Second

// contacts passes contacts on to the probe that waits for one.
type contacts struct {
	mu     sync.Mutex
	listen func(Contact) // nil while nobody waits
}

func (c *contacts) meet(one Contact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listen != nil {
		c.listen(one)
	}
}

func (c *contacts) hear(listen func(Contact)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listen = listen
}

// await waits for a call by another client than the one named, on a connection that
// was accepted after since, and made when things had settled. It returns who it was.
func (c *contacts) await(ctx context.Context, not string, since time.Time) (string, error) {
	met := make(chan string, 1)
	var old, early, own int
	c.hear(func(one Contact) {
		switch {
		case one.Client == "" || one.Client == not:
			own++
		case one.Accepted.Before(since):
			old++
		case one.Began.Before(since.Add(contactSettle)):
			early++
		default:
			select {
			case met <- one.Client:
			default:
			}
		}
	})
	select {
	case who := <-met:
		c.hear(nil)
		return "called by " + who + " on a new connection", nil
	case <-ctx.Done():
		c.hear(nil) // and with that the counts are ours
		return "", &miss{what: "no call of another client on a new connection",
			why: fmt.Sprintf("seen: %d on connections from before it, %d too soon to count, %d of the client that waits for this", old, early, own)}
	}
}
