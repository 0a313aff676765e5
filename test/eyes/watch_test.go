//go:build kernel

package eyes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// follow watches the NICs until the test ends.
func (h *host) follow(req *hostnicv1.WatchHostNicsRequest) hostnicv1.HostNicService_WatchHostNicsClient {
	h.T.Helper()
	ctx, cancel := context.WithCancel(h.T.Context())
	h.T.Cleanup(cancel)
	stream, err := h.nics().WatchHostNics(ctx, req)
	if err != nil {
		h.T.Fatal(err)
	}
	return stream
}

// until reads up to a message that is waited for, and counts those before.
func (h *host) until(stream hostnicv1.HostNicService_WatchHostNicsClient, what string, enough func(*hostnicv1.WatchHostNicsResponse) bool) (last *hostnicv1.WatchHostNicsResponse, before int) {
	h.T.Helper()
	for {
		m, err := stream.Recv()
		if err != nil {
			h.T.Fatalf("before %s: %v", what, err)
		}
		if enough(m) {
			return m, before
		}
		before++
	}
}

func synced(m *hostnicv1.WatchHostNicsResponse) bool {
	return m.GetEvent() == hostnicv1.WatchEvent_WATCH_EVENT_SYNCED
}

// flapper switches links on and off as fast as the kernel does it.
type flapper struct {
	h     *host
	nl    *netlink.Handle
	links []netlink.Link
	count int
}

func (h *host) flapper(n int) *flapper {
	h.T.Helper()
	f := &flapper{h: h, nl: h.NS.Netlink(h.T)}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("tap%03d", i))
	}
	h.NS.Dummy(h.T, names...)
	for _, name := range names {
		l, err := f.nl.LinkByName(name)
		if err != nil {
			h.T.Fatal(err)
		}
		f.links = append(f.links, l)
	}
	return f
}

// round switches each link once.
func (f *flapper) round() {
	f.h.T.Helper()
	f.count++
	for _, l := range f.links {
		set := f.nl.LinkSetUp
		if f.count%2 == 0 {
			set = f.nl.LinkSetDown
		}
		if err := set(l); err != nil {
			f.h.T.Fatal(err)
		}
	}
}

// A watcher that does not read is told by RESYNC that it has missed something, and then
// everything as it is; others are told all the while. The catalogue has it cut off with
// RESOURCE_EXHAUSTED: going on saves it a connection. One that comes back for changes that
// are not known any more is told to begin anew, by the real daemon as in TestFault_D9.
func TestFault_D8(t *testing.T) {
	h := newHost(t, "eth0")
	f := h.flapper(200)
	h.start()
	slow, other := h.follow(&hostnicv1.WatchHostNicsRequest{}), h.follow(&hostnicv1.WatchHostNicsRequest{Nics: []string{"eth0"}})
	h.until(slow, "all NICs", synced)
	begun, _ := h.until(other, "all NICs", synced)
	tooOld := func() bool {
		_, err := h.follow(&hostnicv1.WatchHostNicsRequest{Resume: begun.GetResume()}).Recv()
		return status.Code(err) == codes.OutOfRange
	}
	// So many changes that those of the beginning are forgotten are more than a watch holds.
	for end := time.Now().Add(patience); ; {
		f.round()
		h.NS.Up(t, "eth0")
		h.until(other, "eth0 up, beside a watcher that does not read", func(m *hostnicv1.WatchHostNicsResponse) bool { return m.GetNew().GetAdminState() == "up" })
		h.NS.Down(t, "eth0")
		h.until(other, "eth0 down", func(m *hostnicv1.WatchHostNicsResponse) bool { return m.GetNew().GetAdminState() == "down" })
		if h.forgotten(begun.GetResume()) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the changes of the beginning are never forgotten")
		}
	}
	if !tooOld() {
		t.Error("resumed from what is forgotten")
	}
	_, before := h.until(slow, "that something was missed", func(m *hostnicv1.WatchHostNicsResponse) bool {
		return m.GetEvent() == hostnicv1.WatchEvent_WATCH_EVENT_RESYNC
	})
	if before > 2000 {
		t.Errorf("%d messages were kept for a watcher that does not read", before)
	}
	all := map[string]string{}
	h.until(slow, "all NICs anew", func(m *hostnicv1.WatchHostNicsResponse) bool {
		if m.GetEvent() == hostnicv1.WatchEvent_WATCH_EVENT_PRESENT {
			all[m.GetNew().GetName()] = m.GetNew().GetAdminState()
		}
		return synced(m)
	})
	if len(all) != 201 || all["eth0"] != "down" {
		t.Errorf("told anew: %v", all)
	}
}

