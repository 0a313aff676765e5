//go:build kernel

package managers

import (
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/test/need"
)

// networkd runs systemd-networkd, the real one, on its bus.
func (m *machine) networkd() {
	m.t.Helper()
	owner, err := user.Lookup("systemd-network")
	if err != nil {
		m.t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	for _, dir := range []string{"/run/systemd/netif", "/run/systemd/netif/links", "/run/systemd/netif/leases", "/run/systemd/netif/lldp"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.Chown(dir, uid, -1); err != nil {
			m.t.Fatal(err)
		}
	}
	m.bus()
	m.daemon(need.NetworkdPath())
	m.runs("systemd-networkd.service")
}

// systemd-networkd, which takes the addresses off what it lets go of.
func TestFault_B9(t *testing.T) {
	need.Kernel(t, need.Own, need.Netns, need.Veth, need.Networkd)
	m := &machine{t: t, dir: t.TempDir()}
	m.cables()
	const lan, san = "/etc/systemd/network/10-lan.network", "/etc/systemd/network/11-san.network"
	const text = "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\nLinkLocalAddressing=no\n"
	m.put(lan, text)
	m.put(san, "[Match]\nName=eth1\n[Network]\nAddress=198.51.100.1/24\nLinkLocalAddressing=no\n")
	t.Cleanup(func() { m.sh("rm " + lan + " " + san + " /etc/systemd/network/00-hostnic-*") })
	m.networkd()
	m.eventually("networkd has configured eth0", func() bool {
		return strings.Contains(m.sh("networkctl --no-pager status eth0"), "(configured)")
	})
	m.hostnicd()
	m.takenAndGiven(peer{
		name: "systemd-networkd", own: lan, text: text,
		drop:     func(link string) string { return "/etc/systemd/network/00-hostnic-" + link + ".network" },
		commands: []string{"by " + lan, "> /etc/systemd/network/00-hostnic-eth0.network", "networkctl reload", "--take-over"},
		managed: func(link string) bool {
			return strings.Contains(m.sh("networkctl --no-pager --no-legend list "+link), "configured")
		},
	})
}
