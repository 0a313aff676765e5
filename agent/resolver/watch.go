package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Watch calls changed after each change of the file, or of who may write it, whoever has made it, until ctx ends.
// Where there is no folder for it, nobody changes anything.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	if _, err := os.Stat(filepath.Dir(h.Path)); h.Path == None || errors.Is(err, os.ErrNotExist) {
		<-ctx.Done()
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify_init1: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close() //nolint:errcheck // only read
	const changes = unix.IN_CLOSE_WRITE | unix.IN_MODIFY | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ATTRIB
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(h.Path), changes); err != nil {
		return fmt.Errorf("watch %s: %w", filepath.Dir(h.Path), err)
	}
	defer context.AfterFunc(ctx, func() { _ = events.Close() })()
	buf := make([]byte, 16<<10)
	for {
		n, err := events.Read(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("read inotify: %w", err)
		}
		if names(buf[:max(n, 0)], filepath.Base(h.Path)) {
			changed()
		}
	}
}

// names is true of events of which one names the file, or that have been lost
// (inotify(7)).
func names(events []byte, file string) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask, length := binary.NativeEndian.Uint32(events[4:]), int(binary.NativeEndian.Uint32(events[12:]))
		events = events[unix.SizeofInotifyEvent:]
		if length > len(events) {
			return true
		}
		if strings.TrimRight(string(events[:length]), "\x00") == file || mask&unix.IN_Q_OVERFLOW != 0 {
			return true
		}
		events = events[length:]
	}
	return false
}
