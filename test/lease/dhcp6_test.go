//go:build kernel

package lease

import (
	"strings"
	"syscall"
	"testing"
)

const (
	onDHCP6 = `host_nics: [{name: eth0, ipv6_boot_protocol: dhcp}]`
	onPoly  = `host_nics: [{name: eth0, ipv6_boot_protocol: poly_dhcp_autoconf}]`
	lends6  = "2001:db8:1::100,2001:db8:1::1ff,64,30m"
)

// lent6 are the addresses that agentctl shows as those of DHCPv6.
func (h *host) lent6(nic string) string {
	h.Helper()
	var out []string
	for _, a := range h.show(nic).Addresses {
		if a.Protocol == "dhcp" && strings.Contains(a.Address, ":") {
			out = append(out, a.Owner+" "+a.Address)
		}
	}
	return strings.Join(out, ", ")
}

// DHCPv6 alone: an address of the server, the route of the router and no address of its
// prefix. A restart and a kill take nothing away and cost no packet; a rollback has the
// lease back from its record, and what is left afterwards is what was found.
func TestDHCPv6(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	found := h.switches("eth0")
	d := h.router6("s0", "2001:db8:1::1/64", lends6, "--dhcp-option=option6:dns-server,[2001:db8:1::53]", "--dhcp-option=option6:domain-search,example.com")
	h.apply(onDHCP6, "--wait", "60s")
	h.run("commit")
	have := h.lent6("eth0")
	if !strings.HasPrefix(have, "hostnic 2001:db8:1::1") || !strings.HasSuffix(have, "/128") {
		t.Fatalf("lent: %q", have)
	}
	same(t, "learnt", h.learnt("eth0"), "")
	h.eventually("there is a default route", func() bool { return strings.Contains(h.NS.IP(t, "-6", "route"), "default via fe80::") })
	lease := h.show("eth0").IPv6Lease
	same(t, "state", lease.State, "bound")
	same(t, "DNS", strings.Join(lease.DNS, " "), "2001:db8:1::53")
	if out := h.run("show", "eth0"); !strings.Contains(out, "ipv6_lease.addresses: 2001:db8:1::1") {
		t.Errorf("show:\n%s", out)
	}
	h.NS.IP(t, "-6", "route", "get", "2001:db8:1::1") // the router says what is on the link
	h.settled()

	heard := d.Count("DHCP")
	h.stop(syscall.SIGTERM)
	h.Start()
	h.stop(syscall.SIGKILL)
	h.Start()
	h.eventually("the lease is there after restarts", func() bool { return h.lent6("eth0") == have })
	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: none}]`)
	same(t, "lent, on none", h.lent6("eth0"), "")
	same(t, "switches, on none", h.switches("eth0"), found)
	h.run("rollback")
	h.eventually("the lease is there after the rollback", func() bool { return h.lent6("eth0") == have })
	same(t, "packets to the server", d.Count("DHCP"), heard)
	h.settled()

	if out := h.run("renew", "eth0"); !strings.Contains(out, "DHCPv6: ") {
		t.Errorf("renew:\n%s", out)
	}
	h.eventually("it is renewed", func() bool { return d.Count("DHCPRENEW(") > 0 && h.show("eth0").IPv6Lease.State == "bound" })
	same(t, "lent, when renewed", h.lent6("eth0"), have)
	h.run("release", "eth0")
	h.eventually("it is given back", func() bool { return d.Count("DHCPRELEASE(") > 0 && h.lent6("eth0") == "" })
	h.run("renew", "eth0")
	h.eventually("there is one again", func() bool { return h.lent6("eth0") != "" })
	h.settled()
}

// Both protocols: an address of each. Where no router asks for DHCPv6, autoconf alone is
// enough.
func TestPolyDHCPAutoconf(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.NS.IP(t, "link", "set", "eth0", "addrgenmode", "none") // as some managers leave it
	d := h.router("s0", "2001:db8:1::1/64", "2001:db8:1::")
	h.apply(onPoly, "--wait", "60s")
	if h.learnt("eth0") == "" || h.lent6("eth0") != "" {
		t.Errorf("learnt %q, lent %q", h.learnt("eth0"), h.lent6("eth0"))
	}
	d.Stop()
	h.router6("s0", "2001:db8:1::2/64", "2001:db8:1::100,2001:db8:1::1ff,slaac,64,2m")
	h.eventually("there is an address of DHCPv6 too", func() bool { return h.lent6("eth0") != "" })
	if h.learnt("eth0") == "" {
		t.Error("the other one is gone")
	}
	h.settled()
}

// On autoconf the rest is asked for where a router says that there is more.
func TestInformed(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.router6("s0", "2001:db8:1::1/64", "2001:db8:1::,ra-stateless,64,10m", "--dhcp-option=option6:dns-server,[2001:db8:1::53]")
	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`, "--wait", "60s")
	h.eventually("it is informed", func() bool {
		l := h.show("eth0").IPv6Lease
		return l.State == "informed" && strings.Join(l.DNS, " ") == "2001:db8:1::53"
	})
	same(t, "lent", h.lent6("eth0"), "")
	h.settled()
}

