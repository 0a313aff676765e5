package kerneltest

import (
	"reflect"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
)

var sixNICs = []string{"eth0", "eth1", "eth2", "eth3", "enp65s0f0np0", "eno1"}

func TestGenConfigIsValid(t *testing.T) {
	for seed := range uint64(20000) {
		c := GenConfig(Seeded(seed), sixNICs)
		if problems, _ := c.Validate(netcfg.Limits{}); len(problems) > 0 {
			t.Fatalf("seed %d: %v", seed, problems)
		}
	}
}

func TestGenConfigFollowsItsSeed(t *testing.T) {
	for seed := range uint64(100) {
		a, b := GenConfig(Seeded(seed), sixNICs), GenConfig(Seeded(seed), sixNICs)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: two configurations", seed)
		}
	}
}

// TestGenConfigVaries holds the generator to making everything that it promises.
func TestGenConfigVaries(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(2000) {
		c := GenConfig(Seeded(seed), sixNICs)
		for _, n := range c.HostNics {
			seen[string(n.Kind())]++
			count(seen, "mtu", n.MTU != nil)
			count(seen, "mac", n.MAC != nil)
			count(seen, "additional", len(n.AdditionalIPs) > 0)
			count(seen, "gateway4", n.IP != nil && n.IP.Gateway != "")
			count(seen, "gateway6", n.IPv6 != nil && n.IPv6.Gateway != "")
			count(seen, "vlan on a bond", n.VLAN != nil && n.BaseInterface[:4] == "bond")
			if n.Bonding != nil {
				seen["mode "+n.Bonding.Mode()]++
				for _, o := range n.Bonding.Options {
					seen["option "+o.Name]++
				}
			}
		}
		count(seen, "routes", len(c.Routes) > 0)
		count(seen, "empty", len(c.HostNics) == 0)
	}
	want := []string{"nic", "bond", "vlan", "mtu", "mac", "additional", "gateway4", "gateway6", "vlan on a bond", "routes", "empty", "option num_unsol_na"}
	for _, m := range netcfg.BondModes {
		want = append(want, "mode "+m)
	}
	for _, s := range netcfg.BondOptions {
		want = append(want, "option "+s.Name)
	}
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never: %s", w)
		}
	}
}

func count(seen map[string]int, what string, is bool) {
	if is {
		seen[what]++
	}
}

func BenchmarkGenConfig(b *testing.B) {
	r := Seeded(1)
	for b.Loop() {
		GenConfig(r, sixNICs)
	}
}
