package netcfg

import (
	"strings"
	"testing"
)

var groupC7 = ruleGroup{rules: []string{"subnet-overlap"}, cases: []ruleCase{
	{name: "apart", config: host(aNic("eth0", ip4("10.0.0.1", "24")), aNic("eth1", ip4("10.0.1.1", "24")), aNic("eth2", ip6("2001:db8::1", 64)))},
	{name: "the same subnet", config: host(aNic("eth0", ip4("10.0.0.1", "24")), aNic("eth1", ip4("10.0.0.2", "24"))), want: []string{"subnet-overlap host_nics[eth1].ip.address"}},
	{name: "a small one inside, first", config: host(aNic("eth0", ip4("10.0.0.129", "25")), aNic("eth1", ip4("10.0.0.2", "24"))), want: []string{"subnet-overlap host_nics[eth1].ip.address"}},
	{name: "a small one inside, last", config: host(aNic("eth0", ip4("10.0.0.2", "16")), aNic("eth1", ip4("10.0.7.1", "24"))), want: []string{"subnet-overlap host_nics[eth1].ip.address"}},
	{name: "one address inside", config: host(aNic("eth0", ip4("10.0.0.2", "24")), aNic("eth1", more("10.0.0.9/32"))), want: []string{"subnet-overlap host_nics[eth1].additional_ips[0]"}},
	{name: "behind another that is smaller", config: host(aNic("a", ip4("10.0.0.1", "8")), aNic("b", ip4("10.0.0.5", "30")), aNic("c", ip4("10.9.0.1", "24"))),
		want: []string{"subnet-overlap host_nics[b].ip.address", "subnet-overlap host_nics[c].ip.address"}},
	{name: "on one NIC", config: host(aNic("eth0", ip4("10.0.0.1", "24"), more("10.0.0.2/24", "10.0.0.3/16", "2001:db8::1/64", "2001:db8::2/64")))},
	{name: "mine in mine in another's", config: host(aNic("eth0", ip4("10.0.0.1", "8")), aNic("eth1", ip4("10.1.0.1", "16"), more("10.1.1.1/24"))),
		want: []string{"subnet-overlap host_nics[eth1].ip.address", "subnet-overlap host_nics[eth1].additional_ips[0]"}},
	{name: "another's around two of mine is one problem", config: host(aNic("eth0", more("10.1.0.1/16", "10.2.0.1/16")), aNic("eth1", ip4("10.0.0.1", "8"))),
		want: []string{"subnet-overlap host_nics[eth1].ip.address"}},
	{name: "IPv6", config: host(aNic("eth0", ip6("2001:db8::1", 64)), aNic("eth1", ip6("2001:db8::2:0:0:1", 96))), want: []string{"subnet-overlap host_nics[eth1].ipv6.address"}},
	{name: "a VLAN and its base", config: host(aNic("eth0", ip4("10.0.0.1", "24")), aVLAN("v", "eth0", 5, ip4("10.0.0.2", "24"))), want: []string{"subnet-overlap host_nics[v].ip.address"}},
	{name: "allowed by the host", config: host(aNic("eth0", ip4("10.0.0.1", "24")), aNic("eth1", ip4("10.0.0.2", "24"))), limits: Limits{AllowOverlap: true}},
	{name: "refused addresses overlap with nothing", config: host(aNic("eth0", ip4("10.0.0.1", "24")), aNic("eth1", ip4("10.0.0.0", "24"))), want: []string{"ipv4-host host_nics[eth1].ip.address"}},
}}

func TestFault_C7(t *testing.T) {
	groupC7.run(t)
	problems, _ := host(aNic("eth0", ip4("10.0.0.1", "24")), aNic("eth1", ip4("10.0.0.2", "16"))).Validate(Limits{})
	for _, want := range []string{"10.0.0.0/16", "10.0.0.0/24", "host_nics[eth0].ip.address"} {
		if !strings.Contains(problems[0].Message, want) {
			t.Errorf("%q does not name %s", problems[0].Message, want)
		}
	}
}

