//go:build kernel

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
	"github.com/hostnic/hostnic/test/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The identities of the tests.
const (
	engine = "spiffe://example.org/engine"
	viewer = "spiffe://example.org/viewer"
)

// host is a namespace with a daemon that listens on the network, and far the network.
type host struct {
	t       *testing.T
	ns, far *netns.NS
	dir     string
	ca      *pki.Authority
	daemon  *exec.Cmd
	exited  chan struct{}
	// asks are the flags of agentctl for each identity.
	asks map[string][]string
}

// newHost makes a host with NICs, and certificates for it at these addresses.
func newHost(t *testing.T, addresses []string, nics ...string) *host {
	t.Helper()
	need.Kernel(t, need.Netns, need.Veth, need.Bond, need.VLAN, need.IPv6)
	for _, v := range []string{"HOSTNICD", "AGENTCTL"} {
		if os.Getenv(v) == "" {
			t.Fatalf("%s does not name the program: run make test-kernel", v)
		}
	}
	h := &host{t: t, ns: netns.New(t), far: netns.New(t), dir: t.TempDir(), ca: pki.New(t, "example.org"), asks: map[string][]string{}}
	for _, n := range nics {
		h.ns.Veth(t, n, h.far, "p-"+n)
		h.far.Up(t, "p-"+n)
	}
	ca := pki.Put(t, h.dir, "ca.pem", h.ca.PEM())
	h.ca.Agent(addresses...).Write(t, h.dir, "agent")
	for _, id := range []string{engine, viewer} {
		cert, key := h.ca.Client(id).Write(t, h.dir, filepath.Base(id))
		h.asks[id] = []string{"--cert", cert, "--key", key, "--ca", ca}
	}
	t.Cleanup(h.end)
	return h
}

// settings are the daemon's, with more of them.
func (h *host) settings(more string) {
	h.t.Helper()
	text := "tls: {cert: " + h.dir + "/agent.pem, key: " + h.dir + "/agent-key.pem, ca: " + h.dir + "/ca.pem}\n" +
		"roles: {operator: ['" + engine + "'], reader: ['" + viewer + "']}\n" + more
	if err := os.WriteFile(filepath.Join(h.dir, "agent.yaml"), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) start(args ...string) {
	h.t.Helper()
	cmd := exec.Command(os.Getenv("HOSTNICD"), append([]string{"--state-dir", filepath.Join(h.dir, "state"), "--socket", filepath.Join(h.dir, "sock"),
		"--config", filepath.Join(h.dir, "agent.yaml")}, args...)...)
	log, err := os.OpenFile(filepath.Join(h.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	h.ns.Do(func() { err = cmd.Start() })
	if err != nil {
		h.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	h.daemon, h.exited = cmd, exited
	h.eventually("the daemon is ready", func() bool { return h.local("stage", "-f", "/dev/null").code == 0 })
}

func (h *host) end() {
	if h.daemon != nil {
		_ = h.daemon.Process.Signal(syscall.SIGTERM)
		<-h.exited
	}
	if h.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(h.dir, "log"))
		h.t.Logf("the daemon's log:\n%s", log)
	}
}

// answer is what agentctl has said.
type answer struct {
	out  string
	code int
}

// local runs agentctl over the socket.
func (h *host) local(args ...string) answer {
	h.t.Helper()
	return h.ctl(h.ns, append([]string{"--socket", filepath.Join(h.dir, "sock")}, args...))
}

// remote runs it in the network, over TLS.
func (h *host) remote(identity, address string, args ...string) answer {
	h.t.Helper()
	return h.ctl(h.far, append(append([]string{"--address", address}, h.asks[identity]...), args...))
}

func (h *host) ctl(in *netns.NS, args []string) answer {
	h.t.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), args...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	var err error
	in.Do(func() { err = cmd.Start() })
	if err == nil {
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return answer{b.String(), cmd.ProcessState.ExitCode()}
}

// must wants an answer with that exit code and these texts.
func (h *host) must(a answer, code int, texts ...string) {
	h.t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.out, text) {
			h.t.Errorf("no %q in\n%s", text, a.out)
		}
	}
	if a.code != code {
		h.t.Fatalf("exit code %d, want %d\n%s", a.code, code, a.out)
	}
}

// stage makes a document the whole candidate.
func (h *host) stage(doc string) {
	h.t.Helper()
	file := filepath.Join(h.dir, "doc.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.must(h.local("stage", "--replace", "-f", file), 0)
}

// dial makes a connection from the network.
func (h *host) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	h.far.Do(func() { conn, err = new(net.Dialer).DialContext(ctx, "tcp", address) })
	return conn, err
}

// sees is the host as a control plane that knows these addresses sees it.
func (h *host) sees(identity string, addresses ...string) *Host {
	h.t.Helper()
	return &Host{Addresses: addresses, TLS: h.ca.Client(identity).TLS(h.t, h.ca), Dial: h.dial, Patience: 3 * time.Second}
}

func (h *host) eventually(what string, cond func() bool) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain: %s", what)
		}
	}
}
