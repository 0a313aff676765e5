package main

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// result is what a run of agentctl in this process left behind.
type result struct {
	code        int
	out, errOut string
}

func runHere(ctx context.Context, env map[string]string, args ...string) result {
	var out, errOut bytes.Buffer
	getenv := func(name string) string { return env[name] }
	code := run(ctx, args, getenv, strings.NewReader(""), &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

func TestEveryCommandTellsItsExitCodes(t *testing.T) {
	root := newRootCommand(&globals{getenv: func(string) string { return "" }})
	for _, cmd := range root.Commands() {
		if !strings.Contains(cmd.Long, "Exit codes:\n  0  done\n") {
			t.Errorf("the help of %s does not tell its exit codes", cmd.Name())
		}
		if cmd.Args == nil {
			t.Errorf("%s takes any arguments; use arguments(…), so that more are a usage error", cmd.Name())
		}
		for line := range strings.SplitSeq(cmd.Long+"\n"+cmd.Example, "\n") {
			if len(line) > helpWidth {
				t.Errorf("a line in the help of %s is longer than %d: %s", cmd.Name(), helpWidth, line)
			}
		}
	}
}

// A command that does not ask the agent within its flags' reach would hang scripts.
func TestEveryCommandIsUnreachableWithoutAgent(t *testing.T) {
	arguments := map[string][]string{
		"show": {"eth0"}, "set": {"eth0", "mtu=1"}, "delete": {"bond0"}, "renew": {"eth0"}, "release": {"eth0"}, "stage": {"-f", "-"},
		"wait-online": {"--wait", "300ms"},
	}
	root := newRootCommand(&globals{getenv: func(string) string { return "" }})
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" || cmd.Name() == "version" {
			continue
		}
		t.Run(cmd.Name(), func(t *testing.T) { checkUnreachable(t, cmd, arguments[cmd.Name()]) })
	}
}

func checkUnreachable(t *testing.T, cmd *cobra.Command, arguments []string) {
	args := append([]string{"--socket", t.TempDir() + "/agent.sock", cmd.Name()}, arguments...)
	got := runHere(t.Context(), nil, args...)
	if got.code != exitUnreachable || got.out != "" || !strings.HasPrefix(got.errOut, "error: no agent at ") {
		t.Errorf("got exit code %d\nout: %s\nerr: %s", got.code, got.out, got.errOut)
	}
	got = runHere(t.Context(), nil, append(args, "-o", "json")...)
	if got.code != exitUnreachable || !strings.Contains(got.errOut, `"code": "UNAVAILABLE"`) {
		t.Errorf("with -o json got exit code %d\nerr: %s", got.code, got.errOut)
	}
}

func TestInterrupted(t *testing.T) {
	for _, command := range []string{"apply", "nics"} {
		t.Run(command, func(t *testing.T) {
			agent := agentFor(t, map[string]string{"Apply.hang": "", "ListHostNics.hang": ""})
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(200*time.Millisecond, cancel).Stop()
			got := runHere(ctx, map[string]string{"AGENTCTL_SOCKET": agent.socket}, command)
			if got.code != exitError {
				t.Errorf("got exit code %d\nerr: %s", got.code, got.errOut)
			}
			if command == "apply" && !strings.Contains(got.errOut, "error: no longer watching: the operation goes on") {
				t.Errorf("got %s", got.errOut)
			}
		})
	}
}

// Whoever waits for the operation of somebody else is not left with an empty screen.
func TestQueued(t *testing.T) {
	agent := agentFor(t, map[string]string{"Apply.hang": ""})
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(3*queuedAfter, cancel).Stop()
	got := runHere(ctx, map[string]string{"AGENTCTL_SOCKET": agent.socket}, "apply")
	if !strings.HasPrefix(got.errOut, "the agent has not begun yet: agentctl status ") {
		t.Errorf("got %s", got.errOut)
	}
	agent = agentFor(t, nil)
	if got := runHere(t.Context(), map[string]string{"AGENTCTL_SOCKET": agent.socket}, "apply"); strings.Contains(got.errOut, "has not begun") {
		t.Errorf("it had begun at once: %s", got.errOut)
	}
}

// An agent that is stuck is there, so that systemctl start would do nothing.
func TestStuckAgent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := runHere(t.Context(), nil, "--socket", socket, "--timeout", "500ms", "nics")
	if got.code != exitUnreachable || !strings.HasPrefix(got.errOut, "error: the agent at "+socket+" has not answered within 500ms\n") || !strings.Contains(got.errOut, "systemctl restart") {
		t.Errorf("got exit code %d\nerr: %s", got.code, got.errOut)
	}
}

func TestTransportError(t *testing.T) {
	for message, want := range map[string]string{
		`connection error: desc = "transport: authentication handshake failed: EOF"`:                                             "authentication handshake failed: EOF",
		`connection error: desc = "error reading server preface: raw-read unix @->/run/x.new: use of closed network connection"`: "it takes the connection, and says nothing",
	} {
		if got := transportError(message); got != want {
			t.Errorf("%s: got %s", message, got)
		}
	}
}
