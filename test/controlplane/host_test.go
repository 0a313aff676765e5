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
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/test/hypervisor"
	"github.com/hostnic/hostnic/test/netns"
	"github.com/hostnic/hostnic/test/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The identities of the tests.
const (
	engine = "spiffe://example.org/engine"
	viewer = "spiffe://example.org/viewer"
)

// host is a hypervisor whose daemon listens on the network, which is Far.
type host struct {
	*hypervisor.Host
	ca *pki.Authority
	// asks are the flags of agentctl for each identity.
	asks map[string][]string
}

// newHost makes a host with NICs, and certificates for it at these addresses.
func newHost(t *testing.T, addresses []string, nics ...string) *host {
	t.Helper()
	h := &host{hypervisor.New(t, nics...), pki.New(t, "example.org"), map[string][]string{}}
	ca := pki.Put(t, h.Dir, "ca.pem", h.ca.PEM())
	h.ca.Agent(addresses...).Write(t, h.Dir, "agent")
	for _, id := range []string{engine, viewer} {
		cert, key := h.ca.Client(id).Write(t, h.Dir, filepath.Base(id))
		h.asks[id] = []string{"--cert", cert, "--key", key, "--ca", ca}
	}
	return h
}

// settings are the daemon's, with more of them.
func (h *host) settings(more string) {
	h.T.Helper()
	text := "tls: {cert: " + h.Dir + "/agent.pem, key: " + h.Dir + "/agent-key.pem, ca: " + h.Dir + "/ca.pem}\n" +
		"roles: {operator: ['" + engine + "'], reader: ['" + viewer + "']}\n" + more
	if err := os.WriteFile(filepath.Join(h.Dir, "agent.yaml"), []byte(text), 0o600); err != nil {
		h.T.Fatal(err)
	}
}

func (h *host) start(args ...string) {
	h.T.Helper()
	h.Args = args
	h.Start()
}

// answer is what a program has said.
type answer struct {
	out  string
	code int
}

// local runs agentctl over the socket.
func (h *host) local(args ...string) answer {
	h.T.Helper()
	return h.run(h.NS, os.Getenv("AGENTCTL"), append([]string{"--socket", filepath.Join(h.Dir, "sock")}, args...)...)
}

// remote runs it in the network, over TLS.
func (h *host) remote(identity, address string, args ...string) answer {
	h.T.Helper()
	return h.run(h.Far, os.Getenv("AGENTCTL"), append(append([]string{"--address", address}, h.asks[identity]...), args...)...)
}

// run runs a program in a namespace to its end.
func (h *host) run(in *netns.NS, program string, args ...string) answer {
	h.T.Helper()
	cmd := exec.Command(program, args...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	var err error
	in.Do(func() { err = cmd.Start() })
	if err == nil {
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.T.Fatal(err)
	}
	return answer{b.String(), cmd.ProcessState.ExitCode()}
}

// must wants an answer with that exit code and these texts.
func (h *host) must(a answer, code int, texts ...string) {
	h.T.Helper()
	for _, text := range texts {
		if !strings.Contains(a.out, text) {
			h.T.Errorf("no %q in\n%s", text, a.out)
		}
	}
	if a.code != code {
		h.T.Fatalf("exit code %d, want %d\n%s", a.code, code, a.out)
	}
}

// stage makes a document the whole candidate.
func (h *host) stage(doc string) {
	h.T.Helper()
	file := filepath.Join(h.Dir, "doc.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		h.T.Fatal(err)
	}
	h.must(h.local("stage", "--replace", "-f", file), 0)
}

// dial makes a connection from the network.
func (h *host) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	h.Far.Do(func() { conn, err = new(net.Dialer).DialContext(ctx, "tcp", address) })
	return conn, err
}

// sees is the host as a control plane that knows these addresses sees it.
func (h *host) sees(identity string, addresses ...string) *Host {
	h.T.Helper()
	return &Host{Addresses: addresses, TLS: h.ca.Client(identity).TLS(h.T, h.ca), Dial: h.dial, Patience: 3 * time.Second}
}

func (h *host) eventually(what string, cond func() bool) {
	h.T.Helper()
	h.Eventually(what, time.Minute, cond)
}
