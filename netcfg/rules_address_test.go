package netcfg

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func withIP4(s string) Config { return host(aNic("eth0", ip4(s, "255.255.255.0"))) }

func withMask(s string) Config { return host(aNic("eth0", ip4("10.0.0.9", s))) }

func withIP6(s string) Config { return host(aNic("eth0", ip6(s, 64))) }

func withMore(s string) Config { return host(aNic("eth0", more(s))) }

var groupC9 = ruleGroup{rules: []string{"netmask"}, cases: slices.Concat(
	same([]string{"255.255.255.0", "24", "255.0.0.0", "8", "255.255.255.240", "1"}, withMask),
	same([]string{"255.0.255.0", "0.0.0.255", "255.255.255.1", "", "33", "-1", "/24", "024", "24 ", "255.255.255", "255.255.255.000", "ffff::", "0xffffff00", "10.0.0.1"},
		withMask, "netmask host_nics[eth0].ip.netmask"),
)}

func TestFault_C9(t *testing.T) { groupC9.run(t) }

var groupC10 = ruleGroup{rules: []string{"netmask", "ipv6-prefix", "ipv4-host"}, cases: slices.Concat(
	same([]string{"0", "0.0.0.0"}, withMask, "netmask host_nics[eth0].ip.netmask"),
	same([]string{"31", "255.255.255.254", "32", "255.255.255.255"}, withMask),
	[]ruleCase{
		{name: "both ends of a /31", config: host(aNic("eth0", ip4("10.0.0.0", "31")), aNic("eth1", ip4("10.0.1.1", "31")))},
		{name: "/31 with its peer as gateway", config: host(aNic("eth0", ip4("10.0.0.0", "31"), gw4("10.0.0.1")))},
		{name: "/32 that ends in 0", config: host(aNic("eth0", ip4("10.0.0.0", "32")))},
		{name: "/32 with a gateway", config: host(aNic("eth0", ip4("10.0.0.9", "32"), gw4("10.0.0.1"))), want: []string{"gateway-outside host_nics[eth0].ip.gateway"}},
		{name: "/30 still has a network address", config: host(aNic("eth0", ip4("10.0.0.0", "30"))), want: []string{"ipv4-host host_nics[eth0].ip.address"}},
		{name: "/0 beside the address", config: withMore("10.0.0.9/0"), want: []string{"additional-ip host_nics[eth0].additional_ips[0]"}},
		{name: "IPv6 /0", config: host(aNic("eth0", ip6("2001:db8::1", 0))), want: []string{"ipv6-prefix host_nics[eth0].ipv6.prefix"}},
		{name: "IPv6 /127 and /128", config: host(aNic("eth0", ip6("2001:db8::1", 127)), aNic("eth1", ip6("2001:db8:1::", 128)))},
	},
)}

func TestFault_C10(t *testing.T) { groupC10.run(t) }

var groupC11 = ruleGroup{rules: []string{"ipv4-address", "ipv4-host", "additional-ip"}, cases: slices.Concat(
	same([]string{"10.0.0.1", "192.0.2.254", "169.254.1.1", "223.255.255.1", "1.0.0.1"}, withIP4),
	same([]string{"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"},
		withIP4, "ipv4-address host_nics[eth0].ip.address"),
	same([]string{"10.0.0", "10.0.0.256", "10.0.0.1.2", "ten", "::1", "2001:db8::1", "10.0.0.1 ", "0x0a000001", "167772161"},
		withIP4, "ipv4-address host_nics[eth0].ip.address"),
	same([]string{"10.0.0.0", "10.0.0.255"}, withIP4, "ipv4-host host_nics[eth0].ip.address"),
	same([]string{"10.0.0.1/24", "2001:db8::1/64", "10.0.0.0/31", "10.0.0.255/32"}, withMore),
	same([]string{"10.0.0.0/24", "10.0.0.255/24"}, withMore, "ipv4-host host_nics[eth0].additional_ips[0]"),
	same([]string{"127.0.0.1/8", "10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/024", "10.0.0.1/255.255.255.0", "/24", "", "x/24",
		"2001:db8::1", "2001:db8::1/129", "::1/128", "fe80::1/64", "2001:db8::1%eth0/64"}, withMore, "additional-ip host_nics[eth0].additional_ips[0]"),
)}

func TestFault_C11(t *testing.T) { groupC11.run(t) }

var groupC12 = ruleGroup{rules: []string{"ipv6-address", "ipv6-prefix"}, cases: slices.Concat(
	same([]string{"2001:db8::1", "fd00::1", "2001:0db8:0000:0000:0000:0000:0000:0001", "64:ff9b::1", "2001:db8::"}, withIP6),
	same([]string{"::ffff:10.0.0.1", "ff02::1", "::", "::1", "fe80::1", "fe80::1%eth0", "2001:db8::1%eth0", "10.0.0.1", "2001:db8::g", "2001:db8::1/64", "1:2:3:4:5:6:7:8:9"},
		withIP6, "ipv6-address host_nics[eth0].ipv6.address"),
	[]ruleCase{
		{name: "no prefix", config: host(aNic("eth0", func(n *HostNic) { setIPv6(n).Address = "2001:db8::1" })), want: []string{"ipv6-prefix host_nics[eth0].ipv6.prefix"}},
		{name: "prefix 1", config: host(aNic("eth0", ip6("2001:db8::1", 1)))},
		{name: "prefix 129", config: host(aNic("eth0", ip6("2001:db8::1", 129))), want: []string{"ipv6-prefix host_nics[eth0].ipv6.prefix"}},
		{name: "prefix -1", config: host(aNic("eth0", ip6("2001:db8::1", -1))), want: []string{"ipv6-prefix host_nics[eth0].ipv6.prefix"}},
	},
)}

