// Package resolver is the door to the file by which the host's programs find DNS servers,
// resolv.conf(5), beside that to the kernel: both are looked at and changed as one host.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Kernel is the door to a network namespace, and the count of what went through it.
type Kernel interface {
	converge.Kernel
	Writes() uint64
}

// Host is a network namespace with the resolver's file of whoever lives in it.
type Host struct {
	Kernel
	// Path of the file, or None.
	Path string
	// Inject is that of kernel.Options, for writes of the file; nil in production.
	Inject func(i int, op plan.Op) syscall.Errno

	writes atomic.Uint64
}

// None is the path where there is no such file.
const None = "none"

// Snapshot looks at both.
func (h *Host) Snapshot(ctx context.Context) (state.Snapshot, error) {
	s, err := h.Kernel.Snapshot(ctx)
	if err == nil {
		s.Resolver = look(h.Path)
	}
	return s, err
}

// Apply performs the operations in their order, until something is refused of those on
// one side. See converge.Kernel.
func (h *Host) Apply(ctx context.Context, ops []plan.Op) error {
	for len(ops) > 0 {
		n := 0
		for n < len(ops) && ops[n].Action != plan.ResolverSet {
			n++
		}
		if n > 0 {
			if err := h.Kernel.Apply(ctx, ops[:n]); err != nil {
				return err
			}
			ops = ops[n:]
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d operations were not begun: %w", len(ops), ctx.Err())
		}
		if err := h.write(ops[0]); err != nil {
			return &plan.OpError{Op: ops[0], Kind: kindOf(err), Errno: errnoOf(err)}
		}
		ops = ops[1:]
	}
	return nil
}

func (h *Host) write(op plan.Op) error {
	if h.Inject != nil {
		if errno := h.Inject(0, op); errno != 0 {
			return errno
		}
	}
	h.writes.Add(1)
	return write(op.Resolver)
}

// Writes is how often either was written to.
func (h *Host) Writes() uint64 { return h.Kernel.Writes() + h.writes.Load() }

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}

func kindOf(err error) plan.ErrorKind {
	switch errnoOf(err) {
	case unix.EACCES, unix.EPERM, unix.EROFS:
		return plan.NotPermitted
	case unix.EINTR, unix.EAGAIN:
		return plan.Busy
	}
	return plan.Refused
}

// look reads the file, and finds out who keeps it.
func look(path string) *state.Resolver {
	if path == None {
		return &state.Resolver{Path: "the resolver's file", Keeper: "is not known in this network namespace: start hostnicd with --resolv-conf PATH"}
	}
	r := &state.Resolver{Path: path}
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Absent = true
		r.Keeper = unwritable(filepath.Dir(path))
		return r
	case err != nil:
		r.Keeper = "cannot be looked at: " + errnoOf(err).Error()
		return r
	case st.Mode()&fs.ModeSymlink != 0:
		to, _ := os.Readlink(path)
		r.Keeper = linked(path, to)
		return r
	case !st.Mode().IsRegular() || st.Size() > state.MostResolver:
		r.Keeper = "is no file of servers, or too large for one"
		return r
	}
	content, err := read(path)
	if err != nil {
		r.Keeper = "cannot be read: " + errnoOf(err).Error()
		return r
	}
	r.Content = content
	if r.Keeper = unwritable(path); r.Keeper == "" && !r.Kept() {
		r.Keeper = keeper(r.Content)
	}
	return r
}

func read(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, state.MostResolver))
	return string(data), err
}

func linked(path, to string) string {
	if strings.Contains(to, "systemd/resolve") {
		return "is a link to " + to + ", where systemd-resolved keeps its own: give it the servers (resolvectl dns), or have it let go: " +
			"systemctl disable --now systemd-resolved && rm " + path
	}
	return "is a link to " + to + ", which another program keeps: have that let go, and put a file in its place (rm " + path + ")"
}

// unwritable says why a file cannot be changed, or a folder have a new one; empty if it
// can.
func unwritable(path string) string {
	// Without AT_EACCESS, for which the library would guess by the mode where the kernel says
	// EPERM. Nobody runs this under another real user.
	err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, 0)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, unix.EROFS):
		return "cannot be written (" + err.Error() + "): where the service has been started before there was such a file, or another program has put one in its place: systemctl restart hostnicd"
	case errors.Is(err, unix.EPERM):
		return "cannot be written (" + err.Error() + "): somebody has forbidden it: chattr -i " + path
	}
	return "cannot be written: " + err.Error()
}

// The programs that say in the file that they write it, and do so again and again, with
// what has them let go.
var keepers = []struct{ word, remedy string }{
	{"NetworkManager", `printf '[main]\ndns=none\n' >/etc/NetworkManager/conf.d/90-hostnic-dns.conf && systemctl reload NetworkManager`},
	{"resolvconf", "remove the package resolvconf, or openresolv"},
	{"dhcpcd", "put nohook resolv.conf into /etc/dhcpcd.conf"},
}

func keeper(content string) string {
	for line := range strings.Lines(content) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			continue
		}
		for _, k := range keepers {
			if strings.Contains(line, k.word) {
				return fmt.Sprintf("is written by %s, as it says itself (%q): have that let go (%s), and then take this line out", k.word, line, k.remedy)
			}
		}
	}
	return ""
}

// write makes the file what it is to be. Whoever reads it meanwhile finds the old or the
// new one, but where it can only be written in its place: in the service's sandbox, and
// where it is a mount of its own. Where the power fails in between, the journal has what
// there was.
func write(r *state.Resolver) error {
	if r.Absent {
		err := os.Remove(r.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	err := replace(r.Path, r.Content)
	if err == nil {
		return nil
	}
	switch errnoOf(err) {
	case unix.EROFS, unix.EACCES, unix.EPERM, unix.EBUSY, unix.EXDEV:
		return overwrite(r.Path, r.Content)
	}
	return err
}

// replace puts another file in its place, with the same owner and mode.
func replace(path, content string) (err error) {
	was, err := os.Lstat(path)
	mode := fs.FileMode(0o644) // everybody reads it
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !was.Mode().IsRegular():
		return unix.ELOOP
	default:
		mode = was.Mode().Perm()
	}
	// The same name each time: what a kill has left is in nobody's way.
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".hostnic")
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(mode), owned(f, was), f.Sync(), f.Close()) // whatever the umask is
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return syncFolder(filepath.Dir(path))
}

func owned(f *os.File, was fs.FileInfo) error {
	if was == nil {
		return nil
	}
	if st, ok := was.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		return f.Chown(int(st.Uid), int(st.Gid))
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// overwrite leaves the file where it is.
func overwrite(path, content string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(content), 0)
	return errors.Join(err, f.Truncate(int64(len(content))), f.Sync(), f.Close())
}
