package kernel

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// everyOption is one value of each bond option.
func everyOption() []plan.Option {
	values := map[string]string{"mode": "802.3ad", "primary": "eth1", "arp_ip_target": "192.0.2.1,192.0.2.2", "ns_ip6_target": "2001:db8::1",
		"ad_actor_system": "02:00:00:00:00:01"}
	var all []plan.Option
	for i, spec := range netcfg.BondOptions {
		value, ok := values[spec.Name]
		switch {
		case ok:
		case spec.Type == netcfg.TypeEnum:
			value = spec.Words[len(spec.Words)-1]
		default:
			value = fmt.Sprint(100 + i)
		}
		all = append(all, plan.Option{Name: spec.Name, Value: value})
	}
	return all
}

// TestEncodeGolden holds the bytes of requests to the file, which has been read by
// people. -update writes it.
func TestEncodeGolden(t *testing.T) {
	static := wantAddress(7, "192.0.2.1/24")
	full := state.Address{Prefix: netip.MustParsePrefix("198.51.100.1/32"), Peer: netip.MustParseAddr("198.51.100.2"), Broadcast: netip.MustParseAddr("198.51.100.255"),
		Flags: 0x2ff, Scope: 253, Label: "eth0:1", Valid: 3600, Preferred: 1800, Proto: 9, Metric: 7}
	gateway := route(0, 7, "198.51.100.0/24", "192.0.2.254").Route
	onlink := route(0, 7, "2001:db8:1::/48", "2001:db8::1").Route
	onlink.Flags, onlink.Metric, onlink.Table = 0x15, 9, 1000
	ops := []struct {
		name string
		op   plan.Op
	}{
		{"a bond with everything", plan.Op{Action: plan.LinkAdd, Kind: "bond", Index: 1 << 20, Name: "bond0", Options: everyOption(), PrimaryIndex: 3, MTU: 9000,
			MAC: "02:00:00:00:00:01", Group: plan.OwnerGroup, Up: new(true)}},
		{"a bond with nothing", plan.Op{Action: plan.LinkAdd, Kind: "bond", Index: 1 << 20, Name: "bond0"}},
		{"a VLAN", plan.Op{Action: plan.LinkAdd, Kind: "vlan", Index: 7, Name: "bond0.100", Parent: 5, ParentName: "bond0", VLANID: 100}},
		{"MTU", plan.Op{Action: plan.LinkSet, Index: 7, Name: "eth0", MTU: 1500}},
		{"down", plan.Op{Action: plan.LinkSet, Index: 7, Name: "eth0", Up: new(false)}},
		{"enslave", plan.Op{Action: plan.LinkSet, Index: 7, Name: "eth0", Master: new(5), MasterName: "bond0"}},
		{"release", plan.Op{Action: plan.LinkSet, Index: 7, Name: "eth0", Master: new(0)}},
		{"no link-local", plan.Op{Action: plan.LinkSet, Index: 7, Name: "eth0", AddrGenModeNone: new(true)}},
		{"link-local", plan.Op{Action: plan.LinkSet, Index: 7, Name: "eth0", AddrGenModeNone: new(false)}},
		{"clear primary and targets", plan.Op{Action: plan.LinkSet, Index: 7, Name: "bond0", Options: []plan.Option{{Name: "primary", Value: ""}, {Name: "arp_ip_target", Value: ""}}, PrimaryIndex: 3}},
		{"delete a link", plan.Op{Action: plan.LinkDel, Index: 7, Name: "bond0"}},
		{"delete a group", plan.Op{Action: plan.GroupDel, Group: plan.DoomedGroup, Names: []string{"a", "b"}}},
		{"static address", plan.Op{Action: plan.AddrAdd, Index: 7, Name: "eth0", Address: static}},
		{"address with everything", plan.Op{Action: plan.AddrAdd, Index: 7, Name: "eth0", Address: full}},
		{"delete that", plan.Op{Action: plan.AddrDel, Index: 7, Name: "eth0", Address: full}},
		{"IPv6 address", plan.Op{Action: plan.AddrAdd, Index: 7, Name: "eth0", Address: wantAddress(7, "2001:db8::1/64")}},
		{"route", plan.Op{Action: plan.RouteAdd, Index: 7, Name: "eth0", Route: gateway}},
		{"IPv6 route, onlink, table", plan.Op{Action: plan.RouteReplace, Index: 7, Name: "eth0", Route: onlink}},
		{"delete a route", plan.Op{Action: plan.RouteDel, Index: 7, Name: "eth0", Route: gateway}},
		{"route on the link", plan.Op{Action: plan.RouteAdd, Index: 7, Name: "eth0", Route: route(0, 7, "10.0.0.0/8", "").Route}},
		{"delete the default route on the link", plan.Op{Action: plan.RouteDel, Index: 7, Name: "eth0", Route: route(0, 7, "0.0.0.0/0", "").Route}},
		{"route through IPv6", plan.Op{Action: plan.RouteAdd, Index: 7, Name: "eth0", Route: route(0, 7, "10.0.0.0/8", "2001:db8::1").Route}},
	}
	var got strings.Builder
	for _, o := range ops {
		r, err := encode(o.op)
		if err != nil {
			t.Fatalf("%s: %v", o.name, err)
		}
		fmt.Fprintf(&got, "# %s\ntype %d flags %#x\n%s\n", o.name, r.typ, r.flags, hexLines(r.body))
	}
	const file = "testdata/encode.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestLinkThereAndBack reads what was written: the kernel tells of a link in the
// same attributes in which it is told to make one.
func TestLinkThereAndBack(t *testing.T) {
	op := plan.Op{Action: plan.LinkAdd, Kind: "bond", Index: 1 << 20, Name: "bond0", Options: everyOption(), PrimaryIndex: 3,
		MTU: 9000, MAC: "02:00:00:00:00:01", Group: 7, Up: new(true), Master: new(9), AddrGenModeNone: new(true)}
	r, err := encode(op)
	if err != nil {
		t.Fatal(err)
	}
	got, primary, err := decodeLink(r.body)
	if err != nil || primary != 3 {
		t.Fatal(primary, err)
	}
	options := map[string]string{}
	for _, o := range op.Options {
		options[o.Name] = o.Value
	}
	options["primary"] = "" // whose name is beside the point of the kernel
	want := state.Link{Index: 1 << 20, Name: "bond0", Kind: "bond", MAC: op.MAC, MTU: 9000, Group: 7, AdminUp: true, Master: 9,
		AddrGenModeNone: true, OperState: "unknown", Bond: &state.Bond{Options: options}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	r, err = encode(plan.Op{Action: plan.LinkAdd, Kind: "vlan", Index: 5, Name: "x", Parent: 4, VLANID: 4094})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := decodeLink(r.body); err != nil || got.VLANID != 4094 || got.Parent != 4 || got.AdminUp {
		t.Errorf("%+v, %v", got, err)
	}
}

// addrs draws addresses of a family.
func addrs(bits int) *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), bits/8, bits/8).Draw(t, "address"))
		return a
	})
}

