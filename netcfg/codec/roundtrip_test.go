package codec_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

// TestRoundTrip: whatever a configuration says, each format says it too. What is
// compared is the configuration that the document makes of an empty one.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := configs().Draw(t, "config")
		for _, r := range renderings {
			text := encoded(t, c, r.format, r.options)
			doc, err := codec.Decode(text, r.format)
			if err != nil {
				t.Fatalf("%s is not read again: %v\n%s", r.file, err, text)
			}
			if len(doc.Warnings) > 0 {
				t.Fatalf("%s warns when read again: %v", r.file, doc.Warnings)
			}
			want := merged(t, netcfg.DocumentOf(r.keeps(c)))
			got := merged(t, doc)
			if diff := cmp.Diff(r.keeps(want), r.keeps(got), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s (-want +got):\n%s\n%s", r.file, diff, text)
			}
		}
	})
}

// TestStoredRoundTrip: what is stored comes back to the letter.
func TestStoredRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := configs().Draw(t, "config")
		var b bytes.Buffer
		if err := codec.EncodeStored(&b, c); err != nil {
			t.Fatal(err)
		}
		got, err := codec.DecodeStored(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
	if _, err := codec.DecodeStored([]byte(`{"host_nics": [{"of_a_later_version": 1}]}`)); err != nil {
		t.Errorf("a field of a later version: %v", err)
	}
	if _, err := codec.DecodeStored([]byte(`{"host_nics": 1}`)); err == nil {
		t.Error("a damaged file was read")
	}
}

// TestEveryFieldRoundTrips breaks when netcfg gets a field that this package, or
// full below, does not know yet.
func TestEveryFieldRoundTrips(t *testing.T) {
	c := full()
	for _, path := range emptyFields(reflect.ValueOf(c), "config") {
		t.Errorf("%s is new: give it a value in full, and see that every format says it", path)
	}
	for _, r := range renderings {
		text := encode(t, c, r.format, r.options)
		got := merged(t, decode(t, text, r.format))
		want := merged(t, netcfg.DocumentOf(r.keeps(c)))
		if diff := cmp.Diff(r.keeps(want), r.keeps(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.file, diff)
		}
	}
	want := []string{"networks", "host_nics[bond0].additional_ips", "host_nics[bond0].expected_neighbour", "routes", "dns"}
	if diff := cmp.Diff(want, codec.XMLOmits(c)); diff != "" {
		t.Errorf("XMLOmits (-want +got):\n%s", diff)
	}
	if got := codec.XMLOmits(sayableInXML(c)); got != nil {
		t.Errorf("XMLOmits of what XML can say: %q", got)
	}
}

