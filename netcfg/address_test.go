package netcfg

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

func TestParseNetmask(t *testing.T) {
	for n := range 33 {
		for _, s := range []string{Netmask(n), fmt.Sprint(n)} {
			if got, err := ParseNetmask(s); err != nil || got != n {
				t.Errorf("%s: got %d, %v, want %d", s, got, err, n)
			}
		}
	}
	for _, s := range []string{"", "33", "-1", "+1", "08", "255.0.255.0", "0.0.0.255", "255.255.255", "255.255.255.256", "1.2.3.4", "::", "/24", " 24"} {
		if got, err := ParseNetmask(s); err == nil {
			t.Errorf("%q: got %d", s, got)
		}
	}
}

func TestParseMAC(t *testing.T) {
	for s, want := range map[string]string{"52:54:00:AB:cd:ef": "52:54:00:ab:cd:ef", "52-54-00-ab-cd-ef": "52:54:00:ab:cd:ef"} {
		if got, err := ParseMAC(s); err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "5254.00ab.cdef", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:01:02", "52:54:00:ab:cd:eg", "525400abcdef"} {
		if got, err := ParseMAC(s); err == nil {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	n := aNic("eth0", ip4("10.0.0.1", "255.255.255.0"), ip6("2001:db8::1", 64), more("10.0.0.3/24", "x", "10.0.0.2/24", "2001:db8::2/64"), gw4("10.0.0.254"), gw6("fe80::1"))
	want := []string{"10.0.0.1/24", "2001:db8::1/64", "10.0.0.3/24", "10.0.0.2/24", "2001:db8::2/64"}
	var got []string
	for _, p := range n.Addresses() {
		got = append(got, p.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := n.Gateways(), []netip.Addr{netip.MustParseAddr("10.0.0.254"), netip.MustParseAddr("fe80::1")}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	dhcp := aNic("eth0", boot4(BootDHCP), boot6(BootNone), ip4("10.0.0.1", "24"), ip6("2001:db8::1", 64))
	for name, n := range map[string]HostNic{
		"nothing": aNic("eth0"), "dhcp": dhcp, "no mask": aNic("eth0", ip4("10.0.0.1", "")), "wrong family": aNic("eth0", ip4("2001:db8::1", "24"), ip6("10.0.0.1", 24), gw4("fe80::1"), gw6("10.0.0.1")),
		"zone": aNic("eth0", ip6("fe80::1%eth0", 64)), "prefix": aNic("eth0", ip6("2001:db8::1", 129)),
	} {
		if got, gw := n.Addresses(), n.Gateways(); got != nil || gw != nil {
			t.Errorf("%s: got %v, gateways %v", name, got, gw)
		}
	}
}

// The ids are stable for ever: stored documents and clients hold them.
func TestNicID(t *testing.T) {
	const hostID = "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3"
	if got, want := NicID(hostID, "mac:52:54:00:12:34:56"), "a58a2af4-46c2-53cb-9c5c-2f4156797486"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// RFC 9562, appendix A.4: www.example.com in the name space of DNS.
	if got, want := NicID("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if NicID(hostID, "name:bond0") == NicID(hostID, "name:bond1") || NicID("not a uuid", "name:bond0") == NicID("another", "name:bond0") {
		t.Error("two NICs have one id")
	}
}
