package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ipBatch is iproute2 with a file of commands that somebody has worked out
// beforehand: it does not look, plan or check, and so has no no-op. It takes away
// link by link, as one would by hand, but the VLANs of a bond along with the bond.
type ipBatch struct {
	work workload
	dir  string
	sent int
}

func (b *ipBatch) name() string { return "ip -batch" }

func (b *ipBatch) start(_ context.Context, w workload, dir string) error {
	b.work, b.dir = w, dir
	for _, t := range tasks {
		if err := os.WriteFile(b.file(t), []byte(strings.Join(b.lines(t), "\n")+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (b *ipBatch) file(t task) string {
	return filepath.Join(b.dir, strings.ReplaceAll(string(t), " ", "-"))
}

func (b *ipBatch) lines(t task) []string {
	switch t {
	case apply:
		return b.applyLines()
	case change:
		v, changed := b.work.change()
		return []string{"addr del " + v.v4 + " dev " + v.name(), "addr add " + changed + " dev " + v.name()}
	case teardown:
		var l []string
		for _, bond := range b.work.bonds {
			l = append(l, "link del "+bond.name)
		}
		for _, v := range b.work.vlans {
			if len(b.work.bonds) == 0 {
				l = append(l, "link del "+v.name())
			}
		}
		return l
	}
	return nil
}

func (b *ipBatch) applyLines() []string {
	var l []string
	for _, bond := range b.work.bonds {
		l = append(l, fmt.Sprintf("link add %s mtu %d type bond mode active-backup miimon %d", bond.name, b.work.mtu, miimon))
		for _, s := range bond.slaves {
			l = append(l, "link set "+s+" master "+bond.name)
		}
		l = append(l, "link set "+bond.name+" up")
	}
	for _, p := range b.work.ports {
		if len(b.work.bonds) == 0 { // a bond takes its slaves up
			l = append(l, "link set "+p+" up")
		}
	}
	for i, v := range b.work.vlans {
		l = append(l, fmt.Sprintf("link add link %s name %s up type vlan id %d", v.parent, v.name(), v.id), "addr add "+v.v4+" dev "+v.name())
		if v.v6 != "" {
			l = append(l, "addr add "+v.v6+" dev "+v.name())
		}
		if i == 0 && b.work.gateway != "" {
			l = append(l, "route add default via "+b.work.gateway)
		}
	}
	return l
}

func (b *ipBatch) do(ctx context.Context, t task) error {
	if t == noop {
		return errAbsent
	}
	b.sent += len(b.lines(t))
	return command(ctx, "ip", "-batch", b.file(t))
}

func (b *ipBatch) writes() int { return b.sent }
func (b *ipBatch) stop()       {}

// command runs a program; what it says counts when it fails.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.500s", err, bytes.TrimSpace(out))
	}
	return nil
}

// script is a contestant from outside.
type script struct {
	path string
	file string
}

func (s *script) name() string { return filepath.Base(s.path) }

func (s *script) start(ctx context.Context, w workload, dir string) error {
	text, err := json.Marshal(map[string]any{"host_nics": w.nics()})
	if err != nil {
		return err
	}
	s.file = filepath.Join(dir, "document.json")
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		return err
	}
	return command(ctx, s.path, "start", s.file)
}

func (s *script) do(ctx context.Context, t task) error {
	if t != apply && t != teardown {
		return errAbsent
	}
	return command(ctx, s.path, string(t), s.file)
}

func (s *script) writes() int { return -1 }

func (s *script) stop() {
	if err := command(context.Background(), s.path, "stop", s.file); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s: stop: %v\n", s.name(), err)
	}
}
