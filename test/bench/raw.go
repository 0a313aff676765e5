package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// raw is the floor: the messages are made beforehand, sent in one system call, and
// the last one is acknowledged. It does not look, plan or check. Links are born
// with all they need, in a group of their own, and taken away as that group: one
// message, for which the kernel waits once instead of once a link.
type raw struct {
	messages map[task][]byte
	count    map[task]int
	making   task
	sent     int
	seq      uint32
}

const (
	rawGroup = 4242
	// rawIndex is the first index for new links: who chooses it need not ask.
	rawIndex = 100_000
	// skipStats is RTEXT_FILTER_SKIP_STATS of include/uapi/linux/rtnetlink.h.
	skipStats = 1 << 3
)

func (r *raw) name() string { return "raw" }

func (r *raw) start(_ context.Context, w workload, _ string) error {
	r.messages, r.count = map[task][]byte{}, map[task]int{}
	index := map[string]int{}
	for _, p := range w.ports {
		l, err := netlink.LinkByName(p)
		if err != nil {
			return err
		}
		index[p] = l.Attrs().Index
	}
	r.making = apply
	for i, b := range w.bonds {
		index[b.name] = rawIndex + i
		r.newBond(index[b.name], b.name, w.mtu)
		for _, s := range b.slaves {
			r.setLink(index[s], 0, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(index[b.name])))) //nolint:gosec // small
		}
		r.setLink(index[b.name], unix.IFF_UP)
	}
	for _, p := range w.ports {
		if len(w.bonds) == 0 { // a bond takes its slaves up
			r.setLink(index[p], unix.IFF_UP)
		}
	}
	for i, v := range w.vlans {
		link := rawIndex + len(w.bonds) + i
		index[v.name()] = link
		r.newVLAN(link, v, index[v.parent])
		r.address(unix.RTM_NEWADDR, link, v.v4)
		if v.v6 != "" {
			r.address(unix.RTM_NEWADDR, link, v.v6)
		}
		if i == 0 && w.gateway != "" {
			r.defaultRoute(w.gateway)
		}
	}
	r.making = change
	v, changed := w.change()
	r.address(unix.RTM_DELADDR, index[v.name()], v.v4)
	r.address(unix.RTM_NEWADDR, index[v.name()], changed)
	r.making = teardown
	r.add(unix.RTM_DELLINK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(rawGroup)))
	return nil
}

// add appends a message to those of the task that is in the making.
func (r *raw) add(typ, flags int, data ...nl.NetlinkRequestData) {
	req := nl.NewNetlinkRequest(typ, flags)
	for _, d := range data {
		req.AddData(d)
	}
	r.seq++
	req.Seq = r.seq
	r.messages[r.making] = append(r.messages[r.making], req.Serialize()...)
	r.count[r.making]++
}

func (r *raw) newLink(msg *nl.IfInfomsg, name string, more ...nl.NetlinkRequestData) {
	data := []nl.NetlinkRequestData{msg, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)), nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(rawGroup))}
	r.add(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, append(data, more...)...)
}

func (r *raw) newBond(index int, name string, mtu int) {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index) //nolint:gosec // small
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bond"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(nl.IFLA_BOND_MODE, nl.Uint8Attr(uint8(netlink.BOND_MODE_ACTIVE_BACKUP)))
	data.AddRtAttr(nl.IFLA_BOND_MIIMON, nl.Uint32Attr(miimon))
	r.newLink(msg, name, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))), info) //nolint:gosec // small
}

func (r *raw) newVLAN(index int, v vlan, parent int) {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(index), unix.IFF_UP, unix.IFF_UP //nolint:gosec // small
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("vlan"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(nl.IFLA_VLAN_ID, nl.Uint16Attr(uint16(v.id)))                                //nolint:gosec // 1 to 4094
	r.newLink(msg, v.name(), nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(parent))), info) //nolint:gosec // small
}

func (r *raw) setLink(index int, flags uint32, attrs ...nl.NetlinkRequestData) {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(index), flags, flags //nolint:gosec // small
	r.add(unix.RTM_SETLINK, 0, append([]nl.NetlinkRequestData{msg}, attrs...)...)
}

func (r *raw) address(typ, index int, prefix string) {
	ip, subnet, err := net.ParseCIDR(prefix)
	if err != nil {
		panic(err) // the workload is ours
	}
	bytes, family := ip.To4(), unix.AF_INET
	if bytes == nil {
		bytes, family = ip.To16(), unix.AF_INET6
	}
	msg := nl.NewIfAddrmsg(family)
	ones, _ := subnet.Mask.Size()
	msg.Index, msg.Prefixlen = uint32(index), uint8(ones) //nolint:gosec // small
	flags := 0
	if typ == unix.RTM_NEWADDR {
		flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	r.add(typ, flags, msg, nl.NewRtAttr(unix.IFA_LOCAL, bytes), nl.NewRtAttr(unix.IFA_ADDRESS, bytes))
}

func (r *raw) defaultRoute(gateway string) {
	msg := nl.NewRtMsg()
	msg.Family = unix.AF_INET
	r.add(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, msg, nl.NewRtAttr(unix.RTA_GATEWAY, net.ParseIP(gateway).To4()))
}

// do sends everything and waits for the acknowledgment of the last message.
func (r *raw) do(_ context.Context, t task) error {
	if t == noop {
		return r.look()
	}
	buf := r.messages[t]
	last := lastMessage(buf)
	binary.NativeEndian.PutUint16(buf[last+6:], unix.NLM_F_ACK|binary.NativeEndian.Uint16(buf[last+6:]))
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // done with it
	for _, opt := range []int{unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, 16<<20); err != nil {
			return err
		}
	}
	if err := unix.Sendto(fd, buf, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	r.sent += r.count[t]
	return await(fd, binary.NativeEndian.Uint32(buf[last+8:]))
}

// look is the floor of a no-op that looks: one dump of links and one of addresses.
func (r *raw) look() error {
	for _, typ := range []int{unix.RTM_GETLINK, unix.RTM_GETADDR} {
		req := nl.NewNetlinkRequest(typ, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		if typ == unix.RTM_GETLINK {
			req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
		}
		if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
			return err
		}
	}
	return nil
}

func lastMessage(buf []byte) int {
	for at := 0; ; {
		n := (int(binary.NativeEndian.Uint32(buf[at:])) + 3) &^ 3
		if at+n >= len(buf) {
			return at
		}
		at += n
	}
}

// await reads answers until that to message seq, or the first refusal.
func await(fd int, seq uint32) error {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return err
		}
		for at := 0; at+20 <= n; {
			length := int(binary.NativeEndian.Uint32(buf[at:]))
			if binary.NativeEndian.Uint16(buf[at+4:]) == unix.NLMSG_ERROR {
				if errno := int32(binary.NativeEndian.Uint32(buf[at+16:])); errno != 0 { //nolint:gosec // a negative errno
					return fmt.Errorf("the kernel refused message %d: %w", binary.NativeEndian.Uint32(buf[at+8:]), unix.Errno(-errno))
				}
				if binary.NativeEndian.Uint32(buf[at+8:]) == seq {
					return nil
				}
			}
			at += (length + 3) &^ 3
		}
	}
}

func (r *raw) writes() int { return r.sent }
func (r *raw) stop()       {}
