package converge

import (
	"context"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Kernel is the door to one network namespace.
type Kernel interface {
	// Snapshot looks at everything once. It never returns a torn look: a dump that
	// the kernel marks as interrupted is repeated, and after a second of that the
	// error says so and no decision may be taken.
	Snapshot(ctx context.Context) (state.Snapshot, error)
	// Apply performs the operations in order and asks for every one to be
	// acknowledged. Operations are sent many at a time, so those behind a refused
	// one may have been performed too; look again before deciding anything. The
	// error joins a *plan.OpError for each refusal. Adding what is there
	// (addresses) and taking out what is gone (links, addresses, routes) is
	// success.
	Apply(ctx context.Context, ops []plan.Op) error
}
