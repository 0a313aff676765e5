package netcfg

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCanonicalOption(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"mode", "4", "802.3ad"},
		{"mode", "802.3ad", "802.3ad"},
		{"mode", "802.3AD", "802.3ad"},
		{"mode", "802.3ad 4", "802.3ad"}, // as sysfs prints it
		{"mode", " 1\n", "active-backup"},
		{"miimon", "0", "0"},
		{"use_carrier", "1", "on"},
		{"lacp_rate", "fast 1", "fast"},
		{"xmit_hash_policy", "vlan+srcmac", "vlan+srcmac"},
		{"num_unsol_na", "7", "7"},
		{"arp_ip_target", "10.0.0.2, 10.0.0.1,10.0.0.2", "10.0.0.2,10.0.0.1"},
		{"arp_ip_target", "", ""},
		{"ns_ip6_target", "2001:DB8:0::1,fe80::1", "2001:db8::1,fe80::1"},
		{"ad_actor_system", "52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"},
		{"ad_actor_system", "00:00:00:00:00:00", "00:00:00:00:00:00"},
		{"primary", " eth0 ", "eth0"},
		{"primary", "", ""},
	} {
		s, ok := BondOptionSpec(test.name)
		if got, err := s.Canonical(test.value); !ok || err != nil || got != test.want {
			t.Errorf("%s=%s: got %q, %v, want %q", test.name, test.value, got, err, test.want)
		}
	}
}

func TestCanonicalOptionRefuses(t *testing.T) {
	many := strings.Repeat("10.0.0.1,", 1)
	for i := range 17 {
		many += "10.0.1." + string(rune('0'+i%10)) + string(rune('0'+i/10)) + ","
	}
	for _, test := range []struct{ name, value string }{
		{"mode", "7"}, {"mode", "-1"}, {"mode", "04"}, {"mode", "802.3ad 3"}, {"mode", ""}, {"mode", "802.3ad 4 x"},
		{"miimon", "1.0"}, {"miimon", "+1"}, {"miimon", "-0"}, {"miimon", "2147483648"}, {"miimon", "9223372036854775808"},
		{"arp_ip_target", "0.0.0.5"}, {"arp_ip_target", "127.0.0.1"}, {"arp_ip_target", "224.0.0.1"}, {"arp_ip_target", many},
		{"ns_ip6_target", "::1"}, {"ns_ip6_target", "::"}, {"ns_ip6_target", "ff02::1"}, {"ns_ip6_target", "fe80::1%eth0"}, {"ns_ip6_target", "::ffff:10.0.0.1"},
		{"ad_actor_system", "ff:ff:ff:ff:ff:ff"}, {"ad_actor_system", ""},
	} {
		s, _ := BondOptionSpec(test.name)
		got, err := s.Canonical(test.value)
		if err == nil || !strings.Contains(err.Error(), s.Allowed()) {
			t.Errorf("%s=%s: got %q, %v", test.name, test.value, got, err)
		}
	}
}

func TestBondOptionTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range BondOptions {
		if seen[s.Name] || s.Allowed() == "" {
			t.Errorf("%s: twice %v, allowed %q", s.Name, seen[s.Name], s.Allowed())
		}
		seen[s.Name] = true
		if s.Type == TypeEnum && s.Words == nil || s.Type == TypeInt && s.Max == 0 {
			t.Errorf("%s has no values", s.Name)
		}
		if got, err := s.Canonical(s.Default); err != nil || got != s.Default {
			t.Errorf("%s: the default %q is %q, %v", s.Name, s.Default, got, err)
		}
		for _, m := range append(s.Modes, s.Acts...) {
			if got, err := BondOptions[0].Canonical(m); err != nil || got != m {
				t.Errorf("%s: no mode %s", s.Name, m)
			}
		}
		for _, m := range s.Acts {
			if !s.ValidIn(m) {
				t.Errorf("%s acts in %s, where it is not valid", s.Name, m)
			}
		}
	}
	for alias, name := range optionAliases {
		if !seen[name] || seen[alias] {
			t.Errorf("%s stands for %s", alias, name)
		}
	}
	if BondOptions[0].Name != "mode" {
		t.Error("mode is not the first option")
	}
}

// Whatever an option is given, its canonical form is one: it stands for itself.
func FuzzCanonicalOption(f *testing.F) {
	for _, s := range BondOptions {
		f.Add(s.Name, s.Default)
		f.Add(s.Name, "1")
		for _, w := range s.Words {
			f.Add(s.Name, w)
		}
	}
	f.Add("arp_ip_target", "10.0.0.1,10.0.0.2")
	f.Add("ns_ip6_target", "2001:db8::1 fe80::1")
	f.Add("ad_actor_system", "52:54:00:12:34:56")
	f.Add("mode", "802.3ad 4")
	f.Add("num_unsol_na", "\x00")
	f.Fuzz(func(t *testing.T, name, value string) {
		s, ok := BondOptionSpec(name)
		if !ok {
			t.Skip()
		}
		once, err := s.Canonical(value)
		if err != nil {
			if once != "" {
				t.Errorf("%s=%q: %q beside %v", name, value, once, err)
			}
			return
		}
		if twice, err := s.Canonical(once); err != nil || twice != once {
			t.Errorf("%s=%q: %q, then %q, %v", name, value, once, twice, err)
		}
	})
}

func TestEffective(t *testing.T) {
	for _, test := range []struct {
		options string
		want    map[string]string // some of it; - is absent
	}{
		{"", map[string]string{"mode": "balance-rr", "miimon": "100", "updelay": "0", "lacp_rate": "-", "packets_per_slave": "1"}},
		{"mode=4", map[string]string{"mode": "802.3ad", "miimon": "100", "xmit_hash_policy": "layer2+3", "lacp_rate": "slow", "lacp_active": "on", "arp_interval": "-", "primary": "-"}},
		{"mode=4 xmit_hash_policy=1", map[string]string{"xmit_hash_policy": "layer3+4"}},
		{"mode=2", map[string]string{"xmit_hash_policy": "layer2"}},
		{"mode=1 arp_interval=500 arp_ip_target=10.0.0.1", map[string]string{"miimon": "0", "arp_interval": "500", "updelay": "-", "peer_notif_delay": "-"}},
		{"mode=1 arp_interval=0", map[string]string{"miimon": "100"}},
		{"miimon=100 updelay=250 downdelay=99", map[string]string{"updelay": "200", "downdelay": "0"}},
		{"updelay=250", map[string]string{"updelay": "200"}},
		{"mode=1 num_unsol_na=3", map[string]string{"num_grat_arp": "3", "num_unsol_na": "-"}},
		{"mode=x miimon=y", map[string]string{"mode": "balance-rr", "miimon": "100"}},
		{"mode=1 lacp_rate=1", map[string]string{"lacp_rate": "-"}},
	} {
		got := aBond("bond0", opts(test.options)).Bonding.Effective()
		part := map[string]string{}
		for name := range test.want {
			part[name] = "-"
			if v, ok := got[name]; ok {
				part[name] = v
			}
		}
		if diff := cmp.Diff(test.want, part); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.options, diff)
		}
	}
}
