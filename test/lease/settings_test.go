//go:build kernel

package lease

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What the settings say about leases is said to servers, and nothing of it without them:
// a name, that two messages do (RFC 4039), and that IPv4 is not needed (RFC 8925).
func TestLeaseSettings(t *testing.T) {
	t.Parallel()
	h := newHost(t, 2, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150", "--dhcp-rapid-commit")
	six := h.dnsmasq("s1", "198.51.100.1/24", "198.51.100.100,198.51.100.150", "--dhcp-rapid-commit", "--dhcp-option=108,00:00:07:08")
	h.apply(`host_nics: [{name: eth0, boot_protocol: dhcp}, {name: eth1, boot_protocol: dhcp}]`, "--wait", "60s")
	same(t, "offers and ACKs", []int{d.Count("DHCPOFFER("), d.Count("DHCPACK("), six.Count("DHCPACK(")}, []int{1, 1, 1})
	h.run("commit")
	h.run("release", "eth0")
	h.run("release", "eth1")
	h.eventually("the addresses are gone", func() bool { return h.addresses("eth0")+h.addresses("eth1") == "" })

	h.stop(syscall.SIGTERM)
	if err := os.WriteFile(filepath.Join(h.Dir, "agent.yaml"), []byte("dhcp: {conflict_detection: false, host_name: hv-7, rapid_commit: true, ipv6_only: true}"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.leased("eth0", "192.0.2.1")
	same(t, "offers and ACKs", []int{d.Count("DHCPOFFER("), d.Count("DHCPACK(")}, []int{1, 2})
	if log := d.Log.String(); !strings.HasSuffix(strings.TrimSpace(log), " hv-7") {
		t.Errorf("the server has not been told the name:\n%s", log)
	}
	h.eventually("eth1 does without IPv4", func() bool { return h.show("eth1").Lease.State == "ipv6-only" })
	same(t, "addresses of eth1", h.addresses("eth1"), "")
	if w := h.show("eth1").Waiting; !strings.Contains(w, "RFC 8925") {
		t.Errorf("waiting: %q", w)
	}
	h.settled()
}
