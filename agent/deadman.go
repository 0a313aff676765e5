package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg/kernel"
)

const (
	// grace is what a daemon that lives gets beyond its deadline: it goes back by
	// itself, and may first wait for the kernel. It is counted by the runtime's clock,
	// which stands still while the machine sleeps.
	grace = 10 * time.Second
	// longestRetry is the longest pause after a way back that failed.
	longestRetry = time.Minute
)

// deadman watches one daemon.
type deadman struct {
	config Config
	log    *slog.Logger
	// parent is the daemon. It lives while its end of the pipe is open; alone is true
	// once that is closed.
	parent int
	alone  bool
	// deadline is a reading of sinceBoot, 0 for none; late is when it was first seen to
	// have passed.
	deadline time.Duration
	late     time.Time
	retry    time.Duration
	// asked is when it was last seen whether there is still something to watch.
	asked time.Time
}

// RunGuard is the dead-man: it reads deadlines (nanoseconds since boot, 0 for none)
// from in, one a line, and when one passes and the daemon has not gone back, ends
// the daemon and does what it would do when started again, until that has worked. It
// returns when there is nothing to watch any more. parent is the daemon's process.
func RunGuard(ctx context.Context, c Config, in io.Reader, parent int, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &deadman{config: c, log: log, parent: parent, retry: time.Second}
	lines := readDeadlines(ctx, in)
	for {
		if d.alone && d.deadline == 0 {
			return nil
		}
		var tick <-chan time.Time
		if d.deadline != 0 {
			tick = time.After(max(10*time.Millisecond, min(time.Second, d.deadline-sinceBoot())))
		}
		select {
		case <-ctx.Done():
			return nil
		case deadline, ok := <-lines:
			d.hear(deadline, ok)
			if !ok {
				lines = nil
			}
			continue
		case <-tick:
		}
		select { // what the daemon has said already comes before any judgement
		case deadline, ok := <-lines:
			d.hear(deadline, ok)
			if !ok {
				lines = nil
			}
			continue
		default:
		}
		if d.due() && d.act(ctx) || d.needless() {
			return nil
		}
	}
}

// askPace is how often a guard that is alone looks whether it is still needed.
const askPace = 5 * time.Second

// needless is true of a guard that has outlived its daemon and whose change is over by
// now: another daemon had it confirmed or taken back, and is gone, too. While one runs
// it has a guard of its own, and this one stays until its deadline, or until that one is
// gone: it may not have got so far.
func (d *deadman) needless() bool {
	if !d.alone || time.Since(d.asked) < askPace {
		return false
	}
	d.asked = time.Now()
	if _, err := os.Stat(d.config.StateDir); errors.Is(err, fs.ErrNotExist) {
		d.log.Info("the state directory is gone, and with it what was guarded")
		return true
	}
	st, err := store.Open(d.config.StateDir)
	if err != nil {
		return false
	}
	defer st.Close() //nolint:errcheck // only a lock
	over := d.over(st)
	if over {
		d.log.Info("the change that was guarded is over")
	}
	return over
}

// over is whether nothing waits to be confirmed, and no operation was cut off.
func (d *deadman) over(st *store.Store) bool {
	boot, err := bootID()
	return err == nil && !engine.New(engine.Options{Store: st, BootID: boot, Log: d.log}).Unfinished()
}

// readDeadlines passes the daemon's deadlines on until its end, and closes.
func readDeadlines(ctx context.Context, in io.Reader) <-chan time.Duration {
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
	return lines
}

func (d *deadman) hear(deadline time.Duration, ok bool) {
	d.late = time.Time{}
	if ok {
		d.deadline = deadline
	} else {
		d.alone = true
	}
}

// due is true when the guard has to act: at the deadline when the daemon is dead or
// stopped, and after the grace while it may still do it itself.
func (d *deadman) due() bool {
	if d.deadline == 0 || sinceBoot() < d.deadline {
		d.late = time.Time{}
		return false
	}
	if d.alone || stopped(d.parent) {
		return true
	}
	if d.late.IsZero() {
		d.late = time.Now()
	}
	return time.Since(d.late) >= grace
}

// act takes over, and is true when there is nothing more to do. What does not work,
// or is not over, is tried again later.
func (d *deadman) act(ctx context.Context) (done bool) {
	next, done, err := d.takeOver(ctx)
	switch {
	case err != nil:
		d.log.Error("the way back does not work yet, and is tried again", "error", err)
		d.deadline = sinceBoot() + d.retry
		d.retry = min(2*d.retry, longestRetry)
	case !done:
		d.deadline = next
	}
	return done
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

// takeOver does what a daemon does that is started now. It is done when that is
// over, or when another daemon runs, which has a guard of its own; else it says when
// to look again.
func (d *deadman) takeOver(ctx context.Context) (next time.Duration, done bool, err error) {
	st, err := store.Open(d.config.StateDir)
	var locked *store.LockedError
	if errors.As(err, &locked) {
		if d.alone {
			d.log.Info("another daemon has taken over", "pid", locked.Holder)
			return 0, true, nil
		}
		// The pipe is open, so that the daemon is there, and nobody else has its number.
		d.log.Error("the agent does not answer its deadline; ending it", "pid", d.parent)
		if err := syscall.Kill(d.parent, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return 0, false, fmt.Errorf("end the agent that hangs (pid %d): %w", d.parent, err)
		}
		return sinceBoot() + 10*time.Millisecond, false, nil // until the pipe ends, and with it the lock
	}
	if err != nil {
		return 0, false, err
	}
	defer st.Close() //nolint:errcheck // only a lock
	if d.over(st) {
		return 0, true, nil // who has changed the host since has done so on purpose
	}
	k, err := kernel.Open(kernelOptions())
	if err != nil {
		return 0, false, fmt.Errorf("open the kernel: %w", err)
	}
	defer k.Close() //nolint:errcheck // opened anew where it is needed again
	a, err := assemble(ctx, d.config, st, k, entrance{}, d.log)
	if err != nil {
		return 0, false, err
	}
	defer a.leases.Close()
	a.engine.Guard = nil // nobody guards the guard
	a.engine.Leaser = onRecord{a.leases}
	if err := a.engine.Recover(ctx); err != nil {
		return 0, false, err
	}
	switch v := a.engine.View(); {
	case v.Incomplete != nil:
		return 0, false, v.Incomplete
	case v.Pending != nil:
		return v.Pending.Deadline, false, nil
	}
	return 0, true, nil
}
