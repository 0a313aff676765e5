package kernel

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// fixedSizes are the headers before the attributes, by folder of testdata.
var fixedSizes = map[string]int{
	"link": unix.SizeofIfInfomsg, "address": unix.SizeofIfAddrmsg, "route": unix.SizeofRtMsg, "modes": genlHeaderSize,
}

// TestUnknownAttributes puts attributes that nobody knows anywhere into messages,
// also into nests: nothing else is read for it.
func TestUnknownAttributes(t *testing.T) {
	for folder, decode := range decoders {
		for _, file := range goldenFiles(t, folder) {
			message := readHex(t, file)
			want, err := decode(message)
			if err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) {
				n := fixedSizes[folder]
				strange := append(append([]byte(nil), message[:n]...), sprinkle(t, message[n:], 0)...)
				got, err := decode(strange)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				if diff := cmp.Diff(withoutRaw(want), withoutRaw(got), byValue); diff != "" {
					t.Errorf("%s: -want +got\n%s", file, diff)
				}
			})
		}
	}
}

// nests are the attributes that are known to hold attributes, at the depth where
// they do.
var nests = map[int][]uint16{
	0: {unix.IFLA_LINKINFO},
	1: {unix.IFLA_INFO_DATA, unix.IFLA_INFO_SLAVE_DATA},
}

// sprinkle copies attributes and adds some of types that do not exist, 5000 up.
func sprinkle(t *rapid.T, b []byte, depth int) []byte {
	var out []byte
	strange := rapid.Custom(func(t *rapid.T) []byte {
		return appendAttr(nil, rapid.Uint16Range(5000, 0x3fff).Draw(t, "type"), rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "value"))
	})
	for typ, v := range attributes(b) {
		if rapid.IntRange(0, 3).Draw(t, "here") == 0 {
			out = append(out, strange.Draw(t, "attribute")...)
		}
		for _, nest := range nests[depth] {
			if typ == nest && len(v) > 8 && isLink(b, depth) {
				v = sprinkle(t, v, depth+1)
			}
		}
		out = appendAttr(out, typ, v)
	}
	return append(out, strange.Draw(t, "attribute")...)
}

// isLink is true of attributes of a link, where the nests are, and of those within.
func isLink(b []byte, depth int) bool {
	return depth > 0 || attribute(b, unix.IFLA_IFNAME) != nil && attribute(b, unix.IFLA_TXQLEN) != nil
}

// withoutRaw takes out of a route what is a copy of the message.
func withoutRaw(v any) any {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return v
	}
	if r, ok := list[0].(state.Route); ok {
		r.Raw = nil
		return []any{r, list[1]}
	}
	return v
}

// TestShortMessages cuts messages off at every byte.
func TestShortMessages(t *testing.T) {
	for folder, decode := range decoders {
		for _, file := range goldenFiles(t, folder) {
			message := readHex(t, file)
			for n := range message {
				_, _ = decode(message[:n:n])
				if n < fixedSizes[folder] {
					if _, err := decode(message[:n:n]); err == nil {
						t.Errorf("%s: %d bytes are no message", file, n)
					}
				}
			}
		}
	}
}

