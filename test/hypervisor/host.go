//go:build kernel

package hypervisor

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

// Host is a namespace with NICs and, most of the time, a daemon in it. It ends with
// the test.
type Host struct {
	T *testing.T
	// NS is the host, Far the other end of its cables.
	NS, Far *netns.NS
	// Dir holds the state directory (state), the socket, the settings (agent.yaml) and
	// the log of the daemon.
	Dir    string
	Kernel *kernel.Kernel
	// Daemon is nil while none runs; Exited is closed when it has.
	Daemon *exec.Cmd
	Exited chan struct{}
	// Env is added to the daemon's environment, Args to its flags, and Wrapper is a
	// command that runs it.
	Env, Args, Wrapper []string
	// SSH is the connection that the operator has come in by, as SSH_CONNECTION has it.
	SSH string
}

// New makes a host whose NICs are veth links to p-NAME on the far side, up there.
func New(t *testing.T, nics ...string) *Host {
	t.Helper()
	need.Kernel(t, need.Netns, need.Veth, need.Bond, need.VLAN, need.IPv6)
	for _, v := range []string{"HOSTNICD", "AGENTCTL"} {
		if os.Getenv(v) == "" {
			t.Fatalf("%s does not name the program: run make test-kernel", v)
		}
	}
	h := &Host{T: t, NS: netns.New(t), Far: netns.New(t), Dir: t.TempDir()}
	for _, n := range nics {
		h.NS.Veth(t, n, h.Far, "p-"+n)
		h.Far.Up(t, "p-"+n)
	}
	var err error
	h.NS.Do(func() { h.Kernel, err = kernel.Open(kernel.Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.End(); _ = h.Kernel.Close() })
	return h
}

// Socket is that of the daemon.
func (h *Host) Socket() string { return filepath.Join(h.Dir, "sock") }

// ResolvConf is the file of DNS servers, which is not there at first.
func (h *Host) ResolvConf() string { return filepath.Join(h.Dir, "resolv.conf") }

// Launch starts a daemon and does not wait for it.
func (h *Host) Launch(program string) {
	h.T.Helper()
	args := append(slices.Clone(h.Wrapper), program, "--state-dir", filepath.Join(h.Dir, "state"), "--socket", h.Socket(), "--resolv-conf", h.ResolvConf(), "--log-level", "info")
	cmd := exec.Command(args[0], args[1:]...)
	if settings := filepath.Join(h.Dir, "agent.yaml"); exists(settings) {
		cmd.Args = append(cmd.Args, "--config", settings)
	}
	cmd.Args = append(cmd.Args, h.Args...)
	log, err := os.OpenFile(filepath.Join(h.Dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.T.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // only the daemon writes to it
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), h.Env...)
	h.NS.Do(func() { err = cmd.Start() })
	if err != nil {
		h.T.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	h.Daemon, h.Exited = cmd, exited
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Start starts the daemon and waits until it has brought the host to where it ought
// to be.
func (h *Host) Start() {
	h.T.Helper()
	h.StartProgram(os.Getenv("HOSTNICD"))
}

// StartProgram is Start of another hostnicd.
func (h *Host) StartProgram(program string) {
	h.T.Helper()
	h.Launch(program)
	// A staging waits for the daemon to be ready, and an empty one changes nothing.
	h.Eventually("the daemon is ready", time.Minute, func() bool {
		out, code := h.Try("stage", "-f", "/dev/null")
		return code == 0 || !strings.Contains(out, "connect") && code != 6
	})
}

// Kill ends the daemon as kill -9 does.
func (h *Host) Kill() {
	h.T.Helper()
	_ = h.Daemon.Process.Kill()
	<-h.Exited
	h.Daemon = nil
}

// End ends daemon and guard at the end of a test.
func (h *Host) End() {
	if h.Daemon != nil {
		_ = h.Daemon.Process.Signal(syscall.SIGCONT)
		_ = h.Daemon.Process.Signal(syscall.SIGTERM)
		<-h.Exited
	}
	if h.T.Failed() {
		log, _ := os.ReadFile(filepath.Join(h.Dir, "log"))
		h.T.Logf("the daemon's log:\n%s", log)
	}
}

// Try runs agentctl.
func (h *Host) Try(args ...string) (out string, code int) {
	h.T.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", h.Socket()}, args...)...)
	cmd.Env = append(os.Environ(), "SSH_CONNECTION="+h.SSH)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.T.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// Run is try that has to succeed.
func (h *Host) Run(args ...string) string {
	h.T.Helper()
	out, code := h.Try(args...)
	if code != 0 {
		h.T.Fatalf("agentctl %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// Stage puts a document into the candidate.
func (h *Host) Stage(doc string) {
	h.T.Helper()
	file := filepath.Join(h.Dir, "doc.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		h.T.Fatal(err)
	}
	h.Run("stage", "-f", file)
}

// Operations are what agentctl history --operations lists, newest first.
func (h *Host) Operations() []*hostnicv1.Operation {
	h.T.Helper()
	var list hostnicv1.ListOperationsResponse
	if err := protojson.Unmarshal([]byte(h.Run("history", "--operations", "-o", "json")), &list); err != nil {
		h.T.Fatal(err)
	}
	return list.GetOperations()
}

// Status is what agentctl status says.
func (h *Host) Status() (s struct {
	CommittedRevision int64 `json:"committed_revision,string"`
	StagedRevision    int64 `json:"staged_revision,string"`
	Uncommitted       bool  `json:"uncommitted"`
	Pending           *struct{ Remaining string }
	Degraded          []string
}) {
	h.T.Helper()
	if err := json.Unmarshal([]byte(h.Run("status", "-o", "json")), &s); err != nil {
		h.T.Fatal(err)
	}
	return s
}

// Eventually waits until cond is true.
func (h *Host) Eventually(what string, limit time.Duration, cond func() bool) {
	h.T.Helper()
	for end := time.Now().Add(limit); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.T.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}

// Look is the host in lines without what changes by itself: indexes, lifetimes,
// the MACs of bonds that are made anew.
func (h *Host) Look() string {
	h.T.Helper()
	s, err := h.Kernel.Snapshot(h.T.Context())
	if err != nil {
		h.T.Fatal(err)
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
	if resolver, err := os.ReadFile(h.ResolvConf()); err == nil {
		out = append(out, string(resolver))
	}
	return strings.Join(out, "\n")
}

// Stop ends the daemon in order.
func (h *Host) Stop() {
	h.T.Helper()
	_ = h.Daemon.Process.Signal(os.Interrupt)
	<-h.Exited
	h.Daemon = nil
}
