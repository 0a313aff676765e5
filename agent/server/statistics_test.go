package server

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func TestGetStatistics(t *testing.T) {
	bytes := uint64(0)
	h := newHost(t, func(_ *engine.Options, o *Options) {
		o.Counters = func(context.Context) (state.Snapshot, error) {
			bytes += 1000
			return state.Snapshot{Links: []state.Link{
				{Index: 1, Name: "lo", Type: 772, Counters: &state.Counters{RxBytes: 1}},
				{Index: 2, Name: "eth0", Type: 1, PermMAC: "52:54:00:00:00:01", Counters: &state.Counters{RxBytes: bytes, TxErrors: 3}},
				{Index: 3, Name: "eth1", Type: 1, PermMAC: "52:54:00:00:00:02", Counters: &state.Counters{}},
			}}, nil
		}
	})
	get := func(interval time.Duration, nics ...string) (*hostnicv1.GetStatisticsResponse, error) {
		req := &hostnicv1.GetStatisticsRequest{Nics: nics}
		if interval != 0 {
			req.Interval = durationpb.New(interval)
		}
		return h.nics.GetStatistics(h.ctx(), req)
	}
	all, err := get(0)
	if err != nil || len(all.GetStatistics()) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	eth0 := all.GetStatistics()[0]
	if eth0.GetNic() != "eth0" || eth0.GetDataTotalRx() != 1000 || eth0.GetErrorsTotalTx() != 3 || eth0.DataCurrentRx != nil || eth0.GetRateInterval() != nil || eth0.GetLastReset() != nil {
		t.Errorf("the first of all: %v", eth0)
	}
	byID, err := get(0, "eth1", eth0.GetId())
	if err != nil || len(byID.GetStatistics()) != 2 || byID.GetStatistics()[1].GetNic() != "eth0" {
		t.Errorf("by name and id: %v, %v", byID, err)
	}
	rated, err := get(time.Second, "eth0")
	if err != nil || len(rated.GetStatistics()) != 1 {
		t.Fatalf("%v, %v", rated, err)
	}
	one := rated.GetStatistics()[0]
	over := one.GetRateInterval().AsDuration()
	if want := 1000 / over.Seconds(); over < time.Second || one.GetDataCurrentRx() != want || one.GetDataCurrentRxBps() != 8*want || one.GetDataCurrentTx() != 0 || one.DataCurrentTx == nil {
		t.Errorf("rates: %v, want %v bytes a second", one, want)
	}
	nic, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: "eth0", Statistics: true})
	if s := nic.GetHostNic().GetStatistics(); err != nil || s.GetNic() != "eth0" || s.GetErrorsTotalTx() != 3 || s.GetDataTotalRx() <= one.GetDataTotalRx() {
		t.Errorf("of one NIC: %v, %v", s, err)
	}
	for ref, asked := range map[string]bool{"eth0": false, "eth2": true} { // not asked for, and of a link that has just gone
		if nic, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: ref, Statistics: asked}); err != nil || nic.GetHostNic().Statistics != nil {
			t.Errorf("%s: %v, %v", ref, nic.GetHostNic().GetStatistics(), err)
		}
	}
	_, err = get(0, "eth9")
	wantCode(t, err, codes.NotFound)
	for _, interval := range []time.Duration{-time.Second, time.Millisecond, time.Hour} {
		_, err = get(interval)
		wantCode(t, err, codes.InvalidArgument)
	}
}
