package need

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/test/netns"
)

func root() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return errors.New("no CAP_NET_ADMIN")
	}
	return nil
}

// own is true in user-mode Linux, and in the guest of run-in-qemu, which run for these
// tests only.
func own() error {
	if words, err := os.ReadFile("/proc/cmdline"); err == nil && bytes.Contains(words, []byte(" run_in_qemu=")) {
		return nil
	}
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err == nil && !bytes.Contains(cpu, []byte("User Mode Linux")) {
		return errors.New("this kernel is the machine's; RUN_IN_KERNEL=uml gives one that is not")
	}
	return err
}

func inScratch(probe func() error) func() error {
	return func() error {
		return netns.Scratch(func() error {
			if probe == nil {
				return nil
			}
			return probe()
		})
	}
}

// add makes the link and looks whether the kernel has made what was asked for.
func add(link netlink.Link) (netlink.Link, error) {
	if err := netlink.LinkAdd(link); err != nil {
		return nil, err
	}
	made, err := netlink.LinkByName(link.Attrs().Name)
	if err != nil {
		return nil, err
	}
	if made.Type() != link.Type() {
		return nil, fmt.Errorf("asked for %s, got %s", link.Type(), made.Type())
	}
	return made, nil
}

func named(name string) netlink.LinkAttrs { return netlink.LinkAttrs{Name: name} }

func veth() error {
	_, err := add(&netlink.Veth{LinkAttrs: named("v0"), PeerName: "v1"})
	return err
}

func dummy() error {
	_, err := add(&netlink.Dummy{LinkAttrs: named("d0")})
	return err
}

func bond() error {
	_, err := add(netlink.NewLinkBond(named("b0")))
	return err
}

func lacp() error {
	want := netlink.NewLinkBond(named("b0"))
	want.Mode = netlink.BOND_MODE_802_3AD
	want.LacpRate = netlink.BOND_LACP_RATE_FAST
	made, err := add(want)
	if err != nil {
		return err
	}
	if got, ok := made.(*netlink.Bond); !ok || got.Mode != want.Mode || got.LacpRate != want.LacpRate {
		return fmt.Errorf("asked for 802.3ad and lacp_rate fast, got %T", made)
	}
	return nil
}

func vlan() error {
	parent, err := add(&netlink.Veth{LinkAttrs: named("v0"), PeerName: "v1"})
	if err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	attrs := named("v0.5")
	attrs.ParentIndex = parent.Attrs().Index
	made, err := add(&netlink.Vlan{LinkAttrs: attrs, VlanId: 5})
	if err != nil {
		return err
	}
	if got, ok := made.(*netlink.Vlan); !ok || got.VlanId != 5 {
		return fmt.Errorf("asked for VLAN 5, got %T", made)
	}
	return nil
}

func bridge() error {
	br, err := add(&netlink.Bridge{LinkAttrs: named("br0")})
	if err != nil {
		return err
	}
	port, err := add(&netlink.Veth{LinkAttrs: named("v0"), PeerName: "v1"})
	if err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	return netlink.LinkSetMaster(port, br)
}

func ipv6() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	address := &net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(128, 128)}
	return netlink.AddrAdd(lo, &netlink.Addr{IPNet: address})
}

func tun() error {
	_, err := add(&netlink.Tuntap{LinkAttrs: named("t0"), Mode: netlink.TUNTAP_MODE_TAP})
	return err
}

func netem() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	attrs := netlink.QdiscAttrs{LinkIndex: lo.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	return netlink.QdiscAdd(netlink.NewNetem(attrs, netlink.NetemQdiscAttrs{Latency: 1000}))
}

func there(path string) error {
	_, err := exec.LookPath(path)
	return err
}

// DnsmasqPath is the server, when Dnsmasq is there.
func DnsmasqPath() string { return "/usr/sbin/dnsmasq" }

// KeaPath is Kea's server for DHCPv4, when Kea is there: an installed one, or the one
// that test/run-in-kernel-setup has unpacked.
func KeaPath() string { return unpacked("kea", "/usr/sbin/kea-dhcp4") }

// Kea6Path is Kea's server for DHCPv6, when Kea6 is there, as KeaPath.
func Kea6Path() string { return unpacked("kea6", "/usr/sbin/kea-dhcp6") }

// RadvdPath is radvd, when Radvd is there.
func RadvdPath() string { return unpacked("radvd", "/usr/sbin/radvd") }

// NetworkdPath is systemd-networkd, when Networkd is there.
func NetworkdPath() string { return "/usr/lib/systemd/systemd-networkd" }

// NetworkManagerPath is NetworkManager, when it is there.
func NetworkManagerPath() string { return unpacked("networkmanager", "/usr/sbin/NetworkManager") }

// IfupPath is the ifup of ifupdown, when that is there.
func IfupPath() string { return unpacked("ifupdown", "/usr/sbin/ifup") }

// LldpdPath is lldpd, when Lldpd is there.
func LldpdPath() string { return unpacked("lldpd", "/usr/sbin/lldpd") }

// LldpcliPath is what lldpd wants to be started by it, when Lldpd is there.
func LldpcliPath() string {
	const installed = "/usr/sbin/lldpcli"
	if there(installed) == nil {
		return installed
	}
	return filepath.Join(filepath.Dir(LldpdPath()), "root", installed)
}

// PromtoolPath is promtool, when Promtool is there.
func PromtoolPath() string { return unpacked("promtool", "/usr/bin/promtool") }

// unpacked is a program: an installed one, or the one that test/run-in-kernel-setup has
// unpacked into a folder.
func unpacked(folder, installed string) string {
	if there(installed) == nil {
		return installed
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return installed
	}
	return filepath.Join(cache, "hostnic", folder, filepath.Base(installed))
}