// forgotten is true once more has changed since than the agent keeps.
func (h *host) forgotten(resume string) bool {
	h.T.Helper()
	now, _ := h.until(h.follow(&hostnicv1.WatchHostNicsRequest{}), "all NICs", synced)
	number := func(resume string) int {
		_, n, _ := strings.Cut(resume, "-")
		i, err := strconv.Atoi(n)
		if err != nil {
			h.T.Fatal(err)
		}
		return i
	}
	return number(now.GetResume())-number(resume) > 4096
}

// A watcher that resumes gets what it has missed, and no more; after a restart of the
// agent, which knows no former changes, it is told to begin anew.
func TestFault_D10(t *testing.T) {
	t.Parallel()
	h := newHost(t, "eth0")
	h.start()
	first, _ := h.until(h.follow(&hostnicv1.WatchHostNicsRequest{}), "all NICs", synced)
	h.NS.Up(t, "eth0")
	h.eventually("eth0 is up", func() bool { return h.nic("eth0").GetAdminState() == "up" })
	missed, before := h.until(h.follow(&hostnicv1.WatchHostNicsRequest{Resume: first.GetResume()}), "what was missed", func(m *hostnicv1.WatchHostNicsResponse) bool {
		return m.GetNew().GetAdminState() == "up"
	})
	if missed.GetEvent() != hostnicv1.WatchEvent_WATCH_EVENT_CHANGED || missed.GetOld().GetAdminState() != "down" || before != 0 {
		t.Errorf("%v, after %d others", missed, before)
	}
	h.stop()
	h.start()
	if _, err := h.follow(&hostnicv1.WatchHostNicsRequest{Resume: missed.GetResume()}).Recv(); status.Code(err) != codes.OutOfRange {
		t.Errorf("resumed from before the restart: %v", err)
	}
}

// A watcher that has died without a word, here one that is stopped and answers no pings,
// is gone after keepalive's 20 and 10 seconds.
func TestFault_D11(t *testing.T) {
	t.Parallel() // with all that do not mind others: it only waits
	h := newHost(t, "eth0")
	h.start("metrics: " + h.path("metrics"))
	watch := exec.Command(os.Getenv("AGENTCTL"), "--socket", h.Socket(), "watch")
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watch.Process.Kill(); _ = watch.Wait() })
	watchers := func(n int) func() bool {
		return func() bool { return strings.Contains(h.scrape("/metrics"), fmt.Sprintf("\nhostnic_watchers %d\n", n)) }
	}
	h.eventually("it watches", watchers(1))
	if err := watch.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.eventually("it is gone", watchers(0))
	// It may have been heard 20 s before it was asked; a machine that does a lot else is late.
	if took := time.Since(began); took < 10*time.Second || took > 45*time.Second {
		t.Errorf("gone after %v, and is to be within 30 s, but not before anybody could know", took)
	}
}

// A watcher is told when the bond uses another slave, with the one before.
func TestScenario_E10(t *testing.T) {
	t.Parallel()
	h := newHost(t, "eth0", "eth1")
	h.start()
	h.commit(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup}, slaves: [eth0, eth1]}}]`)
	h.eventually("a slave is active", func() bool { return h.nic("bond0").GetActiveSlave() == "eth0" && h.nic("eth1").GetMiiStatus() == "up" })
	stream := h.follow(&hostnicv1.WatchHostNicsRequest{Nics: []string{"bond0"}})
	h.until(stream, "all NICs", synced)
	h.NS.IP(t, "link", "set", "bond0", "type", "bond", "active_slave", "eth1")
	h.until(stream, "another active slave", func(m *hostnicv1.WatchHostNicsResponse) bool {
		return m.GetOld().GetActiveSlave() == "eth0" && m.GetNew().GetActiveSlave() == "eth1"
	})
}