// emptyFields are the paths of all fields that have no value.
func emptyFields(v reflect.Value, path string) (empty []string) {
	if v.IsZero() {
		return []string{path}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return emptyFields(v.Elem(), path)
	case reflect.Slice:
		return emptyFields(v.Index(0), path+"[0]")
	case reflect.Struct:
		for i := range v.NumField() {
			empty = append(empty, emptyFields(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
	}
	return empty
}

func full() netcfg.Config {
	vlan := &netcfg.VLAN{ID: ptr(100)}
	return netcfg.Config{
		Networks: []netcfg.Network{{ID: "n1", Name: "ovirtmgmt", VLAN: vlan, MTU: ptr(1500), Bridged: ptr(true)}},
		HostNics: []netcfg.HostNic{{
			Name:    "bond0",
			ID:      "e8f02fdf-3d7b-4135-86e1-1bf185570cd8",
			Host:    &netcfg.Reference{ID: "h1", Name: "host1"},
			Network: &netcfg.Reference{ID: "n1", Name: "ovirtmgmt"},
			MAC:     &netcfg.MAC{Address: "52:54:00:12:34:56"},
			IP:      &netcfg.IP{Address: "192.0.2.10", Netmask: "255.255.255.0", Gateway: "192.0.2.1"},
			IPv6:    &netcfg.IPv6{Address: "2001:db8::10", Prefix: ptr(64), Gateway: "2001:db8::1"},

			AdditionalIPs:     []string{"192.0.2.11/24", "2001:db8::11/64"},
			BootProtocol:      netcfg.BootStatic,
			IPv6BootProtocol:  netcfg.BootStatic,
			MTU:               ptr(9000),
			VLAN:              vlan,
			BaseInterface:     "eth9",
			ExpectedNeighbour: &netcfg.ExpectedNeighbour{SystemName: "leaf3", ChassisID: "52:54:00:00:00:01", PortID: "Ethernet12", PortDescription: "to host1", Required: ptr(true)},
			Bonding: &netcfg.Bonding{
				Options: []netcfg.BondOption{{Name: "mode", Value: "4", Type: "Dynamic link aggregation (802.3ad)"}, {Name: "miimon", Value: "100"}},
				Slaves:  []string{"eth0", "6aede5ca-4c54-4b37-a81b-c0d6b53558ea"},
			},
		}},
		Routes: []netcfg.Route{{Destination: "198.51.100.0/24", Gateway: "192.0.2.1", NIC: "bond0", Metric: ptr(10), Table: ptr(254)}},
		DNS:    &netcfg.DNS{Servers: []string{"192.0.2.53"}, Search: []string{"example.com"}, StaticOnly: ptr(true)},
	}
}

func merged(t rapid.TB, doc netcfg.Document) netcfg.Config {
	t.Helper()
	c, problems := netcfg.Merge(netcfg.Config{}, doc, identity)
	if problems != nil {
		t.Fatalf("Merge: %v", problems)
	}
	return c
}

// identity knows every id as a name of its own kind, so that Merge takes them.
func identity(ref string) string {
	if name, ok := strings.CutPrefix(ref, "id of "); ok {
		return name
	}
	if ref == full().HostNics[0].ID {
		return full().HostNics[0].Name
	}
	return ref
}

func encoded(t rapid.TB, c netcfg.Config, f codec.Format, o codec.EncodeOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := codec.Encode(&b, c, f, o); err != nil {
		t.Fatalf("Encode as %s: %v", f, err)
	}
	return b.Bytes()
}

// words are texts that are hard on one format or the other: what YAML takes for
// something else, what XML and JSON escape, and letters beyond ASCII.
func words() *rapid.Generator[string] {
	hard := []string{
		"on", "yes", "null", "~", "true", "1", "1e3", "0x10", "010", "1.5", ".inf", "2026-01-02", "12:30:45", "<<", "*a", "&a", "!x", "- a", "a: b",
		"#x", "a #b", "{", "[", "'", "\"", "`", "@", "%", "|", ">", "<b>", "&amp;", "]]>", "\\n", "a b", "ä", "界", "e\u0301", "😀", "...", "---", "=",
	}
	return rapid.OneOf(rapid.SampledFrom(hard), rapid.StringMatching(`[a-z][a-z0-9.:/_-]{0,14}`),
		rapid.StringMatching(`[!-~]{1,12}`), rapid.Just("e8f02fdf-3d7b-4135-86e1-1bf185570cd9"))
}

// maybe leaves a part out half of the time.
func maybe[T any](t *rapid.T, name string, g func() T) *T {
	if !rapid.Bool().Draw(t, "with "+name) {
		return nil
	}
	return ptr(g())
}

func configs() *rapid.Generator[netcfg.Config] {
	return rapid.Custom(func(t *rapid.T) netcfg.Config {
		word := func(label string) string { return words().Draw(t, label) }
		orNot := func(label string) string { return rapid.OneOf(rapid.Just(""), words()).Draw(t, label) }
		number := func(label string) *int { return maybe(t, label, func() int { return rapid.Int().Draw(t, label) }) }
		texts := func(label string) []string { return rapid.SliceOfN(words(), 0, 3).Draw(t, label) }
		var c netcfg.Config
		for _, name := range rapid.SliceOfNDistinct(words(), 0, 4, rapid.ID).Draw(t, "names") {
			c.HostNics = append(c.HostNics, hostNic(t, name))
		}
		for range rapid.IntRange(0, 2).Draw(t, "networks") {
			c.Networks = append(c.Networks, netcfg.Network{ID: strings.ReplaceAll(orNot("network id"), " ", ""), Name: orNot("network name"), MTU: number("network mtu"),
				VLAN:    maybe(t, "network vlan", func() netcfg.VLAN { return netcfg.VLAN{ID: number("network vlan id")} }),
				Bridged: maybe(t, "bridged", func() bool { return rapid.Bool().Draw(t, "bridged") })})
		}
		for range rapid.IntRange(0, 2).Draw(t, "routes") {
			c.Routes = append(c.Routes, netcfg.Route{Destination: word("destination"), Gateway: orNot("route gateway"), NIC: orNot("route nic"),
				Metric: number("metric"), Table: number("table")})
		}
		c.DNS = maybe(t, "dns", func() netcfg.DNS {
			return netcfg.DNS{Servers: texts("servers"), Search: texts("search"),
				StaticOnly: maybe(t, "static_only", func() bool { return rapid.Bool().Draw(t, "static_only") })}
		})
		return c
	})
}

func hostNic(t *rapid.T, name string) netcfg.HostNic {
	word := func(label string) string { return words().Draw(t, label) }
	orNot := func(label string) string { return rapid.OneOf(rapid.Just(""), words()).Draw(t, label) }
	number := func(label string) *int { return maybe(t, label, func() int { return rapid.Int().Draw(t, label) }) }
	reference := func() netcfg.Reference {
		return netcfg.Reference{ID: strings.ReplaceAll(word("reference id"), " ", ""), Name: orNot("reference name")}
	}
	boot := rapid.SampledFrom([]netcfg.BootProtocol{"", netcfg.BootNone, netcfg.BootStatic, netcfg.BootDHCP, netcfg.BootAutoconf, "PXE"})
	n := netcfg.HostNic{
		Name: name,
		Host: maybe(t, "host", reference), Network: maybe(t, "network", reference),
		MAC: maybe(t, "mac", func() netcfg.MAC { return netcfg.MAC{Address: word("mac")} }),
		IP: maybe(t, "ip", func() netcfg.IP {
			return netcfg.IP{Address: orNot("ip"), Netmask: orNot("netmask"), Gateway: orNot("gateway")}
		}),
		IPv6: maybe(t, "ipv6", func() netcfg.IPv6 {
			return netcfg.IPv6{Address: orNot("ipv6"), Prefix: number("prefix"), Gateway: orNot("gateway6")}
		}),
		AdditionalIPs: rapid.SliceOfN(words(), 0, 3).Draw(t, "additional"),
		BootProtocol:  boot.Draw(t, "boot"), IPv6BootProtocol: boot.Draw(t, "boot6"),
		MTU:           number("mtu"),
		VLAN:          maybe(t, "vlan", func() netcfg.VLAN { return netcfg.VLAN{ID: number("vlan id")} }),
		BaseInterface: orNot("base"),
	}
	if rapid.Bool().Draw(t, "with id") && !strings.Contains(name, " ") {
		n.ID = name
	}
	n.Bonding = maybe(t, "bonding", func() netcfg.Bonding {
		return netcfg.Bonding{Options: bondOptions(t), Slaves: rapid.SliceOfN(words(), 0, 3).Draw(t, "slaves")}
	})
	return n
}

// bondOptions are options in every spelling that is accepted, and some that only
// netcfg.Validate refuses.
func bondOptions(t *rapid.T) []netcfg.BondOption {
	var out []netcfg.BondOption
	specs := rapid.SliceOfNDistinct(rapid.IntRange(0, len(netcfg.BondOptions)-1), 0, 5, rapid.ID[int]).Draw(t, "options")
	for _, i := range specs {
		s := netcfg.BondOptions[i]
		o := netcfg.BondOption{Name: s.Name, Type: rapid.OneOf(rapid.Just(""), words()).Draw(t, "type")}
		switch {
		case rapid.IntRange(0, 4).Draw(t, "wrong") == 0:
			o.Value = rapid.OneOf(rapid.Just(""), words()).Draw(t, "any value")
		case s.Type == netcfg.TypeEnum:
			n := rapid.IntRange(0, len(s.Words)-1).Draw(t, "word")
			o.Value = rapid.SampledFrom([]string{s.Words[n], strconv.Itoa(n), fmt.Sprintf("%s %d", s.Words[n], n)}).Draw(t, "spelling")
		case s.Type == netcfg.TypeInt:
			o.Value = strconv.Itoa(rapid.IntRange(s.Min, s.Max).Draw(t, "number"))
		case s.Type == netcfg.TypeIPv4s:
			o.Value = rapid.SampledFrom([]string{"", "192.0.2.1", "192.0.2.1,192.0.2.2"}).Draw(t, "targets")
		default:
			o.Value = rapid.OneOf(rapid.Just(""), words()).Draw(t, "value")
		}
		if s.Name == "num_grat_arp" && rapid.Bool().Draw(t, "alias") {
			o.Name = "num_unsol_na"
		}
		out = append(out, o)
	}
	unknown := rapid.SliceOfNDistinct(words(), 0, 2, rapid.ID).Draw(t, "unknown options")
	for _, name := range slices.Sorted(slices.Values(unknown)) {
		if _, ok := netcfg.BondOptionSpec(name); !ok {
			out = append(out, netcfg.BondOption{Name: name, Value: rapid.OneOf(rapid.Just(""), words()).Draw(t, "unknown value")})
		}
	}
	return out
}
