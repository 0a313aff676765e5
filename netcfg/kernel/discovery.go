package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// The places of the switches of state.Discovery in IFLA_INET6_CONF, which is an array of
// 32-bit numbers (DEVCONF_* of include/uapi/linux/ipv6.h).
var discoveryPlaces = map[string]int{
	"forwarding": 0, "accept_ra": 3, "accept_redirects": 4, "autoconf": 5, "max_addresses": 15, "accept_ra_defrtr": 17, "accept_ra_pinfo": 18,
	"accept_ra_rt_info_max_plen": 21, "disable_ipv6": 26,
}

// decodeDiscovery reads IFLA_INET6_CONF.
func decodeDiscovery(v []byte) (d state.Discovery) {
	at := func(name string) int32 {
		if i := discoveryPlaces[name]; len(v) >= 4*(i+1) {
			return int32(u32(v[4*i:]))
		}
		return 0
	}
	return state.Discovery{
		DisableIPv6: at("disable_ipv6"), AcceptRA: at("accept_ra"), AcceptRADefrtr: at("accept_ra_defrtr"), AcceptRAPinfo: at("accept_ra_pinfo"),
		Autoconf: at("autoconf"), MaxAddresses: at("max_addresses"), AcceptRARtInfoMaxPlen: at("accept_ra_rt_info_max_plen"), AcceptRedirects: at("accept_redirects"), Forwarding: at("forwarding"),
	}
}

// setDiscovery performs operations on the switches, for which netlink has none.
func (k *Kernel) setDiscovery(ctx context.Context, ops []plan.Op) error {
	var errs []error
	for i, op := range ops {
		if ctx.Err() != nil {
			return errors.Join(append(errs, fmt.Errorf("%d of %d operations were not sent", len(ops)-i, len(ops)), ctx.Err())...)
		}
		var errno syscall.Errno
		if k.options.Inject != nil {
			errno = k.options.Inject(i, op)
		}
		if errno == 0 {
			k.writes.Add(1)
			errno = k.inside(func() syscall.Errno { return setSwitches(op) })
		}
		if errno != 0 {
			kind, _ := verdict(op.Action, answer{errno: errno}, func() bool { return true })
			errs = append(errs, opError(op, kind, answer{errno: errno}))
		}
	}
	return errors.Join(errs...)
}

// setSwitches writes the files, in the namespace of the calling thread. A link that is
// up already has missed its routers, if it did not listen: it asks again.
func setSwitches(op plan.Op) syscall.Errno {
	listens := false
	for _, o := range op.Options {
		path := "/proc/sys/net/ipv6/conf/" + strings.ReplaceAll(op.Name, "/", ".") + "/" + o.Name
		if err := os.WriteFile(path, []byte(o.Value), 0); err != nil {
			var errno syscall.Errno
			if !errors.As(err, &errno) {
				errno = unix.EIO
			}
			return errno
		}
		listens = listens || o.Name == "accept_ra" && o.Value != "0"
	}
	if listens {
		solicit(op.Index)
	}
	return 0
}

// solicit asks for routers (RFC 4861 §4.1). The kernel does that by itself when a link
// comes up; where it cannot be done now, it is still to come.
func solicit(index int) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return
	}
	defer unix.Close(fd) //nolint:errcheck // nothing to lose
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
		return
	}
	const routerSolicitation = 133
	allRouters := unix.SockaddrInet6{ZoneId: uint32(index), Addr: [16]byte{0: 0xff, 1: 0x02, 15: 0x02}}
	_ = unix.Sendto(fd, []byte{routerSolicitation, 0, 0, 0, 0, 0, 0, 0}, 0, &allRouters)
}

// inside runs fn on a thread in the namespace: mostly any is.
func (k *Kernel) inside(fn func() syscall.Errno) (errno syscall.Errno) {
	if k.home {
		return fn()
	}
	err := onThread(func() error {
		if err := unix.Setns(int(k.netns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		errno = fn()
		return nil
	})
	if err != nil && !errors.As(err, &errno) {
		errno = unix.EIO
	}
	return errno
}

// openNetns keeps the namespace of the calling thread. home says that it is that of the
// process.
func openNetns() (netns *os.File, home bool, err error) {
	if netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, false, fmt.Errorf("open the network namespace: %w", err)
	}
	here, err := netns.Stat()
	if err != nil {
		return netns, false, fmt.Errorf("look at the network namespace: %w", err)
	}
	process, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return netns, false, fmt.Errorf("look at the network namespace of the process: %w", err)
	}
	return netns, os.SameFile(here, process), nil
}
