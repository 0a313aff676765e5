//go:build kernel

package lease

import (
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/peer"
)

// A router of the kind that networks have, Debian's radvd: the host takes its prefix and
// its default route, and no other; loses the route, and not the address, when it ceases;
// and takes another prefix beside an old one that it deprecates.
func TestRadvd(t *testing.T) {
	t.Parallel()
	need.Kernel(t, need.Radvd)
	h := newHost(t, 1, "")
	h.Far.IP(t, "addr", "add", "fe80::1/64", "dev", "s0", "nodad")
	first := peer.Radvd(t, h.Far, "s0", `
	prefix 2001:db8:7::/64 { AdvValidLifetime 600; AdvPreferredLifetime 300; };
	route 2001:db8:99::/48 { };`)
	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`, "--wait", "60s")
	address := h.learnt("eth0")
	if !strings.HasPrefix(address, "kernel 2001:db8:7:") {
		t.Errorf("learnt %q", address)
	}
	h.eventually("there is a default route", func() bool { return h.routes6() != "" })
	if routes := h.routes6(); strings.Contains(routes, "\n") || !strings.HasPrefix(routes, "::/0 via fe80::") {
		t.Errorf("routes %q", routes)
	}
	h.settled()

	first.End()
	h.eventually("the default route is gone", func() bool { return h.routes6() == "" })
	same(t, "learnt", h.learnt("eth0"), address)
	h.settled()

	peer.Radvd(t, h.Far, "s0", `
	prefix 2001:db8:8::/64 { AdvValidLifetime 600; AdvPreferredLifetime 300; };
	prefix 2001:db8:7::/64 { AdvValidLifetime 600; AdvPreferredLifetime 0; };`)
	h.eventually("there is an address of either prefix", func() bool {
		return strings.Contains(h.learnt("eth0"), "2001:db8:7:") && strings.Contains(h.learnt("eth0"), "2001:db8:8:")
	})
	h.eventually("the old one is deprecated", func() bool {
		s := h.look()
		for _, a := range s.AddressesOf(s.ByName("eth0").Index) {
			if strings.HasPrefix(a.Prefix.String(), "2001:db8:7:") {
				return a.Preferred == 0 && a.Valid > 0
			}
		}
		return false
	})
	h.settled()
}

// routes6 are those of IPv6 that routers have told of.
func (h *host) routes6() string {
	h.Helper()
	s := h.look()
	var out []string
	for _, r := range s.Routes {
		if r.Table == state.MainTable && r.Protocol == state.ProtocolRA {
			out = append(out, r.Dst.String()+" via "+r.Gateway.String())
		}
	}
	return strings.Join(out, "\n")
}
