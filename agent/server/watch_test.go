package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// events reads a watch to the first message that satisfies enough, and says what it
// was told in words.
func events(t *testing.T, stream hostnicv1.HostNicService_WatchHostNicsClient, enough hostnicv1.WatchEvent) (words []string, resume string) {
	t.Helper()
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatalf("%v behind %q", err, words)
		}
		word := strings.ToLower(strings.TrimPrefix(m.GetEvent().String(), "WATCH_EVENT_"))
		for _, n := range []*hostnicv1.HostNic{m.GetOld(), m.GetNew()} {
			if n != nil {
				word += " " + n.GetName()
			}
		}
		words = append(words, word)
		if m.GetEvent() == enough {
			return words, m.GetResume()
		}
	}
}

func TestWatchHostNics(t *testing.T) {
	h := newHost(t)
	watch := func(req *hostnicv1.WatchHostNicsRequest) hostnicv1.HostNicService_WatchHostNicsClient {
		ctx, cancel := context.WithCancel(h.ctx())
		t.Cleanup(cancel)
		stream, err := h.nics.WatchHostNics(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	const synced, changed = hostnicv1.WatchEvent_WATCH_EVENT_SYNCED, hostnicv1.WatchEvent_WATCH_EVENT_CHANGED
	all, bonds := watch(&hostnicv1.WatchHostNicsRequest{}), watch(&hostnicv1.WatchHostNicsRequest{Kinds: []string{"bond"}, Owned: true})
	words, resume := events(t, all, synced)
	if got := strings.Join(words, ", "); got != "present eth0, present eth1, present eth2, present eth3, synced" {
		t.Errorf("at first: %s", got)
	}
	if words, _ := events(t, bonds, synced); len(words) != 1 {
		t.Errorf("bonds at first: %q", words)
	}
	h.stage("host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}]")
	if _, _, err := h.commit(nil, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{}); err != nil { // sees to it that it is looked
		t.Fatal(err)
	}
	if words, _ := events(t, bonds, changed); words[0] != "changed bond0" {
		t.Errorf("bonds: %q", words)
	}
	if words, _ := events(t, all, changed); words[0] != "changed eth0 eth0" {
		t.Errorf("all: %q", words)
	}
	again := watch(&hostnicv1.WatchHostNicsRequest{Resume: resume, Nics: []string{"eth1"}})
	if words, _ := events(t, again, changed); words[0] != "changed eth1 eth1" {
		t.Errorf("after coming back: %q", words)
	}
	for resume, code := range map[string]codes.Code{"nonsense": codes.InvalidArgument, "another-3": codes.OutOfRange} {
		_, err := watch(&hostnicv1.WatchHostNicsRequest{Resume: resume}).Recv()
		wantCode(t, err, code)
	}
	h.stop()
	for {
		if _, err := all.Recv(); err != nil {
			wantCode(t, err, codes.Unavailable)
			break
		}
	}
}

// One that comes back is told the changes since, as long as they are known; after that it
// is told to begin anew, and can.
func TestFault_D9(t *testing.T) {
	h := newHost(t)
	const taps = 500
	for i := range taps {
		h.kernel.AddNIC(fmt.Sprint("tap", i), kerneltest.NIC{Veth: true})
	}
	mtu := 1500
	h.look = func(ctx context.Context) (state.Snapshot, error) {
		s, err := h.kernel.Snapshot(ctx)
		for i := range s.Links {
			if strings.HasPrefix(s.Links[i].Name, "tap") {
				s.Links[i].MTU = mtu
			}
		}
		return s, err
	}
	watch := func(resume string) hostnicv1.HostNicService_WatchHostNicsClient {
		stream, err := h.nics.WatchHostNics(h.ctx(), &hostnicv1.WatchHostNicsRequest{Resume: resume})
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	const synced, changed, resync = hostnicv1.WatchEvent_WATCH_EVENT_SYNCED, hostnicv1.WatchEvent_WATCH_EVENT_CHANGED, hostnicv1.WatchEvent_WATCH_EVENT_RESYNC
	_, resume := events(t, watch(""), synced)
	again := func() error { // with each link changed once more
		mtu--
		stream := watch(resume)
		m, err := stream.Recv()
		missed := m.GetEvent() == changed && m.GetOld().GetMtu() == 1500 && m.GetNew().GetMtu() == 1499
		// More than a watch holds are not told one by one.
		if err == nil && !missed && (m.GetEvent() != resync || mtu > 1498) {
			t.Errorf("it begins with %v", m)
		}
		return err
	}
	rounds := 0
	for ; rounds < 100; rounds++ {
		if err := again(); err != nil {
			wantCode(t, err, codes.OutOfRange)
			if !strings.Contains(status.Convert(err).Message(), "without resume") {
				t.Errorf("it does not say what to do: %v", err)
			}
			break
		}
	}
	if rounds < 2 || rounds > 20 {
		t.Errorf("told to begin anew after %d rounds", rounds)
	}
	if words, _ := events(t, watch(""), synced); len(words) < taps {
		t.Errorf("begun anew it is told %d things", len(words))
	}
}
