// Package powercut enumerates what a power cut may leave of the agent's files, and has
// the agent start from each.
package powercut

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/test/image"
)

// TestFault_A12 cuts the power after everything that the agent does with a file, in a
// life of commits, applies, windows and rollbacks. From whatever is then on the disk
// the agent starts where the rule says, with everything that it has ever acknowledged,
// and never believes half a file.
//
// Switched on again, the host has bare NICs and comes up with what is committed. And as
// if only the disk had lost its power: the kernel is still as it was in the middle, and
// goes back to what was before, or on to what was asked for.
func TestFault_A12(t *testing.T) {
	events := life(t)
	n := enumerate(t, events, everything, func(c cut) (goOn bool) {
		if what := c.check(t); what != "" {
			t.Fatalf("%s\n%s", what, c)
		}
		return true
	})
	t.Logf("%d events, %d states of the disk", len(events), n)
	if n < 500 {
		t.Errorf("only %d states", n)
	}
}

// TestEnumeratorFindsOut forgets syncs, as if the store did without, and wants the
// enumerator to find what that breaks.
func TestEnumeratorFindsOut(t *testing.T) {
	events := life(t)
	for name, forgets := range map[string]func(store.Step) bool{
		"files":                    func(s store.Step) bool { return s.Deed == store.Synced },
		"the folder of records":    func(s store.Step) bool { return s.Deed == store.SyncedDir && s.Path == "." },
		"the folder of revisions":  func(s store.Step) bool { return s.Deed == store.SyncedDir && s.Path != "." },
		"the files of the journal": func(s store.Step) bool { return s.Deed == store.Synced && strings.Contains(s.Path, "journal") },
	} {
		t.Run(name, func(t *testing.T) {
			found := ""
			n := enumerate(t, events, func(s store.Step) bool { return !forgets(s) }, func(c cut) (goOn bool) {
				found = c.check(t)
				return found == ""
			})
			if found == "" {
				t.Error("nobody finds out")
			}
			t.Logf("state %d: %s", n, found)
		})
	}
}

func everything(store.Step) bool { return true }

// cut is the power cut at some moment, and one of the states that the disk may be in.
type cut struct {
	events []event // until then
	// last is what a client was told last. next is what it is told next, had the power
	// not been cut; nil when nothing was under way.
	last stand
	next *stand
	disk content
}

func (c cut) String() string {
	out := fmt.Sprintf("cut after %d events, behind %q", len(c.events), c.last.after)
	if c.next != nil {
		out += fmt.Sprintf(", in the middle of %q", c.next.after)
	}
	for _, e := range c.events[max(0, len(c.events)-12):] {
		switch {
		case e.step != nil:
			out += fmt.Sprintf("\n%s %s %s", e.step.Deed, e.step.Path, e.step.To)
		case e.op != nil:
			out += "\n" + e.op.String()
		case e.answer != nil:
			out += "\nanswered: " + e.answer.after
		}
	}
	return out + "\n" + c.disk.key()
}

// enumerate cuts the power after each event, and gives how many different states there
// were. Steps that do not count have not happened.
func enumerate(t *testing.T, events []event, counts func(store.Step) bool, found func(cut) (goOn bool)) (states int) {
	t.Helper()
	d := newDisk()
	seen := map[string]bool{}
	var last stand
	goOn := true
	for i, e := range events {
		if !goOn {
			break
		}
		under := true
		switch {
		case e.step != nil && counts(*e.step):
			if err := d.do(*e.step); err != nil {
				t.Fatal(err)
			}
		case e.answer != nil:
			last, under = *e.answer, false
		}
		if last.after == "" {
			continue // it was starting for the first time
		}
		c := cut{events: events[:i+1], last: last}
		if under {
			c.next = following(events[i:])
		}
		d.cut(func(files content) {
			c.disk = files
			key := fmt.Sprint(len(operations(c.events)), c.last.after, c.next == nil, e.clock, files.key())
			if goOn && !seen[key] {
				seen[key] = true
				states++
				goOn = found(c)
			}
		})
	}
	return states
}

