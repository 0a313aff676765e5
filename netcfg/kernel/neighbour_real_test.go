//go:build kernel

package kernel

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// neighbours are two namespaces with a cable between them, up and with addresses of
// both families.
type neighbours struct {
	t       *testing.T
	k       *Kernel
	ns, far *netns.NS
	link    int
}

func newNeighbours(t *testing.T) *neighbours {
	t.Helper()
	need.Kernel(t, need.Veth, need.IPv6)
	n := &neighbours{t: t, ns: netns.New(t), far: netns.New(t)}
	n.ns.Veth(t, "eth0", n.far, "eth0")
	n.ns.Do(func() { // between two tries
		for _, family := range []string{"ipv4", "ipv6"} {
			if err := os.WriteFile("/proc/sys/net/"+family+"/neigh/eth0/retrans_time_ms", []byte("200"), 0); err != nil {
				t.Error(err)
			}
		}
	})
	n.ns.Up(t, "eth0")
	n.far.Up(t, "eth0")
	n.k = open(t, n.ns, Options{})
	n.link = link(t, n.k, "eth0").Index
	n.ns.IP(t, "addr", "add", "192.0.2.1/24", "dev", "eth0")
	n.ns.IP(t, "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
	n.far.IP(t, "addr", "add", "192.0.2.254/24", "dev", "eth0")
	n.far.IP(t, "addr", "add", "2001:db8::fe/64", "dev", "eth0", "nodad")
	// The kernel asks by ND from the link-local address.
	for end := time.Now().Add(20 * time.Second); n.tentative(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the link-local address does not get ready")
		}
	}
	return n
}

func (n *neighbours) tentative() bool {
	found := false
	for _, a := range snapshot(n.t, n.k).Addresses {
		if a.LinkLocal() {
			found = true
			if a.Flags&state.FlagTentative != 0 {
				return true
			}
		}
	}
	return !found
}

func (n *neighbours) ask(address string) state.Neighbour {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	got, err := n.k.Neighbour(ctx, n.link, netip.MustParseAddr(address))
	if err != nil || ctx.Err() != nil {
		n.t.Fatalf("%s: %+v, %v, %v", address, got, err, ctx.Err())
	}
	return got
}

// entry is what the table says of an address.
func (n *neighbours) entry(address string) netlink.Neigh {
	n.t.Helper()
	list, err := n.ns.Netlink(n.t).NeighList(n.link, netlink.FAMILY_ALL)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range list {
		if e.IP.String() == address {
			return e
		}
	}
	return netlink.Neigh{}
}

func TestNeighbour(t *testing.T) {
	n := newNeighbours(t)
	far := n.far.Netlink(t)
	eth0, err := far.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	mac := eth0.Attrs().HardwareAddr.String()
	for _, address := range []string{"192.0.2.254", "2001:db8::fe"} {
		want := state.Neighbour{Answered: true, MAC: mac}
		for range 2 { // without and with an entry
			if got := n.ask(address); got != want {
				t.Errorf("%s: %+v, want %+v", address, got, want)
			}
		}
	}
	for _, address := range []string{"192.0.2.77", "2001:db8::77"} {
		if got := n.ask(address); got != (state.Neighbour{}) {
			t.Errorf("%s, whom nobody has: %+v", address, got)
		}
	}
	if _, err := n.k.Neighbour(t.Context(), 9999, netip.MustParseAddr("192.0.2.254")); err == nil {
		t.Error("a link that is not there is no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := n.k.Neighbour(ctx, n.link, netip.MustParseAddr("192.0.2.78")); err != nil || got.Answered {
		t.Errorf("cut short: %+v, %v", got, err)
	}
}

// An entry that is reachable says nothing of now: the neighbour is gone, and the
// carrier still there.
func TestNeighbourGone(t *testing.T) {
	n := newNeighbours(t)
	for address, prefix := range map[string]string{"192.0.2.254": "192.0.2.254/24", "2001:db8::fe": "2001:db8::fe/64"} {
		if !n.ask(address).Answered {
			t.Fatalf("%s does not answer", address)
		}
		n.far.IP(t, "addr", "del", prefix, "dev", "eth0")
		if e := n.entry(address); e.State != unix.NUD_REACHABLE {
			t.Errorf("%s: the entry is in state %#x before it is asked", address, e.State)
		}
		if n.ask(address).Answered {
			t.Errorf("%s answers although it is gone", address)
		}
	}
}

// What others have put into the table stays what it is.
func TestNeighbourForeign(t *testing.T) {
	n := newNeighbours(t)
	n.ns.IP(t, "neigh", "add", "192.0.2.7", "lladdr", "52:54:00:00:00:07", "dev", "eth0", "nud", "permanent")
	if got := n.ask("192.0.2.7"); got != (state.Neighbour{Permanent: true, MAC: "52:54:00:00:00:07"}) {
		t.Errorf("permanent: %+v", got)
	}
	if e := n.entry("192.0.2.7"); e.State != unix.NUD_PERMANENT {
		t.Errorf("the permanent entry is in state %#x now", e.State)
	}
	n.ns.IP(t, "neigh", "add", "192.0.2.254", "lladdr", "52:54:00:00:00:08", "dev", "eth0", "nud", "stale", "extern_learn")
	n.ns.IP(t, "neigh", "add", "2001:db8::fe", "lladdr", "52:54:00:00:00:08", "dev", "eth0", "nud", "stale", "router")
	for address, flag := range map[string]int{"192.0.2.254": unix.NTF_EXT_LEARNED, "2001:db8::fe": unix.NTF_ROUTER} {
		// Nobody has that hardware address; then everybody is asked.
		if n.ask(address).Answered {
			t.Errorf("%s answers by a hardware address that nobody has", address)
		}
		if e := n.entry(address); e.Flags&flag == 0 {
			t.Errorf("%s: the flags are %#x now", address, e.Flags)
		}
		if !n.ask(address).Answered {
			t.Errorf("%s: not found again", address)
		}
	}
}
