package netns

import (
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
)

// Veth lays a cable: name here, peerName in peer, which may be ns itself. Both
// ends are down. A cable is pulled for one end by taking the other end down.
func (ns *NS) Veth(t testing.TB, name string, peer *NS, peerName string) {
	t.Helper()
	ns.add(t, &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: name},
		PeerName:      peerName,
		PeerNamespace: netlink.NsFd(peer.fd),
	})
}

// Dummy makes stand-in NICs, down. A dummy that is up has a carrier always.
func (ns *NS) Dummy(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		ns.add(t, &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: name}})
	}
}

// Bridge makes a switch that is up, and so are its ports: links that are there
// already. It forwards neither LACP nor LLDP, as 802.1D has it.
func (ns *NS) Bridge(t testing.TB, name string, ports ...string) {
	t.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	ns.add(t, bridge)
	ns.must(t, "ports of "+name, func() error {
		for _, port := range ports {
			link, err := netlink.LinkByName(port)
			if err != nil {
				return fmt.Errorf("%s: %w", port, err)
			}
			if err := netlink.LinkSetMaster(link, bridge); err != nil {
				return fmt.Errorf("%s: %w", port, err)
			}
		}
		return nil
	})
	ns.Up(t, append(ports, name)...)
}

// Up sets links up, in the order given.
func (ns *NS) Up(t testing.TB, names ...string) {
	t.Helper()
	ns.must(t, "set up", func() error { return each(netlink.LinkSetUp, names...) })
}

// Down sets links down, in the order given.
func (ns *NS) Down(t testing.TB, names ...string) {
	t.Helper()
	ns.must(t, "set down", func() error { return each(netlink.LinkSetDown, names...) })
}

func (ns *NS) add(t testing.TB, link netlink.Link) {
	t.Helper()
	ns.must(t, "add "+link.Type()+" "+link.Attrs().Name, func() error { return netlink.LinkAdd(link) })
}

func (ns *NS) must(t testing.TB, what string, fn func() error) {
	t.Helper()
	var err error
	ns.Do(func() { err = fn() })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func each(do func(netlink.Link) error, names ...string) error {
	for _, name := range names {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := do(link); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
