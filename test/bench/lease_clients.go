package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// located is a program: an installed one, or the one that test/run-in-kernel-setup has
// unpacked. It is started without the script that sets its library path, which takes
// time and is not needed for these.
func located(installed string) string {
	if _, err := os.Stat(installed); err == nil {
		return installed
	}
	cache, _ := os.UserCacheDir() // what is not there is not found
	return filepath.Join(cache, "hostnic", filepath.Base(installed), "root", installed)
}

// dhcpClients makes new clients, in the order of the table. Careful ones look on the
// link whether somebody else has the address, as RFC 5227 has it. udhcpc asks once and
// waits for less, dhclient not at all, so that they do not take part in that. Of the
// others dhcpcd leaves out the first wait (arp_probe in its src/arp.c), and networkd's
// timers may be 250 ms late (the accuracy that sd-event has unless told otherwise).
func dhcpClients(o options, careful bool) []dhcpClient {
	all := []dhcpClient{&agentClient{a: agent{daemon: o.daemon}}, &networkd{}, &dhcpcd{}}
	if !careful {
		all = append(all, &udhcpc{}, &dhclient{})
	}
	return all
}

// ownFolders are where clients keep what they cannot be told to keep elsewhere: empty
// ones, for this thread and whom it starts.
func ownFolders() error {
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	for _, folder := range []string{"/run/systemd", "/run/dhcpcd", "/var/lib/dhcpcd"} {
		if err == nil {
			err = os.MkdirAll(folder, 0o755)
		}
		if err == nil {
			err = unix.Mount("bench", folder, "tmpfs", 0, "mode=0755")
		}
	}
	return err
}

const agentName = "hostnic"

// agentClient is the agent: resident, and the NIC committed as on dhcp.
type agentClient struct{ a agent }

func (c *agentClient) name() string { return agentName }

func (c *agentClient) wait(ctx context.Context, dir string, careful bool) error {
	c.a.settings = filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(c.a.settings, fmt.Appendf(nil, "dhcp: {conflict_detection: %v}\n", careful), 0o600); err != nil {
		return err
	}
	if err := c.a.start(ctx, vlans(1), dir); err != nil {
		return err
	}
	c.a.stages[apply] = &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{
		Content: []byte(`{"host_nics": [{"name": "eth0", "boot_protocol": "dhcp"}]}`), Format: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_JSON,
	}}}
	return c.a.do(ctx, apply)
}

func (c *agentClient) begin() error { return nil }
func (c *agentClient) stop()        { c.a.stop() }

// networkd is systemd's, resident and without a bus. It takes /sys that nobody may write
// to as a sign that there is no udev to wait for.
type networkd struct{ p process }

func (c *networkd) name() string { return "systemd-networkd" }

func (c *networkd) wait(ctx context.Context, _ string, careful bool) error {
	const folder = "/run/systemd/network"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "00-bench.network"), fmt.Appendf(nil, "[Match]\nName=eth0\n"+
		"[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n[DHCPv4]\nSendDecline=%v\n", careful), 0o644); err != nil { //nolint:gosec // networkd is not root
		return err
	}
	err := c.p.start(ctx, "", "/lib/systemd/systemd-networkd")
	if err != nil {
		return err
	}
	return c.p.until(ctx, "to take up eth0", func() bool {
		states, _ := filepath.Glob("/run/systemd/netif/links/*")
		for _, file := range states {
			text, _ := os.ReadFile(file)
			if strings.Contains(string(text), "NETWORK_FILE="+folder) && strings.Contains(string(text), "OPER_STATE=no-carrier") {
				return true
			}
		}
		return false
	})
}

func (c *networkd) begin() error { return nil }
func (c *networkd) stop()        { c.p.stop() }

// dhcpcd is resident, without the random delay that it has otherwise, and without hooks.
type dhcpcd struct{ p process }

func (c *dhcpcd) name() string { return "dhcpcd" }

func (c *dhcpcd) wait(ctx context.Context, dir string, careful bool) error {
	config := filepath.Join(dir, "dhcpcd.conf")
	text := "nodelay\nnoipv4ll\nnodev\n"
	if !careful {
		text += "noarp\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	return c.p.start(ctx, "waiting for carrier", located("/usr/sbin/dhcpcd"), "-4", "-B", "-f", config, "-c", "/bin/true", "eth0")
}

func (c *dhcpcd) begin() error { return nil }
func (c *dhcpcd) stop()        { c.p.stop() }

// udhcpc knows nothing of carriers, so it is started when there is one. Its script does
// nothing but what is measured.
type udhcpc struct {
	args []string
	p    process
}

func (c *udhcpc) name() string { return "udhcpc" }

func (c *udhcpc) wait(_ context.Context, dir string, _ bool) error {
	script := filepath.Join(dir, "udhcpc-script")
	c.args = []string{"udhcpc", "-f", "-i", "eth0", "-s", script}
	return writeScript(script, `[ "$1" != bound ] || busybox ip addr add "$ip/$mask" dev "$interface"`)
}

func (c *udhcpc) begin() error { return c.p.start(context.Background(), "", "busybox", c.args...) }
func (c *udhcpc) stop()        { c.p.stop() }

// dhclient is ISC's, with a script like that of udhcpc.
type dhclient struct {
	args []string
	p    process
}

func (c *dhclient) name() string { return "dhclient" }

func (c *dhclient) wait(_ context.Context, dir string, _ bool) error {
	script := filepath.Join(dir, "dhclient-script")
	c.args = []string{"-4", "-d", "-sf", script, "-cf", "/dev/null", "-lf", filepath.Join(dir, "dhclient.leases"), "-pf", filepath.Join(dir, "dhclient.pid"), "eth0"}
	return writeScript(script, `[ "$reason" != BOUND ] || busybox ip addr add "$new_ip_address/$new_subnet_mask" dev "$interface"`)
}

func (c *dhclient) begin() error {
	return c.p.start(context.Background(), "", located("/sbin/dhclient"), c.args...)
}

func (c *dhclient) stop() { c.p.stop() }

func writeScript(name, line string) error {
	return os.WriteFile(name, []byte("#!/bin/sh\n"+line+"\n"), 0o700) //nolint:gosec // it has to be run
}
