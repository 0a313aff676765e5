package netcfg

import (
	"slices"
	"strings"
	"testing"
)

func withGW4(s string) Config { return host(aNic("eth0", ip4("10.0.0.9", "24"), gw4(s))) }

func withGW6(s string) Config { return host(aNic("eth0", ip6("2001:db8::9", 64), gw6(s))) }

var groupC13 = ruleGroup{rules: []string{"gateway", "gateway-outside"}, cases: slices.Concat(
	same([]string{"10.0.0.1", "10.0.0.254"}, withGW4),
	same([]string{"10.0.1.1", "9.255.255.255", "192.0.2.1"}, withGW4, "gateway-outside host_nics[eth0].ip.gateway"),
	same([]string{"10.0.0", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "fe80::1", "10.0.0.1/24", "010.0.0.1", "gw"}, withGW4, "gateway host_nics[eth0].ip.gateway"),
	same([]string{"2001:db8::1", "fe80::1", "2001:db8::"}, withGW6),
	same([]string{"2001:db8:1::1", "fd00::1"}, withGW6, "gateway-outside host_nics[eth0].ipv6.gateway"),
	same([]string{"10.0.0.1", "::", "::1", "ff02::2", "fe80::1%eth0", "::ffff:10.0.0.1", "x"}, withGW6, "gateway host_nics[eth0].ipv6.gateway"),
	[]ruleCase{
		{name: "in a further subnet", config: host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("192.0.2.1"), more("192.0.2.9/24")))},
		{name: "in a subnet of another NIC", config: host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("192.0.2.1")), aNic("eth1", ip4("192.0.2.9", "24"))), want: []string{"gateway-outside host_nics[eth0].ip.gateway"}},
		{name: "the address is to blame", config: host(aNic("eth0", ip4("10.0.0.9", "255.0.255.0"), gw4("192.0.2.1"))), want: []string{"netmask host_nics[eth0].ip.netmask"}},
		{name: "a further address is to blame", config: host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("192.0.2.1"), more("192.0.2.9"))), want: []string{"additional-ip host_nics[eth0].additional_ips[0]"}},
	},
)}

func TestFault_C13(t *testing.T) { groupC13.run(t) }

func TestScenario_I21(t *testing.T) {
	problems, _ := host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("192.0.2.1"), more("198.51.100.9/24"))).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "gateway-outside" || problems[0].Allowed != "an address in 10.0.0.0/24 or 198.51.100.0/24" {
		t.Errorf("got %v", problems)
	}
}

// A /32 has no subnet for a gateway to be in, and the hint says that.
func TestGatewayWithoutSubnet(t *testing.T) {
	problems, _ := host(aNic("eth0", ip4("10.0.0.9", "32"), gw4("10.0.0.1"))).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "gateway-outside" || !strings.Contains(problems[0].Message, "widen the netmask") {
		t.Errorf("got %v", problems)
	}
}

var groupC14 = ruleGroup{rules: []string{"gateway-own"}, cases: slices.Concat(
	same([]string{"10.0.0.9", "10.0.0.0", "10.0.0.255"}, withGW4, "gateway-own host_nics[eth0].ip.gateway"),
	same([]string{"10.0.0.10"}, withGW4),
	same([]string{"2001:db8::9"}, withGW6, "gateway-own host_nics[eth0].ipv6.gateway"),
	[]ruleCase{
		{name: "address of another NIC", config: host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("10.0.0.8")), aNic("eth1", more("10.0.0.8/32"))), limits: Limits{AllowOverlap: true},
			want: []string{"gateway-own host_nics[eth0].ip.gateway"}},
		{name: "edges of a /31", config: host(aNic("eth0", ip4("10.0.0.0", "31"), gw4("10.0.0.1")))},
	},
)}

func TestFault_C14(t *testing.T) { groupC14.run(t) }