// TestFault_E20_Lent: another host has the address that the server lends. The server is
// told and lends another; the agent does not keep what the kernel does not use.
func TestFault_E20_Lent(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.router6("s0", "2001:db8:1::1/64", "2001:db8:1::100,2001:db8:1::101,64,2m", "--dhcp-sequential-ip")
	for _, a := range []string{"2001:db8:1::100", "2001:db8:1::101"} {
		h.Far.IP(t, "addr", "add", a+"/64", "dev", "s0", "nodad")
	}
	h.apply(onDHCP6)
	h.eventually("it is declined", func() bool { return d.Count("DHCPDECLINE(") > 0 })
	h.Far.IP(t, "addr", "del", "2001:db8:1::100/64", "dev", "s0")
	h.Far.IP(t, "addr", "del", "2001:db8:1::101/64", "dev", "s0")
	d.Stop()
	h.router6("s0", "2001:db8:1::2/64", lends6)
	h.eventually("there is another", func() bool { return h.lent6("eth0") != "" && h.show("eth0").Waiting == "" })
	h.settled()
}

// On a bond and on a VLAN of it, which had no IPv6 before: the server of each sees a
// client of its own, which stays the same when the bond has another slave's MAC. A
// rollback leaves no IPv6.
func TestDHCPv6OnVLANOfBond(t *testing.T) {
	t.Parallel()
	h := bonded(t)
	parent := h.router6("br0", "2001:db8:1::1/64", lends6)
	vlan := h.router6("br0.100", "2001:db8:2::1/64", strings.ReplaceAll(lends6, "db8:1", "db8:2"))
	h.apply(strings.ReplaceAll(onBond, "boot_protocol: dhcp", "boot_protocol: none"))
	h.run("commit")
	same(t, "IPv6 on it", h.NS.IP(t, "-6", "addr", "show", "dev", "bond0"), "")
	h.apply(strings.ReplaceAll(onBond, "boot_protocol: dhcp", "ipv6_boot_protocol: dhcp"), "--wait", "60s")
	bond, tagged := h.lent6("bond0"), h.lent6("bond0.100")
	if !strings.HasPrefix(bond, "hostnic 2001:db8:1::1") || !strings.HasPrefix(tagged, "hostnic 2001:db8:2::1") {
		t.Fatalf("bond %q, VLAN %q", bond, tagged)
	}
	h.settled()

	mac, solicited := h.macOf("bond0"), parent.Count("DHCPSOLICIT(")+vlan.Count("DHCPSOLICIT(")
	h.Far.Down(t, "s0")
	h.eventually("the other slave is active", func() bool { return h.macOf("bond0") != mac })
	h.eventually("it can renew", func() bool {
		_, code := h.Try("renew", "bond0.100")
		return code == 0 && vlan.Count("DHCPRENEW(") > 0
	})
	h.eventually("it is renewed", func() bool { return h.show("bond0.100").IPv6Lease.State == "bound" })
	same(t, "lent", h.lent6("bond0")+" "+h.lent6("bond0.100"), bond+" "+tagged)
	same(t, "solicited", parent.Count("DHCPSOLICIT(")+vlan.Count("DHCPSOLICIT("), solicited)
	h.settled()
	h.run("rollback")
	same(t, "IPv6 after the rollback", h.NS.IP(t, "-6", "addr", "show", "dev", "bond0")+h.NS.IP(t, "-6", "addr", "show", "dev", "bond0.100"), "")
	h.settled()
}
