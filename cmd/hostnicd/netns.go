package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// netnsFolder is where ip netns keeps its namespaces.
	netnsFolder = "/run/netns"
	// netnsMark is set for the program once it has been started inside.
	netnsMark = "HOSTNICD_NETNS"
)

// enterNetns starts the program again inside a network namespace, unless it is
// there already. Threads have namespaces of their own, and Go moves goroutines
// between threads, so that only a process that began inside is in it as a whole.
func enterNetns(nameOrPath string) error {
	path := nameOrPath
	if !strings.Contains(path, "/") {
		path = filepath.Join(netnsFolder, path)
	}
	inside, err := inNetns(path)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w; ip netns list names those that there are, and ip netns add makes one", nameOrPath, err)
	}
	if inside {
		return os.Unsetenv(netnsMark)
	}
	if os.Getenv(netnsMark) == path {
		return fmt.Errorf("network namespace %s: the program was started in it and is not in it; this is a fault of the agent", nameOrPath)
	}
	if err := startInside(path); err != nil {
		hint := ""
		if errors.Is(err, unix.EPERM) {
			hint = "; it takes root, or CAP_SYS_ADMIN"
		}
		return fmt.Errorf("network namespace %s: cannot be entered: %w%s", nameOrPath, err, hint)
	}
	return nil
}

// inNetns is true when the file stands for the namespace that the thread is in.
func inNetns(path string) (bool, error) {
	there, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	here, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return false, err
	}
	return os.SameFile(here, there), nil
}

// startInside does not return when it succeeds: execve keeps the namespace of the
// thread that calls it, and ends all others.
func startInside(path string) error {
	runtime.LockOSThread() // and never let go: the thread is not fit for anything else
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), netnsMark+"="+path))
}
