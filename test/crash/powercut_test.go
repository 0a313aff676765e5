//go:build kernel

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/test/flakey"
	"github.com/hostnic/hostnic/test/need"
)

// TestFault_A12 kills the real daemon at every step that it does with a file, and after
// every operation of the kernel, and cuts the power of the disk with the state right
// then: what did not get to the disk by itself is lost, and ext4 recovers. The host goes
// back or on as after a kill; every other time the whole host has lost its power, and
// comes up with what is committed. What was acknowledged is there each time.
func TestFault_A12(t *testing.T) {
	need.Kernel(t, need.Flakey)
	v := newVictim(t)
	v.Stop()
	state := filepath.Join(v.Dir, "state")
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	disk := flakey.Mount(t, state)
	if err := os.Chmod(state, 0o700); err != nil { //nolint:gosec // a folder
		t.Fatal(err)
	}
	v.live()
	c := everyStep(committing("", little, littleMore))
	before, after, points := v.unharmed(c)
	lost := 0
	for at := 1; at <= len(points)+1; at++ {
		c.begin(v)
		before.revision = v.status().GetCommittedRevision()
		after.revision = before.revision + 1
		v.plan(c.killAt(at))
		answered := v.survives(commit) != nil
		if answered {
			v.Kill()
		}
		passed := v.reached()
		v.buried()
		had := files(t, state)
		disk.Cut()
		lost += len(had) - len(files(t, state))
		what := fmt.Sprintf("cut at point %d, %s", at, passed[len(passed)-1])
		if at%2 == 0 {
			v.reboot()
			what += ", switched on again"
		}
		v.live()
		want := before
		// A name that its folder was not synced for may be there or not.
		sure := answered || slices.Contains(passed, "sync folder revisions")
		if renamed := placed("revision", 1)(passed); sure || renamed && v.status().GetCommittedRevision() == after.revision {
			want = after
		}
		v.stands(what, want, "")
		v.settled(what)
	}
	t.Logf("%d cuts, by which %d files were lost", v.kills, lost)
	if lost == 0 {
		t.Error("nothing was ever lost: this disk is no flakey one")
	}
}

// files are the names in the state directory and below.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	for _, folder := range []string{dir, filepath.Join(dir, "revisions")} {
		all, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if strings.HasPrefix(e.Name(), ".") || e.Type().IsRegular() {
				out = append(out, filepath.Join(folder, e.Name()))
			}
		}
	}
	return out
}
