// Package need lets a test say which features of the kernel it cannot do
// without:
//
//	func TestFailover(t *testing.T) {
//		need.Kernel(t, need.Bond, need.Netns)
//
// Where one is missing the test is skipped, in a line that names the command
// that brings a kernel along. But a run that has promised a feature, by listing
// it in HOSTNIC_NEED ("bond,vlan", or "all"), fails: a test bed that has lost a
// feature must not pass by skipping.
package need

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hostnic/hostnic/test/flakey"
)

// Feature is something that a kernel, or the right to use it, may lack. Its
// text is the word for HOSTNIC_NEED.
type Feature string

// The features. Each is found out by doing it, once in a process, in a network
// namespace that nobody sees and that is thrown away. Programs are looked for.
const (
	Root   Feature = "root"   // CAP_NET_ADMIN
	Netns  Feature = "netns"  // new network namespaces
	Veth   Feature = "veth"   // cables
	Dummy  Feature = "dummy"  // stand-in NICs
	Bond   Feature = "bond"   // bonds
	LACP   Feature = "lacp"   // bonds in mode 802.3ad, with lacp_rate
	VLAN   Feature = "vlan"   // 802.1Q
	Bridge Feature = "bridge" // bridges with ports
	IPv6   Feature = "ipv6"   // IPv6 addresses
	TUN    Feature = "tun"    // taps
	Netem  Feature = "netem"  // loss and delay by the queueing discipline netem
	Own    Feature = "own"    // a kernel that is nobody else's, whose clock and memory may be played with
	Flakey Feature = "flakey" // disks that forget what is written, with ext4 on them

	// DHCP servers.
	Dnsmasq Feature = "dnsmasq"
	Kea     Feature = "kea"
	Kea6    Feature = "kea6"
	Radvd   Feature = "radvd" // a router

	// Other managers of links, with the bus by which they are talked to.
	Networkd       Feature = "networkd"
	NetworkManager Feature = "networkmanager"
	Ifupdown       Feature = "ifupdown"

	Lldpd    Feature = "lldpd"    // the other end of LLDP
	Promtool Feature = "promtool" // Prometheus's judge of metrics and rules
)

// Kernel skips the test unless all the features are there, and fails it when
// HOSTNIC_NEED has promised a missing one.
func Kernel(t testing.TB, features ...Feature) {
	t.Helper()
	promised, err := parsePromise(os.Getenv("HOSTNIC_NEED"))
	if err != nil {
		t.Fatal(err)
	}
	decide(t, promised, Missing, features)
}

// Missing tells why this process cannot use the feature; nil if it can.
func Missing(f Feature) error {
	probe, ok := probes[f]
	if !ok {
		return errors.New("no such feature")
	}
	return probe()
}

func decide(t testing.TB, promised []Feature, missing func(Feature) error, features []Feature) {
	t.Helper()
	var lacks []string
	broken := false
	for _, f := range features {
		if err := missing(f); err != nil {
			lacks = append(lacks, fmt.Sprintf("%s (%v)", f, err))
			broken = broken || slices.Contains(promised, f)
		}
	}
	text := "needs " + strings.Join(lacks, ", ")
	switch {
	case broken:
		t.Fatalf("%s; HOSTNIC_NEED promised it", text)
	case len(lacks) != 0:
		t.Skipf("%s; run: make test-kernel", text)
	}
}

// parsePromise reads HOSTNIC_NEED. A word that means nothing is an error: a
// promise with a typing mistake in it would be none.
func parsePromise(s string) ([]Feature, error) {
	var promised []Feature
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		if word == "all" {
			return All(), nil
		}
		if _, ok := probes[Feature(word)]; !ok {
			return nil, fmt.Errorf("HOSTNIC_NEED: no feature %q; there are: all %s", word, All())
		}
		promised = append(promised, Feature(word))
	}
	return promised, nil
}

// All lists the features there are, in order of their names.
func All() []Feature {
	var all []Feature
	for f := range probes {
		all = append(all, f)
	}
	slices.Sort(all)
	return all
}

// probes does each of them at most once.
var probes = map[Feature]func() error{
	Root:   sync.OnceValue(root),
	Netns:  sync.OnceValue(inScratch(nil)),
	Veth:   sync.OnceValue(inScratch(veth)),
	Dummy:  sync.OnceValue(inScratch(dummy)),
	Bond:   sync.OnceValue(inScratch(bond)),
	LACP:   sync.OnceValue(inScratch(lacp)),
	VLAN:   sync.OnceValue(inScratch(vlan)),
	Bridge: sync.OnceValue(inScratch(bridge)),
	IPv6:   sync.OnceValue(inScratch(ipv6)),
	TUN:    sync.OnceValue(inScratch(tun)),
	Netem:  sync.OnceValue(inScratch(netem)),
	Own:    sync.OnceValue(own),
	Flakey: sync.OnceValue(flakey.Missing),

	Dnsmasq: sync.OnceValue(func() error { return there(DnsmasqPath()) }),
	Kea:     sync.OnceValue(func() error { return there(KeaPath()) }),
	Kea6:    sync.OnceValue(func() error { return there(Kea6Path()) }),
	Radvd:   sync.OnceValue(func() error { return there(RadvdPath()) }),

	Networkd: sync.OnceValue(func() error {
		if err := there(NetworkdPath()); err != nil {
			return err
		}
		return there("/usr/bin/dbus-daemon")
	}),
	NetworkManager: sync.OnceValue(func() error {
		if err := there(NetworkManagerPath()); err != nil {
			return err
		}
		return there("/usr/bin/dbus-daemon")
	}),
	Ifupdown: sync.OnceValue(func() error { return there(IfupPath()) }),
	Lldpd:    sync.OnceValue(func() error { return there(LldpdPath()) }),
	Promtool: sync.OnceValue(func() error { return there(PromtoolPath()) }),
}
