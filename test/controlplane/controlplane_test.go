//go:build kernel

package controlplane

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// lines are the connections of a control plane, which a test can cut.
type lines struct {
	h    *host
	mu   sync.Mutex
	open []net.Conn
	made int
}

func (l *lines) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := l.h.dial(ctx, address)
	if err == nil {
		l.mu.Lock()
		l.open, l.made = append(l.open, conn), l.made+1
		l.mu.Unlock()
	}
	return conn, err
}

func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made
}

// seen is what a watch was told about eth0: its MTUs, one after the other.
type seen struct {
	mu   sync.Mutex
	mtus []int32
	anew int
}

func (s *seen) told(_, after *hostnicv1.HostNic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.mtus); after.GetName() == "eth0" && (n == 0 || s.mtus[n-1] != after.GetMtu()) {
		s.mtus = append(s.mtus, after.GetMtu())
	}
}

func (s *seen) begun() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anew++
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.mtus, " anew ", s.anew)
}

// A control plane's life with one host: it lists, watches past a connection that breaks,
// applies under an id of its own, loses the connection in the middle, follows the host to
// its new address, and confirms there.
func TestControlPlane(t *testing.T) {
	h := managed(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watching := &lines{h: h}
	plane := h.sees(engine, first, other)
	nics, err := plane.Nics(ctx)
	if err != nil || len(nics) == 0 {
		t.Fatalf("%v, %v", nics, err)
	}

	watcher := h.sees(viewer, first, other)
	watcher.Dial = watching.dial
	var s seen
	var watch sync.WaitGroup
	watch.Go(func() { _ = watcher.Watch(ctx, s.told, s.begun) })
	h.eventually("the watch has begun", func() bool { return s.String() == "[1500] anew 1" })

	// What happens while nobody listens is told by the next connection, once.
	h.NS.IP(t, "link", "set", "dev", "eth0", "mtu", "1450")
	h.eventually("a change is told", func() bool { return s.String() == "[1500 1450] anew 1" })
	made := watching.count()
	watching.cut()
	h.NS.IP(t, "link", "set", "dev", "eth0", "mtu", "1500")
	h.eventually("the watch goes on", func() bool { return s.String() == "[1500 1450 1500] anew 1" && watching.count() > made })

	staged, err := plane.Stage(ctx, "host_nics: [{name: eth0, mtu: 1400, ip: {address: 198.51.100.1, netmask: '24'}}]")
	if err != nil {
		t.Fatal(err)
	}
	acting := &lines{h: h}
	plane.Dial = acting.dial
	change := Change{ID: "move-1", Staged: staged, ConfirmWithin: time.Minute, Moves: true}
	op, err := plane.Apply(ctx, change, func(step *hostnicv1.Step) {
		if step.GetPhase() == "applying" {
			acting.cut() // at the worst moment, and this end does know
		}
	})
	if err != nil || op.GetId() != "move-1" || op.GetState() != "done" || op.GetAuthor() != engine || acting.count() < 2 {
		t.Fatalf("%v, %v, on %d connections", op, err, acting.count())
	}
	watching.cut() // which the keepalive would find out as well, in a quarter of a minute
	h.eventually("the watch is told at the new address", func() bool { return s.String() == "[1500 1450 1500 1400] anew 1" })
	// Asked again it is the same operation, and nothing is done twice.
	again, err := plane.Apply(ctx, change, nil)
	if err != nil || again.GetStarted().AsTime() != op.GetStarted().AsTime() {
		t.Errorf("again: %v, %v", again, err)
	}
	kept, err := plane.Confirm(ctx, "move-1", "moved")
	if err != nil || kept.GetState() != "done" || kept.GetRevision() != 2 {
		t.Fatalf("confirm: %v, %v", kept, err)
	}
	h.must(h.remote(viewer, other, "status"), 0, "committed: revision 2", "what is committed")

	// The agent is started again: the watch begins anew, and the id still stands for what
	// it stood for.
	_ = h.Daemon.Process.Kill()
	<-h.Exited
	h.start("--listen", first, "--listen", other)
	h.eventually("the watch begins anew", func() bool { return s.String() == "[1500 1450 1500 1400] anew 2" })
	if again, err := plane.Apply(ctx, change, nil); err != nil || again.GetState() != "done" || again.GetStarted().AsTime() != op.GetStarted().AsTime() {
		t.Errorf("after a restart: %v, %v", again, err)
	}
	cancel()
	watch.Wait()
}
