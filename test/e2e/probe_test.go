//go:build kernel

package e2e

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// probeLimit sets how long the next daemon probes after a change.
func (h *host) probeLimit(limit string) {
	h.T.Helper()
	if err := os.WriteFile(filepath.Join(h.Dir, "agent.yaml"), []byte("probe_limit: "+limit+"\n"), 0o600); err != nil {
		h.T.Fatal(err)
	}
}

// relay leads from a TCP port on all addresses of the host to the daemon's socket, as
// a tunnel would. It gives the port.
func (h *host) relay() string {
	h.T.Helper()
	var listener net.Listener
	var err error
	h.NS.Do(func() { listener, err = net.Listen("tcp", "0.0.0.0:0") })
	if err != nil {
		h.T.Fatal(err)
	}
	var pumps sync.WaitGroup
	pumps.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			pumps.Go(func() { pump(from, h.Socket()) })
		}
	})
	h.T.Cleanup(func() { listener.Close(); pumps.Wait() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func pump(from net.Conn, socket string) {
	defer from.Close()
	to, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer to.Close()
	back := make(chan struct{})
	go func() {
		_, _ = io.Copy(from, to)
		from.Close()
		close(back)
	}()
	_, _ = io.Copy(to, from)
	to.Close()
	<-back
}

// session is a connection of the control plane, from the far end of the cables.
func (h *host) session(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (conn net.Conn, err error) {
			h.Far.Do(func() { conn, err = new(net.Dialer).DialContext(ctx, "tcp", address) })
			return conn, err
		}))
}

// controlPlane asks for the status again and again, on a new connection each time or
// on the same, until the test ends. It counts the answers.
func (h *host) controlPlane(address string, anew bool) *atomic.Int64 {
	h.T.Helper()
	var answers atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			conn, err := h.session(address)
			if err != nil {
				h.T.Error(err)
				return
			}
			for first := true; ctx.Err() == nil && (first || !anew); first = false {
				one, done := context.WithTimeout(ctx, 2*time.Second)
				if _, err := hostnicv1.NewNetConfigServiceClient(conn).GetStatus(one, &hostnicv1.GetStatusRequest{}); err == nil {
					answers.Add(1)
				}
				done()
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
			conn.Close()
		}
	}()
	h.T.Cleanup(func() { cancel(); <-ended })
	return &answers
}

// The control plane knows the old address only. Its session from before goes on, by
// another way, and says nothing: a new connection cannot be made, and the host goes
// back.
func TestFault_D20(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.Far.IP(t, "addr", "add", "192.0.2.2/24", "dev", "p-eth0")
	h.Far.IP(t, "addr", "add", "10.9.0.2/24", "dev", "p-eth1")
	h.probeLimit("8s")
	h.Start()
	h.Stage("host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: '24'}}, {name: eth1, ip: {address: 10.9.0.1, netmask: '24'}}]")
	h.Run("commit")
	committed, port := h.Look(), h.relay()
	calls := h.controlPlane("192.0.2.1:"+port, true)
	session := h.controlPlane("10.9.0.1:"+port, false)
	h.Eventually("the control plane is there", 20*time.Second, func() bool { return calls.Load() > 0 && session.Load() > 0 })

	h.Stage("host_nics: [{name: eth0, ip: {address: 198.51.100.1, netmask: '24'}}]")
	before := session.Load()
	out, code := h.Try("apply", "--probe", "caller")
	if code != 4 || !strings.Contains(out, "probe caller: in contact before the change, no call of another client on a new connection within 8 s after it") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if session.Load() == before || strings.Contains(out, "seen: 0 on connections from before it") {
		t.Errorf("the session from before has not gone on\n%s", out)
	}
	if now := h.Look(); now != committed {
		t.Errorf("after the veto:\n%s\nwant:\n%s", now, committed)
	}
	again := calls.Load()
	h.Eventually("the control plane is there again", 20*time.Second, func() bool { return calls.Load() > again })

	h.Run("discard")
	h.probeLimit("60s")
	h.Stop()
	h.Start()
	h.Stage("host_nics: [{name: eth0, mtu: 1400}]")
	if out := h.Run("apply", "--probe", "caller"); !strings.Contains(out, "probe: caller: passed, called by ") {
		t.Errorf("the outcome does not say who called:\n%s", out)
	}
}

// The whole way of a probe: the real daemon asks a real neighbour, and agentctl says
// what came of it; and a daemon that is killed while it waits for the answer has
// changed nothing.
func TestProbe(t *testing.T) {
	h := newHost(t, "eth0")
	h.Far.IP(t, "addr", "add", "192.0.2.254/24", "dev", "p-eth0")
	h.probeLimit("5s")
	h.Start()
	h.Stage("host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}}]")
	if out := h.Run("commit"); strings.Contains(out, "probe: ") {
		t.Errorf("probed before there was anything:\n%s", out)
	}
	committed := h.Look()
	h.Stage("host_nics: [{name: eth0, mtu: 1400}]")
	if out := h.Run("apply"); !strings.Contains(out, "probe: gateway 192.0.2.254 (eth0): passed") {
		t.Errorf("apply:\n%s", out)
	}
	h.Run("rollback")
	wrong := "host_nics: [{name: eth0, ip: {address: 198.51.100.1, netmask: '24', gateway: 198.51.100.254}}]"
	h.Stage(wrong)
	out, code := h.Try("apply")
	if code != 4 || !strings.Contains(out, "probe gateway 192.0.2.254 (eth0): answered before the change, no ARP reply from 198.51.100.254 (eth0) within 5 s after it") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if now := h.Look(); now != committed {
		t.Errorf("after the veto:\n%s\nwant:\n%s", now, committed)
	}
	if out, code := h.Try("apply", "--probe", "gateway", "--revert-after", "5s"); code != 3 || !strings.Contains(out, "wait longer") {
		t.Errorf("a window shorter than the probes: exit code %d\n%s", code, out)
	}
	if out, code := h.Try("apply", "--probe", "ping:192.0.2.254"); code != 3 || !strings.Contains(out, "does not exist") {
		t.Errorf("an unknown probe: exit code %d\n%s", code, out)
	}

	h.probeLimit("60s")
	h.Stop()
	h.Start()
	tried := h.meanwhile("apply")
	h.Eventually("the change is in place", 20*time.Second, func() bool { return strings.Contains(h.Look(), "via 198.51.100.254") })
	h.Kill()
	h.Start()
	<-tried
	if now := h.Look(); now != committed {
		t.Errorf("killed while probing, and started again:\n%s\nwant:\n%s", now, committed)
	}
	h.Stage(wrong)
	tried = h.meanwhile("apply")
	h.Eventually("the change is in place", 20*time.Second, func() bool { return strings.Contains(h.Look(), "via 198.51.100.254") })
	h.Stop()
	if code := <-tried; code != 4 {
		t.Errorf("ended while probing: agentctl ends with %d", code)
	}
	if now := h.Look(); now != committed {
		t.Errorf("ended while probing:\n%s\nwant:\n%s", now, committed)
	}
}

// meanwhile starts agentctl, and gives its exit code when it has ended.
func (h *host) meanwhile(args ...string) <-chan int {
	h.T.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", h.Socket()}, args...)...)
	if err := cmd.Start(); err != nil {
		h.T.Fatal(err)
	}
	code := make(chan int, 1)
	go func() {
		_ = cmd.Wait()
		code <- cmd.ProcessState.ExitCode()
	}()
	return code
}
