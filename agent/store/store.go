package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Store is an opened state directory. Put, Get and Drop may be called by anybody at any
// time, its other methods by one goroutine.
type Store struct {
	dir  string
	lock *os.File
	mu   sync.Mutex // of what follows, and held while a record is read or written
	// last is where the newest good record of a name is, once that is known.
	last map[string]place
	// Trace is told of each thing that was done to a file; nil is nobody. It is for
	// tests of what a crash leaves, and of what a file system refuses: an error that it
	// returns counts as the file system's.
	Trace func(Step) error
}

// place is one of the two files of a name, and the generation in it.
type place struct {
	slot       int
	generation uint64
}

// LockedError says that another process holds the state directory.
type LockedError struct {
	Dir string
	// Holder is the process that does; 0 is unknown.
	Holder int
}

// Error says what to do about it.
func (e *LockedError) Error() string {
	return fmt.Sprintf("another hostnicd uses the state directory %s: stop that first, or give this one another --state-dir", e.Dir)
}

// UnsafeError says that the state directory or a file in it is not safe to trust:
// somebody else could have written it.
type UnsafeError struct{ Path, Reason string }

// Error says what is unsafe.
func (e *UnsafeError) Error() string { return fmt.Sprintf("%s is not trusted: %s", e.Path, e.Reason) }

// Open takes the state directory, making it with mode 0700 if it is missing. The
// directory is locked until Close or the end of the process.
func Open(dir string) (*Store, error) {
	if err := makeDirs(dir); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	if err := trusted(dir); err != nil {
		return nil, err
	}
	// Only read, which a file system that takes no writes any more lets one do.
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the state directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &LockedError{dir, holder(filepath.Join(dir, "lock"))}
		}
		return nil, fmt.Errorf("lock the state directory %s: %w", dir, err)
	}
	nameHolder(lock.Name())
	return &Store{dir: dir, lock: lock, last: map[string]place{}}, nil
}

// makeDirs makes what is missing of the state directory, so that a power cut does not
// take it along with what is in it.
func makeDirs(dir string) error {
	if st, err := os.Stat(filepath.Join(dir, revisionsDir)); err == nil && st.IsDir() {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(dir, revisionsDir), 0o700); err != nil {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// nameHolder writes our process into the lock file, for whoever finds it locked. The
// lock holds without that.
func nameHolder(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintln(f, os.Getpid())
	_ = f.Close()
}

// holder is the process that has written its number into the lock file.
func holder(path string) int {
	data, err := os.ReadFile(path) //nolint:gosec // our own directory
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return pid
}

// trusted refuses a directory that others may write to.
func trusted(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the state directory: %w", err)
	}
	var sys unix.Stat_t
	if err := unix.Lstat(dir, &sys); err != nil {
		return fmt.Errorf("look at the state directory %s: %w", dir, err)
	}
	switch {
	case !st.IsDir():
		return &UnsafeError{dir, "it is not a directory"}
	case int(sys.Uid) != os.Geteuid():
		return &UnsafeError{dir, fmt.Sprintf("it belongs to uid %d, not to uid %d that runs the agent", sys.Uid, os.Geteuid())}
	case st.Mode().Perm()&0o022 != 0:
		return &UnsafeError{dir, fmt.Sprintf("others may write to it (mode %04o); chmod 0700 it", st.Mode().Perm())}
	}
	return nil
}

// Close gives the directory back.
func (s *Store) Close() error { return s.lock.Close() }

// Dir is the state directory.
func (s *Store) Dir() string { return s.dir }

// Put stores v under the name, as JSON. When it returns nil the record is on the
// disk. The older generation is the one that is overwritten, so that the last
// record stays readable whatever happens meanwhile.
func (s *Store) Put(name string, v any) error {
	p, err := Encode(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return s.PutPayload(name, p)
}

// PutPayload is Put for what Encode has made.
func (s *Store) PutPayload(name string, p Payload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.last[name]
	if !known {
		last = s.newest(name)
	}
	next := place{1 - last.slot, last.generation + 1}
	if err := s.write(slotNames(name)[next.slot], head(next.generation, p), p); err != nil {
		delete(s.last, name) // nobody knows what is there
		return err
	}
	s.last[name] = next
	return nil
}

// newest is where the newest good record of a name is on the disk. Where there is
// none, the next goes into the first file.
func (s *Store) newest(name string) place {
	best := place{slot: 1}
	slots, _ := s.slots(name)
	for i, slot := range slots {
		if slot.err == nil && slot.generation > best.generation {
			best = place{i, slot.generation}
		}
	}
	return best
}

// Get reads the newest good record of the name into v. It returns
// fs.ErrNotExist when there never was one, *DamagedError with Recovered when the
// newer generation is damaged and v is the older one, *DamagedError without it
// when there is no good one, and *NewerError for the format of a newer version.
func (s *Store) Get(name string, v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	slots, names := s.slots(name)
	best := -1
	var damage error
	for i, slot := range slots {
		var newer *NewerError
		switch {
		case errors.As(slot.err, &newer):
			return slot.err
		case slot.err == nil && (best < 0 || slot.generation > slots[best].generation):
			best = i
		case slot.err != nil && !errors.Is(slot.err, fs.ErrNotExist):
			damage = fmt.Errorf("%s: %w", names[i], slot.err)
		}
	}
	if damage != nil {
		delete(s.last, name) // the next Put looks where it may write
	}
	if best < 0 && damage == nil {
		return fs.ErrNotExist
	}
	if best < 0 {
		return &DamagedError{Name: name, Err: damage}
	}
	if err := slots[best].decode(v); err != nil {
		return &DamagedError{Name: name, Err: err}
	}
	if damage != nil {
		return &DamagedError{Name: name, Recovered: true, Err: damage}
	}
	return nil
}

// Drop removes the record of the name. Removing what is gone is success.
func (s *Store) Drop(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, name)
	names := slotNames(name)
	return errors.Join(s.remove(names[0]), s.remove(names[1]), s.syncFolder("."))
}

func slotNames(name string) [2]string { return [2]string{name + ".a", name + ".b"} }

func (s *Store) slots(name string) (slots [2]record, names [2]string) {
	names = slotNames(name)
	for i := range slots {
		slots[i] = s.read(names[i])
	}
	return slots, names
}

func (s *Store) read(name string) record {
	path := filepath.Join(s.dir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.ELOOP) {
			err = &UnsafeError{path, "it is a symbolic link"}
		}
		return record{err: err}
	}
	defer f.Close() //nolint:errcheck // read only
	return decode(f)
}

