package powercut

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hostnic/hostnic/agent/store"
)

// written is what may be read of a record: what was stored last, and what was on the
// way since.
type written map[string][]string

// ledger is a store, what its disk holds, and what may be read from it.
type ledger struct {
	t    *testing.T
	st   *store.Store
	disk *disk
	may  written
	// failAt is the number of the step that the file system refuses, 0 for none.
	steps, failAt int
	states        int
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	st, err := store.Open(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{t: t, st: st, disk: newDisk(), may: written{}}
	st.Trace = func(s store.Step) error {
		if err := l.disk.do(s); err != nil {
			t.Error(err)
		}
		l.hold()
		if l.steps++; l.steps == l.failAt {
			return syscall.EIO
		}
		return nil
	}
	t.Cleanup(func() { _ = st.Close() })
	return l
}

// put stores a record or, where the name is a number, a revision. The error is whether
// the store has told of one.
func (l *ledger) put(name, text string) error {
	l.t.Helper()
	had := l.may[name]
	l.may[name] = append(slices.Clone(had), text)
	var err error
	if n := revision(name); n > 0 {
		err = l.st.PutRevision(n, text)
	} else {
		err = l.st.Put(name, text)
	}
	switch {
	case err == nil:
		l.may[name] = []string{text}
	case revision(name) > 0:
		l.may[name] = had // it has been taken back
	}
	l.hold()
	return err
}

func revision(name string) (n int64) {
	_, _ = fmt.Sscanf(name, "%d", &n)
	return n
}

// hold cuts the power and wants every record to be read as it may.
func (l *ledger) hold() {
	l.disk.cut(func(files content) {
		l.states++
		dir := folder(l.t)
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary one
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				l.t.Fatal(err)
			}
		}
		st, err := store.Open(dir)
		if err != nil {
			l.t.Fatal(err)
		}
		defer st.Close()
		for name, may := range l.may {
			var text string
			if n := revision(name); n > 0 {
				err = st.GetRevision(n, &text)
			} else {
				err = st.Get(name, &text)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist) && (len(may) == 0 || may[0] == ""):
			case err != nil || !slices.Contains(may, text):
				l.t.Fatalf("%s: %.20q, %v, want one of %.20q", name, text, err, may)
			}
		}
	})
}

// TestRecordsOutliveACut stores records of many sizes and cuts the power after each
// step: what Put has acknowledged is there, or what was on the way after it, and
// nothing else, whole.
func TestRecordsOutliveACut(t *testing.T) {
	l := newLedger(t)
	for i, size := range []int{1, 400, 600, 4000, 100, 5000, 1} {
		for _, name := range []string{"one", "two", fmt.Sprint(i + 1)} {
			if l.may[name] == nil {
				l.may[name] = []string{""}
			}
			if err := l.put(name, text(i, size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d states of the disk", l.states)
}

func text(i, size int) string { return fmt.Sprint(i, strings.Repeat("x", size)) }

// TestFault_A22 has the file system refuse every single step once, after it has done
// it, and cuts the power then and later. What was acknowledged before is there; a
// record that was not is not counted on; and a revision that was refused never turns
// up.
func TestFault_A22(t *testing.T) {
	states := 0
	for _, name := range []string{"one", "3"} {
		for at := 1; ; at++ {
			l := newLedger(t)
			l.may["one"], l.may["2"], l.may["3"] = []string{""}, []string{""}, []string{""}
			for _, first := range []string{"one", "2"} {
				if err := l.put(first, text(0, 600)); err != nil {
					t.Fatal(err)
				}
			}
			l.failAt = l.steps + at
			err := l.put(name, text(1, 900))
			if refused := l.steps >= l.failAt; refused != (err != nil) {
				t.Fatalf("%s, step %d: %v", name, at, err)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("%s, step %d: %v", name, at, err)
			}
			if err := l.put(name, text(2, 700)); err != nil {
				t.Errorf("%s, after step %d was refused: %v", name, at, err)
			}
			states += l.states
		}
	}
	t.Logf("%d states of the disk", states)
}
