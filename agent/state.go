package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hostnic/hostnic/agent/store"
)

// guardPatience is how long a daemon waits at start for a guard that takes a change
// back.
const guardPatience = time.Minute

// openState takes the state directory. The guard of the daemon before may have it for
// the moment, doing what this one would do; any other holder is a mistake.
func openState(ctx context.Context, dir string, log *slog.Logger) (*store.Store, error) {
	for began := time.Now(); ; {
		st, err := store.Open(dir)
		var locked *store.LockedError
		if !errors.As(err, &locked) || !passing(locked.Holder) || time.Since(began) > guardPatience {
			return st, err
		}
		log.Info("waiting for the guard, which is at work", "pid", locked.Holder)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// passing is true of a holder that will give the state directory back: a guard, or one
// that has not written its number yet.
func passing(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(data) == 0 {
		return true
	}
	return slices.Contains(strings.Split(string(data), "\x00")[1:], GuardCommand)
}
