//go:build kernel

package dhcp

import (
	"errors"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/test/netns"
)

func TestRealAcquireRenewRelease(t *testing.T) {
	b := newBed(t, 1)
	d := b.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150", "--dhcp-option=option:dns-server,192.0.2.53,192.0.2.54",
		"--dhcp-option=option:ntp-server,192.0.2.123", "--dhcp-option=option:mtu,1400", "--domain=example.org",
		"--dhcp-option=option:domain-search,eng.example.org,example.org", "--dhcp-option=121,10.9.0.0/16,192.0.2.9,0.0.0.0/0,192.0.2.1")
	b.begin("eth0", nil)
	lease := b.bound("eth0", "192.0.2.1")
	same(t, "server", lease.Server, "192.0.2.1")
	same(t, "gateways", lease.Gateways, "[192.0.2.1]")
	same(t, "routes", lease.Routes, "[{10.9.0.0/16 192.0.2.9}]")
	same(t, "DNS", lease.DNS, "[192.0.2.53 192.0.2.54]")
	same(t, "NTP", lease.NTP, "[192.0.2.123]")
	same(t, "names", []any{lease.Domain, lease.Search}, "[example.org [eng.example.org example.org]]")
	same(t, "MTU", lease.MTU, 1400)
	same(t, "lifetime", lease.Expires-lease.Obtained, 2*time.Minute)
	discovered := d.Count("DHCPDISCOVER(")

	if err := b.Renew(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	renewed := b.boundWhen("eth0", lease.Address.String(), func(l *netcfg.Lease) bool { return l.Obtained > lease.Obtained })
	same(t, "same facts", renewed.SameFacts(lease), true)
	same(t, "discovered", d.Count("DHCPDISCOVER("), discovered)

	if err := b.Release(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	b.eventually("dnsmasq has it back", func() bool { return d.Count("DHCPRELEASE(") == 1 })
	b.eventually("the address is gone", func() bool { return b.addresses("eth0") == "" })
	same(t, "history", b.history("eth0"), "- "+lease.Address.String()+" -")
	b.Stop("eth0")
	if err := b.Release(t.Context(), "eth0"); !errors.Is(err, ErrNoClient) {
		t.Errorf("release without a client: %v", err)
	}
}

// Renewals by unicast go on for a while, with the kernel's own lifetimes pushed on; the
// server stops at T1, and another one answers at T2. Later both are silent until the
// end, and one comes back.
func TestRealRenewRebindExpireReturn(t *testing.T) {
	b := newBed(t, 1)
	b.clock.Times = 20 // two minutes are six seconds
	first := b.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	b.begin("eth0", nil)
	lease := b.bound("eth0", "192.0.2.1")
	discovered, acks := first.Count("DHCPDISCOVER("), first.Count("DHCPACK(")
	b.eventually("two renewals", func() bool { return first.Count("DHCPACK(") >= acks+2 })
	same(t, "discovered", first.Count("DHCPDISCOVER("), discovered)
	first.Stop()
	b.far.IP(t, "addr", "flush", "dev", "s0")
	second := b.dnsmasq("s0", "192.0.2.2/24", "192.0.2.100,192.0.2.150")
	b.boundWhen("eth0", lease.Address.String(), func(l *netcfg.Lease) bool { return l.Server.String() == "192.0.2.2" })
	same(t, "history", b.history("eth0"), "- "+lease.Address.String())
	same(t, "discovered at the second", second.Count("DHCPDISCOVER("), 0)

	second.Pause()
	b.eventually("the lease is gone", func() bool { s, _ := b.Status("eth0"); return s.Lease == nil })
	b.eventually("and the address", func() bool { return b.addresses("eth0") == "" })
	b.until("eth0", Selecting)
	second.Resume()
	b.bound("eth0", lease.Address.String())
}

// The pool moves to another subnet: the server says NAK to the renewal, and the client
// has another address at once.
func TestRealNAK(t *testing.T) {
	b := newBed(t, 1)
	d := b.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	b.begin("eth0", nil)
	lease := b.bound("eth0", "192.0.2.1")
	d.Stop()
	// The server can still be reached by its old address, and calls itself by the new.
	d = b.dnsmasq("s0", "198.51.100.1/24", "198.51.100.100,198.51.100.150")
	if err := b.Renew(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	got := b.bound("eth0", "198.51.100.1")
	same(t, "refused", d.Count("DHCPNAK(") > 0, true)
	same(t, "history", b.history("eth0"), "- "+lease.Address.String()+" - "+got.Address.String())
}

// The agent is started again, and again after a reboot.
func TestRealRestartAndReboot(t *testing.T) {
	b := newBed(t, 1)
	d := b.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	b.begin("eth0", nil)
	lease := b.bound("eth0", "192.0.2.1")
	lines, discovered, requested := d.Log.String(), d.Count("DHCPDISCOVER("), d.Count("DHCPREQUEST(")
	b.off()
	if b.addresses("eth0") == "" {
		t.Error("the address went with the agent")
	}
	b.on()
	b.begin("eth0", nil)
	same(t, "lease", b.bound("eth0", lease.Address.String()).Expires, lease.Expires)
	same(t, "what the server has heard", d.Log.String(), lines)

	b.off()
	b.boot, b.seen = "boot 2", nil
	b.host.IP(t, "addr", "flush", "dev", "eth0")
	b.on()
	b.begin("eth0", nil)
	b.bound("eth0", lease.Address.String())
	same(t, "discovered", d.Count("DHCPDISCOVER("), discovered)
	same(t, "requested", d.Count("DHCPREQUEST(") > requested, true)
}

// Somebody has the address that the server gives: DECLINE, and another one. Later
// somebody takes the address that is in use, and means it.
func TestFault_E8_Real(t *testing.T) {
	b := newBed(t, 1)
	b.clock.Times = 4
	other := netns.New(t)
	other.Veth(t, "o0", b.far, "s9")
	other.Up(t, "o0")
	b.far.Bridge(t, "br0", "s0", "s9")
	d := b.dnsmasq("br0", "192.0.2.1/24", "192.0.2.100,192.0.2.101")
	other.IP(t, "addr", "add", "192.0.2.100/24", "dev", "o0")
	other.IP(t, "addr", "add", "192.0.2.101/24", "dev", "o0")
	b.begin("eth0", func(c *Config) { c.NoConflictDetection = false })
	b.eventually("declined", func() bool { return d.Count("DHCPDECLINE(") == 1 })
	b.until("eth0", Init)
	same(t, "history", b.history("eth0"), "-")
	other.IP(t, "addr", "flush", "dev", "o0")
	lease := b.bound("eth0", "192.0.2.10")
	tap := b.tap(other, "o0")
	for range 2 {
		time.Sleep(100 * time.Millisecond)
		tap.claim(lease.Address.Addr())
	}
	b.eventually("given up", func() bool { return d.Count("DHCPDECLINE(") == 2 })
	b.eventually("the address is gone", func() bool { return b.addresses("eth0") == "" })
}

// The link goes away and comes back, while the client asks, and while it has a lease.
func TestFault_E12_Real(t *testing.T) {
	b := newBed(t, 1)
	d := b.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	flap := func() {
		t.Helper()
		b.far.Down(t, "s0")
		b.eventually("no carrier", func() bool { return !b.look("eth0").Ready })
		b.Link("eth0", b.look("eth0"))
		b.far.Up(t, "s0")
		b.eventually("carrier", func() bool { return b.look("eth0").Ready })
		b.Link("eth0", b.look("eth0"))
	}
	d.Pause()
	b.begin("eth0", nil)
	b.until("eth0", Selecting)
	flap()
	b.until("eth0", Selecting)
	d.Resume()
	lease := b.bound("eth0", "192.0.2.1")
	for i := range 3 {
		flap()
		b.boundWhen("eth0", lease.Address.String(), func(l *netcfg.Lease) bool { return l.Obtained > lease.Obtained })
		same(t, "history", b.history("eth0"), "- "+lease.Address.String())
		lease = b.bound("eth0", lease.Address.String())
		if n := d.Count("DHCPREQUEST("); n < i+2 {
			t.Errorf("%d requests after %d flaps", n, i+1)
		}
	}
	// The NIC itself is taken down and up again.
	b.host.Down(t, "eth0")
	b.Link("eth0", b.look("eth0"))
	b.host.Up(t, "eth0")
	b.eventually("carrier", func() bool { return b.look("eth0").Ready })
	b.Link("eth0", b.look("eth0"))
	b.boundWhen("eth0", lease.Address.String(), func(l *netcfg.Lease) bool { return l.Obtained > lease.Obtained })
}

// A pool with one address, and two who want it.
func TestRealPoolExhausted(t *testing.T) {
	b := newBed(t, 2)
	b.far.Bridge(t, "br0", "s0", "s1")
	b.dnsmasq("br0", "192.0.2.1/24", "192.0.2.100,192.0.2.100")
	overlap := func(c *Config) { c.AllowOverlap = true }
	b.begin("eth0", overlap)
	b.bound("eth0", "192.0.2.100")
	b.begin("eth1", overlap)
	b.eventually("asked twice in vain", func() bool {
		s, _ := b.Status("eth1")
		return s.State == Selecting && s.Tries >= 2
	})
	if err := b.Release(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	b.bound("eth1", "192.0.2.100")
}

// Two NICs in one network: the kernel answers for the address of each by both.
func TestFault_E24_Real(t *testing.T) {
	b := newBed(t, 2)
	b.clock.Times = 10
	b.far.Bridge(t, "br0", "s0", "s1")
	d := b.dnsmasq("br0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	b.Host(Host{MACs: []MAC{b.look("eth0").MAC, b.look("eth1").MAC}})
	careful := func(c *Config) { c.AllowOverlap, c.NoConflictDetection = true, false }
	b.begin("eth0", careful)
	first := b.bound("eth0", "192.0.2.1")
	// eth1 asks for the address of eth0, and is answered by it.
	b.records.By["eth1"] = Record{Lease: netcfg.Lease{Address: first.Address, Server: first.Server}, Boot: "another"}
	b.begin("eth1", careful)
	second := b.bound("eth1", "192.0.2.1")
	if first.Address == second.Address {
		t.Errorf("both have %s", first.Address)
	}
	time.Sleep(200 * time.Millisecond) // announcements reach the other one
	same(t, "declined", d.Count("DHCPDECLINE("), 0)
	b.bound("eth0", first.Address.String())
}