// following is the next answer.
func following(events []event) *stand {
	for _, e := range events {
		if e.answer != nil {
			return e.answer
		}
	}
	return nil
}

func operations(events []event) (out []event) {
	for _, e := range events {
		if e.op != nil {
			out = append(out, e)
		}
	}
	return out
}

// check starts the agent from there, in this boot and in the next, and says what is
// wrong; nothing if it is empty.
func (c cut) check(t *testing.T) string {
	t.Helper()
	after := bare()
	v, revisions, what := start(t, c.disk, after, nextBoot, 0)
	if what != "" {
		return "switched on again: " + what
	}
	if now := standing(t, after, v); now.pending || !netcfg.Equal(now.running, now.committed) || now.image != fresh(t, now.committed) {
		return "switched on again: it does not come up with what is committed"
	}
	if what := c.lost(v, revisions); what != "" {
		return what
	}
	same := bare()
	for _, e := range operations(c.events) {
		if err := same.Foreign(*e.op); err != nil {
			t.Fatalf("replay %s: %v", e.op, err)
		}
	}
	v, _, what = start(t, c.disk, same, thisBoot, c.events[len(c.events)-1].clock)
	if what != "" {
		return "the disk cut off: " + what
	}
	now := standing(t, same, v)
	if !now.equal(c.last) && (c.next == nil || !now.equal(*c.next)) {
		return "the disk cut off: the host is neither as it was nor as it was to be"
	}
	return ""
}

// lost is what was acknowledged and is not there, or is not what was acknowledged.
func (c cut) lost(v engine.View, revisions map[int64]netcfg.Config) string {
	switch {
	case v.CommittedRevision == c.last.revision:
		if !netcfg.Equal(v.Committed, c.last.committed) {
			return "the committed revision is not what was committed"
		}
	case c.next != nil && v.CommittedRevision == c.next.revision:
		if !netcfg.Equal(v.Committed, c.next.committed) {
			return "the committed revision is not what was to be committed"
		}
	default:
		return fmt.Sprintf("revision %d is committed, where %d was acknowledged", v.CommittedRevision, c.last.revision)
	}
	for _, e := range c.events {
		if e.answer == nil || e.answer.revision == 0 {
			continue
		}
		if have, ok := revisions[e.answer.revision]; !ok || !netcfg.Equal(have, e.answer.committed) {
			return fmt.Sprintf("revision %d is lost", e.answer.revision)
		}
	}
	return ""
}

// start has an agent start from those files, and gives what it believes, the revisions
// that it has, and what it complains of: whatever a cut leaves is the work of the
// agent's own hands, in order, and nothing to complain of.
func start(t *testing.T, files content, k *kerneltest.Fake, boot string, now time.Duration) (v engine.View, revisions map[int64]netcfg.Config, what string) {
	t.Helper()
	dir := folder(t)
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary one
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	e := engine.New(options(door{&host{fake: k}}, st, boot, func() time.Duration { return now }))
	if err := e.Recover(context.Background()); err != nil {
		return v, nil, err.Error()
	}
	if v = e.View(); len(v.Degraded) > 0 || v.ReadOnly != "" {
		return v, nil, fmt.Sprintf("degraded %q, read only %q", v.Degraded, v.ReadOnly)
	}
	all, err := st.Revisions()
	if err != nil {
		t.Fatal(err)
	}
	revisions = map[int64]netcfg.Config{}
	for _, n := range all {
		var r engine.Revision
		if err := st.GetRevision(n, &r); err != nil {
			return v, nil, err.Error()
		}
		revisions[n] = r.Config
	}
	return v, revisions, ""
}

// fresh is how a host looks that was switched on with that committed.
func fresh(t *testing.T, c netcfg.Config) string {
	t.Helper()
	f := bare()
	if _, err := converge.Run(t.Context(), f, converge.Target{Config: c}); err != nil {
		t.Fatal(err)
	}
	s, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return image.Of(s)
}

// folder is an empty state directory, in memory where there is one: what is synced
// there costs nothing, and what a disk does is this package's.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "powercut")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		dir, err = os.MkdirTemp("", "powercut")
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "revisions"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
