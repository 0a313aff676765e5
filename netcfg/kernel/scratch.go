package kernel

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Scratch runs fn with a network namespace that nobody else sees, empty but for lo,
// on a thread inside it. All is gone when fn has returned. It takes CAP_SYS_ADMIN.
func Scratch(options Options, fn func(*Kernel) error) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("new network namespace: %w", err)
		}
		k, err := Open(options)
		if err != nil {
			return err
		}
		return errors.Join(fn(k), k.Close())
	})
}

var errGoexit = errors.New("ended by runtime.Goexit")

// onThread runs fn on a thread of its own that ends with it: a thread that has been
// moved to another namespace must never run anything else.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends
		err := errGoexit
		defer func() { done <- err }()
		if unix.Gettid() == unix.Getpid() {
			// The first thread cannot end, and /proc/self stands for it. While it
			// is held here, the next goroutine gets another one.
			defer runtime.UnlockOSThread()
			err = onThread(fn)
			return
		}
		err = fn()
	}()
	return <-done
}
