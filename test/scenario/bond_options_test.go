//go:build kernel

package scenario

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
)

// samples are two values for every option, canonical and neither of them the default
// where there are two such. The delays fit the values of miimon. The interval of the
// ARP monitor is so long that it never finds anybody missing in a test.
var samples = map[string][2]string{
	"miimon":            {"50", "100"},
	"updelay":           {"100", "300"},
	"downdelay":         {"200", "100"},
	"peer_notif_delay":  {"50", "200"},
	"use_carrier":       {"off", "on"},
	"arp_interval":      {"60000", "70000"},
	"arp_ip_target":     {"192.0.2.1,192.0.2.2", "198.51.100.7"},
	"ns_ip6_target":     {"2001:db8::1,2001:db8::2", "2001:db8::7"},
	"arp_validate":      {"all", "filter_backup"},
	"arp_all_targets":   {"all", "any"},
	"primary":           {"eth1", "eth0"},
	"primary_reselect":  {"better", "failure"},
	"fail_over_mac":     {"active", "follow"},
	"xmit_hash_policy":  {"layer3+4", "vlan+srcmac"},
	"resend_igmp":       {"255", "0"},
	"num_grat_arp":      {"255", "0"},
	"all_slaves_active": {"on", "off"},
	"min_links":         {"1", "0"},
	"lp_interval":       {"300", "70000"},
	"packets_per_slave": {"65535", "0"},
	"lacp_active":       {"off", "on"},
	"lacp_rate":         {"fast", "slow"},
	"ad_select":         {"bandwidth", "count"},
	"ad_actor_sys_prio": {"1", "40000"},
	"ad_user_port_key":  {"1023", "1"},
	"ad_actor_system":   {"02:00:00:00:00:01", "06:00:00:00:00:fe"},
	"tlb_dynamic_lb":    {"off", "on"},
	"arp_missed_max":    {"255", "1"},
}

// ofMonitor says with which way of watching links an option goes; both for most.
func ofMonitor(s netcfg.OptionSpec, arp bool) bool {
	switch {
	case s.Name == "miimon" || s.NeedsMiimon:
		return !arp
	case s.Name == "arp_interval" || s.Name == "arp_validate":
		return arp
	}
	return true
}

// optionCase is a bond that is given everything its mode takes.
type optionCase struct {
	*host
	mode string
	// values is what the bond is to have by now.
	values map[string]string
}

// TestBondOptionsEveryMode gives bonds every option that their mode takes, by
// documents, when they are made and later, reads each back the way the agent does and
// the way sysfs tells it, and is refused every other.
func TestBondOptionsEveryMode(t *testing.T) {
	for _, mode := range netcfg.BondModes {
		for _, monitor := range []string{"miimon", "arp_interval"} {
			if spec, _ := netcfg.BondOptionSpec(monitor); !spec.ValidIn(mode) {
				continue
			}
			t.Run(mode+"/"+monitor, func(t *testing.T) { everyOption(t, mode, monitor == "arp_interval") })
		}
	}
}

func everyOption(t *testing.T, mode string, arp bool) {
	c := &optionCase{newHost(t, "eth0", "eth1"), mode, map[string]string{}}
	var valid []netcfg.OptionSpec
	for _, s := range netcfg.BondOptions {
		if s.Name != "mode" && s.ValidIn(mode) && ofMonitor(s, arp) {
			valid = append(valid, s)
		}
	}
	c.give(valid, 0, `"mode": "`+mode+`"`)
	eventually(t, "the bond has a carrier", func() bool { return c.link("bond0").Carrier && c.link("bond0").OperState == "up" })
	c.refuseOthers(valid)

	live := slices.DeleteFunc(slices.Clone(valid), func(s netcfg.OptionSpec) bool { return s.Class != netcfg.ClassLive })
	log := c.watchLinks()
	op := c.give(live, 1)
	same(t, "foretold for live options", op.Disrupted, "[]")
	log.undisturbed("bond0", "eth0", "eth1")

	for _, s := range valid {
		if s.Class != netcfg.ClassLive {
			c.give([]netcfg.OptionSpec{s}, 1)
			same(t, "slaves after "+s.Name, c.slaves("bond0"), "[eth0 eth1]")
		}
	}
	same(t, "up", c.link("bond0").AdminUp, true)
	c.apply(`{"removed": ["bond0"]}`)
}

