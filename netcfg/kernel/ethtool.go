package kernel

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// driverOf asks with ETHTOOL_GDRVINFO; empty where the driver does not tell.
func driverOf(fd int, name string) (driver, firmware string) {
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return "", ""
	}
	firmware = text(info.Fw_version[:])
	if firmware == "N/A" { // what some drivers fill in
		firmware = ""
	}
	return text(info.Driver[:]), firmware
}

// mediumOf asks with ETHTOOL_GSET, which every kernel has.
func mediumOf(fd int, l state.Link) medium {
	m := medium{index: l.Index}
	answer, err := ethtoolGet(fd, l.Name)
	if err != nil {
		return m
	}
	// struct ethtool_cmd of include/uapi/linux/ethtool.h: speed has 16 bits at 12,
	// and since 2.6.27 another 16 at 28; duplex is at 14, autoneg at 18.
	low := binary.NativeEndian.Uint16(answer[12:])
	high := binary.NativeEndian.Uint16(answer[28:])
	m.speed, m.duplex = readMedium(uint32(high)<<16|uint32(low), answer[14])
	m.autoneg = readAutoneg(answer[18])
	return m
}

const sizeofEthtoolCmd = 44

func ethtoolGet(fd int, name string) (*[sizeofEthtoolCmd]byte, error) {
	var command [sizeofEthtoolCmd]byte
	binary.NativeEndian.PutUint32(command[:], unix.ETHTOOL_GSET)
	// struct ifreq: the name, then a pointer.
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&command)
	request.data = unsafe.Pointer(&command)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return nil, errno
	}
	return &command, nil
}
