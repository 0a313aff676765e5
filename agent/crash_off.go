//go:build !crash

package agent

import (
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
)

// crashing does nothing but in the daemon that is made for tests of being killed.
func crashing(k engine.Kernel, _ *store.Store) engine.Kernel { return k }
