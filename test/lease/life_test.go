//go:build kernel

package lease

import (
	"strings"
	"syscall"
	"testing"
)

const (
	onDHCP   = `host_nics: [{name: eth0, boot_protocol: dhcp}]`
	onStatic = `host_nics: [{name: eth0, boot_protocol: static, ip: {address: 192.0.2.7, netmask: "24", gateway: 192.0.2.1}}]`
)

// A lease with a router, classless routes and an MTU becomes an address, routes and an
// MTU on the host, has its DNS server asked where the document wants that, and is shown.
func TestScenario_D01(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150", "--dhcp-option=option:mtu,1400", "--dhcp-option=option:dns-server,192.0.2.53",
		"--dhcp-option=121,10.9.0.0/16,192.0.2.9,0.0.0.0/0,192.0.2.1")
	out := h.apply(onDHCP+"\ndns: {}\n", "--wait", "30s")
	h.resolvesBy("nameserver 192.0.2.53")
	if !strings.Contains(out, "waiting      eth0: ") || !strings.Contains(out, "lease") {
		t.Errorf("the progress does not tell what is waited for:\n%s", out)
	}
	have := h.addresses("eth0") // it has been waited for
	same(t, "routes", h.routes(), "0.0.0.0/0 via 192.0.2.1 dev eth0 metric 1000\n10.9.0.0/16 via 192.0.2.9 dev eth0 metric 1000")
	if a := h.ipv4("eth0")[0]; a.Valid > 120 || a.Valid < 60 {
		t.Errorf("the address is there for %d s", a.Valid)
	}
	s := h.show("eth0")
	same(t, "lease", []any{s.Lease.State, s.Lease.Address, s.Lease.Server, s.Lease.Gateways, s.Lease.Routes, s.Lease.DNS},
		[]any{"bound", have, "192.0.2.1", "[192.0.2.1]", "[10.9.0.0/16 via 192.0.2.9]", "[192.0.2.53]"})
	same(t, "lifetime", s.Lease.Expires.Sub(s.Lease.Obtained).String(), "2m0s")
	same(t, "MTU", s.MTU, 1400)
	protocol := ""
	for _, a := range s.Addresses {
		if a.Address == have {
			protocol = a.Owner + " " + a.Protocol
		}
	}
	same(t, "the address is", protocol, "hostnic dhcp")
	h.settled()

	// Somebody takes the address away and the lifetime off: that is drift, and mended.
	h.NS.IP(t, "addr", "change", have, "dev", "eth0", "valid_lft", "forever", "preferred_lft", "forever")
	h.eventually("drift is seen", func() bool { return len(h.show("eth0").Drift) == 1 })
	h.NS.IP(t, "addr", "del", have, "dev", "eth0")
	h.run("apply")
	same(t, "addresses", h.addresses("eth0"), have)
	h.settled()
}

// A restart and a kill of the agent change nothing and send nothing: the address stays,
// and the lease is taken from the disk.
func TestFault_E22(t *testing.T) { // and TestScenario_D21
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onDHCP, "--wait", "30s")
	h.run("commit")
	have, before := h.addresses("eth0"), h.show("eth0").Lease
	heard := d.Log.String()
	for _, by := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		h.stop(by)
		same(t, "addresses without the agent", h.addresses("eth0"), have)
		h.Start()
		same(t, "addresses", h.addresses("eth0"), have)
		h.eventually("the lease is shown", func() bool { return h.show("eth0").Lease.State == "bound" })
		if after := h.show("eth0").Lease; after.Expires.Sub(before.Expires).Abs().Seconds() > 1 {
			t.Errorf("the lease ended at %v, and ends at %v", before.Expires, after.Expires)
		}
		h.settled()
	}
	same(t, "what the server has heard", d.Log.String(), heard)
	if log := h.log(); strings.Count(log, `"operations":0`) != 3 {
		t.Errorf("a restart has written to the kernel")
	}
}

// Static, dhcp and none follow each other and leave nothing behind. A rollback brings
// the lease back that is still valid, and asks nobody.
func TestScenario_D03(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onDHCP, "--wait", "30s")
	h.run("commit")
	have, routes := h.addresses("eth0"), h.routes()
	heard := d.Log.String()

	h.apply(onStatic)
	same(t, "addresses", h.addresses("eth0"), "192.0.2.7/24")
	same(t, "routes", h.routes(), "0.0.0.0/0 via 192.0.2.1 dev eth0 metric 0")
	same(t, "lease", h.show("eth0").Lease.State, "")
	if out, code := h.Try("renew", "eth0"); code != 3 {
		t.Errorf("renew without a client: exit code %d\n%s", code, out)
	}
	h.settled()
	h.run("rollback")
	same(t, "addresses after the rollback", h.addresses("eth0"), have)
	same(t, "routes after the rollback", h.routes(), routes)
	h.eventually("the lease is back", func() bool { return h.show("eth0").Lease.State == "bound" })
	h.settled()
	same(t, "what the server has heard", d.Log.String(), heard)

	h.apply(`host_nics: [{name: eth0, boot_protocol: none}]`)
	same(t, "addresses", h.addresses("eth0"), "")
	same(t, "routes", h.routes(), "")
	h.settled()
}

