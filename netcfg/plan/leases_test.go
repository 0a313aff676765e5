package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// tenant is a host whose NICs have leases.
type tenant struct {
	*rig
	now  time.Duration
	held map[string]*netcfg.Lease
	// held6 are the leases of DHCPv6.
	held6 map[string]*netcfg.Lease6
	// news are the NICs whose leases have just been renewed.
	news map[string]bool
}

func newTenant(t *testing.T) *tenant {
	nics := map[string]kerneltest.NIC{"eth0": {}, "eth1": {}}
	return &tenant{newRig(t, "", nics), time.Hour, map[string]*netcfg.Lease{}, map[string]*netcfg.Lease6{}, nil}
}

// lend gives a NIC a lease of two minutes.
func (h *tenant) lend(nic, address, gateway string, change ...func(*netcfg.Lease)) {
	l := &netcfg.Lease{Address: netip.MustParsePrefix(address), Obtained: h.now, Expires: h.now + 2*time.Minute}
	if gateway != "" {
		l.Gateways = []netip.Addr{netip.MustParseAddr(gateway), netip.MustParseAddr("203.0.113.9")}
	}
	for _, c := range change {
		c(l)
	}
	h.held[nic] = l
}

// to converges to a document, if there is one, and what is lent, and returns what was
// done.
func (h *tenant) to(doc string) (ops string, rep converge.Report) {
	h.Helper()
	if doc != "" {
		h.config = config(h.T, h.config, doc)
	}
	leases := func() plan.Leases { return plan.Leases{Now: h.now, Held: h.held, Held6: h.held6, News: h.news} }
	before := len(h.Ops())
	rep, err := converge.Run(h.Context(), h.Fake, converge.Target{Config: h.config, Memory: h.memory, Leases: leases})
	if err != nil {
		h.Fatal(err)
	}
	h.memory = rep.Intent.Settled()
	var out []string
	for _, op := range h.Ops()[before:] {
		out = append(out, op.String())
	}
	return strings.Join(out, "\n"), rep
}

func (h *tenant) want(doc string, ops ...string) {
	h.Helper()
	if got, _ := h.to(doc); got != strings.Join(ops, "\n") {
		h.Errorf("got\n%s\nwant\n%s", got, strings.Join(ops, "\n"))
	}
}

const dhcpOn0 = `host_nics: [{name: eth0, boot_protocol: dhcp}]`

// A lease from its beginning to its end. A renewal replaces the lifetimes, and takes
// nothing away.
func TestLease(t *testing.T) {
	h := newTenant(t)
	_, first := h.to(dhcpOn0)
	if w := first.Intent.Waiting; len(w) != 1 || w[0] != (plan.Waiting{Nic: "eth0", Reason: "there is no lease yet"}) {
		t.Errorf("waiting for %v", w)
	}
	withRoutes := func(l *netcfg.Lease) {
		l.MTU = 1400
		l.Routes = []netcfg.LeaseRoute{{Destination: netip.MustParsePrefix("10.9.0.0/16"), Gateway: netip.MustParseAddr("192.0.2.9")},
			{Destination: netip.MustParsePrefix("198.51.100.1/32")}}
	}
	h.lend("eth0", "192.0.2.100/24", "192.0.2.1", withRoutes)
	h.want("", "ip link set dev eth0 mtu 1400", "ip addr add 192.0.2.100/24 valid_lft 120 preferred_lft 120 dev eth0",
		"ip route add 198.51.100.1/32 dev eth0 metric 1000 proto 104",
		"ip route add default via 192.0.2.1 dev eth0 metric 1000 proto 104", "ip route add 10.9.0.0/16 via 192.0.2.9 dev eth0 metric 1000 proto 104")
	h.now += 4 * time.Second // within what a look may take
	h.want("")
	h.now += time.Minute
	h.lend("eth0", "192.0.2.100/24", "192.0.2.1", withRoutes)
	h.held["eth0"].Expires += time.Minute
	h.want("", "ip addr replace 192.0.2.100/24 valid_lft 180 preferred_lft 180 dev eth0")

	// Another address of another subnet comes before the old one goes.
	h.lend("eth0", "203.0.113.5/24", "203.0.113.1")
	h.want("", "ip route del 10.9.0.0/16 via 192.0.2.9 dev eth0 metric 1000 proto 104", "ip route del 198.51.100.1/32 dev eth0 metric 1000 proto 104",
		"ip link set dev eth0 mtu 1500", "ip addr add 203.0.113.5/24 valid_lft 120 preferred_lft 120 dev eth0",
		"ip route replace default via 203.0.113.1 dev eth0 metric 1000 proto 104", "ip addr del 192.0.2.100/24 dev eth0")
	h.now = h.held["eth0"].Expires
	ops, rep := h.to("")
	if ops != "ip route del default via 203.0.113.1 dev eth0 metric 1000 proto 104\nip addr del 203.0.113.5/24 dev eth0" {
		t.Errorf("at the end:\n%s", ops)
	}
	if o := h.memory.Owned; len(o.Addresses["eth0"])+len(o.Routes) != 0 || len(rep.Intent.Waiting) != 1 {
		t.Errorf("after the end the agent owns %v, and waits for %v", o, rep.Intent.Waiting)
	}
}

