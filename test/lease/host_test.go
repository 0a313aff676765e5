//go:build kernel

package lease

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/hypervisor"
	"github.com/hostnic/hostnic/test/need"
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

// host is a hypervisor that gets leases. Servers are in Far, where the cables end.
type host struct {
	*testing.T
	*hypervisor.Host
}

// newHost makes a host that gets leases without looking for conflicts, which takes
// seconds, unless the settings say otherwise. The far end of eth0 is s0, and so on.
func newHost(t *testing.T, cables int, settings string) *host {
	t.Helper()
	need.Kernel(t, need.Dnsmasq)
	h := &host{t, hypervisor.New(t)}
	for i := range cables {
		h.NS.Veth(t, fmt.Sprint("eth", i), h.Far, fmt.Sprint("s", i))
		h.Far.Up(t, fmt.Sprint("s", i))
	}
	if settings == "" {
		settings = "dhcp: {conflict_detection: false}"
	}
	if err := os.WriteFile(filepath.Join(h.Dir, "agent.yaml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Start()
	return h
}

// stop ends the daemon by a signal.
func (h *host) stop(by syscall.Signal) {
	h.Helper()
	_ = h.Daemon.Process.Signal(by)
	<-h.Exited
	h.Daemon = nil
}

func (h *host) log() string {
	log, _ := os.ReadFile(filepath.Join(h.Dir, "log"))
	return string(log)
}

func (h *host) run(args ...string) string {
	h.Helper()
	return h.Host.Run(args...)
}

// apply stages and applies a document.
func (h *host) apply(doc string, flags ...string) string {
	h.Helper()
	h.Stage(doc)
	return h.run(append([]string{"apply"}, flags...)...)
}

// shown is what agentctl show -o json says of a NIC, as far as it is looked at here.
type shown struct {
	Waiting   string
	MTU       int `json:"mtu"`
	Drift     []struct{ Field string }
	Addresses []struct{ Address, Owner, Protocol string }
	Lease     lease
	IPv6Lease lease `json:"ipv6_lease"`
}

type lease struct {
	State, Address, Server, Refusal string
	Gateways, Routes, DNS           []string
	Obtained, Expires               time.Time
	NextTry                         time.Time `json:"next_try"`
	Addresses                       []struct {
		Address string
		Expires time.Time
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
	h.Eventually(what, patience, cond)
}

// look is the host as it is.
func (h *host) look() state.Snapshot {
	h.Helper()
	s, err := h.Kernel.Snapshot(h.Context())
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
	if out, code := h.Try("diff"); code != 0 {
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
