package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errGone is the end of a folder.
var errGone = errors.New("the folder is not there any more")

// folderAgain is the pause before a folder that is not there is looked for again.
const folderAgain = time.Second

// Watch calls changed after each change of the file, or of who may write it, whoever has
// made it, until ctx ends. A folder that is not there is waited for.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	if h.Path == None {
		<-ctx.Done()
		return nil
	}
	for first := true; ; first = false {
		err := h.watchFolder(ctx, changed, !first)
		if !errors.Is(err, errGone) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(folderAgain):
		}
	}
}

// watchFolder watches until the folder is gone. With missed it tells at once, of what may
// have been before.
func (h *Host) watchFolder(ctx context.Context, changed func(), missed bool) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify_init1: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close() //nolint:errcheck // only read
	const changes = unix.IN_CLOSE_WRITE | unix.IN_MODIFY | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_MOVE_SELF
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(h.Path), changes); err != nil {
		return fmt.Errorf("watch %s: %w", filepath.Dir(h.Path), err)
	}
	if missed {
		changed()
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
		named, gone := names(buf[:max(n, 0)], filepath.Base(h.Path))
		if named || gone {
			changed()
		}
		if gone {
			return errGone
		}
	}
}

// names is true of events of which one names the file, or that have been lost; gone when
// what is watched is not there any more (inotify(7)).
func names(events []byte, file string) (named, gone bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		mask, length := binary.NativeEndian.Uint32(events[4:]), int(binary.NativeEndian.Uint32(events[12:]))
		events = events[unix.SizeofInotifyEvent:]
		if length > len(events) {
			return true, gone
		}
		named = named || strings.TrimRight(string(events[:length]), "\x00") == file || mask&unix.IN_Q_OVERFLOW != 0
		gone = gone || mask&(unix.IN_IGNORED|unix.IN_MOVE_SELF) != 0
		events = events[length:]
	}
	return named, gone
}
