//go:build kernel

package lease

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// TestMain lets more tests run at once than there are processors: they wait for most of
// their time.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// host is a namespace with NICs and a daemon in it. Servers are in far, where the
// cables end.
type host struct {
	*testing.T
	ns, far *netns.NS
	dir     string
	kernel  *kernel.Kernel
	daemon  *exec.Cmd
	exited  chan struct{} // closed when the daemon has
	args    []string      // further flags of the daemon
}

// newHost makes a host that gets leases without looking for conflicts, which takes
// seconds, unless the settings say otherwise. The far end of eth0 is s0, and so on.
func newHost(t *testing.T, cables int, settings string) *host {
	t.Helper()
	need.Kernel(t, need.Netns, need.Veth, need.Bond, need.VLAN, need.IPv6, need.Dnsmasq)
	for _, v := range []string{"HOSTNICD", "AGENTCTL"} {
		if os.Getenv(v) == "" {
			t.Fatalf("%s does not name the program: run make test-kernel", v)
		}
	}
	h := &host{T: t, ns: netns.New(t), far: netns.New(t), dir: t.TempDir()}
	for i := range cables {
		h.ns.Veth(t, fmt.Sprint("eth", i), h.far, fmt.Sprint("s", i))
		h.far.Up(t, fmt.Sprint("s", i))
	}
	if settings == "" {
		settings = "dhcp: {conflict_detection: false}"
	}
	if err := os.WriteFile(filepath.Join(h.dir, "agent.yaml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	h.ns.Do(func() { h.kernel, err = kernel.Open(kernel.Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.end(); _ = h.kernel.Close() })
	h.start()
	return h
}

// start starts the daemon and waits until it has brought the host to where it ought
// to be.
func (h *host) start() {
	h.Helper()
	cmd := exec.Command(os.Getenv("HOSTNICD"), append([]string{"--state-dir", filepath.Join(h.dir, "state"), "--socket", filepath.Join(h.dir, "sock"),
		"--config", filepath.Join(h.dir, "agent.yaml"), "--log-level", "info"}, h.args...)...)
	log, err := os.OpenFile(filepath.Join(h.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	h.ns.Do(func() { err = cmd.Start() })
	if err != nil {
		h.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	h.daemon, h.exited = cmd, exited
	// A staging waits for the daemon to be ready, and an empty one changes nothing.
	h.eventually("the daemon is ready", func() bool {
		out, code := h.try("stage", "-f", "/dev/null")
		return code == 0 || !strings.Contains(out, "connect") && code != 6
	})
}

// stop ends the daemon by a signal.
func (h *host) stop(by syscall.Signal) {
	h.Helper()
	_ = h.daemon.Process.Signal(by)
	<-h.exited
	h.daemon = nil
}

func (h *host) end() {
	if h.daemon != nil {
		h.stop(syscall.SIGTERM)
	}
	if h.Failed() {
		h.Logf("the daemon's log:\n%s", h.log())
	}
}

func (h *host) log() string {
	log, _ := os.ReadFile(filepath.Join(h.dir, "log"))
	return string(log)
}

// try runs agentctl.
func (h *host) try(args ...string) (out string, code int) {
	h.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", filepath.Join(h.dir, "sock")}, args...)...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// run is try that has to succeed.
func (h *host) run(args ...string) string {
	h.Helper()
	out, code := h.try(args...)
	if code != 0 {
		h.Fatalf("agentctl %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// stage puts a document into the candidate.
func (h *host) stage(doc string) {
	h.Helper()
	file := filepath.Join(h.dir, "doc.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		h.Fatal(err)
	}
	h.run("stage", "-f", file)
}

// apply stages and applies a document.
func (h *host) apply(doc string, flags ...string) string {
	h.Helper()
	h.stage(doc)
	return h.run(append([]string{"apply"}, flags...)...)
}

// shown is what agentctl show -o json says of a NIC, as far as it is looked at here.
type shown struct {
	Waiting   string
	MTU       int `json:"mtu"`
	Drift     []struct{ Field string }
	Addresses []struct{ Address, Owner, Protocol string }
	Lease     struct {
		State, Address, Server, Refusal string
		Gateways, Routes, DNS           []string
		Obtained, Expires               time.Time
		NextTry                         time.Time `json:"next_try"`
	}
}

func (h *host) show(nic string) (s shown) {
	h.Helper()
	if err := json.Unmarshal([]byte(h.run("show", nic, "-o", "json")), &s); err != nil {
		h.Fatal(err)
	}
	return s
}

// patience is how long anything may take on a machine that is busy.
const patience = 60 * time.Second

func (h *host) eventually(what string, cond func() bool) {
	h.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// look is the host as it is.
func (h *host) look() state.Snapshot {
	h.Helper()
	s, err := h.kernel.Snapshot(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return s
}

// ipv4 are the IPv4 addresses of a NIC.
func (h *host) ipv4(nic string) (out []state.Address) {
	h.Helper()
	s := h.look()
	l := s.ByName(nic)
	if l == nil {
		return nil
	}
	for _, a := range s.AddressesOf(l.Index) {
		if a.Prefix.Addr().Is4() {
			out = append(out, a)
		}
	}
	return out
}

// addresses are the IPv4 addresses of a NIC in one line.
func (h *host) addresses(nic string) string {
	h.Helper()
	var out []string
	for _, a := range h.ipv4(nic) {
		out = append(out, a.Prefix.String())
	}
	return strings.Join(out, " ")
}

// routes are those of IPv4 that are not the kernel's.
func (h *host) routes() string {
	h.Helper()
	s := h.look()
	var out []string
	for _, r := range s.Routes {
		if r.Table == state.MainTable && r.Protocol != state.ProtocolKernel && r.Dst.Addr().Is4() {
			out = append(out, fmt.Sprintf("%s via %s dev %s metric %d", r.Dst, r.Gateway, s.Name(r.Link), r.Metric))
		}
	}
	return strings.Join(out, "\n")
}

// leased waits until a NIC has an address that begins so, and returns it.
func (h *host) leased(nic, prefix string) string {
	h.Helper()
	var have string
	h.eventually(nic+" has an address of "+prefix, func() bool {
		have = h.addresses(nic)
		return strings.HasPrefix(have, prefix)
	})
	return have
}

// settled wants no drift, and nothing left to do.
func (h *host) settled() {
	h.Helper()
	if out, code := h.try("diff"); code != 0 {
		h.Errorf("agentctl diff: exit code %d\n%s", code, out)
	}
	if out := h.run("status"); strings.Contains(out, "drift") {
		h.Errorf("drift:\n%s", out)
	}
}

// same wants two values printed alike.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