func TestFault_C12(t *testing.T) { groupC12.run(t) }

var groupC32 = ruleGroup{rules: []string{"ipv4-address"}, cases: slices.Concat(
	same([]string{"010.0.0.1", "10.00.0.1", "10.0.0.001"}, withIP4, "ipv4-address host_nics[eth0].ip.address"),
	[]ruleCase{
		{name: "prefix in the address", config: host(aNic("eth0", ip4("10.0.0.1/24", ""))), want: []string{"ipv4-address host_nics[eth0].ip.address"}},
		{name: "prefix in the IPv6 address", config: host(aNic("eth0", func(n *HostNic) { setIPv6(n).Address = "2001:db8::1/64" })), want: []string{"ipv6-address host_nics[eth0].ipv6.address"}},
		{name: "zeros that lead nothing", config: withIP4("10.0.0.100")},
	},
)}

// C32 asks for hints: what was probably meant is in the message.
func TestFault_C32(t *testing.T) {
	groupC32.run(t)
	for _, test := range []struct {
		name   string
		config Config
		says   string
	}{
		{"leading zeros", withIP4("010.00.0.001"), "write 10.0.0.1,"},
		{"prefix in the address", host(aNic("eth0", ip4("10.0.0.1/24", ""))), "write 10.0.0.1 here and 24 in ip.netmask"},
		{"prefix in the IPv6 address", withIP6("2001:db8::1/64"), "write 2001:db8::1 here and 64 in ipv6.prefix"},
		{"IPv6 in ip", withIP4("2001:db8::1"), "give it as ipv6.address"},
		{"IPv4 in ipv6", withIP6("10.0.0.1"), "give it as ip.address"},
		{"slash in the netmask", withMask("/24"), "write 24 without the slash"},
		{"leading zeros in the netmask", withMask("255.255.255.000"), "write 255.255.255.0 without"},
		{"IPv6 mask", withMask("ffff::"), "ipv6.prefix"},
		{"mask in additional_ips", withMore("10.0.0.1/255.255.255.0"), "write 24 for 255.255.255.0"},
		{"no prefix in additional_ips", withMore("10.0.0.1"), "192.0.2.11/24"},
	} {
		problems, _ := test.config.Validate(Limits{})
		if len(problems) != 1 || !strings.Contains(problems[0].Message, test.says) {
			t.Errorf("%s: got %v, want it to say %q", test.name, problems, test.says)
		}
	}
}

var groupX18 = ruleGroup{rules: []string{"boot-protocol"}, cases: slices.Concat(
	same([]string{"", "none", "dhcp"}, func(s string) Config { return host(aNic("eth0", boot4(BootProtocol(s)))) }),
	same([]string{"bootp", "DHCP", "autoconf", "poly_dhcp_autoconf", "dhcpv6"}, func(s string) Config { return host(aNic("eth0", boot4(BootProtocol(s)))) },
		"boot-protocol host_nics[eth0].boot_protocol"),
	same([]string{"", "none", "dhcp", "autoconf", "poly_dhcp_autoconf"}, func(s string) Config { return host(aNic("eth0", boot6(BootProtocol(s)))) }),
	same([]string{"slaac", "dhcpv4"}, func(s string) Config { return host(aNic("eth0", boot6(BootProtocol(s)))) },
		"boot-protocol host_nics[eth0].ipv6_boot_protocol"),
)}

func TestScenario_X18(t *testing.T) {
	groupX18.run(t)
	for _, test := range []struct {
		config Config
		allows string
		says   string
	}{
		{host(aNic("eth0", boot4("bootp"))), "none, static or dhcp", "no such boot protocol"},
		{host(aNic("eth0", boot4(BootAutoconf))), "none, static or dhcp", "IPv6 only"},
		{host(aNic("eth0", boot6("slaac"))), "none, static, dhcp, autoconf or poly_dhcp_autoconf", "no such boot protocol"},
		{bond0("mode=5 tlb_dynamic_lb=maybe"), "off, on (or 0 to 1)", "tlb_dynamic_lb"},
	} {
		problems, _ := test.config.Validate(Limits{})
		if len(problems) != 1 || problems[0].Allowed != test.allows || !strings.Contains(problems[0].Message, test.says) {
			t.Errorf("got %v, want it to allow %s and to say %q", problems, test.allows, test.says)
		}
	}
}

// I01, I03, I08: the mask may be dotted or a length, and /31 and /32 are taken.
func TestScenario_I08(t *testing.T) {
	for i, mask := range []string{"255.255.255.254", "31", "255.255.255.255", "32"} {
		c := host(aNic("eth0", ip4(fmt.Sprintf("10.0.0.%d", i+4), mask)))
		if problems, _ := c.Validate(Limits{}); problems != nil {
			t.Errorf("%s: got %v", mask, problems)
		}
	}
}
