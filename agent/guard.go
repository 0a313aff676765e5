package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// GuardCommand is the subcommand under which the daemon starts itself as its guard.
const GuardCommand = "guard"

// guard is the daemon's end of the dead-man: a second process of the same program,
// started at the first deadline, that reads deadlines from a pipe. When the daemon
// dies the pipe ends, and the guard is left with the last deadline; when the daemon
// hangs, the deadline passes. Either way the guard does what a restarted daemon
// would do.
type guard struct {
	config Config
	log    *slog.Logger
	// program is what is run; empty for ourselves.
	program string

	mu       sync.Mutex
	cmd      *exec.Cmd
	pipe     *os.File
	deadline time.Duration // 0 for none
	closed   chan struct{}
	waiters  sync.WaitGroup
}

func newGuard(c Config, log *slog.Logger) *guard {
	return &guard{config: c, log: log, closed: make(chan struct{})}
}

// Arm sets or moves the deadline.
func (g *guard) Arm(deadline time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deadline = deadline
	if err := g.send(deadline); err == nil {
		return nil
	}
	if err := g.start(); err != nil {
		return err
	}
	return g.send(deadline)
}

// Disarm says that there is no deadline.
func (g *guard) Disarm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deadline = 0
	if g.pipe != nil {
		_ = g.send(0)
	}
}

// sendLimit is how long a deadline may take into the pipe, which has room for
// thousands: a guard that has not read so many is stopped, or hangs. The engine waits
// for no longer.
const sendLimit = time.Second

// send passes a deadline on. A guard that does not read is ended: going on later, it
// would act by what is in the pipe. The kernel takes a line whole or not at all
// (pipe(7), PIPE_BUF).
func (g *guard) send(deadline time.Duration) error {
	if g.pipe == nil {
		return errors.New("not started")
	}
	if err := g.pipe.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(g.pipe, deadline.Nanoseconds())
	if errors.Is(err, os.ErrDeadlineExceeded) {
		g.log.Error("the guard does not read its deadlines, and is ended", "pid", g.cmd.Process.Pid)
		_ = g.cmd.Process.Kill()
		g.stop()
	}
	return err
}

// start runs the program again as the guard. It is in a session of its own, so that
// what ends the daemon does not end it.
func (g *guard) start() error {
	g.stop()
	exe, err := g.program, error(nil)
	if exe == "" {
		exe, err = os.Executable()
	}
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	cmd := exec.Command(exe, GuardCommand, "--state-dir", g.config.StateDir, "--log-level", g.config.LogLevel, "--resolv-conf", g.config.resolvConf()) //nolint:gosec // ourselves
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = os.Stderr
	in, pipe, err := os.Pipe() // not cmd.StdinPipe, which has no deadline
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	defer in.Close() //nolint:errcheck // the guard has its own
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		_ = pipe.Close()
		return fmt.Errorf("start the guard: %w", err)
	}
	g.cmd, g.pipe = cmd, pipe
	g.waiters.Go(func() {
		err := cmd.Wait()
		g.replace(cmd, err)
	})
	return nil
}

// replace starts another guard when one has ended that still had something to watch.
func (g *guard) replace(cmd *exec.Cmd, why error) {
	g.mu.Lock()
	current := g.cmd == cmd && g.deadline != 0
	g.mu.Unlock()
	if !current {
		return
	}
	select {
	case <-g.closed:
		return
	case <-time.After(time.Second):
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cmd != cmd || g.deadline == 0 {
		return
	}
	g.log.Error("the guard has ended while it was needed; starting another", "error", why)
	if err := g.start(); err != nil {
		g.log.Error(err.Error())
		return
	}
	_ = g.send(g.deadline)
}

// stop lets a guard go: one that is not armed ends by itself when its pipe does.
func (g *guard) stop() {
	if g.pipe != nil {
		_ = g.pipe.Close()
		g.pipe = nil
	}
}

// close ends the guard's watch at the daemon's orderly end, unless a change waits to
// be confirmed: then it goes on without the daemon.
func (g *guard) close() {
	close(g.closed)
	g.mu.Lock()
	armed := g.deadline != 0
	g.stop()
	cmd := g.cmd
	g.mu.Unlock()
	if armed || cmd == nil { // an armed one outlives us
		return
	}
	defer time.AfterFunc(endLimit, func() { _ = cmd.Process.Kill() }).Stop()
	g.waiters.Wait()
}

// endLimit is how long a guard that has nothing to watch may take to end.
const endLimit = 2 * time.Second
