// Package peer runs the servers that the agent deals with, Debian's own, in a network
// namespace of a test. Tests only: nothing that ships imports it.
package peer

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// Server is a process that serves.
type Server struct {
	// Log is what it has written so far.
	Log Log

	cmd  *exec.Cmd
	done chan struct{}
}

// Log collects what several goroutines write.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to it.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// patience is how long a server may take to start on a busy machine.
const patience = 30 * time.Second

// Start runs a server in the namespace and waits until it has said that it serves. It
// ends with the test, which prints what it has written if it fails.
func Start(t testing.TB, ns *netns.NS, serves string, cmd *exec.Cmd) *Server {
	t.Helper()
	s := &Server{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &s.Log, &s.Log
	ns.Do(func() {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", cmd, s.Log.String())
		}
	})
	for end := time.Now().Add(patience); !strings.Contains(s.Log.String(), serves); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.done:
			t.Fatal("the server has ended")
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the server does not serve")
		}
	}
	return s
}

// Stop kills the server.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Pause makes it fall silent, until Resume.
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume undoes Pause. What has come meanwhile is answered now.
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Count is how often the server has logged the text: of dnsmasq "DHCPACK(".
func (s *Server) Count(text string) int { return strings.Count(s.Log.String(), text) }

// Dnsmasq starts a DHCPv4 server on a NIC of the namespace, which gets the address. The
// addresses to lend are FIRST,LAST, for two minutes, the shortest that there are.
func Dnsmasq(t testing.TB, ns *netns.NS, nic, address, addresses string, more ...string) *Server {
	t.Helper()
	need.Kernel(t, need.Dnsmasq)
	ns.IP(t, "addr", "replace", address, "dev", nic)
	dir := t.TempDir()
	return Start(t, ns, "sockets bound exclusively to interface", exec.Command(need.DnsmasqPath(), append([]string{
		"--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=" + nic, "--except-interface=lo",
		"--bind-interfaces", "--no-ping", "--user=root", "--pid-file=" + filepath.Join(dir, "pid"),
		"--dhcp-leasefile=" + filepath.Join(dir, "leases"), "--log-facility=-", "--dhcp-authoritative",
		"--dhcp-range=" + addresses + ",2m",
	}, more...)...))
}

// Pool is what Kea lends.
type Pool struct {
	Subnet, First, Last string
	// Valid is how long, in seconds. Renew and Rebind are T1 and T2; 0 leaves them to the
	// client.
	Valid, Renew, Rebind int
}

// Kea starts a DHCPv4 server on a NIC of the namespace, which gets the address.
func Kea(t testing.TB, ns *netns.NS, nic, address string, p Pool) *Server {
	t.Helper()
	need.Kernel(t, need.Kea)
	ns.IP(t, "addr", "replace", address, "dev", nic)
	times := fmt.Sprintf(`"valid-lifetime": %d,`, p.Valid)
	if p.Renew != 0 {
		times += fmt.Sprintf(` "renew-timer": %d, "rebind-timer": %d,`, p.Renew, p.Rebind)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "kea.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `{"Dhcp4": {"interfaces-config": {"interfaces": [%q]}, "authoritative": true,
		"lease-database": {"type": "memfile", "persist": false}, %s
		"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}],
		"subnet4": [{"interface": %q, "subnet": %q, "pools": [{"pool": "%s - %s"}]}]}}`, nic, times, nic, p.Subnet, p.First, p.Last), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(need.KeaPath(), "-c", config)
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	return Start(t, ns, "DHCP4_STARTED", cmd)
}
