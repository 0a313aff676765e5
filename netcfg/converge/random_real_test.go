//go:build kernel

package converge_test

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

var realTransitions = flag.Int("real-transitions", 500, "how many random changes of configuration to try on the real kernel")

// TestRandomTransitionsReal is TestRandomTransitions on the kernel under the test.
func TestRandomTransitionsReal(t *testing.T) {
	need.Kernel(t, need.Netns, need.Veth, need.Bond, need.LACP, need.VLAN, need.IPv6)
	s := randomSeed(t)
	for done, life := 0, uint64(0); done < *realTransitions; life++ {
		t.Run(fmt.Sprint(life), func(t *testing.T) { done += walkOne(t, realHost(t), s+life, 50) })
		if t.Failed() {
			return
		}
	}
}

// realHost is randomHost made of veth pairs.
func realHost(t *testing.T) *kernel.Kernel {
	t.Helper()
	ns, far := netns.New(t), netns.New(t)
	for _, n := range append(slices.Clone(randomNICs), "ext0") {
		ns.Veth(t, n, far, "p-"+n)
		far.Up(t, "p-"+n)
	}
	foreign(t, ns)
	var k *kernel.Kernel
	var err error
	ns.Do(func() { k, err = kernel.Open(kernel.Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// foreign puts onto the host what others own.
func foreign(t *testing.T, ns *netns.NS) {
	t.Helper()
	h := ns.Netlink(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	link := func(name string) netlink.Link {
		l, err := h.LinkByName(name)
		must(err)
		return l
	}
	address := func(name, prefix string) {
		a, err := netlink.ParseAddr(prefix)
		must(err)
		must(h.AddrAdd(link(name), a))
	}
	vlan := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "ext0.7", ParentIndex: link("ext0").Attrs().Index}, VlanId: 7}
	must(h.LinkAdd(vlan))
	ns.Up(t, "ext0", "ext0.7", "eth1")
	address("ext0", "198.18.0.1/24")
	address("ext0.7", "198.18.7.1/24")
	address("ext0.7", "2001:db8:ffff:7::1/64")
	address("eth1", "198.18.1.1/24")
	address("eth1", "2001:db8:ffff:1::1/64")
	dst := netip.MustParsePrefix("198.19.0.0/16")
	must(h.RouteAdd(&netlink.Route{LinkIndex: link("eth1").Attrs().Index, Protocol: 12, Gw: netip.MustParseAddr("198.18.1.254").AsSlice(),
		Dst: &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), 32)}}))
}
