//go:build kernel

package scenario

import (
	"errors"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

// The requests of the manual that the agent was made from, chapter 12.3, on a host
// whose NICs have ids of their own.

// example129 creates a bonded interface (Example 12.9). The dots are the manual's.
const example129 = `<host_nic>
    <name>bond4</name>
    <network id="e657d631-657d-42bb-a536-73501a085d85"/>
    <bonding>
        <options>
            ...
        </options>
        <slaves>
            <host_nic id="ETH0"/>
            <host_nic id="ETH1"/>
        </slaves>
    </bonding>
</host_nic>`

// exampleGet is what GET answers (Example 12.8), which clients send back changed.
const exampleGet = `<host_nic id="BOND"
  href="/api/hosts/2ab5e1da-b726-4274-bbf7-0a42b16a0fc3/nics/
  BOND">
    <name>bond4</name>
    <link rel="statistics"
      href="/api/hosts/2ab5e1da-b726-4274-bbf7-0a42b16a0fc3/nics/
      BOND/statistics"/>
    <host id="2ab5e1da-b726-4274-bbf7-0a42b16a0fc3"
      href="/api/hosts/2ab5e1da-b726-4274-bbf7-0a42b16a0fc3"/>
    <network id="e657d631-657d-42bb-a536-73501a085d85"
      href="/api/networks/e657d631-657d-42bb-a536-73501a085d85"/>
    <mac address="D6:76:F1:3A:AF:74"/>
    <ip address="192.168.0.128" netmask="255.255.255.0" gateway="192.168.0.1"/>
    <boot_protocol>static</boot_protocol>
    <speed>1000000000</speed>
    <status>
        <state>up</state>
    </status>
    <bonding>
        <options>
            <option name="mode" value="1" type="Active-Backup"/>
            <option name="miimon" value="150"/>
        </options>
        <slaves>
            <host_nic id="ETH0"/>
            <host_nic id="ETH1"/>
        </slaves>
    </bonding>
    <actions>
        <link rel="attach" href="/api/hosts/2ab5e1da-b726-4274-bbf7-0a42b16a0fc3/nics/BOND/attach"/>
    </actions>
</host_nic>`

// examplePut updates an interface; which one is in the path of the request.
const examplePut = `<nic>
    <ip address="192.168.0.129" netmask="255.255.255.0" gateway="192.168.0.1"/>
</nic>`

// idOf is the id under which clients know a link.
func (h *host) idOf(name string) string {
	h.t.Helper()
	l := h.link(name)
	return h.NicID(&l)
}

// seed fills the ids of this host into an example.
func (h *host) seed(example string) string {
	return strings.NewReplacer("ETH0", h.idOf("eth0"), "ETH1", h.idOf("eth1"),
		"BOND", netcfg.NicID(h.HostID, "name:bond4")).Replace(example)
}

// put stages and applies a document about the NIC of that id, as PUT does.
func (h *host) put(id, doc string) {
	h.t.Helper()
	d, err := codec.Decode([]byte(doc), codec.XML)
	if err != nil {
		h.t.Fatal(err)
	}
	d.Nics[0].ID = id
	if _, err := h.Stage(h.t.Context(), engine.StageRequest{Documents: []netcfg.Document{d}}); err != nil {
		h.t.Fatal(err)
	}
	h.apply(`{}`)
}

func TestSeedCreate(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	before := h.look()
	h.apply(h.seed(example129))
	same(t, "slaves", h.slaves("bond4"), "[eth0 eth1]")
	same(t, "MAC", h.mac("bond4"), before.ByName("eth0").MAC)
	same(t, "miimon", h.option("bond4", "miimon"), 100)
	same(t, "network", h.running("bond4").Network.ID, "e657d631-657d-42bb-a536-73501a085d85")
	same(t, "slaves by name", h.running("bond4").Bonding.Slaves, "[eth0 eth1]")
	same(t, "committed", len(h.View().Committed.HostNics), 0)
	h.settled()
	h.idle(h.seed(example129))
	// DELETE.
	h.apply(`{"removed": ["` + h.idOf("bond4") + `"]}`)
	h.unchanged(before)
}

// TestSeedUpdate sends back what GET answers, and then only an address: nothing else
// changes with it.
func TestSeedUpdate(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	before := h.look()
	h.apply(h.seed(exampleGet))
	h.apply(`host_nics: [{base_interface: bond4, vlan: {id: 7}, ip: {address: 192.0.2.7, netmask: 24}}]`)
	same(t, "MAC", h.mac("bond4"), "d6:76:f1:3a:af:74")
	same(t, "miimon, mode", h.option("bond4", "miimon")+h.option("bond4", "mode"), "150active-backup")
	was, log := h.running("bond4"), h.watchLinks()

	h.put(h.idOf("bond4"), examplePut)
	log.undisturbed("bond4", "bond4.7", "eth0", "eth1")
	same(t, "addresses", h.addresses("bond4"), "[192.168.0.129/24]")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.168.0.1 dev bond4]")
	same(t, "addresses of the VLAN", h.addresses("bond4.7"), "[192.0.2.7/24]")
	was.IP.Address = "192.168.0.129"
	if now := h.running("bond4"); !netcfg.Equal(netcfg.Config{HostNics: []netcfg.HostNic{was}}, netcfg.Config{HostNics: []netcfg.HostNic{now}}) {
		t.Errorf("more than the address has changed: %+v, was %+v", now, was)
	}
	h.settled()

	// The same for a NIC that nobody has configured.
	h.put(h.idOf("eth2"), strings.NewReplacer("192.168.0.129", "198.51.100.1", ` gateway="192.168.0.1"`, "").Replace(examplePut))
	same(t, "addresses", h.addresses("eth2"), "[198.51.100.1/24]")
	h.settled()
	h.replace(`host_nics: []`)
	h.unchanged(before)
}