// TestAddressThereAndBack does the same with addresses. Flags beyond 8 bits, and the
// kernel's own, are not for us to set.
func TestAddressThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SampledFrom([]int{32, 128}).Draw(t, "family")
		a := state.Address{
			Link:   rapid.IntRange(1, 1<<30).Draw(t, "link"),
			Prefix: netip.PrefixFrom(addrs(bits).Draw(t, "local"), rapid.IntRange(0, bits).Draw(t, "bits")),
			Flags:  rapid.Uint32().Draw(t, "flags") & wishFlags,
			Scope:  int(rapid.Byte().Draw(t, "scope")),
			Valid:  state.Forever, Preferred: state.Forever,
			Proto:  rapid.Byte().Draw(t, "proto"),
			Metric: rapid.Uint32().Draw(t, "metric"),
		}
		if rapid.Bool().Draw(t, "on loan") {
			a.Valid = rapid.Uint32Range(1, state.Forever-1).Draw(t, "valid")
			a.Preferred = rapid.Uint32Range(0, a.Valid).Draw(t, "preferred")
		}
		if rapid.Bool().Draw(t, "peer") {
			a.Peer = addrs(bits).Filter(func(p netip.Addr) bool { return p != a.Prefix.Addr() }).Draw(t, "other")
		}
		if bits == 32 {
			a.Label = rapid.StringMatching("[a-z0-9:]{0,15}").Draw(t, "label")
			if rapid.Bool().Draw(t, "broadcast") {
				a.Broadcast = addrs(32).Draw(t, "broadcast address")
			}
		}
		got, ok, err := decodeAddress(appendAddress(nil, a.Link, a, true))
		if diff := cmp.Diff(a, got, byValue); diff != "" || !ok || err != nil {
			t.Errorf("%v %v -want +got\n%s", ok, err, diff)
		}
	})
}

func TestRouteThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SampledFrom([]int{32, 128}).Draw(t, "family")
		r := state.Route{
			Table: rapid.OneOf(rapid.IntRange(1, 254), rapid.IntRange(256, 1<<31)).Draw(t, "table"),
			Dst:   netip.PrefixFrom(addrs(bits).Draw(t, "dst"), rapid.IntRange(0, bits).Draw(t, "bits")).Masked(),
			Link:  rapid.IntRange(0, 1<<30).Draw(t, "link"), Metric: rapid.Uint32().Draw(t, "metric"),
			Protocol: rapid.Byte().Draw(t, "protocol"), Scope: rapid.ByteRange(1, 255).Draw(t, "scope"), Type: rapid.ByteRange(1, 9).Draw(t, "type"),
			Flags: rapid.SampledFrom([]uint32{0, plan.FlagOnlink}).Draw(t, "flags"),
		}
		if rapid.Bool().Draw(t, "via") {
			r.Gateway = addrs(rapid.SampledFrom([]int{32, 128}).Draw(t, "its family")).Draw(t, "gateway")
		}
		if rapid.Bool().Draw(t, "src") {
			r.Source = addrs(bits).Draw(t, "source")
		}
		for _, body := range [][]byte{appendRoute(nil, r), appendRouteKey(nil, r)} {
			want := r
			if u32(body[8:]) == 0 { // a key has no flags
				want.Flags = 0
			}
			got, ok, err := decodeRoute(body)
			if diff := cmp.Diff(want, got, byValue); diff != "" || !ok || err != nil {
				t.Errorf("%v %v -want +got\n%s", ok, err, diff)
			}
		}
	})
}

// TestRawIsCleaned puts the kernel's own flags and times into a raw route.
func TestRawIsCleaned(t *testing.T) {
	hop := func(flags byte) []byte {
		b := []byte{16, 0, flags, 0, 7, 0, 0, 0}
		return appendU32(b, unix.RTA_GATEWAY, 0)
	}
	info := make([]byte, 32)
	info[8] = 250 // ticks
	raw := appendRtMsg(nil, state.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Table: 254}, 0x4000|unix.RTNH_F_ONLINK|unix.RTNH_F_LINKDOWN)
	raw = appendAttr(raw, unix.RTA_MULTIPATH, slices.Concat(hop(unix.RTNH_F_DEAD|unix.RTNH_F_ONLINK), hop(unix.RTNH_F_LINKDOWN)))
	raw = appendAttr(raw, unix.RTA_CACHEINFO, info)
	got := appendRaw(nil, raw)
	if f := u32(got[8:]); f != unix.RTNH_F_ONLINK {
		t.Errorf("flags %#x", f)
	}
	attrs := got[unix.SizeofRtMsg:]
	if hops := attribute(attrs, unix.RTA_MULTIPATH); string(hops) != string(slices.Concat(hop(unix.RTNH_F_ONLINK), hop(0))) {
		t.Errorf("next hops %v", hops)
	}
	if attribute(attrs, unix.RTA_CACHEINFO) != nil || u32(attribute(attrs, unix.RTA_EXPIRES)) != 3 {
		t.Errorf("expiry: %v", attrs)
	}
	byID := appendU32(appendAttr(appendU32(raw[:unix.SizeofRtMsg:unix.SizeofRtMsg], nextHopID, 7), unix.RTA_GATEWAY, []byte{1, 2, 3, 4}), unix.RTA_OIF, 7)
	if attrs := appendRaw(nil, byID)[unix.SizeofRtMsg:]; attribute(attrs, unix.RTA_GATEWAY) != nil || attribute(attrs, unix.RTA_OIF) != nil || attribute(attrs, nextHopID) == nil {
		t.Errorf("by id: %v", attrs)
	}
}
