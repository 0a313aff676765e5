package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Deed is what was done to a file.
type Deed string

// The deeds, each one system call.
const (
	Created   Deed = "create"
	Written   Deed = "write"
	Synced    Deed = "sync"
	Renamed   Deed = "rename"
	Removed   Deed = "remove"
	SyncedDir Deed = "sync folder"
)

// Step is one thing that the store has done in its directory. What is not synced, of
// a file or of a folder, may be lost with the power.
type Step struct {
	Deed Deed
	// Path, and To of a rename, are within the state directory.
	Path, To string
	// Data is what was written, at the end of the file.
	Data []byte
}

// did tells of a step. The error stands for one that the file system had with it.
func (s *Store) did(step Step) error {
	if s.Trace == nil {
		return nil
	}
	return s.Trace(step)
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// create makes a temporary file beside the named one; its name begins with a dot.
func (s *Store) create(name string) (f *os.File, tmp string, err error) {
	f, err = os.CreateTemp(filepath.Dir(s.path(name)), "."+filepath.Base(name)+"-")
	if err != nil {
		return nil, "", err
	}
	tmp = filepath.Join(filepath.Dir(name), filepath.Base(f.Name()))
	if err := s.did(Step{Deed: Created, Path: tmp}); err != nil {
		return nil, "", errors.Join(err, f.Close(), s.remove(tmp))
	}
	return f, tmp, nil
}

// fill writes a file and closes it. When it returns nil the data is on the disk.
func (s *Store) fill(f *os.File, tmp string, parts ...[]byte) error {
	var err error
	for _, data := range parts {
		if err == nil {
			_, err = f.Write(data)
		}
		if err == nil {
			err = s.did(Step{Deed: Written, Path: tmp, Data: data})
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.did(Step{Deed: Synced, Path: tmp})
	}
	return errors.Join(err, f.Close())
}

func (s *Store) rename(from, to string) error {
	if err := os.Rename(s.path(from), s.path(to)); err != nil {
		return err
	}
	return s.did(Step{Deed: Renamed, Path: from, To: to})
}

// remove takes a file away; one that is not there is success.
func (s *Store) remove(name string) error {
	err := os.Remove(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.did(Step{Deed: Removed, Path: name})
}

// syncFolder puts on the disk which files a folder of the state directory holds.
func (s *Store) syncFolder(name string) error {
	if err := syncDir(s.path(name)); err != nil {
		return err
	}
	return s.did(Step{Deed: SyncedDir, Path: name})
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
