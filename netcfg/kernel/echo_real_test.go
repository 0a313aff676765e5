//go:build kernel

package kernel

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// manyAddresses are as many operations as nobody listens to.
func manyAddresses(index, n int) []plan.Op {
	var ops []plan.Op
	for i := range deafFrom {
		ops = append(ops, addAddress(index, "eth0", fmt.Sprintf("10.%d.0.%d/32", n, i)))
	}
	return ops
}

// TestEchoes makes many changes while it watches, and wants one nudge for all of them;
// then what others change is heard again.
func TestEchoes(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns, far := netns.New(t), netns.New(t)
	ns.Veth(t, "eth0", far, "eth0")
	ns.Up(t, "eth0")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	nudges := watch(t, k)
	for i := range 3 {
		apply(t, k, manyAddresses(eth0, i)...)
		expect(t, nudges, "that something was missed", func(n Nudge) bool {
			if n.Address {
				t.Errorf("an echo: %+v", n)
			}
			return n.Lost
		})
		ns.IP(t, "addr", "add", fmt.Sprintf("192.0.2.%d/32", i+1), "dev", "eth0")
		expect(t, nudges, "somebody's address", func(n Nudge) bool { return n.Index == eth0 && n.Address })
	}
}

// TestEndWhileDeaf ends a Watch around the time of a large Apply, and begins another.
func TestEndWhileDeaf(t *testing.T) {
	need.Kernel(t, need.Veth)
	ns := netns.New(t)
	ns.Veth(t, "eth0", ns, "eth1")
	k := open(t, ns, Options{})
	eth0 := link(t, k, "eth0").Index
	for i := range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan struct{})
		var once sync.Once
		var group sync.WaitGroup
		group.Go(func() {
			if err := k.Watch(ctx, func([]Nudge) { once.Do(func() { close(begun) }) }); err != nil {
				t.Error(err)
			}
		})
		<-begun
		group.Go(func() { apply(t, k, manyAddresses(eth0, i)...) })
		if i%2 == 0 {
			eventually(t, "the Apply", func() bool { return k.acting.Load() > 0 || k.acted.Load() > 0 })
		}
		cancel()
		group.Wait()
	}
	nudges := watch(t, k)
	ns.IP(t, "addr", "add", "192.0.2.1/32", "dev", "eth0")
	expect(t, nudges, "somebody's address", func(n Nudge) bool { return n.Index == eth0 && n.Address })
}
