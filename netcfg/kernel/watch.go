package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Nudge says that something has changed and is worth another look. It does not say
// how: what a message said may be out of date when it is read.
type Nudge struct {
	// Lost says that anything may have changed; the other fields mean nothing. It
	// is also the first nudge of every Watch: what came before it, nobody saw.
	Lost bool
	// Index is the link that is meant, 0 for a route that has no link of its own.
	Index int
	// Link, Address and Route are what of it has changed; Default says that a default
	// route is among the routes.
	Link, Address, Route, Default bool
	// Duplicate is an address of the link that another host has, as the kernel has found
	// (RFC 4862 §5.4): one that is not for ever it takes off, so that a look does not tell.
	Duplicate netip.Addr
}

// watchedGroups are the multicast groups of RTNLGRP_* numbers.
var watchedGroups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
}

// eventBuffer holds some 20,000 events while nobody reads.
const eventBuffer = 16 << 20

// events is the socket on which the kernel announces changes. It is there from the
// start, so that it is in the right namespace, and silent until Watch joins the
// groups.
type events struct {
	file *os.File
	raw  syscall.RawConn
	turn chan struct{}

	mu  sync.Mutex
	ear ear
}

func openEvents() (*events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("event socket: %w", err)
	}
	forceBuffer(fd, eventBuffer)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("event socket: %w", err)
	}
	e := &events{file: os.NewFile(uintptr(fd), "netlink events"), turn: make(chan struct{}, 1)}
	if e.raw, err = e.file.SyscallConn(); err != nil {
		_ = e.file.Close()
		return nil, fmt.Errorf("event socket: %w", err)
	}
	e.turn <- struct{}{}
	return e, nil
}

func (e *events) close() error {
	err := e.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// Watch calls fn with what has changed until the context ends, which is no error.
// It calls from one goroutine. fn may take its time: meanwhile nudges for the same
// link become one, and those that are too many become one that is Lost. So does all
// that happens during a large Apply of this Kernel, once that is over. One Watch runs
// at a time; another one waits for it to end.
func (k *Kernel) Watch(ctx context.Context, fn func([]Nudge)) error {
	e := k.events
	select {
	case <-e.turn:
		defer func() { e.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil
	}
	if err := e.listen(); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer e.leave()
	p := newPending()
	p.lose()
	var err error
	ended := make(chan struct{})
	go func() {
		err = k.read(ctx, p)
		close(ended)
	}()
	for {
		select {
		case <-p.ready:
			fn(p.take())
		case <-ended:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watch: %w", err)
		case <-ctx.Done():
			_ = e.file.SetReadDeadline(longAgo) // wakes the reader
			<-ended
			return nil
		}
	}
}

// read moves what the kernel announces into p, fast enough for the kernel never to
// wait, until the context ends and the read deadline has passed.
func (k *Kernel) read(ctx context.Context, p *pending) error {
	e := k.events
	buf := make([]byte, firstRead)
	congested := false
	for {
		var n int
		var from unix.Sockaddr
		k.calm(ctx)
		missed, err := e.hearAgain()
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil: // the deadline may be gone
			return ctx.Err()
		case missed:
			p.lose()
		}
		waited := e.raw.Read(func(fd uintptr) bool {
			n, _, _, from, err = unix.Recvmsg(int(fd), buf, nil, unix.MSG_DONTWAIT)
			empty := errors.Is(err, unix.EAGAIN)
			if empty && congested {
				// Until now the kernel has dropped further events without a word
				// (netlink_overrun in net/netlink/af_netlink.c).
				congested = false
				p.lose()
			}
			return !empty
		})
		switch {
		case errors.Is(waited, os.ErrDeadlineExceeded):
		case waited != nil:
			return waited
		case errors.Is(err, unix.ENOBUFS):
			congested = true
			p.lose()
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		default:
			if nl, ok := from.(*unix.SockaddrNetlink); ok && nl.Pid != 0 {
				continue
			}
			for m := range messages(buf[:n]) {
				if nudge, ok := decodeEvent(m); ok {
					p.add(nudge)
				}
			}
		}
	}
}