// The address of a lease becomes static, and on loan again.
func TestLeaseToStatic(t *testing.T) {
	h := newTenant(t)
	h.lend("eth0", "192.0.2.100/24", "")
	h.to(dhcpOn0)
	h.want(`host_nics: [{name: eth0, boot_protocol: static, ip: {address: 192.0.2.100, netmask: "24"}}]`, "ip addr replace 192.0.2.100/24 dev eth0")
	h.want(`host_nics: [{name: eth0, boot_protocol: dhcp, ip: null}]`, "ip addr replace 192.0.2.100/24 valid_lft 120 preferred_lft 120 dev eth0")
	h.want(`host_nics: [{name: eth0, boot_protocol: none}]`, "ip addr del 192.0.2.100/24 dev eth0")
}

// A lifetime that somebody else has changed is drift, in words that stay the same.
func TestLeaseLifetimeDrift(t *testing.T) {
	h := newTenant(t)
	h.lend("eth0", "192.0.2.100/24", "")
	_, rep := h.to(dhcpOn0)
	for valid, actual := range map[uint32]string{state.Forever: "for ever", 10: "too short", 1000: "too long", 118: ""} {
		s, _ := h.Snapshot(t.Context())
		i := slices.IndexFunc(s.Addresses, func(a state.Address) bool { return a.Prefix.Addr().String() == "192.0.2.100" })
		s.Addresses[i].Valid, s.Addresses[i].Preferred = valid, valid
		drift := plan.Check(rep.Intent, s)
		switch {
		case actual == "" && len(drift) != 0, actual != "" && len(drift) != 1:
			t.Errorf("%d s: drift %v", valid, drift)
		case actual != "" && drift[0] != (plan.Drift{Field: "host_nics[eth0].addresses[192.0.2.100/24].lifetime", Wanted: "that of the lease", Actual: actual}):
			t.Errorf("%d s: drift %v", valid, drift[0])
		}
	}
}

// A renewal that brings next to nothing is written all the same: it would be more at
// another moment.
func TestLeaseRenewedAtOnce(t *testing.T) {
	h := newTenant(t)
	h.lend("eth0", "192.0.2.100/24", "")
	h.to(dhcpOn0)
	h.held["eth0"].Expires += 5 * time.Second
	h.want("")
	h.news = map[string]bool{"eth0": true}
	h.want("", "ip addr replace 192.0.2.100/24 valid_lft 125 preferred_lft 125 dev eth0")
	h.want("")
}

// What somebody else has stays: a route in the place of one of the lease, and the
// address of the lease on another link.
func TestLeaseBesideOthers(t *testing.T) {
	h := newTenant(t)
	h.to(`host_nics: [{name: eth0, boot_protocol: dhcp}, {name: eth1}]`)
	foreign := func(op plan.Op) {
		if err := h.Foreign(op); err != nil {
			t.Fatal(err)
		}
	}
	foreign(plan.Op{Action: plan.AddrAdd, Index: h.Index("eth1"), Address: state.Address{Link: h.Index("eth1"), Prefix: netip.MustParsePrefix("198.51.100.7/24")}})
	foreign(plan.Op{Action: plan.RouteAdd, Route: state.Route{Table: state.MainTable, Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("198.51.100.1"),
		Link: h.Index("eth1"), Metric: 1000, Protocol: 4, Type: 1}})
	h.lend("eth0", "192.0.2.100/24", "192.0.2.1")
	ops, rep := h.to("")
	if ops != "ip addr add 192.0.2.100/24 valid_lft 120 preferred_lft 120 dev eth0" ||
		!slices.ContainsFunc(rep.Intent.Warnings, func(p netcfg.Problem) bool { return p.Rule == "route-taken" }) {
		t.Errorf("got %s, warnings %v", ops, rep.Intent.Warnings)
	}
	h.lend("eth0", "198.51.100.7/24", "")
	ops, rep = h.to("")
	if ops != "ip addr del 192.0.2.100/24 dev eth0" || len(rep.Intent.Waiting) != 1 || !strings.Contains(rep.Intent.Waiting[0].Reason, "on eth1 already") {
		t.Errorf("got %s, waiting for %v", ops, rep.Intent.Waiting)
	}
}

// Of two leases the first NIC's is used; a gateway in no subnet is on the link. An MTU
// that would take a VLAN's or IPv6 along is not taken.
func TestScenario_D07(t *testing.T) {
	h := newTenant(t)
	small := func(l *netcfg.Lease) { l.MTU = 600 }
	h.lend("eth1", "192.0.2.100/32", "192.0.2.1", small)
	h.lend("eth0", "198.51.100.5/24", "198.51.100.1", small)
	ops, _ := h.to(`host_nics: [{name: eth1, boot_protocol: dhcp}, {name: eth0, boot_protocol: dhcp}, {name: eth0.7, base_interface: eth0, vlan: {id: 7}}]`)
	for _, want := range []string{"default via 192.0.2.1 dev eth1 metric 1000 proto 104 onlink", "default via 198.51.100.1 dev eth0 metric 1001 proto 104", "eth1 mtu 1280"} {
		if !strings.Contains(ops, want) {
			t.Errorf("no %s in\n%s", want, ops)
		}
	}
	if strings.Contains(ops, "eth0 mtu") {
		t.Errorf("the MTU of eth0 is lowered under its VLAN:\n%s", ops)
	}
}