func TestDecodeLinkOddities(t *testing.T) {
	base := appendText(appendIfInfo(nil, 7, 0, 0), unix.IFLA_IFNAME, "x")
	info := func(kind string, fill func([]byte) []byte) []byte {
		return appendNested(nil, unix.IFLA_LINKINFO, func(b []byte) []byte {
			return appendNested(appendText(b, unix.IFLA_INFO_KIND, kind), unix.IFLA_INFO_DATA, fill)
		})
	}
	none := func(b []byte) []byte { return b }
	hardware := appendText(appendAttr(nil, unix.IFLA_PERM_ADDRESS, []byte{2, 0, 0, 0, 0, 1}), unix.IFLA_PARENT_DEV_NAME, "0000:03:00.0")
	tests := []struct {
		name  string
		attrs []byte
		check func(state.Link) bool
	}{
		{"hardware", hardware, func(l state.Link) bool { return l.PermMAC == "02:00:00:00:00:01" && l.BusPath == "0000:03:00.0" }},
		{"a VLAN on it has neither", append(hardware, info("vlan", none)...), func(l state.Link) bool { return l.PermMAC == "" && l.BusPath == "" }},
		{"zero MAC", appendAttr(nil, unix.IFLA_ADDRESS, make([]byte, 6)), func(l state.Link) bool { return l.MAC == "" }},
		{"no MAC", appendAttr(nil, unix.IFLA_ADDRESS, nil), func(l state.Link) bool { return l.MAC == "" }},
		{"InfiniBand MAC", appendAttr(nil, unix.IFLA_ADDRESS, append(make([]byte, 19), 1)), func(l state.Link) bool { return strings.HasSuffix(l.MAC, ":00:01") && len(l.MAC) == 59 }},
		{"an operstate of the future", appendU8(nil, unix.IFLA_OPERSTATE, 99), func(l state.Link) bool { return l.OperState == "unknown" }},
		{"VLAN", append(appendU32(nil, unix.IFLA_LINK, 3), info("vlan", func(b []byte) []byte { return appendU16(b, unix.IFLA_VLAN_ID, 9) })...),
			func(l state.Link) bool { return l.Parent == 3 && l.VLANID == 9 }},
		{"VLAN whose parent is elsewhere", append(appendU32(appendU32(nil, unix.IFLA_LINK, 3), unix.IFLA_LINK_NETNSID, 0), info("vlan", none)...),
			func(l state.Link) bool { return l.Parent == 0 }},
		{"veth", append(appendU32(nil, unix.IFLA_LINK, 3), info("veth", none)...), func(l state.Link) bool { return l.Parent == 0 }},
		{"tunnel", append(appendU32(nil, unix.IFLA_LINK, 3), info("vxlan", none)...), func(l state.Link) bool { return l.Parent == 0 }},
		{"bond with a word of the future", info("bond", func(b []byte) []byte { return appendU8(b, unix.IFLA_BOND_AD_SELECT, 3) }),
			func(l state.Link) bool { return l.Bond.Options["ad_select"] == "3" }},
		{"bond with a mode of the future", info("bond", func(b []byte) []byte { return appendU8(b, unix.IFLA_BOND_MODE, 7) }),
			func(l state.Link) bool { return l.Bond.Options["mode"] == "7" }},
		{"slave of a bridge", appendNested(nil, unix.IFLA_LINKINFO, func(b []byte) []byte { return appendText(b, unix.IFLA_INFO_SLAVE_KIND, "bridge") }),
			func(l state.Link) bool { return l.Slave == nil }},
		{"no IPv6", appendNested(nil, unix.IFLA_AF_SPEC, none), func(l state.Link) bool { return !l.AddrGenModeNone }},
		{"old counters", appendAttr(nil, unix.IFLA_STATS64, binary.NativeEndian.AppendUint64(nil, 5)), func(l state.Link) bool { return *l.Counters == state.Counters{RxPackets: 5} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, _, err := decodeLink(append(append([]byte(nil), base...), test.attrs...))
			if err != nil || l.Index != 7 || l.Name != "x" || !test.check(l) {
				t.Errorf("%+v, %v", l, err)
			}
		})
	}
}

// TestMedium has what drivers say of links that have no speed.
func TestMedium(t *testing.T) {
	tests := []struct {
		megabits uint32
		duplex   uint8
		speed    int64 // 0 is nil
		word     string
	}{
		{1000, 1, 1e9, "full"},
		{10, 0, 1e7, "half"},
		{400000, 1, 4e11, "full"},
		{25000, 0xff, 25e9, ""},
		{0xffffffff, 0xff, 0, ""},
		{0xffffffff, 0, 0, ""},
		{0xffff, 0, 0, ""},
		{0, 1, 0, ""},
	}
	for _, test := range tests {
		speed, word := readMedium(test.megabits, test.duplex)
		if word != test.word || (speed == nil) != (test.speed == 0) || speed != nil && *speed != test.speed {
			t.Errorf("%d, %d: got %v %q", test.megabits, test.duplex, speed, word)
		}
	}
}

