//go:build kernel

package kernel

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// routed is a namespace with eth0 and eth1 up and addressed.
func routed(t *testing.T, options Options) (*netns.NS, *Kernel, int, int) {
	t.Helper()
	need.Kernel(t, need.Dummy, need.IPv6)
	ns := netns.New(t)
	ns.Dummy(t, "eth0", "eth1")
	ns.Up(t, "eth0", "eth1")
	k := open(t, ns, options)
	eth0, eth1 := link(t, k, "eth0").Index, link(t, k, "eth1").Index
	nodad := addAddress(eth0, "eth0", "2001:db8::1/64")
	nodad.Address.Flags = state.FlagNoDAD
	apply(t, k, addAddress(eth0, "eth0", "192.0.2.1/24"), addAddress(eth1, "eth1", "198.51.100.1/24"), nodad)
	return ns, k, eth0, eth1
}

// own are the routes that the kernel did not make.
func own(t *testing.T, k *Kernel) []state.Route {
	t.Helper()
	var routes []state.Route
	for _, r := range snapshot(t, k).Routes {
		if r.Protocol != state.ProtocolKernel {
			routes = append(routes, r)
		}
	}
	return routes
}

// TestRoutes adds routes, reads them back, replaces them and takes them out.
func TestRoutes(t *testing.T) {
	_, k, eth0, eth1 := routed(t, Options{})
	with := func(op plan.Op, change func(*state.Route)) state.Route { change(&op.Route); return op.Route }
	unicast := func(r *state.Route) { r.Type = 1 }
	tests := []struct {
		name string
		add  state.Route
		want func(*state.Route) // what the kernel makes of it
		to   func(*state.Route) // what replaces it
	}{
		{"default", route(0, eth0, "0.0.0.0/0", "192.0.2.254").Route, unicast,
			func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"default beside it", with(route(0, eth1, "0.0.0.0/0", "198.51.100.254"), func(r *state.Route) { r.Metric = 100 }), unicast,
			func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"on the link", route(0, eth0, "10.0.0.0/8", "").Route,
			func(r *state.Route) { r.Type, r.Scope = 1, 253 }, func(r *state.Route) { r.Link = eth1 }},
		{"onlink gateway", with(route(0, eth0, "203.0.113.0/24", "100.64.0.1"), func(r *state.Route) { r.Flags = plan.FlagOnlink }), unicast,
			func(r *state.Route) { r.Gateway = r.Gateway.Next() }},
		{"source", with(route(0, eth0, "10.1.0.0/16", "192.0.2.254"), func(r *state.Route) { r.Source = wantAddress(0, "192.0.2.1/24").Prefix.Addr() }), unicast,
			func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"table", with(route(0, eth0, "0.0.0.0/0", "192.0.2.254"), func(r *state.Route) { r.Table = 100000 }), unicast,
			func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"host bits", with(route(0, eth0, "10.2.0.7/16", "192.0.2.254"), unicast), func(r *state.Route) { r.Dst = r.Dst.Masked() },
			func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"through IPv6", route(0, eth0, "10.3.0.0/16", "2001:db8::254").Route, unicast,
			func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"IPv6", route(0, eth0, "2001:db8:1::/48", "2001:db8::254").Route,
			func(r *state.Route) { r.Type, r.Metric = 1, 1024 }, func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"IPv6 default", with(route(0, eth0, "::/0", "2001:db8::254"), func(r *state.Route) { r.Metric = 7 }), unicast,
			func(r *state.Route) { r.Gateway = r.Gateway.Prev() }},
		{"IPv6 onlink gateway", with(route(0, eth0, "2001:db8:2::/48", "2001:db8:ffff::1"), func(r *state.Route) { r.Flags = plan.FlagOnlink }),
			func(r *state.Route) { r.Type, r.Metric = 1, 1024 }, func(r *state.Route) { r.Gateway = r.Gateway.Next() }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			op := plan.Op{Action: plan.RouteAdd, Name: "eth", Route: test.add}
			expect := func(r state.Route) {
				t.Helper()
				test.want(&r)
				if diff := cmp.Diff([]state.Route{r}, own(t, k), byValue); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			}
			apply(t, k, op)
			expect(op.Route)
			op.Action = plan.RouteReplace
			test.to(&op.Route)
			apply(t, k, op)
			expect(op.Route)
			op.Action = plan.RouteDel
			apply(t, k, op)
			if left := own(t, k); len(left) != 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

// TestRouteDelIsExact leaves the routes that differ in one thing only.
func TestRouteDelIsExact(t *testing.T) {
	_, k, eth0, eth1 := routed(t, Options{})
	target := route(plan.RouteAdd, eth0, "10.0.0.0/8", "192.0.2.254")
	target.Route.Metric = 10
	vary := func(change func(*state.Route)) plan.Op {
		op := target
		change(&op.Route)
		return op
	}
	others := []plan.Op{
		vary(func(r *state.Route) { r.Metric = 20 }),
		vary(func(r *state.Route) { r.Metric, r.Protocol = 5, 3 }),
		vary(func(r *state.Route) { r.Table = 100 }),
		vary(func(r *state.Route) { r.Dst = route(0, 0, "10.0.0.0/9", "").Route.Dst }),
		vary(func(r *state.Route) { r.Metric, r.Link, r.Flags = 30, eth1, plan.FlagOnlink }),
	}
	apply(t, k, append([]plan.Op{target}, others...)...)
	before := own(t, k)
	target.Action = plan.RouteDel
	apply(t, k, target)
	after := own(t, k)
	if len(before) != len(others)+1 || len(after) != len(others) {
		t.Fatalf("before %+v\nafter %+v", before, after)
	}
	for _, r := range after {
		if r.Metric == 10 && r.Table == state.MainTable && r.Dst == target.Route.Dst {
			t.Errorf("still there: %+v", r)
		}
	}
	apply(t, k, target) // gone, which is success, and the others stay
	if diff := cmp.Diff(after, own(t, k), byValue); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestRawRoutes takes routes out that have more to them than the fields hold, and
// puts them back as they were.
func TestRawRoutes(t *testing.T) {
	ns, k, _, _ := routed(t, Options{})
	for _, words := range []string{
		"10.0.0.0/8 nexthop via 192.0.2.254 weight 2 nexthop via 198.51.100.254",
		"10.1.0.0/16 via 192.0.2.254 mtu 1400 advmss 1360",
		"10.2.0.0/16 via 192.0.2.254 tos 0x10",
		"10.3.0.0/16 via 192.0.2.254 mtu lock 1300 congctl reno",
		"-6 2001:db8:1::/48 via 2001:db8::254 mtu 1400",
		"-6 2001:db8:2::/48 nexthop via 2001:db8::254 nexthop via 2001:db8::253 weight 3",
		"-6 2001:db8:3::/48 via 2001:db8::254 pref high",
		"-6 2001:db8:4::/48 via 2001:db8::254 expires 500",
		"10.4.0.0/16 nhid 7",
	} {
		t.Run(words, func(t *testing.T) {
			if strings.Contains(words, "nhid") {
				ns.IP(t, "nexthop", "add", "id", "7", "via", "192.0.2.254", "dev", "eth0")
			}
			args := strings.Fields(words)
			if args[0] == "-6" {
				args = append([]string{"-6", "route", "add"}, args[1:]...)
			} else {
				args = append([]string{"route", "add"}, args...)
			}
			ns.IP(t, args...)
			before := own(t, k)
			if len(before) != 1 || before[0].Raw == nil {
				t.Fatalf("%d routes: %+v", len(before), before)
			}
			apply(t, k, plan.Op{Action: plan.RouteDel, Route: before[0]})
			if left := own(t, k); len(left) != 0 {
				t.Fatalf("left: %+v", left)
			}
			for _, action := range []plan.Action{plan.RouteAdd, plan.RouteReplace} {
				apply(t, k, plan.Op{Action: action, Route: before[0]})
				after := own(t, k)
				for i := range after {
					after[i].Raw = clearExpiry(t, after[i].Raw)
				}
				want := before[0]
				want.Raw = clearExpiry(t, want.Raw)
				if diff := cmp.Diff([]state.Route{want}, after, byValue); diff != "" {
					t.Errorf("action %d: -want +got\n%s", action, diff)
				}
			}
			apply(t, k, plan.Op{Action: plan.RouteDel, Route: before[0]})
		})
	}
}
