package agent

import (
	"context"
	"fmt"

	"github.com/hostnic/hostnic/agent/doctor"
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/server"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// examiner gathers what the doctor judges.
type examiner struct {
	look     func(context.Context) (state.Snapshot, error)
	heard    func(link string) []netcfg.Neighbour
	engine   *engine.Engine
	remote   *server.Remote
	stateDir string
}

// Examine looks at the host now.
func (x examiner) Examine(ctx context.Context) ([]doctor.Finding, []doctor.Skipped, error) {
	s, err := x.look(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("look at the host: %w", err)
	}
	sight := x.engine.Sight(s)
	f := doctor.Facts{
		Host: s, Owned: map[string]bool{}, Slaves: map[string][]string{},
		Drift: sight.Differences(), LeftAlone: sight.LeftAlone, Waiting: sight.Waiting, Degraded: sight.Degraded, Missing: map[string]string{},
		Uncommitted: sight.Uncommitted, Pending: sight.Pending != nil, Around: doctor.Look("/", x.stateDir, s.Links),
	}
	for name := range sight.Memory.Owned.Links {
		f.Owned[name] = true
	}
	for _, l := range sight.Links {
		if link := s.Link(l.Index); link != nil && !l.Restored {
			f.Owned[link.Name] = true
		}
	}
	expected := map[string]*netcfg.ExpectedNeighbour{}
	for i := range sight.Running.HostNics {
		n := &sight.Running.HostNics[i]
		if n.Bonding != nil {
			f.Slaves[n.Name] = n.Bonding.Slaves
		}
		if n.ExpectedNeighbour != nil {
			expected[n.Name] = n.ExpectedNeighbour
		}
	}
	for _, l := range sight.Links {
		if e, link := expected[l.Name], s.Link(l.Index); e != nil && link != nil {
			f.Cables = append(f.Cables, doctor.Cable{Nic: link.Name, Carrier: link.Carrier, Expected: e, Heard: x.heard(link.Name)})
		}
	}
	for _, m := range x.engine.Missing {
		f.Missing[m.Feature] = m.Reason
	}
	if x.remote != nil {
		f.Certificate, _ = x.remote.Certificates.Expires()
	}
	findings, skipped := doctor.Examine(f)
	return findings, skipped, nil
}
