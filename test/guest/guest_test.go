//go:build guest

// Package guest boots a whole host, systemd and all, and has the packaged agent live
// through what a host lives through: it is installed, restarted, killed, rebooted, cut
// off from its power, upgraded, removed. What happens in the host is told by scripts,
// one a boot, in steps; a test looks at one step.
package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The boots of one host, one after the other.
var boots = []string{"1-install", "2-reboot", "3-after-reboot", "4-after-cut-in-window", "5-after-cut-in-apply"}

// life is what became of the host.
type life struct {
	dir string
	// failed is the boot that came to no end, and why.
	failed string
	// down is how long the host took to power off, by boot.
	down map[string]time.Duration
}

var dir string

func TestMain(m *testing.M) {
	var err error
	if dir, err = os.MkdirTemp("", "hostnic-guest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// lived boots the host, once for all tests.
var lived = sync.OnceValue(func() life {
	l := life{dir: dir, down: map[string]time.Duration{}}
	for _, name := range []string{"boots", "units"} {
		if err := os.CopyFS(filepath.Join(dir, "job", name), os.DirFS(name)); err != nil {
			l.failed = err.Error()
			return l
		}
	}
	for variable, name := range map[string]string{"HOSTNIC_DEB": "hostnic.deb", "HOSTNIC_NEXT_DEB": "hostnic-next.deb"} {
		data, err := os.ReadFile(os.Getenv(variable))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "job", name), data, 0o600)
		}
		if err != nil {
			l.failed = fmt.Sprintf("%s: %v", variable, err)
			return l
		}
	}
	for _, boot := range boots {
		if err := l.boot(boot); err != nil {
			l.failed = fmt.Sprintf("boot %s: %v", boot, err)
			return l
		}
	}
	return l
})

func (l *life) boot(name string) error {
	job := filepath.Join(l.dir, "job")
	script := "#!/bin/sh\nexec /bin/bash /job/boots/" + name + "\n"
	if err := os.WriteFile(filepath.Join(job, "run"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		return err
	}
	_ = os.Remove(filepath.Join(job, "times"))
	began := time.Now()
	out, err := exec.Command("./boot", filepath.Join(l.dir, "disk"), job).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if st, err := os.Stat(filepath.Join(job, "status")); err == nil {
		l.down[name] = time.Since(st.ModTime())
	}
	times, _ := os.ReadFile(filepath.Join(job, "times"))
	fmt.Printf("boot %s: %.1f s, %.1f of them to power off; begun after s of it: %s\n", name, time.Since(began).Seconds(), l.down[name].Seconds(),
		strings.ReplaceAll(strings.TrimSpace(string(times)), "\n", ", "))
	return nil
}

// step fails the test unless a step was gone through without a mistake.
func step(t *testing.T, id string) {
	t.Helper()
	if os.Getenv("HOSTNIC_DEB") == "" {
		t.Skip("needs the package and a host to boot; run: make test-guest")
	}
	l := lived()
	path := filepath.Join(l.dir, "job", "steps", id)
	if _, err := os.Stat(path + ".ok"); err == nil {
		return
	}
	out, err := os.ReadFile(path + ".out") //nolint:gosec // our own
	if err != nil {
		t.Fatalf("the host never got there: %s", l.failed)
	}
	t.Fatalf("%s\n%s", strings.TrimSpace(string(out)), l.failed)
}

func TestInstall(t *testing.T) { step(t, "install") }
func TestSandbox(t *testing.T) { step(t, "sandbox") }
func TestCommit(t *testing.T)  { step(t, "commit") }
func TestDHCP(t *testing.T)    { step(t, "dhcp") }
func TestRestart(t *testing.T) { step(t, "restart") }
func TestStopped(t *testing.T) { step(t, "stopped") }

// The watchdog of the service manager restarts an agent that hangs.
func TestFault_A9(t *testing.T) { step(t, "watchdog") }

func TestFault_A10(t *testing.T) { step(t, "killed") }

func TestReboot(t *testing.T)     { step(t, "reboot") }
func TestWaitOnline(t *testing.T) { step(t, "online") }

// A reboot within the window, which the guard does not hold up.
func TestFault_A11(t *testing.T) {
	step(t, "reboot-in-window")
	step(t, "after-reboot")
	if d := lived().down["2-reboot"]; d > 60*time.Second {
		t.Errorf("the host took %s to power off", d)
	}
}

// The power goes within the window, and in the middle of a commit.
func TestFault_A12(t *testing.T) {
	t.Run("window", func(t *testing.T) {
		step(t, "cut-in-window")
		step(t, "after-cut-in-window")
	})
	t.Run("apply", func(t *testing.T) {
		step(t, "cut-in-apply")
		step(t, "after-cut-in-apply")
	})
}

func TestFault_A24(t *testing.T) { step(t, "upgrade") }
func TestRemove(t *testing.T)    { step(t, "remove") }
func TestPurge(t *testing.T)     { step(t, "purge") }
