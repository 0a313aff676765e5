//go:build kernel

package scenario

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/netns"
)

// hand is somebody else who works on a namespace.
type hand struct {
	*netlink.Handle
	t  *testing.T
	ns *netns.NS
}

// hand works on the host, past the agent.
func (h *host) hand() hand { return hand{h.ns.Netlink(h.t), h.t, h.ns} }

// farHand works where the cables end.
func (h *host) farHand() hand { return hand{h.far.Netlink(h.t), h.t, h.far} }

func (h hand) must(what string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
}

func (h hand) link(name string) netlink.Link {
	h.t.Helper()
	l, err := h.LinkByName(name)
	h.must(name, err)
	return l
}

func (h hand) address(prefix string) *netlink.Addr {
	h.t.Helper()
	a, err := netlink.ParseAddr(prefix)
	h.must(prefix, err)
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

// addAddress adds addresses without duplicate detection, so that they are in use at
// once.
func (h hand) addAddress(nic string, prefixes ...string) {
	h.t.Helper()
	for _, p := range prefixes {
		h.must(p, h.AddrAdd(h.link(nic), h.address(p)))
	}
}

func (h hand) delAddress(nic, prefix string) {
	h.t.Helper()
	h.must(prefix, h.AddrDel(h.link(nic), h.address(prefix)))
}

// route is a route of the protocol static in the main table; the words are changed
// by change.
func (h hand) route(dst, gateway, nic string, change ...func(*netlink.Route)) *netlink.Route {
	h.t.Helper()
	_, to, err := net.ParseCIDR(dst)
	h.must(dst, err)
	r := &netlink.Route{Dst: to, LinkIndex: h.link(nic).Attrs().Index, Protocol: unix.RTPROT_STATIC, Table: state.MainTable}
	if gateway != "" {
		r.Gw = net.ParseIP(gateway)
	} else {
		r.Scope = netlink.SCOPE_LINK
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func (h hand) addRoute(dst, gateway, nic string, change ...func(*netlink.Route)) {
	h.t.Helper()
	h.must(dst, h.RouteAdd(h.route(dst, gateway, nic, change...)))
}

func (h hand) delRoute(dst, gateway, nic string, change ...func(*netlink.Route)) {
	h.t.Helper()
	h.must(dst, h.RouteDel(h.route(dst, gateway, nic, change...)))
}

func protocol(n int) func(*netlink.Route) {
	return func(r *netlink.Route) { r.Protocol = netlink.RouteProtocol(n) }
}

func table(n int) func(*netlink.Route) { return func(r *netlink.Route) { r.Table = n } }

func metric(n int) func(*netlink.Route) { return func(r *netlink.Route) { r.Priority = n } }

func (h hand) addVLAN(name, parent string, id int) {
	h.t.Helper()
	l := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: name, ParentIndex: h.link(parent).Attrs().Index}, VlanId: id}
	h.must(name, h.LinkAdd(l))
}

func (h hand) addBond(name string, mode netlink.BondMode, slaves ...string) {
	h.t.Helper()
	b := netlink.NewLinkBond(netlink.LinkAttrs{Name: name})
	b.Mode, b.Miimon = mode, 100
	h.must(name, h.LinkAdd(b))
	for _, s := range slaves {
		h.must(s, h.LinkSetDown(h.link(s)))
		h.must(s, h.LinkSetMaster(h.link(s), h.link(name)))
	}
	h.must(name, h.LinkSetUp(h.link(name)))
}

func (h hand) addTap(name string) {
	h.t.Helper()
	tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TAP}
	h.ns.Do(func() { h.must(name, netlink.LinkAdd(tap)) })
	h.t.Cleanup(func() {
		for _, f := range tap.Fds {
			_ = f.Close()
		}
	})
}

// addBridge makes br0, which has addresses, with eth8 and the tap of a guest in it.
func (h hand) addBridge() {
	h.t.Helper()
	h.ns.Dummy(h.t, "eth8")
	h.ns.Bridge(h.t, "br0", "eth8")
	h.addTap("tap0")
	h.must("tap0", h.LinkSetMaster(h.link("tap0"), h.link("br0")))
	h.addAddress("br0", "10.88.0.1/16", "2001:db8:88::1/64")
}

func (h hand) up(names ...string) {
	h.t.Helper()
	for _, n := range names {
		h.must(n, h.LinkSetUp(h.link(n)))
	}
}

func (h hand) down(names ...string) {
	h.t.Helper()
	for _, n := range names {
		h.must(n, h.LinkSetDown(h.link(n)))
	}
}

// del deletes a link, as if it were unplugged; it may be gone already.
func (h hand) del(name string) {
	h.t.Helper()
	l, err := h.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return
	}
	h.must(name, err)
	h.must(name, h.LinkDel(l))
}

