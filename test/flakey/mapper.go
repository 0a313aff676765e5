package flakey

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The device mapper is told what to do by ioctls on /dev/mapper/control
// (include/uapi/linux/dm-ioctl.h); dmsetup does the same.

// command is the number of an ioctl.
type command uint32

const (
	devCreate    command = 3
	devRemove    command = 4
	devSuspend   command = 6 // and resume, without the flag
	tableLoad    command = 9
	listVersions command = 13
)

// Flags: the suspension is done without syncing the file system above, nor what waits
// to be written, both of which would be lost in a power cut.
const (
	flagSuspend    = 1 << 1
	flagSkipLockFS = 1 << 10
	flagNoFlush    = 1 << 11
)

// header is struct dm_ioctl.
type header struct {
	Version     [3]uint32
	DataSize    uint32
	DataStart   uint32
	TargetCount uint32
	OpenCount   int32
	Flags       uint32
	EventNr     uint32
	_           uint32
	Dev         uint64
	Name        [128]byte
	UUID        [129]byte
	Data        [7]byte
}

// target is struct dm_target_spec; its parameters follow as text.
type target struct {
	Start, Length uint64
	Status        int32
	Next          uint32
	Type          [16]byte
}

var headerSize = binary.Size(header{})

// mapped is a device of the device mapper.
type mapped struct {
	name   string
	number uint64
}

func newMapped(t testing.TB, name string) mapped {
	t.Helper()
	h, _, err := talk(devCreate, name, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mapped{name, h.Dev}
}

// device is the path by which it is mounted.
func (m mapped) device() string { return fmt.Sprint("/dev/dm-", unix.Minor(m.number)) }

func (m mapped) remove() { _, _, _ = talk(devRemove, m.name, 0, nil) }

// load puts another table in place, of one target over so many sectors, without letting
// anything through that is still on its way.
func (m mapped) load(sectors uint64, kind, parameters string) error {
	t := target{Length: sectors}
	copy(t.Type[:], kind)
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, t) // a buffer takes all
	b.WriteString(parameters)
	b.Write(make([]byte, 8-b.Len()%8))
	if _, _, err := talk(devSuspend, m.name, flagSuspend|flagSkipLockFS|flagNoFlush, nil); err != nil {
		return err
	}
	if _, _, err := talk(tableLoad, m.name, 0, b.Bytes()); err != nil {
		return err
	}
	_, _, err := talk(devSuspend, m.name, 0, nil)
	return err
}

// targets are the kinds of target that this kernel has.
func targets() (map[string]bool, error) {
	_, data, err := talk(listVersions, "", 0, make([]byte, 4096))
	if err != nil {
		return nil, err
	}
	// struct dm_target_versions: offset of the next, three numbers, the name.
	out := map[string]bool{}
	for len(data) > 16 {
		name, _, _ := bytes.Cut(data[16:], []byte{0})
		out[string(name)] = true
		next := binary.NativeEndian.Uint32(data)
		if next == 0 || int(next) > len(data) {
			break
		}
		data = data[next:]
	}
	return out, nil
}

// talk does one ioctl. A table counts as one target.
func talk(c command, name string, flags uint32, data []byte) (header, []byte, error) {
	h := header{Version: [3]uint32{4, 0, 0}, DataSize: uint32(headerSize + len(data)), DataStart: uint32(headerSize), Flags: flags}
	if c == tableLoad {
		h.TargetCount = 1
	}
	copy(h.Name[:], name)
	var b bytes.Buffer
	_ = binary.Write(&b, binary.NativeEndian, h) // a buffer takes all
	b.Write(data)
	control, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return h, nil, fmt.Errorf("the device mapper: %w", err)
	}
	defer control.Close() //nolint:errcheck // only asked
	buffer := b.Bytes()
	request := 3<<30 | uint32(headerSize)<<16 | 0xfd<<8 | uint32(c) // _IOWR(0xfd, c, struct dm_ioctl)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), uintptr(request), uintptr(unsafe.Pointer(&buffer[0]))); errno != 0 {
		return h, nil, fmt.Errorf("the device mapper: command %d for %q: %w", c, name, errno)
	}
	_ = binary.Read(bytes.NewReader(buffer), binary.NativeEndian, &h) // it was written so
	return h, buffer[min(int(h.DataStart), len(buffer)):], nil
}