// No server: static comes back when there is no lease in time. Without --wait the apply
// ends at once and says that there is none; when a server appears there is one.
func TestScenario_D08(t *testing.T) { // and TestScenario_D06, TestScenario_D09
	t.Parallel()
	h := newHost(t, 1, "")
	h.apply(onStatic)
	h.run("commit")
	h.Stage(onDHCP)
	out, code := h.Try("apply", "--wait", "2s")
	if code != 4 || !strings.Contains(out, "not ready within 2s: eth0: no DHCP server has offered a lease yet") {
		t.Errorf("apply without a server: exit code %d\n%s", code, out)
	}
	same(t, "addresses", h.addresses("eth0"), "192.0.2.7/24")
	same(t, "routes", h.routes(), "0.0.0.0/0 via 192.0.2.1 dev eth0 metric 0")

	out = h.run("apply")
	if !strings.Contains(out, "lease") {
		t.Errorf("the apply does not tell what is lacking:\n%s", out)
	}
	h.eventually("the state is shown", func() bool { return h.show("eth0").Lease.State == "selecting" })
	if out := h.run("nics"); !strings.Contains(out, "dhcp: selecting") || !strings.Contains(out, "waiting") {
		t.Errorf("nics:\n%s", out)
	}
	h.settled()
	h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.leased("eth0", "192.0.2.1")
	h.eventually("nothing is waited for", func() bool { return h.show("eth0").Waiting == "" })
	h.settled()
}

// A change that is not confirmed goes back, and the lease with it.
func TestLeaseInWindow(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onStatic)
	h.run("commit")
	h.apply(onDHCP, "--revert-after", "2s", "--wait", "30s", "--probe", "none") // the window begins with the lease
	h.eventually("the window has closed", func() bool { return h.addresses("eth0") == "192.0.2.7/24" })
	h.eventually("the client has ended", func() bool { return h.show("eth0").Lease.State == "" })
	same(t, "routes", h.routes(), "0.0.0.0/0 via 192.0.2.1 dev eth0 metric 0")
	h.eventually("nothing is pending", func() bool { return !strings.Contains(h.run("status"), "to confirm") })
	h.settled()

	// Confirmed, it stays, and the agent may die in the meantime.
	discovered := d.Count("DHCPDISCOVER(")
	h.apply(onDHCP, "--revert-after", "60s", "--wait", "30s")
	same(t, "discovered", d.Count("DHCPDISCOVER("), discovered)
	have := h.addresses("eth0")
	h.stop(syscall.SIGKILL)
	h.Start()
	same(t, "addresses", h.addresses("eth0"), have)
	h.run("commit")
	h.settled()

	// With the agent dead, its guard brings the lease back that is on record.
	heard := d.Log.String()
	h.apply(onStatic, "--revert-after", "6s", "--probe", "none")
	h.stop(syscall.SIGKILL)
	h.eventually("the guard has brought the lease back", func() bool { return h.addresses("eth0") == have })
	if a := h.ipv4("eth0")[0]; a.Valid > 120 {
		t.Errorf("the address is there for %d s", a.Valid)
	}
	h.Start()
	h.settled()
	same(t, "what the server has heard", d.Log.String(), heard)
}

// Renewed by hand, given back, and asked for again.
func TestScenario_D10(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	d := h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onDHCP, "--wait", "30s")
	have, before := h.addresses("eth0"), h.show("eth0").Lease
	h.eventually("the lifetime is seen to shrink", func() bool { return h.ipv4("eth0")[0].Valid < 113 })
	h.run("renew", "eth0")
	h.eventually("the lease is renewed", func() bool { return h.show("eth0").Lease.Obtained.After(before.Obtained) })
	h.eventually("the lifetime is long again", func() bool {
		same(t, "addresses", h.addresses("eth0"), have) // at every look
		return h.ipv4("eth0")[0].Valid > 113
	})
	same(t, "discovered", d.Count("DHCPDISCOVER("), 1)
	same(t, "told of the release", h.run("release", "eth0"), "eth0: stopped\n")
	same(t, "addresses then", h.addresses("eth0"), "")
	h.eventually("the routes are gone", func() bool { return h.routes() == "" })
	h.eventually("the server has it back", func() bool { return d.Count("DHCPRELEASE(") == 1 })
	if out := h.run("status"); !strings.Contains(out, "agentctl renew") {
		t.Errorf("the status does not say what to do:\n%s", out)
	}
	if out := h.run("renew", "eth0"); strings.Contains(out, "stopped") {
		t.Errorf("asked for again, and told %s", out)
	}
	h.leased("eth0", "192.0.2.1")
	h.settled()
}

// A network with a lease is committed, taken away, and restored: it has its lease again.
func TestScenario_C27(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.Far.IP(t, "link", "add", "link", "s0", "name", "s0.7", "type", "vlan", "id", "7")
	h.Far.Up(t, "s0.7")
	h.dnsmasq("s0.7", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(`host_nics: [{name: eth0.7, vlan: {id: 7}, base_interface: eth0, boot_protocol: dhcp}]`, "--wait", "30s")
	have := h.addresses("eth0.7")
	h.run("commit")
	h.run("delete", "eth0.7")
	h.run("apply")
	s := h.look()
	same(t, "the VLAN is gone", s.ByName("eth0.7") == nil, true)
	h.run("rollback")
	same(t, "the lease", h.leased("eth0.7", "192.0.2."), have)
	h.eventually("its client runs", func() bool { return h.show("eth0.7").Lease.State == "bound" })
	h.settled()
}