// write puts a whole file in place, or leaves what was there. A failed sync means
// not written: the kernel may have dropped the pages, and asking again would lie
// (fsync(2), NOTES).
func (s *Store) write(name string, head []byte, payload Payload) error {
	f, tmp, err := s.create(name)
	if err != nil {
		return s.notStored(name, err)
	}
	err = s.fill(f, tmp, head, payload)
	if err == nil {
		err = s.rename(tmp, name)
	}
	if err == nil {
		err = s.syncFolder(filepath.Dir(name))
	}
	if err != nil {
		_ = s.remove(tmp) // gone when the rename succeeded
		return s.notStored(name, err)
	}
	return nil
}

// notStored has the same words each time that the same goes wrong, so that whoever
// collects errors has one of them: a temporary file has another name each time.
func (s *Store) notStored(name string, err error) error {
	var file *fs.PathError
	if errors.As(err, &file) {
		err = &fs.PathError{Op: file.Op, Path: s.path(name), Err: file.Err}
	}
	var renamed *os.LinkError
	if errors.As(err, &renamed) {
		err = &fs.PathError{Op: renamed.Op, Path: s.path(name), Err: renamed.Err}
	}
	return fmt.Errorf("store %s: %w", name, err)
}

const revisionsDir = "revisions"

func revisionName(n int64) string { return filepath.Join(revisionsDir, fmt.Sprintf("%08d", n)) }

// PutRevision stores v as the numbered revision, which must be new. Older
// revisions are never written to again, so each is a generation of its own.
func (s *Store) PutRevision(n int64, v any) error {
	p, err := Encode(v)
	if err != nil {
		return fmt.Errorf("encode revision %d: %w", n, err)
	}
	if err := s.write(revisionName(n), head(uint64(n), p), p); err != nil {
		// It must not turn up after its commit has been refused, not even when the power
		// is cut next.
		return errors.Join(err, s.DropRevision(n), s.syncFolder(revisionsDir))
	}
	return nil
}

// GetRevision reads a numbered revision into v; fs.ErrNotExist when there is none.
func (s *Store) GetRevision(n int64, v any) error {
	r := s.read(revisionName(n))
	if r.err == nil {
		r.err = r.decode(v)
	}
	var newer *NewerError
	if r.err == nil || errors.Is(r.err, fs.ErrNotExist) || errors.As(r.err, &newer) {
		return r.err
	}
	return &DamagedError{Name: fmt.Sprintf("revision %d", n), Err: r.err}
}

// Revisions are the numbers of the stored revisions, rising.
func (s *Store) Revisions() ([]int64, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, revisionsDir))
	if err != nil {
		return nil, fmt.Errorf("list the revisions: %w", err)
	}
	var out []int64
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if n, err := strconv.ParseInt(e.Name(), 10, 64); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// DropRevision removes an old revision. Removing what is gone is success.
func (s *Store) DropRevision(n int64) error {
	return s.remove(revisionName(n))
}

// Tidy removes temporary files that a killed process has left.
func (s *Store) Tidy() {
	for _, dir := range []string{".", revisionsDir} {
		entries, err := os.ReadDir(s.path(dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") && e.Type().IsRegular() {
				_ = s.remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}
