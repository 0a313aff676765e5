package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/store"
)

// holdState is a process that holds a state directory until its pipe ends.
func holdState(dir string) {
	st, err := store.Open(dir)
	fmt.Println(err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err == nil {
		_ = st.Close()
	}
}

// holdsState is where such a process is told the state directory.
const holdsState = "HOSTNIC_TEST_HOLDS_STATE"

// holding is another process that holds the state directory until release.
func holding(t *testing.T, as, dir string) (release func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], as, dir) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), holdsState+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "<nil>\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
}

// A daemon that is started while the guard takes a change back waits for it, and not for
// another daemon.
func TestStateHeldByTheGuard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	release := holding(t, GuardCommand, dir)
	opened := make(chan error, 1)
	go func() {
		st, err := openState(context.Background(), dir, quiet)
		if err == nil {
			err = st.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("not waited for: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := openState(ctx, dir, quiet); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop: %v", err)
	}
	release()
	if err := <-opened; err != nil {
		t.Error(err)
	}
	defer holding(t, "daemon", dir)()
	var locked *store.LockedError
	if _, err := openState(context.Background(), dir, quiet); !errors.As(err, &locked) {
		t.Errorf("held by a daemon: %v", err)
	}
}