// reaches is true when a connection from ns to the address in to can be made.
func reaches(t *testing.T, from, to *netns.NS, address string) bool {
	t.Helper()
	var listener net.Listener
	var conn net.Conn
	var err error
	to.Do(func() { listener, err = net.Listen("tcp", net.JoinHostPort(address, "0")) })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	from.Do(func() { conn, err = net.DialTimeout("tcp", listener.Addr().String(), 5e9) })
	if err != nil {
		t.Logf("to %s: %v", address, err)
		return false
	}
	_ = conn.Close()
	return true
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// inject lets fail answer in the kernel's place from now on; nil ends that.
func (h *host) inject(fail func(plan.Op) syscall.Errno) {
	if fail == nil {
		h.fail.Store(nil)
		return
	}
	h.fail.Store(&fail)
}

// failOnce makes the next operation of this kind fail.
func (h *host) failOnce(action plan.Action, errno syscall.Errno) {
	h.inject(func(op plan.Op) syscall.Errno {
		if op.Action == action && h.fail.Swap(nil) != nil {
			return errno
		}
		return 0
	})
}

// rolledBack wants a document applied and undone.
func (h *host) rolledBack(doc string) engine.Operation {
	h.t.Helper()
	op, err := h.tryApply(doc)
	if err != nil || op.State != engine.RolledBack {
		h.t.Fatalf("apply: %v, state %s, %v", err, op.State, op.Err)
	}
	return op
}

// warns wants a document undone when the kernel refuses such an operation, and done with
// that warning when it does not.
func (h *host) warns(doc string, refused plan.Action, rule string) {
	h.t.Helper()
	before := h.look()
	h.failOnce(refused, unix.EINVAL)
	h.rolledBack(doc)
	h.unchanged(before)
	op := h.apply(doc)
	h.settled()
	if !hasRule(op.Warnings, rule) {
		h.t.Errorf("no warning %s: %v", rule, op.Warnings)
	}
}

// replace applies a document as the whole configuration.
func (h *host) replace(doc string) engine.Operation {
	h.t.Helper()
	d, err := codec.Decode([]byte(doc), codec.Auto)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.Stage(h.t.Context(), engine.StageRequest{Documents: []netcfg.Document{d}, Replace: true}); err != nil {
		h.t.Fatal(err)
	}
	return h.apply(`{}`)
}

// unchanged wants the host to be as it was.
func (h *host) unchanged(before state.Snapshot) {
	h.t.Helper()
	h.becomes(before, h.look)
}

// becomes wants looks at the host to give this, within the time that the kernel
// takes to bring back what comes by itself.
func (h *host) becomes(before state.Snapshot, look func() state.Snapshot) {
	h.t.Helper()
	var diff string
	equal := func() bool {
		diff = cmp.Diff(lasting(before), lasting(look()), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}), cmpopts.EquateEmpty())
		return diff == ""
	}
	for end := time.Now().Add(3 * time.Second); !equal(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Errorf("the host is not as it was (-before +after):\n%s", diff)
			return
		}
	}
}

// lasting leaves out of a snapshot what the kernel does by itself, sooner or later:
// histories, the states of carriers, the link-local addresses of IPv6, and the bond
// options that it tells although they do not exist in the mode.
func lasting(s state.Snapshot) state.Snapshot {
	s.Links, s.Addresses, s.Routes = slices.Clone(s.Links), slices.Clone(s.Addresses), slices.Clone(s.Routes)
	for i := range s.Links {
		l := &s.Links[i]
		l.Counters, l.CarrierUps, l.CarrierDowns, l.OperState, l.Carrier = nil, 0, 0, "", false
		l.Discovery.DisableIPv6 = 0 // by which tests have addresses refused
		if l.Slave != nil {
			l.Slave = &state.Slave{PermMAC: l.Slave.PermMAC, QueueID: l.Slave.QueueID}
		}
		if l.Bond != nil {
			l.Bond = &state.Bond{Options: maps.Clone(l.Bond.Options)}
			maps.DeleteFunc(l.Bond.Options, func(name, _ string) bool {
				s, ok := netcfg.BondOptionSpec(name)
				return !ok || !s.ValidIn(l.Bond.Options["mode"])
			})
		}
	}
	s.Addresses = slices.DeleteFunc(s.Addresses, state.Address.LinkLocal)
	for i := range s.Addresses {
		s.Addresses[i].Flags &^= state.FlagTentative
	}
	s.Routes = slices.DeleteFunc(s.Routes, func(r state.Route) bool {
		return r.Dst.Addr().IsLinkLocalUnicast() && r.Protocol == state.ProtocolKernel
	})
	for i := range s.Routes {
		s.Routes[i].Flags &^= linkDown
	}
	return s
}

// linkDown is RTNH_F_LINKDOWN.
const linkDown = 16
