//go:build kernel

package controlplane

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

const (
	first = "192.0.2.1:9443"
	other = "198.51.100.1:9443"
)

var atFirst = "host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: '24'}}]"

// managed is a host with the first address, committed, which its agent listened on
// before the host had it.
func managed(t *testing.T, more string, nics ...string) *host {
	t.Helper()
	h := newHost(t, []string{"192.0.2.1", "198.51.100.1"}, append([]string{"eth0"}, nics...)...)
	h.Far.IP(t, "addr", "add", "192.0.2.2/24", "dev", "p-eth0")
	h.Far.IP(t, "addr", "add", "198.51.100.2/24", "dev", "p-eth0")
	h.settings(more)
	h.start("--listen", first, "--listen", other)
	h.stage(atFirst)
	h.must(h.local("commit"), 0)
	return h
}

// agentctl over TLS: who the certificate names may do what its role says, and is who the
// history says has done it.
func TestAgentctlOverTLS(t *testing.T) {
	h := managed(t, "")
	file := filepath.Join(h.Dir, "more.yaml")
	if err := os.WriteFile(file, []byte("host_nics: [{name: eth0, mtu: 1400}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.must(h.remote(viewer, first, "nics"), 0, "192.0.2.1/24")
	h.must(h.remote(viewer, first, "stage", "-f", file), 6, viewer+" is reader and may not do this", "agent.yaml of that host")
	h.must(h.remote(engine, first, "stage", "-f", file), 0)
	h.must(h.remote(engine, first, "commit", "-m", "from afar"), 0, "committed as revision 2")
	h.must(h.remote(viewer, first, "history"), 0, engine, "from afar")
	h.must(h.remote(viewer, first, "history", "--operations"), 0, engine)
	h.must(h.local("status"), 0, "at "+first+", "+other, "certificate expires")

	// The caller's own way is watched over without being named.
	if err := os.WriteFile(file, []byte("host_nics: [{name: eth0, ip: {address: 198.51.100.1, netmask: '24'}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.must(h.remote(engine, first, "stage", "-f", file), 0)
	h.must(h.remote(engine, first, "diff"), 10, "192.0.2.2")
	h.must(h.remote(engine, first, "apply"), 3, "no route leads to 192.0.2.2 any more", "--revert-after")
	h.must(h.local("discard"), 0)
}

// A request of 100 MB costs the daemon no memory worth speaking of.
func TestFault_D1(t *testing.T) {
	h := managed(t, "")
	conn, err := grpc.NewClient("passthrough:///"+first, grpc.WithTransportCredentials(credentials.NewTLS(h.ca.Client(engine).TLS(t, h.ca))), grpc.WithContextDialer(h.dial))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	api := hostnicv1.NewNetConfigServiceClient(conn)
	if _, err := api.GetStatus(t.Context(), &hostnicv1.GetStatusRequest{}); err != nil {
		t.Fatal(err)
	}
	before, most := h.memory()
	_, err = api.Stage(t.Context(), &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: make([]byte, 100<<20)}}})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("100 MB: %v", err)
	}
	_, after := h.memory()
	t.Logf("resident %d KiB before, at most %d until then and %d after", before, most, after)
	if after-most > 8<<10 {
		t.Errorf("it took %d KiB", after-most)
	}
}

// memory of the daemon in KiB: resident now, and at most until now.
func (h *host) memory() (now, most int) {
	h.T.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(h.Daemon.Process.Pid) + "/status")
	if err != nil {
		h.T.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "VmRSS:":
			now, _ = strconv.Atoi(f[1])
		case f[0] == "VmHWM:":
			most, _ = strconv.Atoi(f[1])
		}
	}
	return now, most
}

// polls asks again and again for the status, on a new connection each time.
func (h *host) polls(ctx context.Context, identity, address string) *atomic.Int64 {
	var answers atomic.Int64
	one := h.sees(identity, address)
	one.Patience = time.Second
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if _, err := one.Nics(ctx); err == nil {
				answers.Add(1)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	h.T.Cleanup(done.Wait)
	return &answers
}

// A caller over TLS cuts its own way off, and asks for the probe that somebody comes
// back: nobody does, as the control plane knows the old address only, and the host goes
// back by itself. What became of it the caller learns afterwards, on a connection that
// is there again. A change that cuts nobody off passes.
func TestFault_D20_Remote(t *testing.T) {
	h := managed(t, "probe_limit: 4s\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answers := h.polls(ctx, engine, first)
	h.eventually("the control plane is there", func() bool { return answers.Load() > 0 })

	h.stage("host_nics: [{name: eth0, ip: {address: 198.51.100.1, netmask: '24'}}]")
	a := h.remote(engine, first, "apply", "--force", "--probe", "caller")
	h.must(a, 4, "probe caller: in contact before the change, no call of another client on a new connection within 4 s after it")
	if out := h.NS.IP(t, "-4", "addr", "show", "dev", "eth0"); !strings.Contains(out, "192.0.2.1/24") || strings.Contains(out, "198.51.100.1") {
		t.Errorf("not as before:\n%s", out)
	}
	seen := answers.Load()
	h.eventually("the control plane is there again", func() bool { return answers.Load() > seen })

	h.stage("host_nics: [{name: eth0, mtu: 1400, ip: {address: 192.0.2.1, netmask: '24'}}]")
	h.must(h.remote(engine, first, "apply", "--probe", "caller"), 0, "probe: caller: passed, called by "+engine+" (192.0.2.2:")
	cancel()
}
