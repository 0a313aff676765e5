// Package netns gives a test network namespaces of its own, with cables,
// bridges and stand-in NICs in them. Tests only: nothing that ships imports it.
//
// A test asks for the kernel's features first, with test/need. Whoever may not
// make a namespace gets a failure from New, not a skip.
package netns

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NS is a network namespace with lo up and nothing else in it at first. It lives
// until the test ends; what is in it goes with it.
type NS struct {
	fd   int
	path string
}

// New makes a namespace that goes away when the test has ended.
func New(t testing.TB) *NS {
	t.Helper()
	ns := &NS{fd: -1}
	err := Scratch(func() error {
		// Never /proc/self: that is the process's first thread, which stays outside.
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		ns.fd = fd
		return each(netlink.LinkSetUp, "lo")
	})
	if ns.fd >= 0 {
		t.Cleanup(func() { _ = unix.Close(ns.fd) })
	}
	if err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	ns.path = fmt.Sprintf("/proc/%d/fd/%d", unix.Getpid(), ns.fd)
	return ns
}

// Path is a file by which another process, say `hostnicd --netns PATH`, can
// enter the namespace for as long as the test runs. It is the test's own open
// file, so that even a killed test leaves nothing mounted in /run/netns.
func (ns *NS) Path() string { return ns.path }

// Do runs fn on a thread inside the namespace and returns when fn has. Sockets
// opened and processes started by fn are in the namespace and stay there;
// goroutines that fn starts are not. fn may end the test, as with t.Fatal.
//
// Files in /sys are those of the namespace that /sys was mounted in, not of this
// one.
func (ns *NS) Do(fn func()) {
	err := onThread(func() error {
		if err := unix.Setns(ns.fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		fn()
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// IP runs `ip args...` inside and returns what it prints; a failure ends the
// test. A process costs 20 ms in user-mode Linux: prefer Netlink in loops.
func (ns *NS) IP(t testing.TB, args ...string) string {
	t.Helper()
	var out []byte
	var err error
	ns.Do(func() { out, err = exec.Command("ip", args...).CombinedOutput() })
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Netlink returns a handle whose requests go to the namespace, from any
// goroutine. It is closed when the test ends.
func (ns *NS) Netlink(t testing.TB) *netlink.Handle {
	t.Helper()
	var handle *netlink.Handle
	var err error
	ns.Do(func() { handle, err = netlink.NewHandle(unix.NETLINK_ROUTE) })
	if err != nil {
		t.Fatalf("netlink: %v", err)
	}
	t.Cleanup(func() { _ = handle.Close() })
	return handle
}

// Scratch runs fn on a thread in a new network namespace that nobody else sees.
// The namespace goes away with the thread, when fn has returned and has closed
// what it opened. lo is down.
func Scratch(fn func() error) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("new network namespace: %w", err)
		}
		return fn()
	})
}

var errEnded = errors.New("ended by runtime.Goexit")

// onThread runs fn on a thread of its own that ends with it, so that whatever
// namespace fn leaves it in, no other goroutine ever gets there. When fn ends by
// t.FailNow, so does the caller.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := errEnded
		defer func() { done <- err }()
		if unix.Gettid() == unix.Getpid() {
			// The first thread cannot end, and /proc/self stands for it. While
			// it is locked here, the next goroutine gets another one.
			defer runtime.UnlockOSThread()
			err = onThread(fn)
			return
		}
		err = fn()
	}()
	err := <-done
	if errors.Is(err, errEnded) {
		runtime.Goexit()
	}
	return err
}
