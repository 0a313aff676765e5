package netcfg

import (
	"slices"
	"testing"
)

var groupC18 = ruleGroup{rules: []string{"mtu", "mtu-ipv6", "vlan-mtu", "slave-mtu"}, cases: slices.Concat(
	same([]string{"68", "1500", "9000", "65535"}, mtuOf),
	same([]string{"67", "65536", "0", "-1"}, mtuOf, "mtu host_nics[eth0].mtu"),
	[]ruleCase{
		{name: "1280 with IPv6", config: host(aNic("eth0", mtu(1280), ip6("2001:db8::1", 64)))},
		{name: "1279 with IPv4", config: host(aNic("eth0", mtu(1279), ip4("10.0.0.1", "24")))},
		{name: "1279 with IPv6", config: host(aNic("eth0", mtu(1279), ip6("2001:db8::1", 64))), want: []string{"mtu-ipv6 host_nics[eth0].mtu"}},
		{name: "1279 with autoconf", config: host(aNic("eth0", mtu(1279), boot6(BootAutoconf))), want: []string{"mtu-ipv6 host_nics[eth0].mtu"}},
		{name: "1279 with IPv6 none", config: host(aNic("eth0", mtu(1279), boot6(BootNone)))},
		{name: "1279 with a further address", config: host(aNic("eth0", mtu(1279), more("2001:db8::1/64"))), want: []string{"mtu-ipv6 host_nics[eth0].mtu"}},
		{name: "below a VLAN that inherits it", config: host(aNic("eth0", mtu(1200)), aVLAN("v", "eth0", 5, ip6("2001:db8::1", 64))), want: []string{"mtu-ipv6 host_nics[eth0].mtu"}},
		{name: "below a VLAN with IPv4", config: host(aNic("eth0", mtu(1200)), aVLAN("v", "eth0", 5, ip4("10.0.0.1", "24")))},
		{name: "of a VLAN", config: host(aNic("eth0", mtu(1500)), aVLAN("v", "eth0", 5, mtu(1200), ip6("2001:db8::1", 64))), want: []string{"mtu-ipv6 host_nics[v].mtu"}},
		{name: "of a VLAN that does not inherit it", config: host(aNic("eth0", mtu(1200)), aVLAN("v", "eth0", 5, mtu(1200), ip6("2001:db8::1", 64))), want: []string{"mtu-ipv6 host_nics[v].mtu"}},
		{name: "60 is one problem", config: host(aNic("eth0", mtu(60), ip6("2001:db8::1", 64))), want: []string{"mtu host_nics[eth0].mtu"}},

		{name: "VLAN as its base", config: host(aNic("eth0", mtu(9000)), aVLAN("v", "eth0", 5, mtu(9000)))},
		{name: "VLAN below its base", config: host(aBond("bond0", mtu(9000)), aVLAN("v", "bond0", 5, mtu(1500)))},
		{name: "VLAN above its base", config: host(aNic("eth0", mtu(1500)), aVLAN("v", "eth0", 5, mtu(1501))), want: []string{"vlan-mtu host_nics[v].mtu"}},
		{name: "VLAN on a base without mtu", config: host(aNic("eth0"), aVLAN("v", "eth0", 5, mtu(9000)))},
		{name: "VLAN on a base that the document does not have", config: host(aVLAN("v", "eth0", 5, mtu(9000)))},

		{name: "slave as its bond", config: host(aBond("bond0", mtu(9000)), aNic("eth00", mtu(9000)))},
		{name: "slave unlike its bond", config: host(aBond("bond0", mtu(9000)), aNic("eth00", mtu(1500))), want: []string{"slave-mtu host_nics[eth00].mtu"}},
		{name: "slave of a bond without mtu", config: host(aBond("bond0"), aNic("eth01", mtu(1500))), want: []string{"slave-mtu host_nics[eth01].mtu"}},
	},
)}

func mtuOf(s string) Config {
	m := map[string]int{"68": 68, "1500": 1500, "9000": 9000, "65535": 65535, "67": 67, "65536": 65536, "0": 0, "-1": -1}
	return host(aNic("eth0", mtu(m[s])))
}

func TestFault_C18(t *testing.T) { groupC18.run(t) }

var groupC19 = ruleGroup{rules: []string{"mac", "mac-duplicate", "bond-mac", "slave-mac"}, cases: slices.Concat(
	same([]string{"52:54:00:12:34:56", "52-54-00-12-34-56", "02:00:00:00:00:01"}, macOf),
	same([]string{"01:00:5e:00:00:01", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "", "52:54:00:12:34", "52:54:00:12:34:56:78:9a", "5254.0012.3456", "xx:54:00:12:34:56", "525400123456"},
		macOf, "mac host_nics[eth0].mac.address"),
	[]ruleCase{
		{name: "on two NICs", config: host(aNic("eth0", mac("52:54:00:00:00:01")), aNic("eth1", mac("52:54:00:00:00:01"))), want: []string{"mac-duplicate host_nics[eth1].mac.address"}},
		{name: "in two spellings", config: host(aNic("eth0", mac("52:54:00:00:00:AB")), aNic("eth1", mac("52-54-00-00-00-ab"))), want: []string{"mac-duplicate host_nics[eth1].mac.address"}},
		{name: "on a NIC and a bond", config: host(aBond("bond0", mac("52:54:00:00:00:01")), aNic("eth7", mac("52:54:00:00:00:01"))), want: []string{"mac-duplicate host_nics[eth7].mac.address"}},
		{name: "on a bond and its VLANs", config: host(aBond("bond0", mac("52:54:00:00:00:01")), aVLAN("a", "bond0", 1, mac("52:54:00:00:00:01")), aVLAN("b", "bond0", 2, mac("52:54:00:00:00:01")))},
		{name: "on VLANs of two NICs", config: host(aVLAN("a", "eth0", 1, mac("52:54:00:00:00:01")), aVLAN("b", "eth1", 1, mac("52:54:00:00:00:01"))), want: []string{"mac-duplicate host_nics[b].mac.address"}},
		{name: "on a slave", config: host(aBond("bond0"), aNic("eth00", mac("52:54:00:00:00:01"))), want: []string{"slave-mac host_nics[eth00].mac"}},
		{name: "on a bond and its slave", config: host(aBond("bond0", mac("52:54:00:00:00:01")), aNic("eth00", mac("52:54:00:00:00:01"))), want: []string{"slave-mac host_nics[eth00].mac"}},

		{name: "fail_over_mac none", config: bond0("mode=1 fail_over_mac=none", mac("52:54:00:00:00:01"))},
		{name: "fail_over_mac follow", config: bond0("mode=1 fail_over_mac=follow", mac("52:54:00:00:00:01"))},
		{name: "fail_over_mac active without mac", config: bond0("mode=1 fail_over_mac=active")},
		{name: "fail_over_mac active", config: bond0("mode=1 fail_over_mac=1", mac("52:54:00:00:00:01")), want: []string{"bond-mac host_nics[bond0].mac"}},
		{name: "fail_over_mac active where it does nothing", config: bond0("mode=4 fail_over_mac=1", mac("52:54:00:00:00:01")), warn: []string{"bond-option-idle " + option0("fail_over_mac")}},
	},
)}

func macOf(s string) Config { return host(aNic("eth0", mac(s))) }

func TestFault_C19(t *testing.T) { groupC19.run(t) }
