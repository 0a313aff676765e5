//go:build kernel

package managers

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/test/need"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is the guest itself: what managers say is about its first network namespace.
type machine struct {
	t   *testing.T
	dir string
}

// sh runs a command line on the machine.
func (m *machine) sh(line string) string {
	m.t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func (m *machine) put(name, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// daemon starts a program that ends with the test.
func (m *machine) daemon(name string, args ...string) {
	m.t.Helper()
	log, err := os.Create(filepath.Join(m.dir, filepath.Base(name)+".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		log.Close()
		if m.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			m.t.Logf("%s:\n%s", name, text)
		}
	})
}

// agentctl gives what it said and its exit code.
func (m *machine) agentctl(args ...string) (string, int) {
	m.t.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", m.dir + "/sock"}, args...)...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

func (m *machine) must(code int, text string, args ...string) string {
	m.t.Helper()
	out, got := m.agentctl(args...)
	if got != code || !strings.Contains(out, text) {
		m.t.Fatalf("agentctl %s: exit code %d, want %d and %q\n%s", strings.Join(args, " "), got, code, text, out)
	}
	return out
}

func (m *machine) eventually(what string, cond func() bool) {
	m.t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// networkd runs systemd-networkd, the real one, on its bus.
func (m *machine) networkd() {
	m.t.Helper()
	owner, err := user.Lookup("systemd-network")
	if err != nil {
		m.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	for _, dir := range []string{"/run/dbus", "/run/systemd/units", "/run/systemd/netif", "/run/systemd/netif/links", "/run/systemd/netif/leases", "/run/systemd/netif/lldp"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			m.t.Fatal(err)
		}
		if strings.Contains(dir, "netif") {
			if err := os.Chown(dir, uid, -1); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	// It waits for udev where /sys can be written to, and here is none.
	m.sh("mount -o remount,ro /sys")
	m.t.Cleanup(func() { m.sh("mount -o remount,rw /sys") })
	m.daemon("/usr/bin/dbus-daemon", "--system", "--nofork")
	m.eventually("the bus", func() bool { _, err := os.Stat("/run/dbus/system_bus_socket"); return err == nil })
	m.daemon(need.NetworkdPath())
	// The one thing that systemd would have done.
	if err := os.Symlink("a", "/run/systemd/units/invocation:systemd-networkd.service"); err != nil {
		m.t.Fatal(err)
	}
}

// A link of systemd-networkd is not taken without a word; it is taken over where that is
// asked for, by a file of networkd's own, and given back along with that, and so is one
// of which nothing came.
func TestFault_B9(t *testing.T) {
	need.Kernel(t, need.Own, need.Netns, need.Veth, need.Networkd)
	m := &machine{t: t, dir: t.TempDir()}
	m.sh("ip link add eth0 type veth peer name p-eth0 && ip link set p-eth0 up && ip link add eth1 type veth peer name p-eth1 && ip link set p-eth1 up")
	t.Cleanup(func() { m.sh("ip link del eth0; ip link del eth1") })
	const lan, ours = "/etc/systemd/network/10-lan.network", "/etc/systemd/network/00-hostnic-eth0.network"
	const text = "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\nLinkLocalAddressing=no\n"
	m.put(lan, text)
	m.put("/etc/systemd/network/11-san.network", "[Match]\nName=eth1\n[Network]\nAddress=198.51.100.1/24\nLinkLocalAddressing=no\n")
	t.Cleanup(func() { m.sh("rm " + lan + " /etc/systemd/network/11-san.network /etc/systemd/network/00-hostnic-*") })
	m.networkd()
	m.eventually("networkd has configured eth0", func() bool {
		return strings.Contains(m.sh("networkctl --no-pager status eth0"), "(configured)")
	})
	m.daemon(os.Getenv("HOSTNICD"), "--state-dir", m.dir+"/state", "--socket", m.dir+"/sock")
	m.eventually("the daemon is ready", func() bool { _, code := m.agentctl("stage", "-f", "/dev/null"); return code == 0 })
	there := func(name string) bool { _, err := os.Stat(name); return err == nil }
	managed := func(link string) bool {
		return strings.Contains(m.sh("networkctl --no-pager --no-legend list "+link), "configured")
	}

	m.put(m.dir+"/imported.yaml", m.must(0, "192.0.2.1", "import", "eth0"))
	m.must(0, "", "stage", "--replace", "-f", m.dir+"/imported.yaml")
	m.must(0, "systemd-networkd manages eth0", "diff")
	out := m.must(3, "managed-elsewhere", "commit")
	for _, hand := range []string{"by " + lan, "> " + ours, "networkctl reload", "--take-over"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), hand) {
			t.Errorf("no %q in\n%s", hand, out)
		}
	}
	if there(ours) || !managed("eth0") {
		t.Error("a refusal has changed something")
	}

	m.must(0, "committed as revision 1", "commit", "--take-over")
	if !there(ours) || managed("eth0") || !managed("eth1") {
		t.Errorf("not taken over, or too much\n%s", m.sh("networkctl --no-pager list"))
	}
	if out := m.sh("ip -4 addr show dev eth0"); !strings.Contains(out, "192.0.2.1/24") {
		t.Errorf("the address is lost:\n%s", out)
	}
	// What is the agent's already is not asked about again.
	m.put(m.dir+"/more.yaml", "host_nics: [{name: eth0, mtu: 1400}]")
	m.must(0, "", "stage", "-f", m.dir+"/more.yaml")
	m.must(0, "committed as revision 2", "commit")

	// One that fails is given back at once.
	m.put(m.dir+"/wrong.yaml", "host_nics: [{name: eth1, mtu: 1400}]")
	m.must(0, "", "stage", "-f", m.dir+"/wrong.yaml")
	m.must(3, "fails before the change already", "apply", "--take-over", "--probe", "tcp:127.0.0.1:1")
	m.eventually("eth1 is networkd's again", func() bool { return managed("eth1") && !there("/etc/systemd/network/00-hostnic-eth1.network") })

	// The commands do what they say, and what was written by hand is not removed.
	out, _ = m.agentctl("apply")
	for line := range strings.Lines(out) {
		if _, command, ok := strings.Cut(line, "hand over: "); ok {
			m.sh(strings.TrimSuffix(strings.TrimSpace(command), " [managed-elsewhere]"))
		}
	}
	m.eventually("eth1 is handed over", func() bool { return !managed("eth1") })
	m.must(0, "", "apply")
	m.must(0, "", "rollback")
	if !there("/etc/systemd/network/00-hostnic-eth1.network") || managed("eth1") {
		t.Error("what was handed over by hand is taken back")
	}

	m.put(m.dir+"/none.yaml", "host_nics: []")
	m.must(0, "", "stage", "--replace", "-f", m.dir+"/none.yaml")
	m.must(0, "committed as revision 3", "commit")
	m.eventually("eth0 is networkd's again", func() bool { return managed("eth0") && !there(ours) })
	if now, err := os.ReadFile(lan); err != nil || string(now) != text {
		t.Errorf("its own file: %v\n%s", err, now)
	}
}