var groupC15 = ruleGroup{rules: []string{"default-gateway"}, cases: []ruleCase{
	{name: "one of each family", config: host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("10.0.0.1")), aNic("eth1", ip6("2001:db8::9", 64), gw6("fe80::1")))},
	{name: "two", config: host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("10.0.0.1")), aNic("eth1", ip4("192.0.2.9", "24"), gw4("192.0.2.1"))),
		want: []string{"default-gateway host_nics[eth1].ip.gateway"}},
	{name: "two by one router", config: host(aNic("eth0", ip6("2001:db8::9", 64), gw6("fe80::1")), aNic("eth1", ip6("2001:db8:1::9", 64), gw6("fe80::1"))),
		want: []string{"default-gateway host_nics[eth1].ipv6.gateway"}},
	{name: "a default route", config: withRoute(Route{Destination: "default", Gateway: "10.0.0.2"}), want: []string{"default-gateway routes[0].gateway"}},
	{name: "a default route in numbers", config: withRoute(Route{Destination: "0.0.0.0/0", Gateway: "10.0.0.2", Table: pointer(254), Metric: pointer(0)}), want: []string{"default-gateway routes[0].gateway"}},
	{name: "the same once more", config: withRoute(Route{Destination: "default", Gateway: "10.0.0.1", NIC: "eth0"})},
	{name: "with a metric", config: withRoute(Route{Destination: "default", Gateway: "10.0.0.2", Metric: pointer(100)})},
	{name: "in a table", config: withRoute(Route{Destination: "default", Gateway: "10.0.0.2", Table: pointer(100)})},
	{name: "of the other family", config: withRoute(Route{Destination: "::/0", Gateway: "fe80::2", NIC: "eth0"})},
}}

func withRoute(r Route) Config {
	c := withGW4("10.0.0.1")
	c.Routes = []Route{r}
	return c
}

func TestFault_C15(t *testing.T) {
	groupC15.run(t)
	problems, _ := host(aNic("eth0", ip4("10.0.0.9", "24"), gw4("10.0.0.1")), aNic("eth1", ip4("192.0.2.9", "24"), gw4("192.0.2.1"))).Validate(Limits{})
	if !strings.Contains(problems[0].Message, "host_nics[eth0].ip.gateway") {
		t.Errorf("%q does not name the other", problems[0].Message)
	}
}

func TestScenario_R04(t *testing.T) {
	problems, _ := host(
		aBond("bond0", onNetwork("red"), ip4("10.0.0.9", "24"), gw4("10.0.0.1")),
		aVLAN("bond0.5", "bond0", 5, onNetwork("blue"), ip4("10.0.5.9", "24"), gw4("10.0.5.1"))).Validate(Limits{})
	if len(problems) != 1 || problems[0].Rule != "default-gateway" {
		t.Errorf("got %v", problems)
	}
}

func routes(rs ...Route) Config { return Config{Routes: rs} }

var groupR14 = ruleGroup{rules: []string{"route-destination", "route-gateway", "route-family", "route-number"}, cases: []ruleCase{
	{name: "usual", config: routes(
		Route{Destination: "198.51.100.0/24", Gateway: "10.0.0.1"}, Route{Destination: "10.1.2.3/32", NIC: "eth0"},
		Route{Destination: "2001:db8::/32", Gateway: "fe80::1", NIC: "eth0", Metric: pointer(100), Table: pointer(1)}, Route{Destination: "default", Gateway: "10.0.0.1"})},
	{name: "families", config: routes(Route{Destination: "198.51.100.0/24", Gateway: "2001:db8::1"}, Route{Destination: "2001:db8::/32", Gateway: "10.0.0.1"}),
		want: []string{"route-family routes[0].gateway", "route-family routes[1].gateway"}},
	{name: "no destination", config: routes(Route{Gateway: "10.0.0.1"}), want: []string{"route-destination routes[0].destination"}},
	{name: "default without a family", config: routes(Route{Destination: "default", NIC: "eth0"}), want: []string{"route-destination routes[0].destination"}},
	{name: "default with a family", config: routes(Route{Destination: "0.0.0.0/0", NIC: "eth0"})},
	{name: "an address", config: routes(Route{Destination: "10.1.2.3", NIC: "eth0"}), want: []string{"route-destination routes[0].destination"}},
	{name: "host bits", config: routes(Route{Destination: "10.1.2.3/24", NIC: "eth0"}), want: []string{"route-destination routes[0].destination"}},
	{name: "no prefix", config: routes(Route{Destination: "10.1.2.0/x", NIC: "eth0"}), want: []string{"route-destination routes[0].destination"}},
	{name: "mapped", config: routes(Route{Destination: "::ffff:10.0.0.0/104", NIC: "eth0"}), want: []string{"route-destination routes[0].destination"}},
	{name: "leads nowhere", config: routes(Route{Destination: "10.0.0.0/8"}), want: []string{"route-gateway routes[0].gateway"}},
	{name: "bad gateway", config: routes(Route{Destination: "10.0.0.0/8", Gateway: "224.0.0.1"}), want: []string{"route-gateway routes[0].gateway"}},
	{name: "zone", config: routes(Route{Destination: "2001:db8::/32", Gateway: "fe80::1%eth0", NIC: "eth0"}), want: []string{"route-gateway routes[0].gateway"}},
	{name: "link-local without nic", config: routes(Route{Destination: "2001:db8::/32", Gateway: "fe80::1"}), want: []string{"route-gateway routes[0].nic"}},
	{name: "numbers", config: routes(Route{Destination: "10.0.0.0/8", NIC: "eth0", Metric: pointer(-1), Table: pointer(255)}, Route{Destination: "10.0.0.0/8", NIC: "eth0", Table: pointer(0)}),
		want: []string{"route-number routes[0].metric", "route-number routes[0].table", "route-number routes[1].table"}},
}}

