package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent"
)

// Flags win over the file, and what nobody says is the default.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte("socket: /from/file\nstate_dir: /from/file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := settings(flags{config: path, socket: "/from/flag", netns: "blue", drift: "heal"})
	if err != nil || c.Drift != "heal" || c.Socket != "/from/flag" || c.StateDir != "/from/file" || c.Netns != "blue" || c.Group != agent.DefaultGroup {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := settings(flags{config: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a settings file that was asked for may be missing")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"--no-such-flag"}, {"--socket"}, {"--drift", "fight"}} {
		cmd := command()
		cmd.SetArgs(args)
		var usage *usageError
		if err := cmd.Execute(); !errors.As(err, &usage) {
			t.Errorf("%v: %v, want an error of usage", args, err)
		}
	}
	cmd := command()
	cmd.SetArgs([]string{"--version"})
	var out bytes.Buffer
	cmd.SetOut(&out)
	if err := cmd.Execute(); err != nil || out.String() != "hostnicd "+agent.Version+"\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestNetnsThatIsNotThere(t *testing.T) {
	err := enterNetns("no-such-namespace")
	if err == nil || !strings.Contains(err.Error(), "ip netns add") {
		t.Errorf("%v", err)
	}
	// Who is inside already stays and does not start again.
	if err := enterNetns("/proc/thread-self/ns/net"); err != nil {
		t.Errorf("its own: %v", err)
	}
}

func TestJournalLines(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newJournalHandler(&out, slog.LevelInfo)).With("a", 1).WithGroup("g")
	log.Debug("not this")
	log.Info("one", "level", "x")
	log.Error("two\nlines")
	want := "<6>msg=one a=1 g.level=x\n<3>msg=\"two\\nlines\" a=1\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
