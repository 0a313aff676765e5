//go:build !crash

package agent

import (
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg/kernel"
)

// kernelOptions are those of production, but in the daemon that is made for tests of
// faults.
func kernelOptions() kernel.Options { return kernel.Options{} }

// crashing does nothing but in that daemon.
func crashing(k engine.Kernel, _ *store.Store) engine.Kernel { return k }
