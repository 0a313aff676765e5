package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type thing struct{ Text string }

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t *testing.T, s *Store, name, text string) {
	t.Helper()
	if err := s.Put(name, thing{text}); err != nil {
		t.Fatal(err)
	}
}

// newest is the file that holds the given text.
func newest(t *testing.T, s *Store, text string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir(), "x.?"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), text) {
			return f
		}
	}
	t.Fatalf("no file in %s holds %q", s.Dir(), text)
	return ""
}

func TestPutGet(t *testing.T) {
	s := open(t)
	var got thing
	if err := s.Get("x", &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first: %v, want fs.ErrNotExist", err)
	}
	for _, text := range []string{"one", "two", "three"} {
		put(t, s, "x", text)
		if err := s.Get("x", &got); err != nil || got.Text != text {
			t.Errorf("got %q, %v, want %q", got.Text, err, text)
		}
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	s := open(t)
	_, err := Open(s.Dir())
	var locked *LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("a second open: %v, want *LockedError", err)
	}
}

// damage is done to the file with the newest record.
var damages = []struct {
	name string
	do   func([]byte) []byte
}{
	{"empty", func([]byte) []byte { return nil }},
	{"cut in the header", func(b []byte) []byte { return b[:7] }},
	{"cut in the payload", func(b []byte) []byte { return b[:len(b)-3] }},
	{"one bit in the payload", func(b []byte) []byte { b[len(b)-4] ^= 1; return b }},
	{"one bit in the generation", func(b []byte) []byte { b[len("hostnic-state 1 ")] ^= 1; return b }},
	{"something else", func([]byte) []byte { return []byte("hello\nworld\n") }},
	{"longer", func(b []byte) []byte { return append(b, 'x') }},
}

func TestFault_A16(t *testing.T) { testDamage(t) }
func TestFault_A17(t *testing.T) { testDamage(t) }

// testDamage wants the older generation, and to be told.
func testDamage(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			s := open(t)
			put(t, s, "x", "older")
			put(t, s, "x", "newer")
			file := newest(t, s, "newer")
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, d.do(data), 0o600); err != nil {
				t.Fatal(err)
			}
			var got thing
			var damaged *DamagedError
			err = s.Get("x", &got)
			if !errors.As(err, &damaged) || !damaged.Recovered || got.Text != "older" {
				t.Fatalf("got %q, %v, want the older generation and a *DamagedError that says so", got.Text, err)
			}
			put(t, s, "x", "after")
			if err := s.Get("x", &got); err != nil || got.Text != "after" {
				t.Errorf("after writing again: %q, %v", got.Text, err)
			}
		})
	}
}

func TestFault_A18(t *testing.T) {
	s := open(t)
	put(t, s, "x", "older")
	put(t, s, "x", "newer")
	for _, name := range slotNames("x") {
		if err := os.Truncate(filepath.Join(s.Dir(), name), 0); err != nil {
			t.Fatal(err)
		}
	}
	var damaged *DamagedError
	if err := s.Get("x", &thing{}); !errors.As(err, &damaged) || damaged.Recovered {
		t.Fatalf("both generations bad: %v, want *DamagedError without recovery", err)
	}
}

func TestFault_A19(t *testing.T) {
	s := open(t)
	put(t, s, "x", "future")
	file := newest(t, s, "future")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len("hostnic-state ")] = '9'
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var newer *NewerError
	if err := s.Get("x", &thing{}); !errors.As(err, &newer) {
		t.Fatalf("a newer format: %v, want *NewerError", err)
	}
}

func TestFault_A21(t *testing.T) {
	t.Run("a link in place of a record", func(t *testing.T) {
		s := open(t)
		if err := os.Symlink("/etc/passwd", filepath.Join(s.Dir(), "x.a")); err != nil {
			t.Fatal(err)
		}
		var unsafe *UnsafeError
		if err := s.Get("x", &thing{}); !errors.As(err, &unsafe) {
			t.Errorf("got %v, want *UnsafeError", err)
		}
	})
	t.Run("a directory that others write to", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the fault under test
			t.Fatal(err)
		}
		var unsafe *UnsafeError
		if _, err := Open(dir); !errors.As(err, &unsafe) {
			t.Errorf("got %v, want *UnsafeError", err)
		}
	})
	t.Run("a link in place of the directory", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(t.TempDir(), link); err != nil {
			t.Fatal(err)
		}
		var unsafe *UnsafeError
		if _, err := Open(link); !errors.As(err, &unsafe) {
			t.Errorf("got %v, want *UnsafeError", err)
		}
	})
}

// What goes wrong each time in the same way is said each time in the same words: what
// the agent shows as wrong with it is a set of them.
func TestSameErrorTwice(t *testing.T) {
	for _, deed := range []Deed{Created, Written, Synced} {
		t.Run(string(deed), func(t *testing.T) {
			s := open(t)
			s.Trace = func(step Step) error {
				if step.Deed != deed {
					return nil
				}
				return &fs.PathError{Op: string(deed), Path: s.path(step.Path), Err: unix.ENOSPC}
			}
			sameTwice(t, s)
		})
	}
	t.Run("rename", func(t *testing.T) {
		s := open(t)
		if err := os.Mkdir(filepath.Join(s.Dir(), "x.a"), 0o700); err != nil {
			t.Fatal(err)
		}
		sameTwice(t, s)
	})
	t.Run("no folder", func(t *testing.T) {
		s := open(t)
		if err := os.RemoveAll(s.Dir()); err != nil {
			t.Fatal(err)
		}
		sameTwice(t, s)
	})
}

func sameTwice(t *testing.T, s *Store) {
	t.Helper()
	first, second := s.Put("x", thing{"one"}), s.Put("x", thing{"one"})
	if first == nil || second == nil || first.Error() != second.Error() {
		t.Errorf("first %v, then %v, want the same", first, second)
	}
	if path := filepath.Join(s.Dir(), "x.a"); first == nil || !strings.Contains(first.Error(), path) {
		t.Errorf("%v, want the path %s in it", first, path)
	}
}

func TestRevisions(t *testing.T) {
	s := open(t)
	for n := int64(1); n <= 3; n++ {
		if err := s.PutRevision(n, thing{"r"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DropRevision(1); err != nil {
		t.Fatal(err)
	}
	if err := s.DropRevision(1); err != nil {
		t.Errorf("dropping what is gone: %v", err)
	}
	got, err := s.Revisions()
	if err != nil || len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("revisions %v, %v, want [2 3]", got, err)
	}
	if err := s.GetRevision(1, &thing{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dropped revision: %v", err)
	}
	if err := os.Truncate(filepath.Join(s.Dir(), revisionName(3)), 20); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if err := s.GetRevision(3, &thing{}); !errors.As(err, &damaged) {
		t.Errorf("a damaged revision: %v, want *DamagedError", err)
	}
}

func TestTidy(t *testing.T) {
	s := open(t)
	put(t, s, "x", "kept")
	left := filepath.Join(s.Dir(), ".x.a-123")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Tidy()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the left-over is still there: %v", err)
	}
	if err := s.Get("x", &thing{}); err != nil {
		t.Error(err)
	}
}

func TestDrop(t *testing.T) {
	s := open(t)
	for range 2 {
		put(t, s, "x", "one")
		put(t, s, "x", "two")
		if err := s.Drop("x"); err != nil {
			t.Fatal(err)
		}
		var got thing
		if err := s.Get("x", &got); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after Drop: %v, want fs.ErrNotExist", err)
		}
	}
	if err := s.Drop("x"); err != nil {
		t.Errorf("dropping what is gone: %v", err)
	}
}
