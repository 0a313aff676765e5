package plan_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

func imported(t *testing.T, s state.Snapshot, names ...string) (netcfg.Config, netcfg.Problems) {
	t.Helper()
	c, warnings, problems := plan.Import(plan.ImportInput{Snapshot: s, Nics: names, BondNames: netcfg.BondNames})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return c, warnings
}

// Whatever somebody has configured on a host that a document can say: what Import says
// of it is valid, and takes nothing to bring about.
func TestImportTakesNothing(t *testing.T) {
	nics := []string{"eth0", "eth1", "eth2", "eth3"}
	tried := 0
	for seed := range uint64(3000) {
		host := kerneltest.NewFake()
		for i, n := range nics {
			host.AddNIC(n, kerneltest.NIC{MAC: fmt.Sprintf("52:54:00:00:00:%02x", i)})
		}
		wanted := kerneltest.GenConfig(rand.New(rand.NewPCG(seed, 1)), nics)
		if _, err := converge.Run(t.Context(), host, converge.Target{Config: wanted}); err != nil {
			continue // not every configuration fits this host
		}
		tried++
		s, err := host.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, warnings := imported(t, s)
		if problems, _ := c.Validate(netcfg.Limits{AllowOverlap: true}); len(problems) > 0 {
			t.Fatalf("seed %d: %v\n%s", seed, problems, text(t, c))
		}
		intent, problems := plan.Resolve(plan.Input{Config: c, Snapshot: s})
		if len(problems) > 0 {
			t.Fatalf("seed %d: %v\n%s", seed, problems, text(t, c))
		}
		if p := plan.Build(intent, s); !p.Empty() {
			t.Fatalf("seed %d: taking over takes\n%v\nof\n%s\n%v", seed, p.Ops(), text(t, c), warnings)
		}
		for _, n := range wanted.HostNics {
			left := slices.ContainsFunc(warnings, func(w netcfg.Problem) bool { return strings.Contains(w.Path, n.Name) })
			if got := c.Nic(n.Name); c.MasterOf(n.Name) == nil && (got == nil || len(got.Addresses()) != len(n.Addresses())) && !left {
				t.Fatalf("seed %d: of %s it says nothing, or not all\n%s\n%v", seed, n.Name, text(t, c), warnings)
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d were tried", tried)
	}
}

func text(t *testing.T, c netcfg.Config) string {
	t.Helper()
	var b strings.Builder
	if err := codec.Encode(&b, c, codec.YAML, codec.EncodeOptions{List: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What a document cannot say is left, and told; and nobody asks for what guests have.
func TestImportLeaves(t *testing.T) {
	eth := func(index int, name, kind string) state.Link {
		return state.Link{Index: index, Name: name, Kind: kind, Type: 1, MTU: 1500, AdminUp: true, MAC: fmt.Sprintf("52:54:00:00:00:%02x", index)}
	}
	with := func(l state.Link, change func(*state.Link)) state.Link {
		change(&l)
		return l
	}
	s := state.Snapshot{Links: []state.Link{
		{Index: 1, Name: "lo", Type: 772, AdminUp: true, MTU: 65536},
		eth(2, "eth0", ""),
		with(eth(3, "eth1", ""), func(l *state.Link) { l.AdminUp = false }),
		eth(4, "vnet0", "tun"), eth(5, "br0", "bridge"),
		with(eth(6, "eth2", ""), func(l *state.Link) { l.Master, l.PermMAC = 5, "52:54:00:00:00:66" }),
		with(eth(7, "team7", "bond"), func(l *state.Link) {
			l.Bond = &state.Bond{Options: map[string]string{"mode": "802.3ad", "miimon": "100"}}
		}),
		with(eth(8, "eth0.7", "vlan"), func(l *state.Link) { l.Parent, l.VLANID, l.MAC = 2, 7, "52:54:00:00:00:77" }),
		with(eth(9, "inner", "vlan"), func(l *state.Link) { l.Parent, l.VLANID = 8, 8 }),
	}}
	forever := func(link int, p string) state.Address {
		return state.Address{Link: link, Prefix: netip.MustParsePrefix(p), Valid: state.Forever}
	}
	leased := forever(2, "192.0.2.77/24")
	leased.Valid = 3600
	peer := forever(2, "10.0.0.1/32")
	peer.Peer = netip.MustParsePrefix("10.0.0.2/32").Addr()
	s.Addresses = []state.Address{forever(2, "192.0.2.5/24"), leased, peer, forever(2, "2001:db8::5/64"), forever(2, "fe80::1/64"), forever(2, "192.0.2.6/24")}
	way := func(dst, gw string, metric uint32) state.Route {
		return state.Route{Table: state.MainTable, Dst: netip.MustParsePrefix(dst), Gateway: netip.MustParseAddr(gw), Link: 2, Metric: metric, Protocol: 3, Type: 1}
	}
	s.Routes = []state.Route{way("0.0.0.0/0", "192.0.2.1", 0), way("10.0.0.0/8", "192.0.2.9", 0), way("0.0.0.0/0", "192.0.2.2", 100)}
	c, warnings := imported(t, s)
	const want = `host_nics:
  - name: eth0
    ip:
      address: 192.0.2.5
      netmask: 255.255.255.0
      gateway: 192.0.2.1
    ipv6:
      address: "2001:db8::5"
      prefix: 64
    additional_ips:
      - 192.0.2.6/24
    mtu: 1500
  - name: eth2
    mac:
      address: "52:54:00:00:00:06"
    mtu: 1500
  - name: eth0.7
    mac:
      address: "52:54:00:00:00:77"
    mtu: 1500
    vlan:
      id: 7
    base_interface: eth0
`
	if got := text(t, c); got != want {
		t.Errorf("got\n%s", got)
	}
	var told []string
	for _, w := range warnings {
		told = append(told, w.Path+" "+w.Rule)
	}
	for _, want := range []string{"eth0] address-left", "eth0] route-left", "eth2] nic-enslaved", "team7] not-imported", "inner] not-imported"} {
		if !slices.ContainsFunc(told, func(have string) bool { return strings.HasSuffix(have, want) }) {
			t.Errorf("nothing is told of %s: %q", want, told)
		}
	}
	// By name also what is down, and nothing that cannot be.
	if c, _ := imported(t, s, "eth1"); len(c.HostNics) != 1 || c.HostNics[0].Name != "eth1" {
		t.Errorf("got\n%s", text(t, c))
	}
	_, _, problems := plan.Import(plan.ImportInput{Snapshot: s, Nics: []string{"lo", "br0", "eth9"}})
	if len(problems) != 3 {
		t.Errorf("%v", problems)
	}
	// What the agent has stays as it is said there.
	running := netcfg.Config{HostNics: []netcfg.HostNic{{Name: "eth0", BootProtocol: netcfg.BootDHCP}}}
	c, _, _ = plan.Import(plan.ImportInput{Snapshot: s, Running: running})
	if n := c.Nic("eth0"); n.BootProtocol != netcfg.BootDHCP || n.IP != nil || len(running.HostNics) != 1 {
		t.Errorf("got\n%s", text(t, c))
	}
}
