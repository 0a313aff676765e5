//go:build kernel

package dhcp6

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

// The life of a lease with dnsmasq: acquired, kept over a restart without a packet and
// over a flap by a CONFIRM, confirmed after a reboot, declined, renewed and given back.
func TestRealLife(t *testing.T) {
	t.Parallel() // it waits for the most part
	b := newBed(t, 1)
	d := b.dnsmasq("2001:db8::1/64", "--dhcp-authoritative", "--dhcp-option=option6:dns-server,[2001:db8::53]",
		"--dhcp-option=option6:domain-search,eng.example.org,example.org", "--dhcp-option=option6:ntp-server,[2001:db8::123]")
	b.begin(nil)
	lease := b.bound("2001:db8::")
	address := text(lease)
	same(t, "DNS", lease.DNS, "[2001:db8::53]")
	same(t, "NTP", lease.NTP, "[2001:db8::123]")
	same(t, "search", lease.Search, "[eng.example.org example.org]")
	same(t, "lifetime", lease.Addresses[0].Expires-lease.Obtained, 2*time.Minute)
	same(t, "server", lease.Server.IsLinkLocalUnicast(), true)

	packets := strings.Count(d.Log.String(), "\n")
	b.off()
	b.on()
	b.begin(nil)
	b.bound(address)
	same(t, "packets after a restart", strings.Count(d.Log.String(), "\n"), packets)
	same(t, "socket", b.wire.socket == nil, true)

	b.host.Down(t, "eth0")
	b.Link("eth0", Link{})
	b.host.Up(t, "eth0")
	b.eventually("eth0 is ready", func() bool { return b.look().ready() })
	b.ip("addr", "replace", address+"/128", "dev", "eth0") // as the agent does when the kernel has dropped it
	b.Link("eth0", b.look())
	b.eventually("it is confirmed", func() bool { return d.Count("DHCPCONFIRM(") == 1 })
	b.bound(address)

	b.off()
	b.boot = "boot 2"
	b.on()
	b.begin(nil)
	b.bound(address)
	b.eventually("it is confirmed, and renewed", func() bool { return d.Count("DHCPCONFIRM(") == 2 && d.Count("DHCPRENEW(") == 1 })
	b.bound(address)
	same(t, "solicited", d.Count("DHCPSOLICIT("), 1)
	same(t, "history", b.history(), "- "+address+" - "+address)

	renewed := b.bound(address)
	if err := b.Renew(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	b.boundWhen(address, func(l *netcfg.Lease6) bool { return l.Obtained > renewed.Obtained })

	if err := b.Release(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	b.until(Stopped)
	same(t, "given back", d.Count("DHCPRELEASE("), 1)
	b.eventually("the address is gone", func() bool { return b.addresses() == "" })
}

// Renewals go on for a while; the server stops after T1, and another one answers at T2.
// Later it is silent until the end, and comes back.
func TestRealRenewRebindExpireReturn(t *testing.T) {
	t.Parallel()      // it waits for the most part
	b := newBed(t, 5) // forty seconds are eight
	first := b.kea("s0", "2001:db8::1/64", "")
	b.begin(nil)
	lease := b.bound("2001:db8::")
	same(t, "times", []time.Duration{lease.RenewAt - lease.Obtained, lease.RebindAt - lease.Obtained}, "[10s 15s]")
	solicited := first.Count("DHCP6_LEASE_ADVERT ")
	for range 2 {
		lease = b.boundWhen(text(lease), func(l *netcfg.Lease6) bool { return l.Obtained > lease.Obtained })
	}
	same(t, "solicited", first.Count("DHCP6_LEASE_ADVERT "), solicited)
	first.Stop()
	second := b.kea("s0", "2001:db8::2/64", "")
	b.boundWhen(text(lease), func(l *netcfg.Lease6) bool { return !bytes.Equal(l.ServerID, lease.ServerID) })
	same(t, "history", b.history(), "- "+text(lease))

	second.Pause()
	b.eventually("the lease is gone", func() bool { s, _ := b.Status("eth0"); return s.Lease == nil })
	b.eventually("and the address", func() bool { return b.addresses() == "" })
	second.Resume()
	b.bound("2001:db8::")
}

// A server that knows nothing of the lease says so, and is asked anew.
func TestFault_E4_Real(t *testing.T) {
	t.Parallel() // it waits for the most part
	b := newBed(t, 20)
	first := b.dnsmasq("2001:db8::1/64", "--dhcp-duid=1,010101")
	b.begin(nil)
	lease := b.bound("2001:db8::")
	first.Stop()
	second := b.dnsmasq("2001:db8::1/64", "--dhcp-duid=1,010101")
	b.boundWhen(text(lease), func(l *netcfg.Lease6) bool { return l.Obtained > lease.Obtained })
	if second.Count("lease not found") == 0 || second.Count("DHCPREQUEST(") == 0 {
		t.Error("it knows of a lease that it has not given")
	}
	same(t, "history", b.history(), "- "+text(lease))
}

// The servers of another link know that the address is not theirs.
func TestFault_E23_Real(t *testing.T) {
	b := newBed(t, 10)
	first := b.dnsmasq("2001:db8::1/64", "--dhcp-authoritative")
	b.begin(nil)
	b.bound("2001:db8::")
	first.Stop()
	b.far.IP(t, "addr", "flush", "dev", "s0", "scope", "global")
	second := b.dnsmasq("2001:db8:1::1/64", "--dhcp-authoritative", "--dhcp-range=2001:db8:1::100,2001:db8:1::1ff,64,2m")
	l := b.look()
	l.Ups = 7
	b.Link("eth0", l)
	b.bound("2001:db8:1::")
	same(t, "confirmed", second.Count("DHCPCONFIRM("), 1)
}

// Somebody has the address already: dnsmasq does not give it again.
func TestFault_E8_Real(t *testing.T) {
	b := newBed(t, 10)
	d := b.dnsmasq("2001:db8::1/64", "--dhcp-authoritative")
	b.begin(nil)
	lease := b.bound("2001:db8::")
	if err := b.Decline(t.Context(), "eth0", lease.Addresses[0].Address); err != nil {
		t.Fatal(err)
	}
	b.eventually("another address", func() bool {
		s, _ := b.Status("eth0")
		return s.State == Bound && text(s.Lease) != text(lease)
	})
	same(t, "declined", d.Count("DHCPDECLINE("), 1)
}

func TestRealStateless(t *testing.T) {
	t.Parallel() // it waits for the most part
	b := newBed(t, 1)
	d := b.dnsmasq("2001:db8::1/64", "--dhcp-option=option6:dns-server,[2001:db8::53]", "--dhcp-option=option6:information-refresh-time,2h")
	b.begin(func(c *Config) { c.Stateless = true })
	b.until(Informed)
	s, _ := b.Status("eth0")
	same(t, "DNS", s.Lease.DNS, "[2001:db8::53]")
	same(t, "again", s.Lease.RenewAt-s.Lease.Obtained, 2*time.Hour)
	same(t, "asked", d.Count("DHCPINFORMATION-REQUEST("), 1)
}

// Kea has no preference, so that offers are compared; and two messages are enough for it.
func TestRealKea(t *testing.T) {
	b := newBed(t, 5)
	d := b.kea("s0", "2001:db8::1/64", "")
	b.begin(nil)
	lease := b.bound("2001:db8::")
	if err := b.Decline(t.Context(), "eth0", lease.Addresses[0].Address); err != nil {
		t.Fatal(err)
	}
	b.eventually("another address", func() bool {
		s, _ := b.Status("eth0")
		return s.State == Bound && text(s.Lease) != text(lease)
	})
	if err := b.Release(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	b.until(Stopped)
	b.eventually("kea has it back", func() bool { return d.Count("DHCP6_RELEASE_NA ") > 0 })
	d.Stop()

	d = b.kea("s0", "2001:db8::2/64", `"rapid-commit": true,`)
	b.begin(func(c *Config) { c.RapidCommit = true })
	b.bound("2001:db8::")
	same(t, "advertised", d.Count("DHCP6_LEASE_ADVERT "), 0)
}
