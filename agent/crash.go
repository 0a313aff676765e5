//go:build crash

package agent

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// crashing makes a daemon for tests that kills itself, as kill -9 does, at the point
// that HOSTNIC_CRASH_AT counts: before and after every file that is put in place,
// and after every single request to the kernel.
func crashing(k engine.Kernel, st *store.Store) engine.Kernel {
	at, err := strconv.ParseInt(os.Getenv("HOSTNIC_CRASH_AT"), 10, 64)
	if err != nil {
		return k
	}
	var seen atomic.Int64
	point := func() {
		if seen.Add(1) == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
	st.Trace = func(string) { point() }
	return &crashKernel{k, point}
}

type crashKernel struct {
	engine.Kernel
	point func()
}

// Apply sends one operation at a time, and goes on behind a refused one as the
// kernel does.
func (c *crashKernel) Apply(ctx context.Context, ops []plan.Op) error {
	var errs []error
	for _, op := range ops {
		errs = append(errs, c.Kernel.Apply(ctx, []plan.Op{op}))
		c.point()
	}
	return errors.Join(errs...)
}
