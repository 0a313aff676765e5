//go:build kernel

package lease

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/peer"
)

// router starts dnsmasq as a router that advertises the prefix on a NIC of the far end.
func (h *host) router(nic, address, prefix string) *peer.Server {
	h.Helper()
	return h.router6(nic, address, prefix+",ra-only,64,10m")
}

// router6 starts dnsmasq as a router and a server of DHCPv6 on a NIC of the far end, with
// that --dhcp-range.
func (h *host) router6(nic, address, lends string, more ...string) *peer.Server {
	h.Helper()
	h.Far.IP(h, "addr", "add", address, "dev", nic, "nodad")
	dir := h.TempDir()
	return h.serve("router advertisement", exec.Command(need.DnsmasqPath(), append([]string{"--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=" + nic,
		"--except-interface=lo", "--bind-interfaces", "--user=root", "--pid-file=" + filepath.Join(dir, "pid"), "--dhcp-leasefile=" + filepath.Join(dir, "leases"),
		"--log-facility=-", "--dhcp-authoritative", "--enable-ra", "--dhcp-range=" + lends}, more...)...))
}

// switches are those of net.ipv6.conf that matter here, in one line.
func (h *host) switches(nic string) string {
	h.Helper()
	var out []string
	h.NS.Do(func() {
		for _, name := range []string{"accept_ra", "autoconf", "max_addresses", "accept_redirects"} {
			data, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + nic + "/" + name)
			if err != nil {
				h.Fatal(err)
			}
			out = append(out, name+" "+strings.TrimSpace(string(data)))
		}
	})
	return strings.Join(out, ", ")
}

// learnt are the addresses that agentctl shows as autoconfigured.
func (h *host) learnt(nic string) string {
	h.Helper()
	var out []string
	for _, a := range h.show(nic).Addresses {
		if a.Protocol == "autoconf" {
			out = append(out, a.Owner+" "+a.Address)
		}
	}
	return strings.Join(out, ", ")
}

// A host that forwards has an address and a default route from a router all the same,
// and they are no drift. When it lets go, the switches are as they were found, and what
// was learnt is gone, as nobody listened before.
func TestAutoconf(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.NS.Do(func() {
		for name, value := range map[string]string{"all/forwarding": "1", "eth0/accept_ra": "0"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	found := h.switches("eth0")
	h.router("s0", "2001:db8::1/64", "2001:db8::")
	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`, "--wait", "60s")
	same(t, "switches", h.switches("eth0"), "accept_ra 2, autoconf 1, max_addresses 16, accept_redirects 0")
	have := h.learnt("eth0")
	if !strings.HasPrefix(have, "kernel 2001:db8::") {
		t.Fatalf("learnt: %q", have)
	}
	h.eventually("there is a default route", func() bool { return strings.Contains(h.NS.IP(t, "-6", "route"), "default via fe80::") })
	h.settled()

	// A link that is up already asks again, when somebody has switched it off.
	h.run("commit")
	h.NS.IP(t, "-6", "addr", "flush", "dev", "eth0", "scope", "global")
	h.NS.Do(func() { _ = os.WriteFile("/proc/sys/net/ipv6/conf/eth0/accept_ra", []byte("0"), 0) })
	h.NS.IP(t, "link", "set", "eth0", "alias", "news") // switches make none
	h.eventually("drift is seen", func() bool { return len(h.show("eth0").Drift) == 1 && h.show("eth0").Waiting != "" })
	h.run("apply", "--wait", "60s")
	same(t, "learnt again", h.learnt("eth0"), have)

	h.stop(15)
	h.Start()
	same(t, "learnt, after a restart", h.learnt("eth0"), have)
	h.settled()

	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: none}]`)
	same(t, "switches", h.switches("eth0"), found)
	same(t, "learnt", h.learnt("eth0"), "")
	if routes := h.NS.IP(t, "-6", "route"); strings.Contains(routes, "proto ra") {
		t.Errorf("routes are left:\n%s", routes)
	}
	h.settled()
}

// A flood of prefixes makes no more addresses than the bound, although the host had none
// before, and the agent answers meanwhile and afterwards.
func TestFault_E18(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.NS.Do(func() { _ = os.WriteFile("/proc/sys/net/ipv6/conf/eth0/max_addresses", []byte("0"), 0) })
	h.NS.Up(t, "eth0")
	h.eventually("the far end has its own address", func() bool {
		out := h.Far.IP(t, "-6", "addr", "show", "dev", "s0", "scope", "link", "-tentative")
		return strings.Contains(out, "fe80:")
	})
	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`)
	h.flood("s0", 1000)
	h.eventually("addresses are made", func() bool { return h.learnt("eth0") != "" })
	h.flood("s0", 1000)
	if n := len(strings.Split(h.learnt("eth0"), ", ")); n < 2 || n > 17 { // 16, and the one for the link
		t.Errorf("%d addresses", n)
	}
	h.settled()
}

// flood sends router advertisements (RFC 4861 §4.2), each with another prefix.
func (h *host) flood(nic string, count int) {
	h.Helper()
	h.say(nic, count, func() []byte {
		m := []byte{134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // no router to go by
		m = append(m, 3, 4, 64, 0xc0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8)
		m = binary.BigEndian.AppendUint32(m, rand.Uint32())
		return append(m, make([]byte, 8)...)
	})
}

// say sends messages of ICMPv6 from a NIC of the far end to all who are on its link.
func (h *host) say(nic string, count int, next func() []byte) {
	h.Helper()
	var err error
	h.Far.Do(func() {
		var link *net.Interface
		if link, err = net.InterfaceByName(nic); err != nil {
			return
		}
		var fd int
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6); err != nil {
			return
		}
		defer unix.Close(fd)
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
			return
		}
		all := unix.SockaddrInet6{ZoneId: uint32(link.Index), Addr: [16]byte{0: 0xff, 1: 2, 15: 1}}
		for range count {
			m := next()
			for err = unix.Sendto(fd, m, 0, &all); errors.Is(err, unix.ENOBUFS); err = unix.Sendto(fd, m, 0, &all) {
				time.Sleep(time.Millisecond) // the other end is behind
			}
			if err != nil {
				return
			}
		}
	})
	if err != nil {
		h.Fatal(err)
	}
}

// Where nobody may set the kernel's switches autoconf is refused with the kernel's reason,
// and the host is as it was.
func TestFault_B28(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.stop(syscall.SIGTERM)
	h.Wrapper = []string{"unshare", "--mount", "sh", "-c", `mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"`, "sh"}
	h.Start()
	before := h.Look()
	h.Stage(`host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`)
	if out, code := h.Try("apply"); code != 3 && code != 4 || !strings.Contains(out, "read-only file system") || !strings.Contains(out, "eth0") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	same(t, "the host", h.Look(), before)
	h.run("discard")
	h.settled()
}
