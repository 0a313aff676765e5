//go:build kernel

package lease

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// Another host has the IPv6 address: of the document, and then the one that the kernel
// makes of a prefix. Each is reported, and an apply that waits for the NIC fails and
// leaves the host as it was.
func TestFault_E20(t *testing.T) {
	t.Parallel()
	const twice = "2001:db8:5::7"
	h := newHost(t, 1, "")
	h.NS.Up(t, "eth0")
	h.Far.IP(t, "addr", "add", twice+"/64", "dev", "s0", "nodad")
	before := h.Look()
	h.Stage(fmt.Sprintf(`host_nics: [{name: eth0, ipv6: {address: %q, prefix: 64}}]`, twice))
	out, code := h.Try("apply", "--wait", "60s")
	if code != 4 || !strings.Contains(out, "eth0: another host on the link has "+twice) {
		t.Errorf("apply: exit code %d\n%s", code, out)
	}
	same(t, "the host", h.Look(), before)

	h.run("apply")
	h.eventually("it is reported", func() bool {
		s := h.show("eth0")
		return len(s.Drift) == 1 && strings.Contains(s.Drift[0].Field, twice)
	})
	h.apply(`host_nics: [{name: eth0, ipv6: null, ipv6_boot_protocol: none}]`)
	h.settled()

	made := autoconfigured("2001:db8:6::", h.macOf("eth0"))
	h.Far.IP(t, "addr", "add", made+"/64", "dev", "s0", "nodad")
	h.router("s0", "2001:db8:6::1/64", "2001:db8:6::")
	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`)
	h.eventually("it is reported", func() bool { return h.show("eth0").Waiting == "another host on the link has its address "+made })
	if out, code := h.Try("apply", "--wait", "1s"); code != 3 || !strings.Contains(out, made) {
		t.Errorf("apply: exit code %d\n%s", code, out)
	}
}

// autoconfigured is the address that the kernel makes of a prefix for a MAC (RFC 4291,
// appendix A).
func autoconfigured(prefix, mac string) string {
	m, err := net.ParseMAC(mac)
	if err != nil {
		return err.Error()
	}
	ip := net.ParseIP(prefix)
	copy(ip[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	return ip.String()
}
