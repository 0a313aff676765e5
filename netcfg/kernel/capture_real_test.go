//go:build kernel

package kernel

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// TestCapture writes messages of this kernel into testdata, for the tests that have
// no kernel, when HOSTNIC_CAPTURE is set. What they mean is then written by
//
//	go test ./netcfg/kernel -run TestGolden -update
func TestCapture(t *testing.T) {
	if os.Getenv("HOSTNIC_CAPTURE") == "" {
		t.Skip("only with HOSTNIC_CAPTURE=1")
	}
	need.Kernel(t, need.Bond, need.LACP, need.VLAN, need.Veth, need.Dummy, need.IPv6, need.Bridge)
	k := captured(t)
	found := map[string][]byte{}
	keep := func(kind string, name func([]byte) string) func([]byte) (struct{}, bool, error) {
		return func(body []byte) (struct{}, bool, error) {
			found[kind+"/"+strings.NewReplacer("/", "_", ":", "-").Replace(name(body))] = slices.Clone(body)
			return struct{}{}, true, nil
		}
	}
	linkName := func(body []byte) string { l, _, _ := decodeLink(body); return l.Name }
	addressName := func(body []byte) string {
		a, _, _ := decodeAddress(body)
		if a.LinkLocal() {
			return "link-local"
		}
		return a.Prefix.String()
	}
	routeName := func(body []byte) string {
		r, ok, _ := decodeRoute(body)
		if !ok {
			return "local"
		}
		return fmt.Sprint(r.Dst, "-", r.Table, "-", r.Metric)
	}
	modesName := func(body []byte) string {
		if m, _ := decodeLinkModes(body); m.speed == nil {
			return "unknown"
		}
		return "10g"
	}
	err := k.reader.talk(t.Context(), func(conn *socket) error {
		b := newBudget(t.Context())
		address := request{typ: unix.RTM_GETADDR, body: make([]byte, unix.SizeofIfAddrmsg)}
		route4 := request{typ: unix.RTM_GETROUTE, body: append([]byte{unix.AF_INET}, make([]byte, unix.SizeofRtMsg-1)...)}
		route6 := request{typ: unix.RTM_GETROUTE, body: append([]byte{unix.AF_INET6}, make([]byte, unix.SizeofRtMsg-1)...)}
		for r, decode := range map[*request]func([]byte) (struct{}, bool, error){
			new(linkRequest(0, What{})): keep("link", linkName),
			&address:                    keep("address", addressName),
			&route4:                     keep("route", routeName),
			&route6:                     keep("route", routeName),
		} {
			if _, err := collect(conn, b, *r, decode); err != nil {
				return err
			}
		}
		counted, err := conn.get(linkRequest(1, What{Counters: true}))
		found["link/lo-counters"] = slices.Clone(counted)
		return err
	})
	if err == nil {
		err = k.drivers.talk(t.Context(), func(conn *socket) error {
			family, err := k.ethtoolFamily(conn)
			if err != nil {
				return err
			}
			_, err = collect(conn, newBudget(t.Context()), linkModesRequest(family, 0), keep("modes", modesName))
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		file := filepath.Join("testdata", name+".hex")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, hexLines(found[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// captured is a namespace with something of everything.
func captured(t *testing.T) *Kernel {
	ns, far := netns.New(t), netns.New(t)
	for _, name := range []string{"eth0", "eth1", "eth2", "eth3"} {
		ns.Veth(t, name, far, name)
	}
	far.Up(t, "eth0", "eth1", "eth2", "eth3")
	ns.Dummy(t, "dummy0")
	ns.Bridge(t, "br0", "dummy0")
	k, other := open(t, ns, Options{}), open(t, far, Options{})
	index := func(name string) int { return link(t, k, name).Index }
	ab := addBond(100, "bond0", "active-backup", plan.Option{Name: "miimon", Value: "100"}, plan.Option{Name: "updelay", Value: "200"},
		plan.Option{Name: "primary", Value: "eth1"}, plan.Option{Name: "arp_ip_target", Value: "192.0.2.7,192.0.2.8"}, plan.Option{Name: "ns_ip6_target", Value: "2001:db8::7"})
	ab.PrimaryIndex, ab.Up, ab.Group = index("eth1"), new(true), plan.OwnerGroup
	lacp := addBond(101, "bond1", "802.3ad", plan.Option{Name: "lacp_rate", Value: "fast"}, plan.Option{Name: "ad_actor_sys_prio", Value: "7"})
	lacp.Up = new(true)
	apply(t, k, ab, lacp, addBond(102, "bond2", "balance-rr"), addBond(103, "bond3", "balance-alb"),
		setMaster(link(t, k, "eth0"), 100), setMaster(link(t, k, "eth1"), 100), setMaster(link(t, k, "eth2"), 101), setMaster(link(t, k, "eth3"), 101))
	partner := addBond(100, "bond0", "802.3ad", plan.Option{Name: "lacp_rate", Value: "fast"})
	partner.Up = new(true)
	apply(t, other, setUp(link(t, other, "eth2"), false), setUp(link(t, other, "eth3"), false), partner,
		setMaster(link(t, other, "eth2"), 100), setMaster(link(t, other, "eth3"), 100))
	apply(t, k, addVLAN(110, 100, 100, "bond0.100", true), addVLAN(111, 101, 4094, "bond1.4094", true),
		plan.Op{Action: plan.LinkAdd, Kind: "macvlan", Index: 112, Name: "macvlan0", Parent: 102},
		plan.Op{Action: plan.LinkSet, Index: 110, Name: "bond0.100", AddrGenModeNone: new(true)})
	ns.IP(t, "link", "add", "link", "bond0", "name", "qinq", "type", "vlan", "protocol", "802.1ad", "id", "7")
	full := addAddress(110, "bond0.100", "198.51.100.1/24")
	full.Address = state.Address{Prefix: full.Address.Prefix, Broadcast: netip.MustParseAddr("198.51.100.255"), Label: "bond0.100:1", Metric: 7, Proto: 9, Valid: 3600, Preferred: 1800}
	nodad := addAddress(110, "bond0.100", "2001:db8::1/64")
	nodad.Address.Flags = state.FlagNoDAD
	apply(t, k, addAddress(110, "bond0.100", "192.0.2.1/24"), addAddress(110, "bond0.100", "192.0.2.2/24"), full, nodad,
		addAddress(111, "bond1.4094", "2001:db8:1::1/64"), route(plan.RouteAdd, 110, "0.0.0.0/0", "192.0.2.254"))
	for _, words := range []string{
		"route add 10.0.0.0/8 via 192.0.2.254 metric 100 mtu 1400 src 192.0.2.1",
		"route add 10.1.0.0/16 nexthop via 192.0.2.254 nexthop via 192.0.2.253 weight 2",
		"route add default via 203.0.113.1 dev bond0.100 onlink table 1000 proto 104",
		"route add blackhole 10.2.0.0/16",
		"-6 route add default via 2001:db8::254 expires 600",
		"-6 route add 2001:db8:9::/48 nexthop via 2001:db8::254 nexthop via 2001:db8::253",
		"-6 route add 2001:db8:a::/48 via 2001:db8::254 metric 7 pref low",
		"-6 route add unreachable 2001:db8:b::/48",
		"route add 10.3.0.0/16 via inet6 2001:db8::254 dev bond0.100",
		"addr add 203.0.113.1 peer 203.0.113.2/32 dev bond0.100",
	} {
		ns.IP(t, strings.Fields(words)...)
	}
	eventually(t, "a partner", func() bool {
		ad := link(t, k, "bond1").Bond.AD
		return ad != nil && ad.NumPorts == 2
	})
	return k
}
