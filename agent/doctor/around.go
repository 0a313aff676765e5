package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// Around is what lies outside of the network.
type Around struct {
	Disk Disk
	// Managers are the claims of other programs to links.
	Managers []Manager
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

// Manager is a link that another program says it manages.
type Manager struct {
	// Program is the name of its service.
	Program string
	// Index or Name is the link, whichever the program says.
	Index int
	Name  string
	// File is where it says so, and Says what.
	File, Says string
}

func (m Manager) manages(l state.Link) bool {
	return m.Index != 0 && m.Index == l.Index || m.Name != "" && m.Name == l.Name
}

// remedy takes a link from its other manager.
func (m Manager) remedy(nic string) string {
	switch m.Program {
	case networkManager:
		return "nmcli device set " + nic + " managed no, and keep it so in /etc/NetworkManager/conf.d"
	case networkd:
		return "take " + nic + " out of the .network files (networkctl status " + nic + " names them), then networkctl reload"
	}
	return "take " + nic + " out of /etc/network/interfaces"
}

const (
	networkManager = "NetworkManager"
	networkd       = "systemd-networkd"
	ifupdown       = "ifupdown"
)

// most bounds how much is read of any file of others, and how many of them.
const (
	mostBytes = 64 << 10
	mostFiles = 10000
)

// Look looks below root, which is / but in tests, and at the file system of the state
// directory. Other programs' processes are nobody's to see in the sandbox of the unit;
// their files in /run are.
func Look(root, stateDir string) Around {
	var a Around
	a.managers(root)
	a.disk(stateDir)
	a.clock(root)
	return a
}

func (a *Around) skip(rule string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.Skipped = append(a.Skipped, Skipped{rule, err.Error()})
	}
}

// managers reads what NetworkManager (/run/NetworkManager/devices/INDEX), networkd
// (/run/systemd/netif/links/INDEX) and ifupdown (/run/network/ifstate) say of themselves.
func (a *Around) managers(root string) {
	for _, dir := range []struct{ program, path string }{{networkManager, "run/NetworkManager/devices"}, {networkd, "run/systemd/netif/links"}} {
		files, err := os.ReadDir(filepath.Join(root, dir.path))
		a.skip("other-manager", err)
		for _, f := range files[:min(len(files), mostFiles)] {
			index, err := strconv.Atoi(f.Name())
			if err != nil {
				continue
			}
			path := filepath.Join(dir.path, f.Name())
			lines, err := readLines(filepath.Join(root, path))
			a.skip("other-manager", err)
			if says := claim(dir.program, lines); says != "" {
				a.Managers = append(a.Managers, Manager{Program: dir.program, Index: index, File: "/" + path, Says: says})
			}
		}
	}
	const ifstate = "run/network/ifstate"
	lines, err := readLines(filepath.Join(root, ifstate))
	a.skip("other-manager", err)
	for _, line := range lines {
		if name, _, ok := strings.Cut(line, "="); ok && name != "lo" {
			a.Managers = append(a.Managers, Manager{Program: ifupdown, Name: name, File: "/" + ifstate, Says: line})
		}
	}
}

// claim is the line by which a program says that it manages a link; empty where it does
// not: both keep files of links that they leave alone.
func claim(program string, lines []string) string {
	for _, line := range lines {
		switch {
		case program == networkManager && (line == "managed=true" || strings.HasPrefix(line, "connection-uuid=")):
			return line
		case program == networkd && strings.HasPrefix(line, "ADMIN_STATE=") && line != "ADMIN_STATE=unmanaged" && line != "ADMIN_STATE=initialized" && line != "ADMIN_STATE=pending":
			return line
		}
	}
	return ""
}

func readLines(path string) ([]string, error) {
	f, err := os.Open(path) //nolint:gosec // root is the caller's
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	var lines []string
	s := bufio.NewScanner(io.LimitReader(f, mostBytes))
	for s.Scan() {
		lines = append(lines, strings.TrimSpace(s.Text()))
	}
	return lines, s.Err()
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
