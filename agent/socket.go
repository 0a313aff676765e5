package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/server"
)

// newSocket is what a socket's name ends in until it is ready to be found.
const newSocket = ".new"

// socketGroup finds the group that may use the socket; nil when there is none.
func socketGroup(name string, log *slog.Logger) *uint32 {
	if name == "" {
		return nil
	}
	id := name
	if g, err := user.LookupGroup(name); err == nil {
		id = g.Gid
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		log.Warn("there is no such group: only root may use the socket", "group", name)
		return nil
	}
	gid := uint32(n)
	return &gid
}

// readers is the group that may look, where the host has one; most have not.
func readers(c Config) *uint32 {
	return socketGroup(c.ReaderGroup, slog.New(slog.DiscardHandler))
}

// readerSocket is the path of the socket for those who may look.
func readerSocket(path string) string {
	name, sock := strings.CutSuffix(path, ".sock")
	if sock {
		return name + "-reader.sock"
	}
	return path + "-reader"
}

// sockets are those that the agent listens on, the one for everything first.
type sockets []*socket

// listenAll makes the sockets, but for those that the service manager has made. What it
// returns beside an error is to be ended, too.
func listenAll(path string, access server.Access, log *slog.Logger) (all sockets, err error) {
	passed, err := handed(path, readerSocket(path))
	if err != nil {
		return nil, err
	}
	if access.Readers != nil {
		if err := passableDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	first, second := passed[path], passed[readerSocket(path)]
	if second != nil {
		all = sockets{second}
	}
	if first == nil {
		if first, err = listen(path, access.Operators, log); err != nil {
			return all, err
		}
	}
	all = append(sockets{first}, all...)
	if second == nil && access.Readers != nil {
		if second, err = listen(readerSocket(path), access.Readers, log); err != nil {
			return all, err
		}
		all = append(all, second)
	}
	return all, nil
}

func (s sockets) listeners() (all []net.Listener) {
	for _, one := range s {
		all = append(all, one)
	}
	return all
}

// end closes the sockets and takes their files away.
func (s sockets) end() {
	for _, one := range s {
		_ = one.Close() // the server has closed it, unless it never came to that
		one.remove()
	}
}

// socket is a listening unix socket and the file that leads to it. It is a net.Listener
// that goes on when its file was taken away; see keep.
type socket struct {
	path  string
	group *uint32

	mu       sync.Mutex
	listener *net.UnixListener
	file     fs.FileInfo // nil is one that is not ours to remove, or to make anew
	closed   bool
}

// handed are the sockets that the service manager has made and passes on
// (sd_listen_fds(3)), by their paths, with the modes and the groups that their units
// say. They outlive the daemon: who calls while there is none waits for the next. One of
// another path than those that are wanted is a mistake in the settings, or in a unit.
func handed(wanted ...string) (map[string]*socket, error) {
	out := map[string]*socket{}
	var errs []error
	for _, f := range activation.Files(true) { // and no child inherits them
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			errs = append(errs, fmt.Errorf("a socket that the service manager passes on: %w", err))
			continue
		}
		path := l.Addr().String()
		u, ok := l.(*net.UnixListener)
		if !ok || !slices.Contains(wanted, path) {
			_ = l.Close()
			errs = append(errs, fmt.Errorf("the service manager listens on %s, and the socket is to be %s: set one to the other (ListenStream= of hostnicd.socket and hostnicd-reader.socket, socket in agent.yaml)", path, wanted[0]))
			continue
		}
		out[path] = &socket{listener: u, path: path}
	}
	if len(errs) > 0 {
		for _, s := range out {
			_ = s.Close()
		}
		return nil, errors.Join(errs...)
	}
	return out, nil
}

// listen makes the socket: 0660 for root and the group, 0600 where there is no
// group. It takes the place of one that a dead daemon has left, in one step, so
// that nobody finds it before its mode is right.
func listen(path string, group *uint32, log *slog.Logger) (*socket, error) {
	if err := vacant(path); err != nil {
		return nil, err
	}
	if err := socketDir(filepath.Dir(path), group); err != nil {
		return nil, err
	}
	temporary := path + newSocket
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	s := &socket{listener: l, path: path, group: group}
	if err := s.open(temporary, log); err != nil {
		_ = os.Remove(temporary)
		_ = l.Close()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return s, nil
}

// open sets the mode and puts the socket where it is looked for.
func (s *socket) open(temporary string, log *slog.Logger) error {
	mode := fs.FileMode(0o600)
	if s.group != nil {
		switch err := os.Chown(temporary, -1, int(*s.group)); {
		case err == nil:
			mode = 0o660
		case errors.Is(err, fs.ErrPermission):
			log.Warn("the socket cannot be given to the group: only the user that runs the agent may use it", "group", *s.group)
		default:
			return err
		}
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	file, err := os.Lstat(temporary)
	if err != nil {
		return err
	}
	s.file = file
	return os.Rename(temporary, s.path)
}

// remove takes the file away, unless it is somebody else's by now.
func (s *socket) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil && !s.lost() {
		_ = os.Remove(s.path)
	}
}

// vacant refuses a path where somebody listens, or where something else lies.
func vacant(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("socket %s: %w", path, err)
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("socket %s: there is something else of that name; remove it, or choose another --socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("socket %s: another hostnicd serves it: stop that first, or give this one another --socket", path)
	case errors.Is(err, unix.ECONNREFUSED):
		return nil // nobody has it open any more
	}
	return fmt.Errorf("socket %s: it cannot be told whether another hostnicd serves it: %w", path, err)
}

// passableDir makes the folder of two sockets for two groups, of which it can belong to
// one: everybody may go through, and the sockets have their own modes. One that is there
// stays as it is.
func passableDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o751); err != nil { //nolint:gosec // see above
		return fmt.Errorf("folder of the sockets: %w", err)
	}
	return nil
}

// socketDir makes the folder of the socket, for root and the group. One that is
// there stays as it is.
func socketDir(dir string, group *uint32) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("folder of the socket: %w", err)
	}
	if group != nil {
		if err := os.Chown(dir, -1, int(*group)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("folder of the socket: %w", err)
		}
	}
	return nil
}
