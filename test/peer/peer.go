// Package peer runs the servers that the agent deals with, Debian's own, in a network
// namespace of a test. Tests only: nothing that ships imports it.
package peer

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/test/netns"
	"github.com/hostnic/hostnic/test/textlog"
)

// Server is a process that serves.
type Server struct {
	// Log is what it has written so far.
	Log textlog.Log

	cmd  *exec.Cmd
	done chan struct{}
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

// End asks it to end, and waits until it has.
func (s *Server) End() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
}

// Pause makes it fall silent, until Resume.
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume undoes Pause. What has come meanwhile is answered now.
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// quiet is how long the log has to stand still to be counted in, and mostWaits how often
// that is waited for.
const (
	quiet     = 50 * time.Millisecond
	mostWaits = 20
)

// Count is how often the server has logged the text: of dnsmasq "DHCPACK(". A server
// answers first and logs then, so that what has just been heard of it is waited for.
func (s *Server) Count(text string) int {
	log := s.Log.String()
	for range mostWaits {
		time.Sleep(quiet)
		now := s.Log.String()
		if now == log {
			break
		}
		log = now
	}
	return strings.Count(log, text)
}