func TestScenario_R14(t *testing.T) { groupR14.run(t) }

func dns(servers, search []string) Config {
	return Config{DNS: &DNS{Servers: servers, Search: search}}
}

var groupN05 = ruleGroup{rules: []string{"dns-server", "dns-search"}, cases: slices.Concat(
	[]ruleCase{
		{name: "none", config: dns(nil, nil)},
		{name: "search", config: dns(nil, []string{"example.com", "corp.", "a-b.c_d", "x"})},
	},
	same([]string{"192.0.2.53", "2001:db8::53", "fe80::53%eth0", "127.0.0.53", "::1"}, func(s string) Config { return dns([]string{s}, nil) }),
	same([]string{"", "dns", "192.0.2", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "fe80::53", "2001:db8::53%eth0", "::ffff:127.0.0.1"},
		func(s string) Config { return dns([]string{s}, nil) }, "dns-server dns.servers[0]"),
	same([]string{"", ".", "a..b", "-a.b", "a-.b", "a b", "bücher.de", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "ab"},
		func(s string) Config { return dns(nil, []string{s}) }, "dns-search dns.search[0]"),
)}

func TestScenario_N05(t *testing.T) { groupN05.run(t) }

func TestScenario_N04(t *testing.T) {
	doc := DocumentOf(dns([]string{"2001:0db8:0:0::53", "fe80::0053%eth0"}, nil))
	c, ps := Merge(Config{}, doc, identity)
	problems, _ := c.Validate(Limits{})
	if want := []string{"2001:db8::53", "fe80::53%eth0"}; ps != nil || problems != nil || !slices.Equal(c.DNS.Servers, want) {
		t.Errorf("got %v, %v, %v, want %v", c.DNS.Servers, ps, problems, want)
	}
}

var groupNetworks = ruleGroup{rules: []string{"network"}, cases: []ruleCase{
	{name: "usual", config: Config{Networks: []Network{{Name: "red", VLAN: &VLAN{ID: pointer(5)}, MTU: pointer(9000)}, {ID: "e657d631"}}}},
	{name: "nameless", config: Config{Networks: []Network{{}}}, want: []string{"network networks[0].name"}},
	{name: "vlan without id", config: Config{Networks: []Network{{Name: "a", VLAN: &VLAN{}}}}, want: []string{"network networks[0].vlan.id"}},
	{name: "vlan 0 and mtu 67", config: Config{Networks: []Network{{Name: "a", VLAN: &VLAN{ID: pointer(0)}, MTU: pointer(67)}}},
		want: []string{"network networks[0].vlan.id", "network networks[0].mtu"}},
}}

func TestNetworks(t *testing.T) { groupNetworks.run(t) }
