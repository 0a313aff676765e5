package server

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// The bounds of the time between two measurements.
const (
	leastInterval = time.Second
	mostInterval  = time.Minute
)

// GetStatistics returns the counters of NICs.
func (n *nicService) GetStatistics(ctx context.Context, req *hostnicv1.GetStatisticsRequest) (*hostnicv1.GetStatisticsResponse, error) {
	interval := req.GetInterval().AsDuration()
	if req.GetInterval() != nil && (interval < leastInterval || interval > mostInterval) {
		return nil, misused("interval-length", "two measurements are from %s to %s apart, not %s", leastInterval, mostInterval, interval)
	}
	all, err := n.measure(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := chosen(all, req.GetNics()); err != nil {
		return nil, err
	}
	if req.GetInterval() != nil {
		if all, err = n.measureAgain(ctx, all, interval); err != nil {
			return nil, err
		}
	}
	if all, err = chosen(all, req.GetNics()); err != nil {
		return nil, err
	}
	resp := &hostnicv1.GetStatisticsResponse{}
	for i := range all {
		resp.Statistics = append(resp.Statistics, statisticsToProto(&all[i]))
	}
	return resp, nil
}

// statisticsOf are those of one NIC; nil when it is not there.
func (n *nicService) statisticsOf(ctx context.Context, nic string) (*hostnicv1.Statistics, error) {
	all, err := n.measure(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if netcfg.Printable(all[i].Nic) == nic {
			return statisticsToProto(&all[i]), nil
		}
	}
	return nil, nil
}

// measure asks the kernel, and puts the ids of the links to what it says.
func (n *nicService) measure(ctx context.Context) ([]inventory.Statistics, error) {
	ids := map[string]string{}
	all, err := n.server.Meter.Measure(ctx, func(ctx context.Context) (state.Snapshot, error) {
		s, err := n.server.Counters(ctx)
		for i := range s.Links {
			ids[s.Links[i].Name] = n.server.Engine.NicID(&s.Links[i])
		}
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("look at the counters: %w", err)
	}
	for i := range all {
		all[i].ID = ids[all[i].Nic]
	}
	return all, nil
}

// measureAgain gives the rates between a measurement and another one after that. A
// link that has come meanwhile has none.
func (n *nicService) measureAgain(ctx context.Context, first []inventory.Statistics, interval time.Duration) ([]inventory.Statistics, error) {
	select {
	case <-time.After(interval):
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.server.stopping.Done():
	}
	all, err := n.measure(ctx)
	then := map[string]inventory.Statistics{}
	for _, s := range first {
		then[s.Nic] = s
	}
	for i := range all {
		all[i].Rates = nil
		if was, ok := then[all[i].Nic]; ok {
			all[i].Rates = inventory.RatesBetween(was.Totals, all[i].Totals, all[i].At.Sub(was.At))
		}
	}
	return all, err
}

// chosen are those that are asked for by name or id, in the order in which they are
// asked for; all where nobody is named.
func chosen(all []inventory.Statistics, nics []string) ([]inventory.Statistics, error) {
	if len(nics) == 0 {
		return all, nil
	}
	found := map[string]*inventory.Statistics{}
	for i := range all {
		found[all[i].ID] = &all[i]
	}
	for i := range all { // a name goes before an id
		found[all[i].Nic] = &all[i]
	}
	var out []inventory.Statistics
	for _, nic := range nics {
		one := found[nic]
		if one == nil {
			return nil, &engine.Error{Kind: engine.NotFound, Rule: "nic-unknown",
				Message: fmt.Sprintf("there is no NIC %s on this host; agentctl nics lists those that are there", printable(nic))}
		}
		out = append(out, *one)
	}
	return out, nil
}

func statisticsToProto(s *inventory.Statistics) *hostnicv1.Statistics {
	count := func(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
	c := &s.Totals
	out := &hostnicv1.Statistics{
		Nic: netcfg.Printable(s.Nic), Id: s.ID, Time: timestamppb.New(s.At), Resets: int64(s.Resets),
		DataTotalRx: count(c.RxBytes), DataTotalTx: count(c.TxBytes), PacketsTotalRx: count(c.RxPackets), PacketsTotalTx: count(c.TxPackets),
		ErrorsTotalRx: count(c.RxErrors), ErrorsTotalTx: count(c.TxErrors), DroppedTotalRx: count(c.RxDropped), DroppedTotalTx: count(c.TxDropped),
		MulticastTotalRx: count(c.Multicast),
	}
	if s.Resets > 0 {
		out.LastReset = timestamppb.New(s.ResetAt)
	}
	if r := s.Rates; r != nil {
		rxBits, txBits := 8*r.RxBytes, 8*r.TxBytes
		out.DataCurrentRx, out.DataCurrentTx, out.DataCurrentRxBps, out.DataCurrentTxBps = &r.RxBytes, &r.TxBytes, &rxBits, &txBits
		out.PacketsCurrentRx, out.PacketsCurrentTx, out.RateInterval = &r.RxPackets, &r.TxPackets, durationpb.New(r.Over)
	}
	return out
}
