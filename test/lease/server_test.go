//go:build kernel

package lease

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/hostnic/hostnic/test/need"
)

// server is a DHCP server in the far namespace.
type server struct {
	cmd  *exec.Cmd
	log  lockedBuffer
	done chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a server and waits until it says that it serves.
func (h *host) serve(ready string, cmd *exec.Cmd) *server {
	h.Helper()
	s := &server{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	h.Far.Do(func() {
		if err := cmd.Start(); err != nil {
			h.Fatal(err)
		}
	})
	go func() { _ = cmd.Wait(); close(s.done) }()
	h.Cleanup(func() {
		s.stop()
		if h.Failed() {
			h.Logf("%s:\n%s", cmd, s.log.String())
		}
	})
	h.eventually("the server serves", func() bool {
		select {
		case <-s.done:
			h.Fatalf("the server has ended: %s", s.log.String())
		default:
		}
		return strings.Contains(s.log.String(), ready)
	})
	return s
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

func (s *server) pause()  { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *server) resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// count is how often the server has logged it: for dnsmasq "DHCPACK(".
func (s *server) count(text string) int { return strings.Count(s.log.String(), text) }

// dnsmasq starts a server on a NIC of the far end, which gets the address. The range is
// FIRST,LAST; leases are two minutes, the shortest that there are.
func (h *host) dnsmasq(nic, address, addresses string, more ...string) *server {
	h.Helper()
	h.Far.IP(h, "addr", "replace", address, "dev", nic)
	dir := h.TempDir()
	return h.serve("sockets bound exclusively to interface", exec.Command(need.DnsmasqPath(), append([]string{
		"--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=" + nic, "--except-interface=lo",
		"--bind-interfaces", "--no-ping", "--user=root", "--pid-file=" + filepath.Join(dir, "pid"),
		"--dhcp-leasefile=" + filepath.Join(dir, "leases"), "--log-facility=-", "--dhcp-authoritative",
		"--dhcp-range=" + addresses + ",2m",
	}, more...)...))
}

// kea starts a server whose leases are so many seconds.
func (h *host) kea(nic, address, subnet, first, last string, lifetime int) *server {
	h.Helper()
	need.Kernel(h, need.Kea)
	h.Far.IP(h, "addr", "replace", address, "dev", nic)
	dir := h.TempDir()
	config := filepath.Join(dir, "kea.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `{"Dhcp4": {"interfaces-config": {"interfaces": [%q]}, "authoritative": true,
		"lease-database": {"type": "memfile", "persist": false}, "valid-lifetime": %d,
		"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}],
		"subnet4": [{"interface": %q, "subnet": %q, "pools": [{"pool": "%s - %s"}]}]}}`, nic, lifetime, nic, subnet, first, last), 0o600); err != nil {
		h.Fatal(err)
	}
	cmd := exec.Command(need.KeaPath(), "-c", config)
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	return h.serve("DHCP4_STARTED", cmd)
}
