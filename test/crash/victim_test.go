//go:build kernel

package crash

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/hypervisor"
	"github.com/hostnic/hostnic/test/image"
)

// victim is a host whose daemon is made to die; see agent/crash.go.
type victim struct {
	*hypervisor.Host
	api    hostnicv1.NetConfigServiceClient
	faults string // the file that says where
	asked  int    // operations
	kills  int
	boots  int
}

// newVictim makes a host with a daemon on it. Somebody else has put an address onto
// eth3.
func newVictim(t *testing.T) *victim {
	t.Helper()
	h := hypervisor.New(t)
	v := &victim{Host: h, api: hostnicv1.NewNetConfigServiceClient(h.Dial()), faults: filepath.Join(h.Dir, "faults")}
	h.Env = []string{"HOSTNIC_FAULTS=" + v.faults}
	v.plug()
	v.live()
	return v
}

// plug gives the host its NICs, which are the same after each boot.
func (v *victim) plug() {
	v.T.Helper()
	handle := v.NS.Netlink(v.T)
	for i, n := range []string{"eth0", "eth1", "eth2", "eth3"} {
		v.NS.Veth(v.T, n, v.Far, "p-"+n)
		v.Far.Up(v.T, "p-"+n)
		l, err := handle.LinkByName(n)
		if err == nil {
			err = handle.LinkSetHardwareAddr(l, net.HardwareAddr{0x52, 0x54, 0, 0, 0, byte(i)})
		}
		if err == nil && n == "eth3" {
			err = handle.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 18, 3, 1), Mask: net.CIDRMask(24, 32)}})
		}
		if err != nil {
			v.T.Fatalf("%s: %v", n, err)
		}
	}
}

// live starts the daemon, without any faults, and waits until it is ready.
func (v *victim) live() {
	v.T.Helper()
	v.plan()
	v.Launch(os.Getenv("HOSTNICD_CRASH"))
	v.ready()
}

// plan says which faults come from now on, and forgets what was reached.
func (v *victim) plan(lines ...string) {
	v.T.Helper()
	if err := os.Remove(v.faults + ".log"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.T.Fatal(err)
	}
	if err := os.WriteFile(v.faults+".new", []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		v.T.Fatal(err)
	}
	if err := os.Rename(v.faults+".new", v.faults); err != nil {
		v.T.Fatal(err)
	}
}

// reached are the points that were passed since the plan was made.
func (v *victim) reached() []string {
	v.T.Helper()
	data, err := os.ReadFile(v.faults + ".log")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.T.Fatal(err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
}

// buried notes that the daemon has died, and ends the guard that it has left: that
// would act in a minute, when the test is elsewhere.
func (v *victim) buried() {
	v.T.Helper()
	v.kills++
	v.Daemon = nil
	v.endGuards()
}

// endGuards ends all guards of the host.
func (v *victim) endGuards() {
	v.T.Helper()
	for _, pid := range v.guards() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			v.T.Fatal(err)
		}
	}
}

// guards are the guards of the host, dead daemons' too.
func (v *victim) guards() (out []int) {
	v.T.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		v.T.Fatal(err)
	}
	of := strings.Join([]string{"", "guard", "--state-dir", filepath.Join(v.Dir, "state"), ""}, "\x00")
	for _, p := range all {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if words, err := os.ReadFile(filepath.Join("/proc", p.Name(), "cmdline")); err == nil && strings.Contains(string(words), of) {
			out = append(out, pid)
		}
	}
	return out
}

// look is the host as it is.
func (v *victim) look() string {
	v.T.Helper()
	s, err := v.Kernel.Snapshot(v.T.Context())
	if err != nil {
		v.T.Fatal(err)
	}
	resolver, err := os.ReadFile(v.ResolvConf())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		v.T.Fatal(err)
	}
	return image.Of(s) + string(resolver)
}

// standing is where a host may stand.
type standing struct {
	image string
	// revision is what is committed; pending, that a change waits to be confirmed;
	// uncommitted, that what is running is not what is committed.
	revision             int64
	pending, uncommitted bool
}

func (v *victim) standing() standing {
	v.T.Helper()
	s := v.status()
	return standing{v.look(), s.GetCommittedRevision(), s.GetPending() != nil, s.GetUncommitted()}
}

// settled wants an agent that is at rest: nothing to do, nothing amiss.
func (v *victim) settled(what string) {
	v.T.Helper()
	if todo := v.todo(hostnicv1.ConfigSource_CONFIG_SOURCE_RUNNING); len(todo) > 0 {
		v.T.Errorf("%s: there is something to do:\n%s", what, strings.Join(todo, "\n"))
	}
	if s := v.status(); len(s.GetDegraded())+len(s.GetDrift())+len(s.GetWaiting()) > 0 {
		v.T.Errorf("%s: degraded %v, drift %v, waiting %v", what, s.GetDegraded(), s.GetDrift(), s.GetWaiting())
	}
}
