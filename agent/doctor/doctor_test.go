package doctor

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/managers"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// healthy is a host with an 802.3ad bond of two slaves, a VLAN on it and a tap.
func healthy() Facts {
	link := func(index int, name, kind, mac string) state.Link {
		return state.Link{Index: index, Name: name, Kind: kind, Type: ethernet, MAC: mac, MTU: 1500, AdminUp: true, Carrier: true, OperState: "up"}
	}
	slave := func(index int, name string) state.Link {
		l := link(index, name, "", "52:54:00:00:00:02")
		l.Master, l.Speed = 4, new(int64(10e9))
		l.Slave = &state.Slave{State: "active", MIIStatus: "up", AggregatorID: new(1), ActorPortState: new(0x3d), PartnerPortState: new(0x3d)}
		return l
	}
	bond := link(4, "bond0", "bond", "52:54:00:00:00:02")
	bond.Bond = &state.Bond{Options: map[string]string{"mode": "802.3ad", "miimon": "100"}, AD: &state.AggregatorInfo{ID: 1, NumPorts: 2, PartnerMAC: "52:54:00:00:00:99"}}
	vlan := link(5, "bond0.7", "vlan", "52:54:00:00:00:02")
	vlan.Parent, vlan.VLANID = 4, 7
	route := state.Route{Table: state.MainTable, Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.254"), Link: 5}
	yes := true
	return Facts{
		Host: state.Snapshot{Links: []state.Link{link(1, "lo", "", ""), slave(2, "eth0"), slave(3, "eth1"), bond, vlan, link(6, "tap0", "tun", "fe:54:00:00:00:06")},
			Routes: []state.Route{route}},
		Owned:  map[string]bool{"bond0": true, "eth0": true, "eth1": true, "bond0.7": true},
		Slaves: map[string][]string{"bond0": {"eth0", "eth1"}},
		Around: Around{Disk: Disk{Path: "/var/lib/hostnic", Known: true, Bytes: 1 << 40, FreeBytes: 1 << 39, Inodes: 1e6, FreeInodes: 1e6},
			Clock: Clock{Now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Disciplined: &yes}},
	}
}

func TestHealthy(t *testing.T) {
	findings, skipped := Examine(healthy())
	if len(findings)+len(skipped) > 0 {
		t.Errorf("%+v %v", findings, skipped)
	}
}

// cable is that of eth0, at whose end a system is expected and others are heard.
func cable(expected string, heard ...string) Cable {
	c := Cable{Nic: "eth0", Carrier: true, Expected: &netcfg.ExpectedNeighbour{SystemName: expected}}
	for _, name := range heard {
		c.Heard = append(c.Heard, netcfg.Neighbour{SystemName: name})
	}
	return c
}

// Each thing wrong by itself is found, as what it is and where it is, and nothing else.
func TestOneThingWrong(t *testing.T) {
	link := func(f *Facts, name string) *state.Link { return f.Host.ByName(name) }
	route := func(f *Facts, gateway string, metric uint32) {
		r := f.Host.Routes[0]
		r.Gateway, r.Metric = netip.MustParseAddr(gateway), metric
		f.Host.Routes = append(f.Host.Routes, r)
	}
	for _, test := range []struct {
		want   string // weight, rule and NIC
		seen   string // in the evidence
		change func(*Facts)
	}{
		{"warning duplicate-mac bond0.7", "tap0", func(f *Facts) { link(f, "tap0").MAC = "52:54:00:00:00:02" }},
		{"", "", func(f *Facts) { // a bridge on the VLAN has its MAC from there
			f.Host.Links = append(f.Host.Links, state.Link{Index: 7, Name: "ovirtmgmt", Kind: "bridge", Type: ethernet, MAC: "52:54:00:00:00:02", MTU: 1500})
			link(f, "bond0.7").Master = 7
		}},
		{"error mtu-vlan bond0.7", "1500", func(f *Facts) {
			for _, n := range []string{"eth0", "eth1", "bond0"} {
				link(f, n).MTU = 1400
			}
		}},
		{"error mtu-slave eth1", "9000", func(f *Facts) { link(f, "eth1").MTU = 9000 }},
		{"error bond-unmonitored bond0", "miimon 0", func(f *Facts) { link(f, "bond0").Bond.Options["miimon"] = "0" }},
		{"warning slave-speed-unknown bond0", "unknown: eth0; eth1 10000 Mb/s", func(f *Facts) { link(f, "eth0").Speed = nil }},
		{"note slave-speeds-differ bond0", "eth0 1000 Mb/s", func(f *Facts) { link(f, "eth0").Speed = new(int64(1e9)) }},
		{"warning slave-down eth1", "3 failures", func(f *Facts) {
			l := link(f, "eth1")
			l.Carrier, l.Slave.MIIStatus, l.Slave.LinkFailures = false, "down", 3
		}},
		{"error lacp-no-partner bond0", "00:00:00:00:00:00", func(f *Facts) { link(f, "bond0").Bond.AD.PartnerMAC = zeroMAC }},
		{"error lacp-no-partner bond0", "", func(f *Facts) { link(f, "bond0").Bond.AD = nil }},
		{"warning lacp-port-idle eth1", "active aggregator is 1", func(f *Facts) {
			link(f, "eth1").Slave.AggregatorID, link(f, "eth1").Slave.ActorPortState = new(2), new(0x45)
		}},
		{"note bond-few-slaves bond0", "", func(f *Facts) {
			f.Slaves["bond0"] = []string{"eth0"}
			l := link(f, "eth1")
			l.Master, l.Slave, l.MAC = 0, nil, "52:54:00:00:00:03"
		}},
		{"warning several-default-routes ", "192.0.2.253 dev bond0.7 metric 0", func(f *Facts) { route(f, "192.0.2.253", 0) }},
		{"note several-default-routes ", "metric 100", func(f *Facts) { route(f, "192.0.2.253", 100) }},
		{"error other-manager bond0", "/run/systemd/netif/links/4 says ADMIN_STATE=configured", func(f *Facts) {
			f.Around.Managers = []managers.Claim{
				{Link: managers.Link{Index: 4, Name: "bond0"}, Manager: managers.Networkd, Reason: "/run/systemd/netif/links/4 says ADMIN_STATE=configured", HandOver: []string{"networkctl reload"}},
				{Link: managers.Link{Name: "tap0"}, Manager: managers.Ifupdown},
			}
		}},
		{"error missing-bond ", "load the module", func(f *Facts) { f.Missing = map[string]string{"bond": "load the module bonding", "dhcp": "later"} }},
		{"warning drift eth0", "should be 1500, is 9000", func(f *Facts) {
			f.Drift = []plan.Drift{{Field: "host_nics[eth0].mtu", Wanted: "1500", Actual: "9000"}}
		}},
		{"", "", func(f *Facts) { f.Cables = []Cable{cable("leaf3", "leaf9", "leaf3")} }},
		{"warning neighbour-unexpected eth0", "expected: system_name leaf3; there is system_name leaf4", func(f *Facts) { f.Cables = []Cable{cable("leaf3", "leaf4")} }},
		{"error neighbour-unexpected eth0", "nobody is heard", func(f *Facts) {
			f.Cables = []Cable{cable("leaf3")}
			f.Cables[0].Expected.Required = new(true)
		}},
		{"", "", func(f *Facts) {
			f.Cables = []Cable{cable("leaf3")}
			f.Cables[0].Carrier = false
		}},
		{"error left-alone eth0", "", func(f *Facts) { f.LeftAlone = []string{"eth0"} }},
		{"warning waiting eth7", "not on this host", func(f *Facts) { f.Waiting = []plan.Waiting{{Nic: "eth7", Reason: "the NIC is not on this host"}} }},
		{"warning waiting dns", "is a link", func(f *Facts) { f.Waiting = []plan.Waiting{{Nic: "dns", Reason: "/etc/resolv.conf is a link"}} }},
		{"error degraded ", "full", func(f *Facts) { f.Degraded = []string{"the disk is full"} }},
		{"note uncommitted ", "", func(f *Facts) { f.Uncommitted = true }},
		{"warning no-carrier bond0.7", "oper_state", func(f *Facts) { link(f, "bond0.7").Carrier = false }},
		{"error duplicate-address bond0.7", "2001:db8::1/64", func(f *Facts) {
			f.Host.Addresses = []state.Address{{Link: 5, Prefix: netip.MustParsePrefix("2001:db8::1/64"), Flags: state.FlagDADFailed}}
		}},
		{"error disk ", "3 of", func(f *Facts) { f.Around.Disk.FreeBytes = 3 << 20 }},
		{"warning disk ", "50 of", func(f *Facts) { f.Around.Disk.FreeBytes = 50 << 20 }},
		{"error disk ", "5 of", func(f *Facts) { f.Around.Disk.FreeInodes = 5 }},
		{"error disk-read-only ", "/var/lib/hostnic", func(f *Facts) { f.Around.Disk.ReadOnlyMount = true }},
		{"error clock-wrong ", "1970", func(f *Facts) { f.Around.Clock.Now = time.Unix(0, 0) }},
		{"note clock-free ", "UNSYNC", func(f *Facts) { f.Around.Clock.Disciplined = new(false) }},
		{"error certificate ", "2026-12-31", func(f *Facts) { f.Certificate = f.Around.Clock.Now.Add(-time.Hour) }},
		{"warning certificate ", "2027-01-02", func(f *Facts) { f.Certificate = f.Around.Clock.Now.Add(36 * time.Hour) }},
	} {
		t.Run(test.want, func(t *testing.T) {
			f := healthy()
			test.change(&f)
			findings, _ := Examine(f)
			if test.want == "" && len(findings) == 0 {
				return
			}
			if len(findings) != 1 {
				t.Fatalf("%d findings: %+v", len(findings), findings)
			}
			one := findings[0]
			if got := string(one.Weight) + " " + one.Rule + " " + one.Nic; got != test.want {
				t.Errorf("got %s", got)
			}
			if evidence := strings.Join(one.Evidence, "; "); !strings.Contains(evidence, test.seen) {
				t.Errorf("evidence: %s", evidence)
			}
			if one.Do == "" || one.What == "" || one.Do == "agentctl show dns" {
				t.Errorf("it does not say what to do: %+v", one)
			}
		})
	}
}

// What inodes a file system without a fixed number of them has is not looked at; what is
// pending need not be committed; the worst comes first.
func TestNothingMadeUp(t *testing.T) {
	f := healthy()
	f.Around.Disk.Inodes, f.Around.Disk.FreeInodes = 0, 0
	f.Uncommitted, f.Pending = true, true
	if findings, _ := Examine(f); len(findings) > 0 {
		t.Errorf("%+v", findings)
	}
	f.Around = Around{Clock: Clock{Now: f.Around.Clock.Now}, Skipped: []Skipped{{"disk", "statfs: no such file"}}}
	if findings, skipped := Examine(f); len(findings) != 0 || len(skipped) != 1 {
		t.Errorf("%+v %v", findings, skipped)
	}
	f.Pending, f.Waiting, f.Degraded = false, []plan.Waiting{{Nic: "eth7"}}, []string{"the disk is full"}
	findings, _ := Examine(f)
	weights := make([]Weight, len(findings))
	for i := range findings {
		weights[i] = findings[i].Weight
	}
	if !slices.Equal(weights, []Weight{Error, Warning, Note}) {
		t.Errorf("%v", weights)
	}
}

func TestLook(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"run/systemd/units/invocation:systemd-networkd.service": "",
		"run/systemd/netif/links/2":                             "# private\nADMIN_STATE=configured\nOPER_STATE=routable\n",
		"run/systemd/netif/links/3":                             "ADMIN_STATE=unmanaged\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	links := []state.Link{{Index: 2, Name: "eth2"}, {Index: 3, Name: "eth3"}}
	got := Look(root, root, links)
	if len(got.Managers) != 1 || got.Managers[0].Link.Name != "eth2" || got.Managers[0].Manager != managers.Networkd {
		t.Errorf("%+v", got.Managers)
	}
	if !got.Disk.Known || got.Disk.Bytes == 0 || got.Disk.FreeBytes == 0 {
		t.Errorf("%+v", got.Disk)
	}
	if got.Clock.Now.IsZero() {
		t.Error("no time")
	}
	if none := Look(t.TempDir(), filepath.Join(root, "missing"), links); len(none.Managers) != 0 || none.Disk.Known {
		t.Errorf("%+v", none)
	}
}
