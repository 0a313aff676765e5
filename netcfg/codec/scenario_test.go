package codec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

// TestScenario_X19: numbers that are not plain decimals are refused in every
// format; those that only lie out of range are read for netcfg.Validate to refuse.
func TestScenario_X19(t *testing.T) {
	bad := map[string]string{
		"10.0": "wrong-type", "1e3": "wrong-type", "0x10": "wrong-type", "010": "wrong-type", "+5": "wrong-type", "-0": "wrong-type",
		"1_000": "wrong-type", "abc": "wrong-type", "": "wrong-type", " 5": "wrong-type", "true": "wrong-type",
		"9223372036854775808": "out-of-range", "-9223372036854775809": "out-of-range",
	}
	forms := map[string]struct {
		text    string
		format  codec.Format
		skipped []string
	}{
		"YAML":        {"host_nics: [{name: v, vlan: {id: %s}, mtu: %[1]s}]", codec.YAML, []string{"", " 5"}},
		"YAML quoted": {"host_nics: [{name: v, vlan: {id: '%s'}, mtu: '%[1]s'}]", codec.YAML, nil},
		"JSON":        {`{"host_nics": [{"name": "v", "vlan": {"id": %s}, "mtu": %[1]s}]}`, codec.JSON, []string{"", " 5", "abc", "0x10", "010", "+5", "1_000"}},
		"JSON quoted": {`{"host_nics": [{"name": "v", "vlan": {"id": "%s"}, "mtu": "%[1]s"}]}`, codec.JSON, nil},
		"XML":         {`<nic><name>v</name><vlan id="%s"/><mtu>%[1]s</mtu></nic>`, codec.XML, []string{"", " 5"}},
	}
	for name, form := range forms {
		for number, rule := range bad {
			if slices.Contains(form.skipped, number) {
				continue
			}
			t.Run(name+" "+number, func(t *testing.T) {
				_, err := codec.Decode([]byte(fmt.Sprintf(form.text, number)), form.format)
				ps, _ := err.(netcfg.Problems)
				var got []string
				for _, p := range ps {
					got = append(got, p.Path+" "+p.Rule)
				}
				want := []string{"host_nics[v].vlan.id " + rule, "host_nics[v].mtu " + rule}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
		for _, number := range []int{-1, 0, 67, 70000, 4294967295} {
			doc := decode(t, fmt.Appendf(nil, form.text, fmt.Sprint(number)), form.format)
			if n := doc.Nics[0]; *n.MTU != number || *n.VLAN.ID != number {
				t.Errorf("%s: %d is read as mtu %d and vlan id %d", name, number, *n.MTU, *n.VLAN.ID)
			}
		}
	}
}

// TestScenario_X20: elements that we or oVirt do not have are ignored; only the
// latter are worth a word.
func TestScenario_X20(t *testing.T) {
	doc := decode(t, []byte(`<host_nic id="x" href="/api" colour="blue">
<name>eth0</name>
<in_sync>true</in_sync>
<reported_configurations><reported_configuration><name>mtu</name></reported_configuration></reported_configurations>
<speed>abc</speed>
<colour><of><the><sky>blue</sky></the></of></colour>
<properties/>
<ip address="192.0.2.1" colour="blue"><version>v4</version></ip>
<bonding><active_slave id="y"/><colour>blue</colour><options><colour>blue</colour></options></bonding>
</host_nic>`), codec.XML)
	want := []netcfg.NicEdit{{HostNic: netcfg.HostNic{Name: "eth0", ID: "x", IP: &netcfg.IP{Address: "192.0.2.1"}, Bonding: &netcfg.Bonding{}}}}
	if diff := cmp.Diff(want, doc.Nics); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantWarnings := []string{"1 host_nics[eth0].colour", "6 host_nics[eth0].colour", "8 host_nics[eth0].ip.colour",
		"9 host_nics[eth0].bonding.colour", "9 host_nics[eth0].bonding.options.colour"}
	if diff := cmp.Diff(wantWarnings, warnings(doc, "ignored-element")); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestOutputOnly: what show prints can be handed back, whatever it holds.
func TestOutputOnly(t *testing.T) {
	var text strings.Builder
	var want []string
	text.WriteString("host_nics:\n- name: eth0\n  mtu: 1500\n")
	for i, name := range strings.Fields("permanent_mac speed duplex status admin_state oper_state carrier master active_slave " +
		"ad_aggregator_id ad_partner_mac lease addresses statistics lldp drift waiting owner kind") {
		fmt.Fprintf(&text, "  %s: {a: [1, null, \"two\\nlines\"]}\n", name)
		want = append(want, fmt.Sprintf("%d host_nics[eth0].%s", i+4, name))
	}
	doc := decode(t, []byte(text.String()), codec.YAML)
	if diff := cmp.Diff([]netcfg.NicEdit{{HostNic: netcfg.HostNic{Name: "eth0", MTU: ptr(1500)}}}, doc.Nics); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, warnings(doc, "output-only")); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func warnings(doc netcfg.Document, rule string) []string {
	var out []string
	for _, w := range doc.Warnings {
		if w.Rule == rule {
			out = append(out, fmt.Sprint(w.Line, " ", w.Path))
		}
	}
	return out
}

// TestScenario_W10: a document says the same in v3 form, in v4 form, in a mix of
// both, and in YAML and JSON.
func TestScenario_W10(t *testing.T) {
	want := netcfg.Config{HostNics: []netcfg.HostNic{{
		Name: "bond0", Network: &netcfg.Reference{Name: "ovirtmgmt"}, MAC: &netcfg.MAC{Address: "52:54:00:12:34:56"},
		IP:      &netcfg.IP{Address: "192.0.2.10", Netmask: "255.255.255.0", Gateway: "192.0.2.1"},
		Bonding: &netcfg.Bonding{Options: []netcfg.BondOption{{Name: "mode", Value: "4"}}, Slaves: []string{"eth0", "eth1"}},
	}}}
	for name, text := range map[string]string{
		"v3": `<host_nic><name>bond0</name><network><name>ovirtmgmt</name></network><mac address="52:54:00:12:34:56"/>
			<ip address="192.0.2.10" netmask="255.255.255.0" gateway="192.0.2.1"/>
			<bonding><options><option name="mode" value="4"/></options>
			<slaves><host_nic id="eth0"/><host_nic><name>eth1</name></host_nic></slaves></bonding></host_nic>`,
		"v4": `<host_nic><name>bond0</name><network><name>ovirtmgmt</name></network><mac><address>52:54:00:12:34:56</address></mac>
			<ip><address>192.0.2.10</address><netmask>255.255.255.0</netmask><gateway>192.0.2.1</gateway></ip>
			<bonding><options><option><name>mode</name><value>4</value></option></options>
			<slaves><host_nic id="eth0"/><host_nic><name>eth1</name></host_nic></slaves></bonding></host_nic>`,
		"mixed, in a list": `<host_nics><nic><bonding><slaves><host_nic name="eth0"/><host_nic><id>eth1</id></host_nic></slaves>
			<options><option name="mode"><value> 4 </value></option></options></bonding>
			<ip address="192.0.2.10" version="v4"><netmask>255.255.255.0</netmask><gateway> 192.0.2.1
			</gateway></ip><mac><address>52:54:00:12:34:56</address></mac><network name="ovirtmgmt"/><name>bond0</name></nic></host_nics>`,
		"YAML": `host_nics: [{name: bond0, network: {name: ovirtmgmt}, mac: {address: 52:54:00:12:34:56},
			ip: {address: 192.0.2.10, netmask: 255.255.255.0, gateway: 192.0.2.1}, bonding: {options: mode=4, slaves: [eth0, eth1]}}]`,
		"JSON": `{"host_nics": [{"name": "bond0", "network": {"name": "ovirtmgmt"}, "mac": {"address": "52:54:00:12:34:56"},
			"ip": {"address": "192.0.2.10", "netmask": "255.255.255.0", "gateway": "192.0.2.1"},
			"bonding": {"options": {"mode": 4}, "slaves": [{"name": "eth0"}, {"id": "eth1"}]}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, merged(t, decode(t, []byte(text), codec.Auto)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestScenario_I03: a mask given as prefix length has the same result.
func TestScenario_I03(t *testing.T) {
	want := &netcfg.IP{Address: "192.0.2.1", Netmask: "255.255.255.0"}
	for _, text := range []string{
		"host_nics: [{name: e, ip: {address: 192.0.2.1, netmask: 24}}]",
		"host_nics: [{name: e, ip: {address: 192.0.2.1, netmask: '24'}}]",
		`{"host_nics": [{"name": "e", "ip": {"address": "192.0.2.1", "netmask": 24}}]}`,
		`{"host_nics": [{"name": "e", "ip": {"address": "192.0.2.1", "netmask": "255.255.255.0"}}]}`,
		`<nic><name>e</name><ip address="192.0.2.1" netmask="24"/></nic>`,
		`<nic><name>e</name><ip><address>192.0.2.1</address><netmask>255.255.255.0</netmask></ip></nic>`,
	} {
		if diff := cmp.Diff(want, merged(t, decode(t, []byte(text), codec.Auto)).HostNics[0].IP); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, wrong := range []string{"24.0", "0x18", "024"} {
		if got := refusals(t, "host_nics: [{name: e, ip: {netmask: "+wrong+"}}]", codec.YAML); got != "1:37 host_nics[e].ip.netmask wrong-type" {
			t.Errorf("netmask %s: %q", wrong, got)
		}
	}
}

// TestScenario_I22: in oVirt's XML the prefix length of IPv6 sits in netmask, in
// both directions.
func TestScenario_I22(t *testing.T) {
	want := &netcfg.IPv6{Address: "2001:db8::1", Prefix: ptr(64), Gateway: "2001:db8::2"}
	for version, part := range map[int]string{
		3: `<ipv6 address="2001:db8::1" netmask="64" gateway="2001:db8::2"/>`,
		4: `<ipv6><address>2001:db8::1</address><gateway>2001:db8::2</gateway><netmask>64</netmask><version>v6</version></ipv6>`,
	} {
		doc := decode(t, []byte("<nic><name>e</name>"+part+"</nic>"), codec.XML)
		if diff := cmp.Diff(want, doc.Nics[0].IPv6); diff != "" {
			t.Errorf("v%d (-want +got):\n%s", version, diff)
		}
		text := string(encode(t, configOf(doc), codec.XML, codec.EncodeOptions{Version: version}))
		if !strings.Contains(text, `netmask="64"`) && !strings.Contains(text, "<netmask>64</netmask>") || strings.Contains(text, "prefix") {
			t.Errorf("v%d is written as %s", version, text)
		}
	}
	if got := refusals(t, `<nic><name>e</name><ipv6 netmask="ffff::"/></nic>`, codec.XML); got != "1:20 host_nics[e].ipv6.prefix wrong-type" {
		t.Errorf("a mask of IPv6 in long form: %q", got)
	}
}
