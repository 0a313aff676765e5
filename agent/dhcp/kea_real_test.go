//go:build kernel

package dhcp

import (
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/test/netns"
)

// The life of a lease with another server: acquired, renewed by unicast, confirmed
// after a reboot, refused, and given back.
func TestRealKea(t *testing.T) {
	b := newBed(t, 1)
	b.clock.Times = 5 // T1 is two seconds
	d := b.kea("s0", "192.0.2.1/24", "192.0.2.0/24", "192.0.2.100", "192.0.2.150")
	b.begin("eth0", nil)
	lease := b.bound("eth0", "192.0.2.1")
	same(t, "lifetime", lease.Expires-lease.Obtained, 40*time.Second)
	discovered := d.Count("DHCP4_LEASE_ADVERT")
	for range 2 {
		lease = b.boundWhen("eth0", lease.Address.String(), func(l *netcfg.Lease) bool { return l.Obtained > lease.Obtained })
	}
	same(t, "discovered", d.Count("DHCP4_LEASE_ADVERT"), discovered)

	b.off()
	b.boot, b.seen = "boot 2", nil
	b.host.IP(t, "addr", "flush", "dev", "eth0")
	b.on()
	b.begin("eth0", nil)
	b.bound("eth0", lease.Address.String())
	same(t, "discovered", d.Count("DHCP4_LEASE_ADVERT"), discovered)

	d.Stop()
	d = b.kea("s0", "198.51.100.1/24", "198.51.100.0/24", "198.51.100.100", "198.51.100.150")
	b.bound("eth0", "198.51.100.1")
	if err := b.Release(t.Context(), "eth0"); err != nil {
		t.Fatal(err)
	}
	b.eventually("kea has it back", func() bool { return d.Count("DHCP4_RELEASE") > 0 })
}

// Kea does not give an address again that was declined.
func TestFault_E8_Kea(t *testing.T) {
	b := newBed(t, 1)
	b.clock.Times = 10
	other := netns.New(t)
	other.Veth(t, "o0", b.far, "s9")
	other.Up(t, "o0")
	b.far.Bridge(t, "br0", "s0", "s9")
	d := b.kea("br0", "192.0.2.1/24", "192.0.2.0/24", "192.0.2.100", "192.0.2.101")
	other.IP(t, "addr", "add", "192.0.2.100/24", "dev", "o0")
	b.begin("eth0", func(c *Config) { c.NoConflictDetection = false })
	b.bound("eth0", "192.0.2.101")
	same(t, "declined", d.Count("DHCP4_DECLINE_LEASE ") > 0, true)
}
