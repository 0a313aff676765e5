package kernel

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// What the kernel announces of an Apply are echoes: whoever acts looks by itself. A
// few of them wait until the Apply is over. Of many it costs the kernel and the agent
// a tenth of the Apply to hand them over, and then the same to read them, only to find
// that everything is worth another look; so they are not listened to at all.

// deafFrom is how many operations are not listened to.
const deafFrom = 64

// calmAfter is how long after an Apply its echoes are left alone: what whoever acts
// waits for comes first.
const calmAfter = 50 * time.Millisecond

// ear is whether the socket of events gets anything.
type ear int

const (
	away      ear = iota // nobody watches
	listening            // it is in the groups
	deaf                 // it is not for now, though somebody watches
)

// longAgo is a deadline that wakes whoever reads.
var longAgo = time.Unix(1, 0)

// begun notes that an Apply is under way.
func (k *Kernel) begun(ops []plan.Op) {
	k.acting.Add(1)
	size := 0
	for i := range ops {
		size += max(1, len(ops[i].Names))
	}
	if size >= deafFrom && k.events != nil {
		k.events.deafen()
	}
}

// ended notes when an Apply is over; see calm.
func (k *Kernel) ended() {
	k.acted.Store(int64(time.Since(k.opened)))
	k.acting.Add(-1)
}

// calm waits while this process acts. What the kernel announces meanwhile stays in
// the socket, or becomes one nudge that is Lost.
func (k *Kernel) calm(ctx context.Context) {
	for k.acting.Load() > 0 || k.acted.Load() > 0 && time.Since(k.opened)-time.Duration(k.acted.Load()) < calmAfter {
		select {
		case <-ctx.Done():
			return
		case <-time.After(calmAfter / 5):
		}
	}
}

// listen has the kernel announce what changes.
func (e *events) listen() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if err := e.membership(unix.NETLINK_ADD_MEMBERSHIP); err != nil {
		return err
	}
	e.ear = listening
	return nil
}

func (e *events) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.membership(unix.NETLINK_DROP_MEMBERSHIP)
	e.ear = away
}

// deafen makes a listener deaf until hearAgain, which its reader is woken for.
func (e *events) deafen() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ear == listening {
		e.ear = deaf
		_ = e.membership(unix.NETLINK_DROP_MEMBERSHIP)
		_ = e.file.SetReadDeadline(longAgo)
	}
}

// hearAgain ends deafness. If there was any, what happened meanwhile is missed.
func (e *events) hearAgain() (missed bool, err error) {
	e.mu.Lock()
	missed = e.ear == deaf
	e.mu.Unlock()
	if missed {
		err = e.listen()
	}
	return missed, err
}

func (e *events) membership(option int) error {
	var err error
	cerr := e.raw.Control(func(fd uintptr) {
		for _, group := range watchedGroups {
			err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, option, group))
		}
	})
	return errors.Join(cerr, err)
}
