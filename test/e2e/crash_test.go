//go:build kernel

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

const (
	plain = `
host_nics:
- {name: eth0, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}}
`
	bonded = `
host_nics:
- {name: eth0, mtu: 9000, ip: {address: 192.0.2.1, netmask: '24'}}
- {name: bond0, mtu: 9000, bonding: {options: {mode: 802.3ad}, slaves: [eth1, eth2]}}
- {name: bond0.10, vlan: {id: 10}, base_interface: bond0, ip: {address: 10.1.0.1, netmask: '24', gateway: 10.1.0.254}, ipv6: {address: "2001:db8:1::1", prefix: 64}}
- {name: bond0.20, vlan: {id: 20}, base_interface: bond0, ip: {address: 10.2.0.1, netmask: '24'}, additional_ips: [10.2.0.2/24]}
`
	rebuilt = `
host_nics:
- {name: eth0, mtu: 1400, ip: {address: 192.0.2.9, netmask: '24', gateway: 192.0.2.254}}
- {name: bond0, bonding: {options: {mode: active-backup, primary: eth3, miimon: 50}, slaves: [eth2, eth3]}}
- {name: bond0.10, vlan: {id: 11}, base_interface: bond0, ip: {address: 10.1.0.7, netmask: '24'}}
- {name: eth1, ipv6: {address: "2001:db8:9::1", prefix: 64, gateway: "2001:db8:9::ff"}}
`
)

// TestKilledAnywhere kills the real daemon before and after every file that it puts
// in place, and after every single request to the kernel, while it commits changes
// that create, rebuild and remove. After a restart the host is exactly as it was
// before when the commit is not stored, and exactly as committed when it is, and the
// agent says so of the operation: faults A2, A3, A4 and A6.
func TestKilledAnywhere(t *testing.T) {
	kills := 0
	for _, c := range []struct {
		name, from, to string
		toTheEnd       bool // also behind the point at which the commit is stored
	}{
		{"create", plain, bonded, true}, {"rebuild", bonded, rebuilt, false}, {"remove", bonded, plain, false},
	} {
		t.Run(c.name, func(t *testing.T) { kills += killEverywhere(t, c.from, c.to, c.toTheEnd) })
	}
	t.Logf("%d kills", kills)
}

func killEverywhere(t *testing.T, from, to string, toTheEnd bool) (kills int) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	h.ns.IP(t, "addr", "add", "198.18.3.1/24", "dev", "eth3") // somebody else's
	h.start()
	h.replace(from)
	h.run("commit")
	old, revision := h.look(), int64(1)
	for at := 1; ; at++ {
		id := "killed-at-" + strconv.Itoa(at)
		h.replace(to)
		h.stop()
		h.env = []string{"HOSTNIC_CRASH_AT=" + strconv.Itoa(at)}
		h.launch(os.Getenv("HOSTNICD_CRASH"))
		survived := h.commitOrDie(id)
		if survived {
			h.stop()
		} else {
			<-h.exited
			kills++
		}
		h.env = nil
		cut := h.look()
		h.start()
		now, stored := h.look(), h.status().CommittedRevision > revision
		h.tells(id, stored, revision+1)
		if !stored && now != old {
			t.Fatalf("killed at point %d, not stored, and the host is not as before; cut off it was:\n%s\nit is:\n%s\nwant:\n%s", at, cut, now, old)
		}
		if stored {
			if s := h.status(); s.Uncommitted || s.Pending != nil {
				t.Errorf("killed at point %d and stored, but status says %+v", at, s)
			}
			if out, code := h.try("diff"); code != 0 {
				t.Errorf("killed at point %d and stored, but there is something to do:\n%s", at, out)
			}
		}
		switch {
		case survived && !stored:
			t.Fatalf("the commit has ended at point %d and is not stored", at)
		case survived, stored && !toTheEnd:
			return kills
		case stored:
			h.replace(from)
			h.run("commit")
			revision += 2
			if again := h.look(); again != old {
				t.Fatalf("back where it came from the host is\n%s\nwant\n%s", again, old)
			}
		}
	}
}

// tells wants the agent to tell what has become of a commit, and to tell it again to
// whoever repeats the request.
func (h *host) tells(id string, stored bool, revision int64) {
	h.t.Helper()
	api := h.api()
	answer, err := api.GetOperation(h.t.Context(), &hostnicv1.GetOperationRequest{Id: id})
	if status.Code(err) == codes.NotFound && !stored {
		return // it had not begun to do anything
	}
	if err != nil {
		h.t.Fatalf("%s: %v", id, err)
	}
	op, want := answer.GetOperation(), "rolled-back"
	if stored {
		want = "done"
	}
	if op.GetState() != want || stored && op.GetRevision() != revision || !stored && !strings.Contains(op.GetError(), "the agent was killed") {
		h.t.Errorf("%s: %v, want it %s", id, op, want)
	}
	stream, err := api.Commit(h.t.Context(), commitAs(id))
	if err != nil {
		h.t.Fatal(err)
	}
	var again *hostnicv1.Operation
	for !again.GetDone() {
		update, err := stream.Recv()
		if err != nil {
			h.t.Fatalf("%s again: %v", id, err)
		}
		again = update.GetUpdate().GetOperation()
	}
	if !proto.Equal(again, op) {
		h.t.Errorf("%s again: %v, want %v", id, again, op)
	}
}

// replace makes a document the whole candidate.
func (h *host) replace(doc string) {
	h.t.Helper()
	file := filepath.Join(h.dir, "doc.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.run("stage", "--replace", "-f", file)
}

// stop ends the daemon in order.
func (h *host) stop() {
	h.t.Helper()
	_ = h.daemon.Process.Signal(os.Interrupt)
	<-h.exited
	h.daemon = nil
}

func commitAs(id string) *hostnicv1.CommitRequest {
	return &hostnicv1.CommitRequest{Options: &hostnicv1.ApplyOptions{OperationId: id, Probes: []string{"none"}}}
}

// commitOrDie asks for a commit, and is false when the daemon has died of it.
func (h *host) commitOrDie(id string) bool {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	api := h.api()
	// The daemon may die before it answers anybody.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-h.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(); <-ended }()
	stream, err := api.Commit(ctx, commitAs(id), grpc.WaitForReady(true))
	for err == nil {
		var answer *hostnicv1.CommitResponse
		if answer, err = stream.Recv(); err == nil && answer.GetUpdate().GetOperation().GetDone() {
			return true
		}
	}
	<-h.exited
	return false
}
