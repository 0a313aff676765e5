package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg/kernel"
)

const (
	// grace is what a daemon that lives gets beyond its deadline: it goes back by
	// itself, and that takes a moment.
	grace = 3 * time.Second
	// lockWait is how long the guard waits for the state directory of a daemon that it
	// has killed.
	lockWait = 10 * time.Second
)

// RunGuard is the dead-man: it reads deadlines (nanoseconds since boot, 0 for none)
// from in, one a line, and when one passes and the daemon has not gone back, ends
// the daemon and does what it would do when started again. It returns when there is
// nothing to watch any more. parent is the daemon's process.
func RunGuard(ctx context.Context, c Config, in io.Reader, parent int, log *slog.Logger) error {
	lines := make(chan time.Duration)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			n, err := strconv.ParseInt(strings.TrimSpace(s.Text()), 10, 64)
			if err != nil {
				continue
			}
			select {
			case lines <- time.Duration(n):
			case <-ctx.Done():
				return
			}
		}
	}()
	var deadline time.Duration
	alone := false
	for {
		var tick <-chan time.Time
		if deadline != 0 {
			tick = time.After(min(time.Second, max(0, due(deadline, parent, alone)-sinceBoot())))
		}
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-lines:
			if !ok {
				alone, lines = true, nil
				if deadline == 0 {
					return nil
				}
				continue
			}
			deadline = d
		case <-tick:
			if sinceBoot() >= due(deadline, parent, alone) {
				return takeOver(ctx, c, parent, log)
			}
		}
	}
}

// due is when the guard acts: at the deadline when the daemon is dead or stopped,
// a moment later while it may still do it itself.
func due(deadline time.Duration, parent int, alone bool) time.Duration {
	if alone || stopped(parent) {
		return deadline
	}
	return deadline + grace
}

// stopped is true of a process that is stopped by a signal.
func stopped(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The state follows the name, which may hold anything but ends with the last ).
	_, after, ok := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
	return ok && strings.HasPrefix(after, "T")
}

// takeOver does what a daemon does that is started after the deadline. A daemon
// other than the one that started this guard has its own, and decides for itself.
func takeOver(ctx context.Context, c Config, parent int, log *slog.Logger) error {
	st, err := store.Open(c.StateDir)
	var locked *store.LockedError
	if errors.As(err, &locked) {
		if locked.Holder != parent {
			log.Info("another daemon has taken over", "pid", locked.Holder)
			return nil
		}
		log.Error("the agent does not answer its deadline; ending it", "pid", parent)
		if err := syscall.Kill(parent, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end the agent that hangs (pid %d): %w", parent, err)
		}
		st, err = openWhenFree(ctx, c.StateDir)
	}
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	defer st.Close() //nolint:errcheck // the process ends
	k, err := kernel.Open(kernel.Options{})
	if err != nil {
		return fmt.Errorf("guard: open the kernel: %w", err)
	}
	defer k.Close() //nolint:errcheck // the process ends
	a, err := assemble(ctx, c, st, k, nil, log)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	a.engine.Guard = nil // nobody guards the guard
	return a.engine.Recover(ctx)
}

// openWhenFree opens the state directory once its lock is free.
func openWhenFree(ctx context.Context, dir string) (*store.Store, error) {
	for end := time.Now().Add(lockWait); ; {
		st, err := store.Open(dir)
		var locked *store.LockedError
		if !errors.As(err, &locked) || time.Now().After(end) {
			return st, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
