package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// Remote is where the API on the network stands.
type Remote struct {
	Connections int
	// Refused are the connections that were not let in since the agent has started.
	Refused int64
	// Expires is when the agent's certificate ends; zero is unknown.
	Expires time.Time
}

// Options are where a Metrics looks when it is scraped. All but Remote are required.
type Options struct {
	// Version is that of the agent.
	Version string
	View    func() engine.View
	// Clock is that of the engine, which deadlines are readings of.
	Clock      func() time.Duration
	Nics       func(context.Context) ([]*inventory.Nic, error)
	Statistics func(context.Context) ([]inventory.Statistics, error)
	// Watchers is how many clients follow the NICs.
	Watchers func() int
	// Remote is the API on the network; nil where there is none.
	Remote func() Remote
}

// Metrics counts what happens, and tells it to who scrapes. Its methods may be called
// from any goroutine.
type Metrics struct {
	Options
	registry  *prometheus.Registry
	commits   *prometheus.CounterVec
	took      prometheus.Histogram
	rollbacks *prometheus.CounterVec
	resyncs   *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	calls     *prometheus.HistogramVec

	mu      sync.Mutex
	drifted map[string]float64 // how often each NIC has begun to differ
}

// Causes of a rollback, and of a look at everything.
const (
	causeAsked       = "asked"       // by rollback
	causeUnconfirmed = "unconfirmed" // the deadline of a change has passed
	causeProbe       = "probe"       // a probe has failed after a change
	causeFailed      = "failed"      // a change did not get to its end

	CauseLost   = "lost"   // the kernel had more to tell than it kept
	CauseBroken = "broken" // the socket failed
)

// New makes a Metrics that has counted nothing.
func New(o Options) *Metrics {
	m := &Metrics{Options: o, registry: prometheus.NewRegistry(), drifted: map[string]float64{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "hostnic", Name: name, Help: help}, labels)
	}
	m.commits = counter("commits_total", "Commits that have ended, by what became of them.", "result")
	m.rollbacks = counter("rollback_total", "Changes that were taken back, by why.", "cause")
	m.resyncs = counter("netlink_resync_total", "Times that everything was looked at anew because the kernel's news were lost.", "cause")
	m.refusals = counter("netlink_errors_total", "Requests that the kernel has refused, by operation and error.", "op", "errno")
	m.took = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "hostnic", Name: "commit_duration_seconds",
		Help: "How long commits took that were stored.", Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100, 300}})
	m.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "hostnic", Name: "grpc_server_handling_seconds",
		Help: "How long calls of the API took, by method and status code.", Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10, 30}}, []string{"method", "code"})
	for _, result := range []engine.State{engine.Done, engine.Refused, engine.RolledBack, engine.Incomplete} {
		m.commits.WithLabelValues(string(result))
	}
	for _, cause := range []string{causeAsked, causeUnconfirmed, causeProbe, causeFailed} {
		m.rollbacks.WithLabelValues(cause)
	}
	m.resyncs.WithLabelValues(CauseLost)
	m.resyncs.WithLabelValues(CauseBroken)
	m.registry.MustRegister(m.commits, m.rollbacks, m.resyncs, m.refusals, m.took, m.calls, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Ended counts an operation.
func (m *Metrics) Ended(op engine.Operation) {
	if op.Kind == engine.Commit {
		m.commits.WithLabelValues(string(op.State)).Inc()
		if op.State == engine.Done {
			m.took.Observe(op.Duration.Seconds())
		}
	}
	switch {
	case op.Kind == engine.Rollback && op.State == engine.Done:
		m.rollbacks.WithLabelValues(causeAsked).Inc()
	case op.Kind == engine.Revert && op.State == engine.Done:
		m.rollbacks.WithLabelValues(causeUnconfirmed).Inc()
	case op.State == engine.RolledBack && vetoed(op):
		m.rollbacks.WithLabelValues(causeProbe).Inc()
	case op.State == engine.RolledBack:
		m.rollbacks.WithLabelValues(causeFailed).Inc()
	}
}

func vetoed(op engine.Operation) bool {
	for _, p := range op.Probes {
		if p.State == engine.ProbeFailed {
			return true
		}
	}
	return false
}

// Drifted counts a NIC that has begun to differ from what is running.
func (m *Metrics) Drifted(nic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drifted[nic]++
}

// Refused counts what the kernel has refused: each plan.OpError that err is made of.
func (m *Metrics) Refused(err error) {
	switch e := err.(type) { //nolint:errorlint // errors.As finds the first of many only
	case *plan.OpError:
		m.refusals.WithLabelValues(e.Op.Action.String(), unix.ErrnoName(e.Errno)).Inc()
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			m.Refused(one)
		}
	case interface{ Unwrap() error }:
		m.Refused(e.Unwrap())
	}
}

// Resync counts a look at everything, by one of the causes.
func (m *Metrics) Resync(cause string) { m.resyncs.WithLabelValues(cause).Inc() }

// Called notes a call of the API.
func (m *Metrics) Called(method, code string, took time.Duration) {
	m.calls.WithLabelValues(method, code).Observe(took.Seconds())
}
