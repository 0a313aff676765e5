//go:build kernel

package converge_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

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
	for _, command := range []string{
		"link add link ext0 name ext0.7 type vlan id 7",
		"link set ext0 up", "link set ext0.7 up", "link set eth1 up",
		"addr add 198.18.0.1/24 dev ext0", "addr add 198.18.7.1/24 dev ext0.7", "addr add 2001:db8:ffff:7::1/64 dev ext0.7",
		"addr add 198.18.1.1/24 dev eth1", "addr add 2001:db8:ffff:1::1/64 dev eth1",
		"route add 198.19.0.0/16 via 198.18.1.254 proto bird",
	} {
		ns.IP(t, strings.Fields(command)...)
	}
}
