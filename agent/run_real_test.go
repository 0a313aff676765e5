//go:build kernel

package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hostnic/hostnic/agent/store"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
	"github.com/hostnic/hostnic/test/textlog"
)

// rig is a network namespace with eth0 and eth1, and the settings of an agent for it.
type rig struct {
	t      *testing.T
	ns     *netns.NS
	config Config
	log    textlog.Log
}

func newRig(t *testing.T) *rig {
	t.Helper()
	need.Kernel(t, need.Root, need.Netns, need.Veth, need.Bond, need.VLAN)
	r := &rig{t: t, ns: netns.New(t), config: DefaultConfig()}
	far := netns.New(t)
	for _, nic := range []string{"eth0", "eth1"} {
		r.ns.Veth(t, nic, far, "p-"+nic)
		far.Up(t, "p-"+nic)
	}
	dir, err := os.MkdirTemp("", "hostnic-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r.config.StateDir, r.config.Socket = filepath.Join(dir, "state"), filepath.Join(dir, "run", "agent.sock")
	return r
}

// run runs an agent in the namespace; it returns when that has ended.
func (r *rig) run(ctx context.Context, c Config) (err error) {
	r.ns.Do(func() {
		err = Run(ctx, c, slog.New(slog.NewTextHandler(io.MultiWriter(&r.log, r.t.Output()), nil)))
	})
	return err
}

// start starts the agent and waits until it answers. stop ends it, and gives what
// it ended with.
func (r *rig) start() (config hostnicv1.NetConfigServiceClient, stop func() error) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, r.config) }()
	conn, err := grpc.NewClient("unix:"+r.config.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.t.Fatal(err)
	}
	config = hostnicv1.NewNetConfigServiceClient(conn)
	if _, err := config.GetStatus(r.ctx(), &hostnicv1.GetStatusRequest{}, grpc.WaitForReady(true)); err != nil {
		cancel()
		r.t.Fatalf("no answer: %v, %v", err, <-ended)
	}
	return config, sync.OnceValue(func() error {
		_ = conn.Close()
		cancel()
		return <-ended
	})
}

// serviceManager stands in for systemd: it gives what it is told, a message a call.
func (r *rig) serviceManager() func() string {
	r.t.Helper()
	path := filepath.Join(filepath.Dir(r.config.StateDir), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	r.t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		if err != nil {
			r.t.Fatalf("the service manager is told nothing: %v", err)
		}
		return string(buf[:n])
	}
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) commit(config hostnicv1.NetConfigServiceClient, text string) *hostnicv1.Operation {
	r.t.Helper()
	_, err := config.Stage(r.ctx(), &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: []byte(text)}}})
	if err != nil {
		r.t.Fatal(err)
	}
	stream, err := config.Commit(r.ctx(), &hostnicv1.CommitRequest{})
	var op *hostnicv1.Operation
	for err == nil {
		var resp *hostnicv1.CommitResponse
		if resp, err = stream.Recv(); err == nil {
			op = resp.GetUpdate().GetOperation()
		}
	}
	if !errors.Is(err, io.EOF) || op.GetState() != "done" {
		r.t.Fatalf("commit: %v, %v", op, err)
	}
	return op
}

// The agent stops, and the network stays as it was (S06). It starts again, and
// touches nothing, because all is as it should be (P3 of the promises).
func TestScenario_S06(t *testing.T) {
	r := newRig(t)
	manager := r.serviceManager()
	config, stop := r.start()
	r.commit(config, `
host_nics:
  - name: bond0
    bonding: {options: {mode: active-backup}, slaves: [eth0, eth1]}
    ip: {address: 192.0.2.1, netmask: 24}
`)
	// The kernel's own work is over when both slaves and the bond are up.
	for end := time.Now().Add(10 * time.Second); strings.Count(r.ns.IP(t, "-d", "link"), " state UP ") < 3 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	before := r.ns.IP(t, "-d", "address") + r.ns.IP(t, "route")
	if err := stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if _, err := os.Lstat(r.config.Socket); err == nil {
		t.Error("the socket is left behind")
	}
	for _, want := range []string{"READY=1\nSTATUS=the host is as configured", "STOPPING=1\nSTATUS=stopping; the network stays as it is"} {
		if got := manager(); got != want {
			t.Errorf("the service manager is told %q, want %q", got, want)
		}
	}
	if after := r.ns.IP(t, "-d", "address") + r.ns.IP(t, "route"); after != before {
		t.Errorf("stopping has changed\n%s\nto\n%s", before, after)
	}
	config, stop = r.start()
	if op := r.commit(config, "{}"); op.GetWrites() != 0 || op.Revision != nil {
		t.Errorf("after a restart: %v", op)
	}
	where, err := config.GetStatus(r.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || where.GetCommittedRevision() != 1 || len(where.GetDrift())+len(where.GetDegraded()) != 0 {
		t.Errorf("after a restart: %v, %v", where, err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if after := r.ns.IP(t, "-d", "address") + r.ns.IP(t, "route"); after != before {
		t.Errorf("the restart has changed\n%s\nto\n%s", before, after)
	}
	if n := strings.Count(r.log.String(), "hostnicd ready"); n != 2 {
		t.Errorf("%d lines say that it is ready, want 2", n)
	}
}

// A second agent is refused at once with a clear word, be it for the state or for
// the socket, and does not disturb the first.
func TestScenario_S04(t *testing.T) {
	r := newRig(t)
	config, stop := r.start()
	var locked *store.LockedError
	if err := r.run(r.ctx(), r.config); !errors.As(err, &locked) {
		t.Errorf("the same state: %v", err)
	}
	other := r.config
	other.StateDir += "2"
	if err := r.run(r.ctx(), other); err == nil || !strings.Contains(err.Error(), "another hostnicd serves it") {
		t.Errorf("the same socket: %v", err)
	}
	if _, err := config.GetStatus(r.ctx(), &hostnicv1.GetStatusRequest{}); err != nil {
		t.Errorf("the first one: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}
