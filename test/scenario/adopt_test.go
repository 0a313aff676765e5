//go:build kernel

package scenario

import (
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent/engine"
)

// What somebody else has made and a document takes over, with nothing to do, is left
// as it was found when the document is rolled back: it was never the agent's to
// delete.
func TestAdoptedIsLeftAsFound(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	for _, command := range []string{
		"link set eth0 up", "link set eth1 up",
		"link add link eth0 name eth0.9 type vlan id 9", "link set eth0.9 up", "addr add 10.9.0.1/24 dev eth0.9",
		"addr add 10.0.0.6/24 dev eth1",
	} {
		h.ns.IP(t, strings.Fields(command)...)
	}
	found := h.look()
	h.apply(`{"host_nics": [
		{"name": "eth0.9", "vlan": {"id": 9}, "base_interface": "eth0"},
		{"name": "eth1", "ip": {"address": "10.0.0.6", "netmask": "24"}}]}`)
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Rollback, Author: "test"}, nil)
	if err != nil || op.State != engine.Done {
		t.Fatalf("rollback: %v, %s, %v", err, op.State, op.Err)
	}
	same(t, "eth0.9", h.addresses("eth0.9"), "[10.9.0.1/24]")
	same(t, "eth1", h.addresses("eth1"), "[10.0.0.6/24]")
	for _, l := range found.Links {
		same(t, l.Name+" up", h.link(l.Name).AdminUp, l.AdminUp)
	}
}

// A NIC that stands in somebody's bridge is configured and let go of where it stands.
func TestNICInForeignBridge(t *testing.T) {
	h := newHost(t, "eth0")
	for _, command := range []string{"link add br7 type bridge", "link set eth0 master br7"} {
		h.ns.IP(t, strings.Fields(command)...)
	}
	h.apply(`{"host_nics": [{"name": "eth0", "mtu": 1400}]}`)
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Rollback, Author: "test"}, nil)
	if err != nil || op.State != engine.Done {
		t.Fatalf("rollback: %v, %s, %v", err, op.State, op.Err)
	}
	same(t, "mtu", h.link("eth0").MTU, 1500)
	same(t, "master", h.link("eth0").Master, h.link("br7").Index)
}
