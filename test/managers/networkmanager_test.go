//go:build kernel

package managers

import (
	"os"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/test/need"
)

// reload stands in for systemd, as far as the agent asks it for something: it reloads a
// service as the service's unit says.
const reload = `#!/bin/sh
[ "$1" = reload ] || exit 1
exec $(sed -n 's/^ExecReload=//p' "/usr/lib/systemd/system/$2.service")
`

// NetworkManager, which takes the addresses off what it lets go of, and sets it down.
func TestFault_B9_NetworkManager(t *testing.T) {
	need.Kernel(t, need.Own, need.Netns, need.Veth, need.NetworkManager)
	m := &machine{t: t, dir: t.TempDir()}
	m.lay(need.NetworkManagerPath())
	m.cables()
	const lan, text = "/etc/NetworkManager/system-connections/lan.nmconnection", `[connection]
id=lan
uuid=7f1b2b1c-3f06-4b7e-a5d0-000000000001
type=ethernet
interface-name=eth0
[ipv4]
method=manual
address1=192.0.2.1/24
[ipv6]
method=disabled
`
	m.put(lan, text)
	if err := os.Chmod(lan, 0o600); err != nil {
		t.Fatal(err)
	}
	m.put("/etc/NetworkManager/conf.d/10-site.conf", "[main]\nno-auto-default=*\n[keyfile]\nunmanaged-devices=interface-name:p-*\n")
	m.put("/usr/local/bin/systemctl", reload)
	if err := os.Chmod("/usr/local/bin/systemctl", 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	m.bus()
	m.daemon("/usr/sbin/NetworkManager", "--no-daemon")
	m.runs("NetworkManager.service")
	state := func(link string) string {
		return strings.TrimSpace(m.sh("nmcli -g GENERAL.STATE device show " + link + " || true"))
	}
	m.eventually("NetworkManager has configured eth0", func() bool { return strings.HasPrefix(state("eth0"), "100 ") })
	m.hostnicd()
	m.takenAndGiven(peer{
		name: "NetworkManager", own: lan, text: text,
		drop:     func(link string) string { return "/etc/NetworkManager/conf.d/90-hostnic-" + link + ".conf" },
		commands: []string{"> /etc/NetworkManager/conf.d/90-hostnic-eth0.conf", "systemctl reload NetworkManager", "--take-over"},
		managed:  func(link string) bool { return !strings.HasPrefix(state(link), "10 ") },
	})
	m.eventually("eth0 is as it was before", func() bool {
		return strings.HasPrefix(state("eth0"), "100 ") && strings.Contains(m.sh("ip -4 addr show dev eth0"), "192.0.2.1/24")
	})
	if !strings.HasPrefix(state("p-eth0"), "10 ") {
		t.Error("what somebody else has made unmanaged is not so any more")
	}
}
