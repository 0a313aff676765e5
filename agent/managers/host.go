package managers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Host is the files of a host, and its programs.
type Host struct {
	// Root is the folder below which the files are; tests have their own.
	Root string
	// Run runs a program; nil is nothing to be run.
	Run func(ctx context.Context, command []string) error
	Log *slog.Logger
}

// Command runs a program and gives what it said as the error.
func Command(ctx context.Context, command []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// looked are the files that are read, as patterns below the root.
var looked = []string{
	"run/systemd/units/invocation:NetworkManager.service", "run/systemd/units/invocation:systemd-networkd.service",
	"run/NetworkManager/devices/*", "run/systemd/netif/links/*",
	"usr/sbin/ifup", "etc/network/interfaces", "etc/network/interfaces.d/*",
	"etc/cloud/cloud.cfg.d/99-hostnic.cfg",
}

// ours are those that the agent may have written.
var ours = []string{"etc/NetworkManager/conf.d/90-hostnic-*.conf", "etc/systemd/network/00-hostnic-*.network"}

// mostFile is how much of a file is read, in bytes.
const mostFile = 1 << 20

// Files are those of the managers, as they are now. One that cannot be read says nothing.
func (h Host) Files() Files { return h.files(slices.Concat(looked, ours)) }

func (h Host) files(patterns []string) Files {
	files := Files{}
	for _, pattern := range patterns {
		names, _ := filepath.Glob(filepath.Join(h.Root, pattern))
		for _, name := range names {
			if below, err := filepath.Rel(h.Root, name); err == nil {
				files[below] = read(name)
			}
		}
	}
	return files
}

// read gives no text of programs and of links to nowhere, which only have to be there.
func read(name string) string {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostFile || info.Mode()&0o111 != 0 {
		return ""
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}

// Claims are those of other programs on these links.
func (h Host) Claims(links []Link) []Claim { return h.Files().Claims(links) }

// The time that a program is given to let go of a link, and between two looks.
const (
	letGo     = 10 * time.Second
	lookAgain = 100 * time.Millisecond
)

// TakeOver tells the programs to leave links alone, and waits until they do. Where one
// does not, what was written is taken back.
func (h Host) TakeOver(ctx context.Context, claims []Claim) error {
	var links []Link
	var drops []Drop
	for _, c := range claims {
		if c.Drop == nil {
			return fmt.Errorf("%s knows no way to be told to leave %s alone: %s", c.Manager, c.Link.Name, strings.Join(c.HandOver, "; "))
		}
		links, drops = append(links, c.Link), append(drops, *c.Drop)
	}
	for _, d := range drops {
		if err := h.write(d); err != nil {
			return errors.Join(err, h.remove(ctx, drops))
		}
	}
	err := h.reload(ctx, drops)
	if err == nil {
		err = h.await(ctx, links)
	}
	if err != nil {
		return errors.Join(err, h.remove(ctx, drops))
	}
	for _, c := range claims {
		h.Log.Info("taken over", "link", c.Link.Name, "from", c.Manager, "file", "/"+c.Drop.Path)
	}
	return nil
}

func (h Host) write(d Drop) error {
	name := filepath.Join(h.Root, d.Path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // as the others' folders are
		return err
	}
	if err := os.WriteFile(name+".new", []byte(d.Content), 0o644); err != nil { //nolint:gosec // their owners read it
		return err
	}
	return os.Rename(name+".new", name)
}

// reload has each program read its files, once.
func (h Host) reload(ctx context.Context, drops []Drop) error {
	var done []string
	var failed error
	for _, d := range drops {
		command := strings.Join(d.Reload, " ")
		if h.Run == nil || slices.Contains(done, command) {
			continue
		}
		done = append(done, command)
		failed = errors.Join(failed, h.Run(ctx, d.Reload))
	}
	return failed
}

func (h Host) await(ctx context.Context, links []Link) error {
	for end := time.Now().Add(letGo); ; {
		left := h.Claims(links)
		switch {
		case len(left) == 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s has not let go of %s within %v, although it was told to: %s", left[0].Manager, left[0].Link.Name, letGo, left[0].Reason)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// Release gives back to their managers all links but those that are kept.
func (h Host) Release(ctx context.Context, keep func(link string) bool) error {
	stale := h.files(ours).Stale(keep)
	if len(stale) == 0 {
		return nil
	}
	err := h.remove(ctx, stale)
	for _, d := range stale {
		h.Log.Info("given back", "file", "/"+d.Path, "error", err)
	}
	return err
}

func (h Host) remove(ctx context.Context, drops []Drop) (failed error) {
	for _, d := range drops {
		if err := os.Remove(filepath.Join(h.Root, d.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return errors.Join(failed, h.reload(ctx, drops))
}
