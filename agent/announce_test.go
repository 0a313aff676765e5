package agent

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
)

// The watchdog is fed three times as often as it asks for, and not any more once the
// loop of the engine hangs: here it has never begun.
func TestWatchdog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	var fed atomic.Int64
	go func() {
		for buf := make([]byte, 100); ; {
			n, err := manager.Read(buf)
			if err != nil {
				return
			}
			if string(buf[:n]) == "WATCHDOG=1" {
				fed.Add(1)
			}
		}
	}()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	synctest.Test(t, func(t *testing.T) {
		a := &agent{log: quiet, engine: engine.New(engine.Options{Log: quiet})}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		a.feed(ctx, nil)
	})
	for end := time.Now().Add(10 * time.Second); fed.Load() < 59 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := fed.Load(); n < 59 || n > 60 {
		t.Errorf("fed %d times in ten minutes, want 59 or 60: a second apart, for the minute that the loop may take", n)
	}
}
