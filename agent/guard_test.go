package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/store"
)

// deafGuard is a guard whose program is a script: the first one that is started reads
// nothing, as a stopped process, and the ones after it write down what they are told.
func deafGuard(t *testing.T) (g *guard, heard func() string) {
	t.Helper()
	dir := t.TempDir()
	script := filepath.Join(dir, "guard")
	text := fmt.Sprintf("#!/bin/sh\ncd %q || exit 1\nif mkdir first 2>/dev/null; then echo $$ >pid; exec sleep 90; fi\nexec cat >heard\n", dir)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	g = newGuard(Config{}, quiet)
	g.program = script
	return g, func() string {
		data, _ := os.ReadFile(filepath.Join(dir, "heard"))
		return string(data)
	}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// A guard that does not read its deadlines, until the pipe has room for no more, keeps
// nobody waiting: another one takes its place, and has the newest deadline.
func TestGuardThatDoesNotRead(t *testing.T) {
	g, heard := deafGuard(t)
	const deadlines = 10_000 // twice what a pipe has room for
	armed := make(chan error, 1)
	go func() {
		var err error
		for n := 1; n <= deadlines && err == nil; n++ {
			err = g.Arm(time.Duration(n) * time.Hour)
		}
		armed <- err
	}()
	select {
	case err := <-armed:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("who arms the guard waits for it")
	}
	newest := strconv.FormatInt((deadlines * time.Hour).Nanoseconds(), 10)
	waitFor(t, "the new guard has the newest deadline", func() bool {
		lines := strings.Fields(heard())
		return len(lines) > 0 && lines[len(lines)-1] == newest
	})
	wantEnded(t, g)
	g.Disarm()
	g.close()
}

// wantEnded wants the first guard gone: going on later, it would act by old deadlines.
func wantEnded(t *testing.T, g *guard) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(g.program), "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first guard is gone", func() bool { return syscall.Kill(pid, 0) != nil })
}

// One that cannot even be told that there is nothing to watch any more is ended.
func TestGuardThatDoesNotHearOfTheEnd(t *testing.T) {
	g, _ := deafGuard(t)
	if err := g.Arm(time.Hour); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the guard runs", func() bool {
		data, _ := os.ReadFile(filepath.Join(filepath.Dir(g.program), "pid"))
		return len(data) > 0
	})
	g.mu.Lock()
	for _, line := range []string{"3600000000000\n", "\n"} { // to the last byte
		for err := error(nil); err == nil; {
			_ = g.pipe.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, err = g.pipe.WriteString(line)
		}
	}
	g.mu.Unlock()
	g.Disarm()
	wantEnded(t, g)
	g.close()
}

// A guard that does not end by itself does not keep the agent from ending.
func TestGuardThatDoesNotEnd(t *testing.T) {
	g, _ := deafGuard(t)
	if err := g.Arm(time.Hour); err != nil {
		t.Fatal(err)
	}
	g.Disarm()
	closed := make(chan struct{})
	go func() { g.close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(60 * time.Second):
		t.Fatal("the end of the agent waits for its guard")
	}
}

// A guard that has outlived its daemon goes when nothing waits to be confirmed any more,
// long before its deadline: whoever changes the host by hand after that, with the agent
// gone for good, does not have it changed back. It makes no state directory anew.
func TestGuardThatIsNotNeeded(t *testing.T) {
	over := filepath.Join(t.TempDir(), "over")
	st, err := store.Open(over)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	for _, dir := range []string{over, gone} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		deadline := strings.NewReader(fmt.Sprintln((sinceBoot() + time.Hour).Nanoseconds()))
		err := RunGuard(ctx, Config{StateDir: dir}, deadline, os.Getpid(), quiet)
		if err != nil || ctx.Err() != nil {
			t.Errorf("%s: %v, %v", dir, err, ctx.Err())
		}
		cancel()
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("the guard has made the state directory anew")
	}
}