// TestEveryOptionHasAnAttribute breaks when netcfg learns an option.
func TestEveryOptionHasAnAttribute(t *testing.T) {
	seen := map[uint16]string{}
	for _, spec := range netcfg.BondOptions {
		attr, ok := bondAttrs[spec.Name]
		if !ok {
			t.Errorf("%s has none", spec.Name)
		}
		if other, double := seen[attr.typ]; double {
			t.Errorf("%s has that of %s", spec.Name, other)
		}
		seen[attr.typ] = spec.Name
	}
	if len(bondAttrs) != len(netcfg.BondOptions) {
		t.Errorf("%d attributes for %d options", len(bondAttrs), len(netcfg.BondOptions))
	}
}

// TestWholeFields breaks when a struct of state gets a field, until somebody has
// thought about where it is read.
func TestWholeFields(t *testing.T) {
	for _, s := range []struct {
		value  any
		fields int
	}{{state.Link{}, 30}, {state.Address{}, 11}, {state.Route{}, 11}, {state.Bond{}, 3}, {state.Slave{}, 8}, {state.AggregatorInfo{}, 5}} {
		if n := reflect.TypeOf(s.value).NumField(); n != s.fields {
			t.Errorf("%T has %d fields: are all of them decoded, and encoded?", s.value, n)
		}
	}
}

func FuzzDecodeLink(f *testing.F)    { fuzz(f, "link") }
func FuzzDecodeAddress(f *testing.F) { fuzz(f, "address") }
func FuzzDecodeRoute(f *testing.F)   { fuzz(f, "route") }
func FuzzDecodeModes(f *testing.F)   { fuzz(f, "modes") }

func fuzz(f *testing.F, folder string) {
	for _, file := range goldenFiles(f, folder) {
		f.Add(readHex(f, file))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		before := string(message)
		value, err := decoders[folder](message)
		if string(message) != before {
			t.Error("the message was changed")
		}
		if list, ok := value.([]any); ok && err == nil {
			again(t, list)
		}
	})
}

// again encodes what was read, which must not panic either.
func again(t *testing.T, list []any) {
	switch v := list[0].(type) {
	case state.Address:
		if list[1] == true {
			appendAddress(nil, v.Link, v, true)
		}
	case state.Route:
		if list[1] == true {
			appendRoute(nil, v)
			if _, _, err := decodeRoute(appendRouteKey(nil, v)); err != nil {
				t.Errorf("%+v: %v", v, err)
			}
		}
	}
}

// FuzzMessages reads whole datagrams the way a dump, an Apply and a Watch do.
func FuzzMessages(f *testing.F) {
	for typ, folder := range map[uint16]string{unix.RTM_NEWLINK: "link", unix.RTM_NEWADDR: "address", unix.RTM_DELROUTE: "route"} {
		for _, file := range goldenFiles(f, folder)[:2] {
			f.Add(appendMessage(appendMessage(nil, request{typ: typ, body: readHex(f, file)}, 0, 1), request{typ: unix.NLMSG_DONE, body: make([]byte, 4)}, 0, 1))
		}
	}
	f.Add(appendMessage(nil, refusal(unix.EPERM, "Device can not be enslaved while up"), 0, 7))
	f.Fuzz(func(_ *testing.T, datagram []byte) {
		for m := range messages(datagram) {
			decodeEvent(m)
			_ = decodeDone(m)
			if a, err := decodeAnswer(m); err == nil {
				_ = a.Error()
			}
		}
	})
}
