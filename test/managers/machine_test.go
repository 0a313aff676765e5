//go:build kernel

package managers

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
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

// bus starts the system's bus.
func (m *machine) bus() {
	m.t.Helper()
	if err := os.MkdirAll("/run/dbus", 0o755); err != nil {
		m.t.Fatal(err)
	}
	_ = os.Remove("/run/dbus/pid") // of one that is no more
	// Managers wait for udev where /sys can be written to, and here is none.
	m.sh("mount -o remount,ro /sys")
	m.t.Cleanup(func() { m.sh("mount -o remount,rw /sys") })
	m.daemon("/usr/bin/dbus-daemon", "--system", "--nofork")
	m.eventually("the bus", func() bool { _, err := os.Stat("/run/dbus/system_bus_socket"); return err == nil })
}

// runs says of a unit that it does, which systemd would have done.
func (m *machine) runs(unit string) {
	m.t.Helper()
	const units = "/run/systemd/units"
	if err := os.MkdirAll(units, 0o755); err != nil {
		m.t.Fatal(err)
	}
	link := units + "/invocation:" + unit
	if err := os.Symlink("a", link); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = os.Remove(link) })
}

// lay adds the files of a package that test/run-in-kernel-setup has unpacked to those of
// the machine, which forgets them.
func (m *machine) lay(program string) {
	m.t.Helper()
	if root := filepath.Join(filepath.Dir(program), "root"); there(root) {
		m.sh("tar -C " + root + " -c . | tar -C / -x --keep-directory-symlink --skip-old-files")
	}
}

func there(name string) bool { _, err := os.Stat(name); return err == nil }

// cables lays two of them, with eth0 and eth1 at their ends.
func (m *machine) cables() {
	m.t.Helper()
	for _, eth := range []string{"eth0", "eth1"} {
		m.sh("ip link add " + eth + " type veth peer name p-" + eth + " && ip link set p-" + eth + " up")
		m.t.Cleanup(func() { m.sh("ip link del " + eth) })
	}
}

// hostnicd starts the daemon.
func (m *machine) hostnicd() {
	m.t.Helper()
	m.daemon(os.Getenv("HOSTNICD"), "--state-dir", m.dir+"/state", "--socket", m.dir+"/sock")
	m.eventually("the daemon is ready", func() bool { _, code := m.agentctl("stage", "-f", "/dev/null"); return code == 0 })
}

// stage puts a document into the candidate.
func (m *machine) stage(doc string, flags ...string) {
	m.t.Helper()
	m.put(m.dir+"/doc.yaml", doc)
	m.must(0, "", append([]string{"stage", "-f", m.dir + "/doc.yaml"}, flags...)...)
}

// byHand does what a refusal says.
func (m *machine) byHand(refusal string) {
	m.t.Helper()
	for line := range strings.Lines(refusal) {
		if _, command, ok := strings.Cut(line, "hand over: "); ok {
			m.sh(strings.TrimSuffix(strings.TrimSpace(command), " [managed-elsewhere]"))
		}
	}
}

// peer is another manager of links.
type peer struct {
	name string
	// own is the file by which it has eth0, text what is in it.
	own, text string
	// drop is the file that makes it leave a link alone.
	drop func(link string) string
	// commands are those that hand eth0 over, as far as they are in one line.
	commands []string
	managed  func(link string) bool
}

// takenAndGiven takes eth0, which has the address 192.0.2.1/24, over and gives it back. A
// link is not taken without a word; it is taken over where that is asked for, by a file
// of the other's own, and given back along with that, and so is one of which nothing came.
func (m *machine) takenAndGiven(p peer) {
	t := m.t
	t.Helper()
	m.stage(m.must(0, "192.0.2.1", "import", "eth0"), "--replace")
	m.must(0, p.name+" manages eth0", "diff") // and nothing to do
	out := m.must(3, "managed-elsewhere", "commit")
	for _, hand := range p.commands {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), hand) {
			t.Errorf("no %q in\n%s", hand, out)
		}
	}
	if there(p.drop("eth0")) || !p.managed("eth0") {
		t.Error("a refusal has changed something")
	}

	m.must(0, "committed as revision 1", "commit", "--take-over")
	if !there(p.drop("eth0")) || p.managed("eth0") || !p.managed("eth1") {
		t.Error("not taken over, or too much")
	}
	m.must(0, "", "diff")
	if out := m.sh("ip -4 addr show dev eth0 up"); !strings.Contains(out, "192.0.2.1/24") {
		t.Errorf("the address is lost:\n%s", out)
	}
	// What is the agent's already is not asked about again.
	m.stage("host_nics: [{name: eth0, mtu: 1400}]")
	m.must(0, "committed as revision 2", "commit")

	// One that fails is given back at once.
	m.stage("host_nics: [{name: eth1, mtu: 1400}]")
	m.must(3, "fails before the change already", "apply", "--take-over", "--probe", "tcp:127.0.0.1:1")
	m.eventually("eth1 is the other's again", func() bool { return p.managed("eth1") && !there(p.drop("eth1")) })

	// The commands do what they say, and what was written by hand is not removed.
	out, _ = m.agentctl("apply")
	m.byHand(out)
	m.eventually("eth1 is handed over", func() bool { return !p.managed("eth1") })
	m.must(0, "", "apply")
	m.must(0, "", "rollback")
	if !there(p.drop("eth1")) || p.managed("eth1") {
		t.Error("what was handed over by hand is taken back")
	}

	m.stage("host_nics: []", "--replace")
	m.must(0, "committed as revision 3", "commit")
	m.eventually("eth0 is the other's again", func() bool { return p.managed("eth0") && !there(p.drop("eth0")) })
	if now, err := os.ReadFile(p.own); err != nil || string(now) != p.text {
		t.Errorf("its own file: %v\n%s", err, now)
	}
}