var groupC8 = ruleGroup{rules: []string{"address-duplicate"}, cases: []ruleCase{
	{name: "on two NICs", config: host(aNic("eth0", ip4("10.0.0.1", "24")), aNic("eth1", ip4("10.0.0.1", "24"))), want: []string{"address-duplicate host_nics[eth1].ip.address"}},
	{name: "even where overlap is allowed", config: host(aNic("eth0", ip4("10.0.0.1", "24")), aNic("eth1", ip4("10.0.0.1", "24"))), limits: Limits{AllowOverlap: true},
		want: []string{"address-duplicate host_nics[eth1].ip.address"}},
	{name: "with two lengths", config: host(aNic("eth0", ip4("10.0.0.1", "32")), aNic("eth1", ip4("10.0.0.1", "24"))), want: []string{"address-duplicate host_nics[eth1].ip.address"}},
	{name: "on one NIC", config: host(aNic("eth0", ip4("10.0.0.1", "24"), more("10.0.0.1/24"))), want: []string{"address-duplicate host_nics[eth0].additional_ips[0]"}},
	{name: "IPv6 in two spellings", config: host(aNic("eth0", ip6("2001:db8::1", 64), more("2001:db8:0::0001/64"))), want: []string{"address-duplicate host_nics[eth0].additional_ips[0]"}},
	{name: "neighbors", config: host(aNic("eth0", ip4("10.0.0.1", "24"), more("10.0.0.2/24")))},
}}

func TestFault_C8(t *testing.T) { groupC8.run(t) }

// Decided: refused.
func TestScenario_I09(t *testing.T) {
	problems, _ := host(aNic("e0", ip4("192.0.2.1", "24")), aNic("e1", ip4("192.0.2.1", "24"))).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "address-duplicate" || !strings.Contains(problems[0].Message, "host_nics[e0].ip.address") {
		t.Errorf("got %v", problems)
	}
}

var groupC16 = ruleGroup{rules: []string{"address-and-protocol", "gateway-protocol"}, cases: []ruleCase{
	{name: "dhcp alone", config: host(aNic("eth0", boot4(BootDHCP), boot6(BootPolyDHCPAutoconf)))},
	{name: "static", config: host(aNic("eth0", boot4(BootStatic), ip4("10.0.0.9", "24"), gw4("10.0.0.1"), boot6(BootStatic), ip6("2001:db8::9", 64), gw6("fe80::1")))},
	{name: "gateway with dhcp", config: host(aNic("eth0", boot4(BootDHCP), gw4("10.0.0.1"))), want: []string{"gateway-protocol host_nics[eth0].ip.gateway"}},
	{name: "gateway with dhcp of IPv6", config: host(aNic("eth0", boot6(BootDHCP), gw6("fe80::1"))), want: []string{"gateway-protocol host_nics[eth0].ipv6.gateway"}},
	{name: "gateway with autoconf", config: host(aNic("eth0", boot6(BootAutoconf), gw6("fe80::1"))), want: []string{"gateway-protocol host_nics[eth0].ipv6.gateway"}},
	{name: "address with dhcp", config: host(aNic("eth0", boot4(BootDHCP), ip4("10.0.0.9", "24"))), want: []string{"address-and-protocol host_nics[eth0].boot_protocol"}},
	{name: "address with dhcp of the other family", config: host(aNic("eth0", boot6(BootDHCP), ip4("10.0.0.9", "24")))},
	{name: "address with autoconf", config: host(aNic("eth0", boot6(BootAutoconf), ip6("2001:db8::9", 64))), want: []string{"address-and-protocol host_nics[eth0].ipv6_boot_protocol"}},
	{name: "address and gateway with dhcp", config: host(aNic("eth0", boot4(BootDHCP), ip4("10.0.0.9", "24"), gw4("10.0.0.1"))),
		want: []string{"address-and-protocol host_nics[eth0].boot_protocol", "gateway-protocol host_nics[eth0].ip.gateway"}},
	{name: "further address with dhcp", config: host(aNic("eth0", boot4(BootDHCP), more("10.0.0.9/24"))), want: []string{"address-and-protocol host_nics[eth0].boot_protocol"}},
	{name: "further address of the other family", config: host(aNic("eth0", boot4(BootDHCP), more("2001:db8::9/64")))},
	{name: "further address with none", config: host(aNic("eth0", boot6(BootNone), more("2001:db8::9/64"))), want: []string{"address-and-protocol host_nics[eth0].ipv6_boot_protocol"}},
	{name: "further address alone", config: host(aNic("eth0", more("10.0.0.9/24", "2001:db8::9/64")))},
}}

