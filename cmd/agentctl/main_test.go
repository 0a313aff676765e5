package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write what is printed into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"agentctl": main})
}

// leakChecked fails the package when goroutines outlive its tests.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs every script of testdata/script against an agent that answers
// from the script's own files, else from testdata/agent.
func TestScripts(t *testing.T) {
	params := scripts()
	params.Dir = "testdata/script"
	testscript.Run(t, params)
}

// TestScenario_W10 is the scenario of the peers' suites: a document on standard
// input in both forms of XML, and exit codes that differ. A conflict is a refusal
// by its exit code, as our contract has it; its code in JSON tells it apart.
func TestScenario_W10(t *testing.T) {
	params := scripts()
	params.Files = []string{"testdata/scenario/W10.txtar"}
	testscript.Run(t, params)
}

func scripts() testscript.Params {
	return testscript.Params{
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exitsWith,
			"agent": agentCommand,
			"fits":  fits,
		},
	}
}

func setUp(env *testscript.Env) error {
	for _, v := range [][2]string{
		{"TZ", "UTC"}, {"LANG", "C.UTF-8"}, {"LC_ALL", ""}, {"LC_CTYPE", ""}, {"TERM", "xterm"}, {"COLUMNS", ""}, {"NO_COLOR", ""},
		{"AGENTCTL_SOCKET", env.WorkDir + "/agent.sock"},
		// The race detector waits a second at the end of every process otherwise.
		{"GORACE", "atexit_sleep_ms=0"},
	} {
		env.Setenv(v[0], v[1])
	}
	agent, err := startFakeAgent(env.WorkDir)
	if err != nil {
		return err
	}
	env.Values[fakeAgentKey{}] = agent
	env.Defer(agent.stop)
	return nil
}

type fakeAgentKey struct{}

// exitsWith runs a command that has to end with this code: exits 3 agentctl check.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// agentCommand stops the agent, or leaves a socket on which nobody listens.
func agentCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: agent stop|stale")
	}
	agent, ok := ts.Value(fakeAgentKey{}).(*fakeAgent)
	if !ok {
		ts.Fatalf("there is no agent")
	}
	agent.stop()
	if args[0] == "stale" {
		ts.Check(leaveSocket(agent.socket))
	}
}

// fits holds all lines of what the last command printed to so many columns.
func fits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fits COLUMNS")
	}
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	for _, name := range []string{"stdout", "stderr"} {
		for line := range strings.SplitSeq(ts.ReadFile(name), "\n") {
			if n := utf8.RuneCountInString(line); n > most {
				ts.Fatalf("%d columns, more than %d, on %s: %s", n, most, name, line)
			}
		}
	}
}
