//go:build kernel

package lease

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
	"github.com/hostnic/hostnic/test/peer"
)

// reboot ends the daemon, takes from its NICs what a reboot takes, and starts it as in
// another boot.
func (h *host) reboot(id string, nics ...string) {
	h.Helper()
	h.stop(syscall.SIGKILL)
	for _, nic := range nics {
		h.NS.Down(h, nic)
		h.NS.IP(h, "addr", "flush", "dev", nic)
	}
	file := filepath.Join(h.Dir, "boot_id")
	if err := os.WriteFile(file, []byte(id+"\n"), 0o600); err != nil {
		h.Fatal(err)
	}
	h.Wrapper = []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, file}
	h.Start()
}

// After a reboot the address of before is asked for, and nothing else. Two routers are
// named, of which the first is used and both are shown.
func TestScenario_D13(t *testing.T) { // and TestScenario_D17
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150", "--dhcp-option=option:router,192.0.2.2,192.0.2.3")
	h.apply(onDHCP, "--wait", "60s")
	h.run("commit")
	have := h.addresses("eth0")
	same(t, "routes", h.routes(), "0.0.0.0/0 via 192.0.2.2 dev eth0 metric 1000")
	same(t, "routers", h.show("eth0").Lease.Gateways, "[192.0.2.2 192.0.2.3]")

	h.reboot("11111111-2222-4333-8444-555555555555", "eth0")
	same(t, "address", h.leased("eth0", "192.0.2.1"), have)
	same(t, "discovered, and requested", []int{d.Count("DHCPDISCOVER("), d.Count("DHCPREQUEST(")}, []int{1, 2})
	h.eventually("the route is there", func() bool { return h.routes() == "0.0.0.0/0 via 192.0.2.2 dev eth0 metric 1000" })
	h.settled()
}

// After a reboot one server knows the lease, and another refuses it: the one that knows
// it is believed. When only the other is there the host has an address of its network.
func TestScenario_D14(t *testing.T) { // and TestFault_E23
	t.Parallel()
	need.Kernel(t, need.Bridge)
	h := newHost(t, 1, "")
	other := netns.New(t)
	other.Veth(t, "o0", h.Far, "s9")
	other.Up(t, "o0")
	h.Far.Bridge(t, "br0", "s0", "s9")
	knows := h.dnsmasq("br0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onDHCP, "--wait", "60s")
	h.run("commit")
	have := h.addresses("eth0")
	refuses := peer.Dnsmasq(t, other, "o0", "198.51.100.1/24", "198.51.100.100,198.51.100.150")
	h.reboot("11111111-2222-4333-8444-555555555555", "eth0")
	same(t, "address", h.leased("eth0", "192.0.2.1"), have)
	h.eventually("the other has refused it", func() bool { return refuses.Count("DHCPNAK(") > 0 })
	same(t, "discovered", knows.Count("DHCPDISCOVER("), 1)
	h.settled()

	knows.Stop()
	h.reboot("22222222-2222-4333-8444-555555555555", "eth0")
	h.leased("eth0", "198.51.100.1")
	h.settled()
}

// The link goes down while nobody answers, and when it is up again the client asks at
// once, not when it would have done so before.
func TestScenario_D26(t *testing.T) {
	t.Parallel()
	need.Kernel(t, need.Bridge, need.Dummy)
	h := newHost(t, 1, "")
	h.Far.Dummy(t, "d0")
	h.Far.Bridge(t, "br0", "d0")
	d := h.dnsmasq("br0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onDHCP)
	h.eventually("the client has a long pause", func() bool { return time.Until(h.show("eth0").Lease.NextTry) > 12*time.Second })
	next := h.show("eth0").Lease.NextTry
	h.Far.Down(t, "s0")
	h.eventually("the client waits for its link", func() bool { return h.show("eth0").Lease.State == "waiting" })
	h.Far.IP(t, "link", "set", "s0", "master", "br0")
	same(t, "heard before", d.Count("DHCPDISCOVER("), 0)
	h.Far.Up(t, "s0")
	h.leased("eth0", "192.0.2.1")
	if now := time.Now(); !now.Before(next) {
		t.Errorf("there is a lease at %v, and the pause was until %v", now, next)
	}
}
