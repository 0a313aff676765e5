package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/managers"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Around is what lies outside of the network.
type Around struct {
	Disk Disk
	// Managers are the claims of other programs to links.
	Managers []managers.Claim
	Clock    Clock
	// Skipped is what could not be looked at.
	Skipped []Skipped
}

// Disk is the file system of the state directory. A file system without a fixed number
// of inodes has none.
type Disk struct {
	Path                 string
	Bytes, FreeBytes     uint64
	Inodes, FreeInodes   uint64
	Known, ReadOnlyMount bool
}

// Clock is the wall clock. Disciplined is nil where it is not known.
type Clock struct {
	Now         time.Time
	Disciplined *bool
}

// Look looks below root, which is / but in tests, for what claims these links, and at
// the file system of the state directory. Other programs' processes are nobody's to see
// in the sandbox of the unit; their files in /run are.
func Look(root, stateDir string, links []state.Link) Around {
	var a Around
	a.Managers = managers.Host{Root: root}.Claims(claimable(links))
	a.disk(stateDir)
	a.clock(root)
	return a
}

func claimable(links []state.Link) []managers.Link {
	out := make([]managers.Link, 0, len(links))
	for _, l := range links {
		out = append(out, managers.Link{Index: l.Index, Name: l.Name})
	}
	return out
}

func (a *Around) skip(rule string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.Skipped = append(a.Skipped, Skipped{rule, err.Error()})
	}
}

func (a *Around) disk(path string) {
	a.Disk.Path = path
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		a.skip("disk", fmt.Errorf("statfs %s: %w", path, err))
		return
	}
	size := uint64(st.Bsize) //nolint:gosec // it is never negative
	a.Disk = Disk{Path: path, Known: true, Bytes: st.Blocks * size, FreeBytes: st.Bavail * size, Inodes: st.Files, FreeInodes: st.Ffree,
		ReadOnlyMount: st.Flags&unix.ST_RDONLY != 0}
}

// clock asks the kernel whether somebody keeps the clock right. The sandbox of the unit
// forbids to ask, but for the file that systemd-timesyncd leaves.
func (a *Around) clock(root string) {
	a.Clock.Now = time.Now()
	var t unix.Timex
	_, err := unix.Adjtimex(&t)
	if err == nil {
		a.Clock.Disciplined = new(t.Status&unix.STA_UNSYNC == 0)
		return
	}
	if _, e := os.Stat(filepath.Join(root, "run/systemd/timesync/synchronized")); e == nil {
		a.Clock.Disciplined = new(true)
		return
	}
	a.skip("clock", fmt.Errorf("adjtimex: %w", err))
}