// TestSeedDelete frees the slaves as they were: with a state, an MTU and a MAC of
// their own.
func TestSeedDelete(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	hand := h.hand()
	hand.must("MAC", hand.LinkSetHardwareAddr(hand.link("eth0"), []byte{2, 0, 0, 0, 0, 0x99}))
	hand.must("MTU", hand.LinkSetMTU(hand.link("eth1"), 4000))
	hand.up("eth1")
	before := h.look()
	h.apply(h.seed(example129))
	h.apply(`host_nics: [{name: bond4, mtu: 9000, mac: {address: "d6:76:f1:3a:af:74"}}]`)
	h.apply(`{"removed": ["bond4"]}`)
	h.absent("bond4")
	h.unchanged(before)
	same(t, "MTU, state", []any{h.link("eth1").MTU, h.link("eth1").AdminUp, h.link("eth0").AdminUp}, "[4000 true false]")
}

// TestSeedRefused holds the refusals of the manual to one sentence each.
func TestSeedRefused(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(`{"host_nics": [{"name": "eth2", "mtu": 1400}]}`)
	for _, c := range []struct{ name, doc, rule, says string }{
		{"a sixth bond", strings.Replace(h.seed(example129), "bond4", "bond5", 1), "bond-name",
			"bond0, bond1, bond2, bond3 and bond4 are the only valid names for a bonded interface"},
		{"a bond of another name", strings.Replace(h.seed(example129), "bond4", "team0", 1), "bond-name",
			"bond0, bond1, bond2, bond3 and bond4 are the only valid names for a bonded interface"},
		{"DELETE of a NIC", `{"removed": ["eth2"]}`, "nic-delete", "eth2 is a NIC, and NICs are not created or deleted"},
		{"DELETE of a NIC that nobody has configured", `{"removed": ["eth0"]}`, "removed-unknown", "NICs are not created or deleted"},
		{"POST of a NIC", `<host_nic><name>eth7</name><ip address="192.168.0.7" netmask="255.255.255.0"/></host_nic>`, "nic-unknown", "there is no NIC eth7 on this host"},
		{"slaves of another host", example129, "nic-unknown", "on this host; agentctl nics lists the NICs that are there"},
		{"PUT to an id that is not there", `<nic id="e8f02fdf-3d7b-4135-86e1-1bf185570cd8"><mtu>1400</mtu></nic>`, "nic-id", "no NIC of this host has this id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.tryApply(c.doc)
			var ps netcfg.Problems
			if !errors.As(err, &ps) {
				t.Fatalf("got %v", err)
			}
			for _, p := range ps {
				if p.Rule == c.rule && !strings.Contains(p.Message, c.says) {
					t.Errorf("it says %q, and not %q", p.Message, c.says)
				}
				if strings.Contains(p.Message, ". ") || strings.HasSuffix(p.Message, ".") || strings.Contains(p.Message, "\n") {
					t.Errorf("more than one sentence: %q", p.Message)
				}
			}
			h.refuse(c.doc, c.rule)
		})
	}
}
