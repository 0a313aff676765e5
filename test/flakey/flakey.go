// Package flakey gives a test a disk that forgets: an ext4 file system on a block device
// of the device mapper (dm-flakey), whose writes are dropped from some moment on as if
// the power had been cut. Tests only; it takes root.
package flakey

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// size of the disk in bytes.
const size = 32 << 20

// Disk is a file system on a disk, mounted somewhere.
type Disk struct {
	t      testing.TB
	mapped mapped
	loop   string // major:minor of what lies below
	folder string
}

// Missing tells why there can be no such disk here; nil if there can.
func Missing() error {
	// Where they are built in there is nothing to load.
	_ = exec.Command("modprobe", "-qa", "loop", "dm-flakey", "ext4").Run()
	targets, err := targets()
	switch {
	case err != nil:
		return err
	case !targets["flakey"]:
		return errors.New("the device mapper has no target flakey")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return err
	}
	_, err = exec.LookPath("mkfs.ext4")
	return err
}

// Mount makes a disk with an empty file system and mounts it on the folder, until the
// test ends.
func Mount(t testing.TB, folder string) *Disk {
	t.Helper()
	loop, numbers := newLoop(t)
	if out, err := exec.Command("mkfs.ext4", "-q", loop).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4 %s: %v\n%s", loop, err, out)
	}
	d := &Disk{t: t, loop: numbers, folder: folder, mapped: newMapped(t, fmt.Sprintf("flakey-%d", os.Getpid()))}
	d.table(works)
	d.mount()
	t.Cleanup(func() {
		_ = unix.Unmount(folder, unix.MNT_DETACH)
		d.mapped.remove()
	})
	return d
}

// The tables of the device mapper: it works for an hour and fails for none, or the other
// way round. Failing is to lose what is written and say nothing.
const (
	works   = "3600 0"
	forgets = "0 3600 1 drop_writes"
)

func (d *Disk) table(how string) {
	d.t.Helper()
	if err := d.mapped.load(size/512, "flakey", fmt.Sprintf("%s 0 %s", d.loop, how)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *Disk) mount() {
	d.t.Helper()
	if err := unix.Mount(d.mapped.device(), d.folder, "ext4", 0, ""); err != nil {
		d.t.Fatalf("mount %s: %v", d.folder, err)
	}
}

// Cut is a power cut and the power back on: what did not get to the disk by itself until
// now is lost, and the file system recovers as at boot. Nobody may have a file open.
func (d *Disk) Cut() {
	d.t.Helper()
	d.table(forgets)
	if err := unix.Unmount(d.folder, 0); err != nil {
		d.t.Fatalf("unmount %s: %v", d.folder, err)
	}
	d.table(works)
	d.mount()
}

// newLoop makes a block device of a file.
func newLoop(t testing.TB) (path, numbers string) {
	t.Helper()
	back, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close() //nolint:errcheck // the loop device holds it
	if err := back.Truncate(size); err != nil {
		t.Fatal(err)
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close() //nolint:errcheck // only asked
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		t.Fatalf("no loop device is free: %v", err)
	}
	path = fmt.Sprint("/dev/loop", n)
	loop, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_FD, int(back.Fd())); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() {
		_ = unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0)
		_ = loop.Close()
	})
	return path, numbersOf(t, path)
}

func numbersOf(t testing.TB, device string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		t.Fatalf("%s: %v", device, err)
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
}