func TestFault_C16(t *testing.T) { groupC16.run(t) }

func TestScenario_X12(t *testing.T) {
	problems, _ := host(aNic("eth0", boot4(BootNone), ip4("10.0.0.9", "24"))).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "address-and-protocol" || problems[0].Path != "host_nics[eth0].boot_protocol" || problems[0].Found != "none" {
		t.Errorf("got %v", problems)
	}
}

func TestScenario_D24(t *testing.T) {
	problems, _ := host(aNic("eth0", boot4(BootDHCP), ip4("10.0.0.9", "24"))).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "address-and-protocol" {
		t.Errorf("got %v", problems)
	}
}

var groupC17 = ruleGroup{rules: []string{"static-address"}, cases: []ruleCase{
	{name: "with address", config: host(aNic("eth0", boot4(BootStatic), ip4("10.0.0.9", "24")))},
	{name: "with a further address", config: host(aNic("eth0", boot4(BootStatic), more("10.0.0.9/24")))},
	{name: "without", config: host(aNic("eth0", boot4(BootStatic))), want: []string{"static-address host_nics[eth0].ip.address"}},
	{name: "without, IPv6", config: host(aNic("eth0", boot6(BootStatic))), want: []string{"static-address host_nics[eth0].ipv6.address"}},
	{name: "with an address of the other family", config: host(aNic("eth0", boot4(BootStatic), ip6("2001:db8::1", 64))), want: []string{"static-address host_nics[eth0].ip.address"}},
	{name: "with mask and gateway only", config: host(aNic("eth0", boot4(BootStatic), ip4("", "24"), gw4("10.0.0.1"))), want: []string{"static-address host_nics[eth0].ip.address"}},
}}

func TestFault_C17(t *testing.T) { groupC17.run(t) }

var groupX11 = ruleGroup{rules: []string{"address-missing"}, cases: []ruleCase{
	{name: "static without address", config: host(aNic("eth0", boot4(BootStatic))), want: []string{"static-address host_nics[eth0].ip.address"}},
	{name: "address without mask", config: host(aNic("eth0", ip4("10.0.0.9", ""))), want: []string{"netmask host_nics[eth0].ip.netmask"}},
	{name: "mask without address", config: host(aNic("eth0", ip4("", "255.255.255.0"))), want: []string{"address-missing host_nics[eth0].ip.netmask"}},
	{name: "gateway without address", config: host(aNic("eth0", gw4("10.0.0.1"))), want: []string{"address-missing host_nics[eth0].ip.gateway"}},
	{name: "both without address", config: host(aNic("eth0", ip4("", "24"), gw4("10.0.0.1"))),
		want: []string{"address-missing host_nics[eth0].ip.netmask", "address-missing host_nics[eth0].ip.gateway"}},
	{name: "prefix without address", config: host(aNic("eth0", ip6("", 64))), want: []string{"address-missing host_nics[eth0].ipv6.prefix"}},
	{name: "IPv6 gateway without address", config: host(aNic("eth0", gw6("fe80::1"))), want: []string{"address-missing host_nics[eth0].ipv6.gateway"}},
	{name: "gateway with a further address", config: host(aNic("eth0", more("10.0.0.9/24"), gw4("10.0.0.1")))},
	{name: "gateway with a further address of the other family", config: host(aNic("eth0", more("2001:db8::9/64"), gw4("10.0.0.1"))), want: []string{"address-missing host_nics[eth0].ip.gateway"}},
	{name: "mask with dhcp", config: host(aNic("eth0", boot4(BootDHCP), ip4("", "24"))), want: []string{"address-missing host_nics[eth0].ip.netmask"}},
}}

func TestScenario_X11(t *testing.T) { groupX11.run(t) }
