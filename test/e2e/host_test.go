//go:build kernel

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// host is a namespace with NICs and, most of the time, a daemon in it.
type host struct {
	t       *testing.T
	ns, far *netns.NS
	dir     string
	kernel  *kernel.Kernel
	daemon  *exec.Cmd
	exited  chan struct{} // closed when the daemon has
	env     []string
	// ssh is the connection that the operator has come in by, as SSH_CONNECTION has it.
	ssh string
	// wrapper is a command that runs the daemon.
	wrapper []string
	args    []string // further flags of the daemon
}

func newHost(t *testing.T, nics ...string) *host {
	t.Helper()
	need.Kernel(t, need.Netns, need.Veth, need.Bond, need.VLAN, need.IPv6)
	for _, v := range []string{"HOSTNICD", "AGENTCTL"} {
		if os.Getenv(v) == "" {
			t.Fatalf("%s does not name the program: run make test-kernel", v)
		}
	}
	h := &host{t: t, ns: netns.New(t), far: netns.New(t), dir: t.TempDir()}
	for _, n := range nics {
		h.ns.Veth(t, n, h.far, "p-"+n)
		h.far.Up(t, "p-"+n)
	}
	var err error
	h.ns.Do(func() { h.kernel, err = kernel.Open(kernel.Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.end(); _ = h.kernel.Close() })
	return h
}

func (h *host) socket() string { return filepath.Join(h.dir, "sock") }

// launch starts a daemon and does not wait for it.
func (h *host) launch(program string) {
	h.t.Helper()
	args := append(slices.Clone(h.wrapper), program, "--state-dir", filepath.Join(h.dir, "state"), "--socket", h.socket(), "--log-level", "info")
	cmd := exec.Command(args[0], args[1:]...)
	if settings := filepath.Join(h.dir, "agent.yaml"); exists(settings) {
		cmd.Args = append(cmd.Args, "--config", settings)
	}
	cmd.Args = append(cmd.Args, h.args...)
	log, err := os.OpenFile(filepath.Join(h.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), h.env...)
	h.ns.Do(func() { err = cmd.Start() })
	if err != nil {
		h.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	h.daemon, h.exited = cmd, exited
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// start starts the daemon and waits until it has brought the host to where it ought
// to be.
func (h *host) start() {
	h.t.Helper()
	h.startProgram(os.Getenv("HOSTNICD"))
}

func (h *host) startProgram(program string) {
	h.t.Helper()
	h.launch(program)
	// A staging waits for the daemon to be ready, and an empty one changes nothing.
	h.eventually("the daemon is ready", time.Minute, func() bool {
		out, code := h.try("stage", "-f", "/dev/null")
		return code == 0 || !strings.Contains(out, "connect") && code != 6
	})
}

// kill ends the daemon as kill -9 does.
func (h *host) kill() {
	h.t.Helper()
	_ = h.daemon.Process.Kill()
	<-h.exited
	h.daemon = nil
}

// end ends daemon and guard at the end of a test.
func (h *host) end() {
	if h.daemon != nil {
		_ = h.daemon.Process.Signal(syscall.SIGCONT)
		_ = h.daemon.Process.Signal(syscall.SIGTERM)
		<-h.exited
	}
	if h.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(h.dir, "log"))
		h.t.Logf("the daemon's log:\n%s", log)
	}
}

// try runs agentctl.
func (h *host) try(args ...string) (out string, code int) {
	h.t.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", h.socket()}, args...)...)
	cmd.Env = append(os.Environ(), "SSH_CONNECTION="+h.ssh)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// run is try that has to succeed.
func (h *host) run(args ...string) string {
	h.t.Helper()
	out, code := h.try(args...)
	if code != 0 {
		h.t.Fatalf("agentctl %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// stage puts a document into the candidate.
func (h *host) stage(doc string) {
	h.t.Helper()
	file := filepath.Join(h.dir, "doc.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.run("stage", "-f", file)
}

// operations are what agentctl history --operations lists, newest first.
func (h *host) operations() []*hostnicv1.Operation {
	h.t.Helper()
	var list hostnicv1.ListOperationsResponse
	if err := protojson.Unmarshal([]byte(h.run("history", "--operations", "-o", "json")), &list); err != nil {
		h.t.Fatal(err)
	}
	return list.GetOperations()
}

// status is what agentctl status says.
func (h *host) status() (s struct {
	CommittedRevision int64 `json:"committed_revision,string"`
	StagedRevision    int64 `json:"staged_revision,string"`
	Uncommitted       bool  `json:"uncommitted"`
	Pending           *struct{ Remaining string }
	Degraded          []string
}) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.run("status", "-o", "json")), &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *host) eventually(what string, limit time.Duration, cond func() bool) {
	h.t.Helper()
	for end := time.Now().Add(limit); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}

// look is the host in lines without what changes by itself: indexes, lifetimes,
// the MACs of bonds that are made anew.
func (h *host) look() string {
	h.t.Helper()
	s, err := h.kernel.Snapshot(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, l := range s.Links {
		line := fmt.Sprintf("%s %s mtu %d up %v master %s on %s vlan %d", l.Name, l.Kind, l.MTU, l.AdminUp, s.Name(l.Master), s.Name(l.Parent), l.VLANID)
		if l.Bond != nil {
			line += fmt.Sprint(" ", l.Bond.Options)
		}
		if l.Kind == "veth" && l.Slave == nil {
			line += " " + l.MAC
		}
		var addrs []string
		for _, a := range s.AddressesOf(l.Index) {
			if !a.LinkLocal() {
				addrs = append(addrs, a.Prefix.String())
			}
		}
		slices.Sort(addrs)
		out = append(out, line+" "+strings.Join(addrs, " "))
	}
	for _, r := range s.Routes {
		if r.Protocol != state.ProtocolKernel {
			out = append(out, fmt.Sprintf("route %s via %s on %s proto %d", r.Dst, r.Gateway, s.Name(r.Link), r.Protocol))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
