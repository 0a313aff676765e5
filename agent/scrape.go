package agent

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/agent/metrics"
	"github.com/hostnic/hostnic/agent/server"
	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// counters is a look with counters.
func (a *agent) counters(ctx context.Context) (state.Snapshot, error) {
	return a.kernel.SnapshotWith(ctx, kernel.What{Counters: true})
}

func (a *agent) newMetrics(meter *inventory.Meter, far *server.Remote) *metrics.Metrics {
	o := metrics.Options{
		Version: Version,
		View:    func() engine.View { return a.engine.View() },
		Clock:   sinceBoot,
		Nics: func(ctx context.Context) ([]*inventory.Nic, error) {
			v, err := a.inventory.Current(ctx)
			if err != nil {
				return nil, fmt.Errorf("look at the host: %w", err)
			}
			return v.Nics(), nil
		},
		Statistics: func(ctx context.Context) ([]inventory.Statistics, error) { return meter.Measure(ctx, a.counters) },
		Watchers:   func() int { return a.inventory.Watches() },
	}
	if far != nil {
		o.Remote = func() metrics.Remote {
			n, refused := far.Counts()
			expires, _ := far.Certificates.Expires()
			return metrics.Remote{Connections: n, Refused: refused, Expires: expires}
		}
	}
	return metrics.New(o)
}

// counted is a kernel whose refusals are counted.
type counted struct {
	engine.Kernel
	metrics *metrics.Metrics
}

// Apply is that of the kernel.
func (c counted) Apply(ctx context.Context, ops []plan.Op) error {
	err := c.Kernel.Apply(ctx, ops)
	if err != nil {
		c.metrics.Refused(err)
	}
	return err
}

// tell serves the metrics where the settings say so.
func (a *agent) tell(ctx context.Context) error {
	if a.scrapes == "" {
		return nil
	}
	again(ctx, func() error { return a.tellOnce(ctx) }, func(err error, first bool) {
		if first {
			a.log.Error("metrics are not told; trying again", "error", err)
		}
	})
	return nil
}

func (a *agent) tellOnce(ctx context.Context) error {
	l, done, err := a.listenForScrapes(ctx)
	if err != nil {
		return err
	}
	defer done()
	a.log.Info("metrics are told", "on", a.scrapes)
	return a.metrics.Serve(ctx, l, a.log)
}

// listenForScrapes listens; done takes away what it has put into the file system.
func (a *agent) listenForScrapes(ctx context.Context) (l net.Listener, done func(), err error) {
	if strings.HasPrefix(a.scrapes, "/") {
		s, err := listen(a.scrapes, a.group, a.log)
		if err != nil {
			return nil, nil, err
		}
		return s, s.remove, nil
	}
	l, err = listenTCP(ctx, a.scrapes)
	return l, func() {}, err
}