// give applies a document with a sample of each of the options, and reads all that
// the bond has.
func (c *optionCase) give(specs []netcfg.OptionSpec, sample int, more ...string) (op engine.Operation) {
	c.t.Helper()
	words := more
	for _, s := range specs {
		value, ok := samples[s.Name]
		if !ok {
			c.t.Fatalf("no samples for %s", s.Name)
		}
		c.values[s.Name] = value[sample]
		words = append(words, fmt.Sprintf("%q: %q", s.Name, value[sample]))
	}
	slaves := `, "slaves": ["eth0", "eth1"]`
	if len(more) == 0 {
		slaves = "" // a partial document
	}
	op = c.apply(`{"host_nics": [{"name": "bond0", "bonding": {"options": {` + strings.Join(words, ", ") + `}` + slaves + `}}]}`)
	c.settled()
	c.check()
	return op
}

func (c *optionCase) check() {
	c.t.Helper()
	path := func(option string) string { return "bond0/bonding/" + option }
	var paths []string
	for name := range c.values {
		if name != "ns_ip6_target" { // which sysfs does not have
			paths = append(paths, path(name))
		}
	}
	files := c.sysfs(paths...)
	have := c.link("bond0").Bond.Options
	same(c.t, "mode", have["mode"], c.mode)
	for name, want := range c.values {
		same(c.t, name, have[name], want)
		spec, _ := netcfg.BondOptionSpec(name)
		if file, ok := files[path(name)]; ok {
			got, err := spec.Canonical(file)
			same(c.t, name+" in sysfs ("+file+")", []any{got, err}, []any{want, nil})
		}
	}
}

// refuseOthers tries each option that the mode does not take, with its default and
// with another value: the kernel refuses both.
func (c *optionCase) refuseOthers(valid []netcfg.OptionSpec) {
	c.t.Helper()
	taken := map[string]bool{"mode": true}
	for _, s := range valid {
		taken[s.Name] = true
	}
	before := maps.Clone(c.link("bond0").Bond.Options)
	for _, s := range netcfg.BondOptions {
		if taken[s.Name] || s.ValidIn(c.mode) {
			continue
		}
		for _, value := range []string{s.Default, samples[s.Name][0]} {
			c.refuse(`{"host_nics": [{"name": "bond0", "bonding": {"options": {"`+s.Name+`": "`+value+`"}}}]}`, "bond-option-mode")
		}
	}
	same(c.t, "options after refusals", c.link("bond0").Bond.Options, before)
}

// TestBondOptionsWalk goes from one random set of options to the next, by whole
// documents, and ends each time with what the document says and nothing left of what
// came before.
func TestBondOptionsWalk(t *testing.T) {
	const steps = 40
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	h := newHost(t, "eth0", "eth1", "eth2")
	for range steps {
		mode := netcfg.BondModes[r.IntN(len(netcfg.BondModes))]
		spec, _ := netcfg.BondOptionSpec("arp_interval")
		arp := spec.ValidIn(mode) && r.IntN(2) == 0
		words := []string{`"mode": "` + mode + `"`}
		for _, s := range netcfg.BondOptions {
			needed := arp && (s.Name == "arp_interval" || s.Name == "arp_ip_target")
			if s.Name != "mode" && s.ValidIn(mode) && ofMonitor(s, arp) && (needed || r.IntN(3) == 0) {
				words = append(words, fmt.Sprintf("%q: %q", s.Name, samples[s.Name][r.IntN(2)]))
			}
		}
		slaves := [][]string{{"eth0", "eth1"}, {"eth1", "eth0", "eth2"}, {"eth0", "eth1", "eth2"}}[r.IntN(3)]
		doc := bondOf("bond0", strings.Join(words, ", "), `"`+strings.Join(slaves, `", "`)+`"`)
		h.replace(doc)
		h.settled()
		slices.Sort(slaves)
		same(t, "slaves", h.slaves("bond0"), slaves)
		want, have := h.running("bond0").Bonding.Effective(), h.link("bond0").Bond.Options
		for name, value := range want {
			if got, told := have[name]; !told || got != value {
				t.Errorf("%s: got %q, want %q after %s", name, got, value, doc)
			}
		}
	}
}
