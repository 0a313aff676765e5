//go:build kernel

package kerneltest

import (
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// realHost is a network namespace of the kernel under the test. Its NICs are ends
// of veth pairs; the other ends are in a namespace of their own, up.
type realHost struct {
	*kernel.Kernel
	t       *testing.T
	ns, far *netns.NS
}

func openReal(t *testing.T) Host {
	h := realHost{t: t, ns: netns.New(t), far: netns.New(t)}
	var err error
	h.ns.Do(func() { h.Kernel, err = kernel.Open(kernel.Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Kernel.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h realHost) AddNIC(name string) {
	h.ns.Veth(h.t, name, h.far, name)
	h.far.Up(h.t, name)
}

func (h realHost) AddBridge(name string, ports ...string) { h.ns.Bridge(h.t, name, ports...) }

func (h realHost) SetCarrier(name string, on bool) {
	if on {
		h.far.Up(h.t, name)
	} else {
		h.far.Down(h.t, name)
	}
}

// Patience covers duplicate address detection, up to 2 s, and the kernel's
// link watch, which lets one batch through a second.
func (h realHost) Patience() time.Duration { return 10 * time.Second }

func TestKernelKeepsContract(t *testing.T) {
	need.Kernel(t, need.Root, need.Netns, need.Veth, need.Bond, need.LACP, need.VLAN, need.Bridge, need.IPv6)
	Contract(t, openReal)
}
