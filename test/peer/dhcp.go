package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// Dnsmasq starts a DHCPv4 server on a NIC of the namespace, which gets the address. The
// addresses to lend are FIRST,LAST, for two minutes, the shortest that there are.
func Dnsmasq(t testing.TB, ns *netns.NS, nic, address, addresses string, more ...string) *Server {
	t.Helper()
	return dnsmasq(t, ns, nic, address,
		append([]string{"--no-ping", "--dhcp-authoritative", "--dhcp-range=" + addresses + ",2m"}, more...))
}

// Dnsmasq6 starts a DHCPv6 server, as Dnsmasq. It has preference 255 and gives leases to
// who has lost his if it gets --dhcp-authoritative.
func Dnsmasq6(t testing.TB, ns *netns.NS, nic, address, addresses string, more ...string) *Server {
	t.Helper()
	return dnsmasq(t, ns, nic, address, append([]string{"--dhcp-range=" + addresses + ",64,2m"}, more...))
}

func dnsmasq(t testing.TB, ns *netns.NS, nic, address string, more []string) *Server {
	t.Helper()
	need.Kernel(t, need.Dnsmasq)
	ns.IP(t, "addr", "replace", address, "dev", nic)
	dir := t.TempDir()
	return Start(t, ns, "sockets bound exclusively to interface", exec.Command(need.DnsmasqPath(), append([]string{
		"--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=" + nic, "--except-interface=lo",
		"--bind-interfaces", "--user=root", "--pid-file=" + filepath.Join(dir, "pid"),
		"--dhcp-leasefile=" + filepath.Join(dir, "leases"), "--log-facility=-",
	}, more...)...))
}

// Pool is what Kea lends.
type Pool struct {
	Subnet, First, Last string
	// Valid is how long, in seconds. Renew and Rebind are T1 and T2; 0 leaves them to the
	// client.
	Valid, Renew, Rebind int
	// More is what else is said of the subnet: `"rapid-commit": true,`.
	More string
}

// Kea starts a DHCPv4 server on a NIC of the namespace, which gets the address.
func Kea(t testing.TB, ns *netns.NS, nic, address string, p Pool) *Server {
	t.Helper()
	need.Kernel(t, need.Kea)
	return kea(t, ns, need.KeaPath(), 4, nic, address, p)
}

// Kea6 starts a DHCPv6 server, as Kea. Its DUID is made of the address.
func Kea6(t testing.TB, ns *netns.NS, nic, address string, p Pool) *Server {
	t.Helper()
	need.Kernel(t, need.Kea6)
	return kea(t, ns, need.Kea6Path(), 6, nic, address, p)
}

func kea(t testing.TB, ns *netns.NS, program string, version int, nic, address string, p Pool) *Server {
	t.Helper()
	ns.IP(t, "addr", "replace", address, "dev", nic)
	times, own := fmt.Sprintf(`"valid-lifetime": %d,`, p.Valid), `"authoritative": true,`
	if version == 6 {
		own = fmt.Sprintf(`"preferred-lifetime": %d, "server-id": {"type": "EN", "enterprise-id": 32473, "identifier": "%x", "persist": false},`,
			p.Valid, address)
	}
	if p.Renew != 0 {
		times += fmt.Sprintf(` "renew-timer": %d, "rebind-timer": %d,`, p.Renew, p.Rebind)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "kea.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `{"Dhcp%[1]d": {"interfaces-config": {"interfaces": [%[2]q]}, %[3]s
		"lease-database": {"type": "memfile", "persist": false}, %[4]s
		"loggers": [{"name": "kea-dhcp%[1]d", "severity": "INFO", "output_options": [{"output": "stdout"}]}],
		"subnet%[1]d": [{"interface": %[2]q, "subnet": %[5]q, %[6]s "pools": [{"pool": "%[7]s - %[8]s"}]}]}}`,
		version, nic, own, times, p.Subnet, p.More, p.First, p.Last), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", config)
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	return Start(t, ns, fmt.Sprintf("DHCP%d_STARTED", version), cmd)
}
