//go:build kernel

package eyes

import (
	"encoding/binary"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/test/netns"
)

// tap is a NIC of any speed whose cable can be pulled.
type tap struct {
	t    *testing.T
	fd   int
	name string
	ns   *netns.NS
}

func newTap(t *testing.T, ns *netns.NS, name string) *tap {
	t.Helper()
	d := &tap{t: t, name: name, ns: ns}
	var err error
	ns.Do(func() {
		if d.fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		var req *unix.Ifreq
		if req, err = unix.NewIfreq(name); err == nil {
			req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(d.fd, unix.TUNSETIFF, req)
		}
	})
	if err != nil {
		t.Fatalf("tap %s: %v", name, err)
	}
	t.Cleanup(func() { _ = unix.Close(d.fd) })
	return d
}

// plug puts the cable in, or pulls it.
func (d *tap) plug(in bool) {
	d.t.Helper()
	const tunSetCarrier = 0x400454e2 // TUNSETCARRIER of include/uapi/linux/if_tun.h
	var carrier int
	if in {
		carrier = 1
	}
	if err := unix.IoctlSetPointerInt(d.fd, tunSetCarrier, carrier); err != nil {
		d.t.Fatalf("carrier of %s: %v", d.name, err)
	}
}

// medium sets what the driver tells of speed and duplex, by ETHTOOL_SSET.
func (d *tap) medium(megabits uint32, duplex byte) {
	d.t.Helper()
	var command [44]byte // struct ethtool_cmd of include/uapi/linux/ethtool.h
	binary.NativeEndian.PutUint32(command[:], unix.ETHTOOL_SSET)
	binary.NativeEndian.PutUint16(command[12:], uint16(megabits))
	binary.NativeEndian.PutUint16(command[28:], uint16(megabits>>16))
	command[14] = duplex
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}
	copy(request.name[:], d.name)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&command)
	request.data = unsafe.Pointer(&command)
	var errno unix.Errno
	d.ns.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			d.t.Fatal(err)
		}
		defer unix.Close(fd)
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	})
	if errno != 0 {
		d.t.Fatalf("speed of %s: %v", d.name, errno)
	}
}
