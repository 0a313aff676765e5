//go:build kernel

package scenario

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
)

// Documents that only the host can judge. What is wrong in a document by itself is
// tested in netcfg.

// problem wants a document refused, and is the problem of that rule.
func (h *host) problem(doc, rule string) netcfg.Problem {
	h.t.Helper()
	h.refuse(doc, rule)
	var ps netcfg.Problems
	if !errors.As(h.stage(doc), &ps) {
		h.t.Fatalf("not refused on staging")
	}
	for _, p := range ps {
		if p.Rule == rule {
			return p
		}
	}
	h.t.Fatalf("no %s in %v", rule, ps)
	return netcfg.Problem{}
}

func TestFault_C5(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.ns.Dummy(t, "bond1", "eth0.5")
	h.hand().addVLAN("storage", "eth0", 7)
	h.hand().addVLAN("eth0.8", "eth0", 9)
	before := h.look()
	for _, c := range []struct{ doc, rule, path string }{
		{`host_nics: [{name: bond1, bonding: {slaves: [eth1]}}]`, "name-taken", "host_nics[bond1].name"},
		{`host_nics: [{vlan: {id: 5}, base_interface: eth0}]`, "name-taken", "host_nics[eth0.5].name"},
		{`host_nics: [{vlan: {id: 7}, base_interface: eth0}]`, "vlan-taken", "host_nics[eth0.7].vlan.id"},
		{`host_nics: [{vlan: {id: 8}, base_interface: eth0}]`, "name-taken", "host_nics[eth0.8].name"},
	} {
		p := h.problem(c.doc, c.rule)
		same(t, c.doc, []any{p.Kind, p.Path}, []any{netcfg.Exists, c.path})
	}
	h.unchanged(before)
}

// The driver's range is the host's business: a tap takes 14 bytes less than a cable.
func TestFault_C18(t *testing.T) {
	h := newHost(t, "eth0")
	h.hand().addTap("tap0")
	limit := h.link("tap0").MaxMTU
	same(t, "the greatest MTU of a tap", limit, 65521)
	doc := `host_nics: [{name: tap0, mtu: %d}]`
	p := h.problem(fmt.Sprintf(doc, limit+1), "mtu-driver")
	same(t, "path, found", []string{p.Path, p.Found}, "[host_nics[tap0].mtu 65522]")
	p = h.problem(`host_nics: [{name: bond0, mtu: 65522, bonding: {slaves: [eth0, tap0]}}]`, "mtu-driver")
	same(t, "path of a bond", p.Path, "host_nics[bond0].mtu")
	h.apply(fmt.Sprintf(doc, limit))
	h.settled()
	same(t, "MTU", h.link("tap0").MTU, limit)
}

func TestFault_C20(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	const unknown = "0d2f8a4c-6a0f-5d37-8f0e-6c7f6a1f8a11"
	for _, slave := range []string{"eth7", unknown} {
		p := h.problem(fmt.Sprintf(`host_nics: [{name: bond0, bonding: {slaves: [eth0, %s]}}]`, slave), "nic-unknown")
		same(t, slave, []any{p.Kind, p.Path, p.Found}, []any{netcfg.NotFound, "host_nics[bond0].bonding.slaves[1]", slave})
		if !strings.Contains(p.Message, slave) {
			t.Errorf("the name is not in the text: %s", p.Message)
		}
	}
	l := h.link("eth1")
	h.apply(fmt.Sprintf(`host_nics: [{name: bond0, bonding: {slaves: [eth0, %s]}}]`, h.NicID(&l)))
	h.settled()
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
}

// VLANs on what others have made a slave, or a VLAN.
func TestFault_C22(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.hand().addBond("team9", netlink.BOND_MODE_ACTIVE_BACKUP, "eth0")
	h.hand().addVLAN("eth1.5", "eth1", 5)
	before := h.look()
	p := h.problem(`host_nics: [{vlan: {id: 6}, base_interface: eth0}]`, "vlan-on-slave")
	same(t, "path", p.Path, "host_nics[eth0.6].base_interface")
	p = h.problem(`host_nics: [{vlan: {id: 6}, base_interface: eth1.5}]`, "vlan-on-vlan")
	same(t, "path", p.Path, "host_nics[eth1.5.6].base_interface")
	h.unchanged(before)
	p = h.problem(`host_nics: [{name: eth1.5, ip: {address: 10.1.0.2, netmask: 24}}]`, "base-down")
	same(t, "path", p.Path, "host_nics[eth1.5].name")
	h.apply(`host_nics: [{name: eth1}, {name: eth1.5, ip: {address: 10.1.0.2, netmask: 24}}]`)
	h.settled()
}

func TestFault_C29(t *testing.T) {
	h := newHost(t, "eth0")
	doc := func(n int) string {
		var b strings.Builder
		b.WriteString("host_nics:\n")
		for i := range n {
			fmt.Fprintf(&b, "- name: v%d\n  vlan: {id: %d}\n  base_interface: eth0\n  ip: {address: 10.%d.%d.1, netmask: 30}\n", i, i%4094+1, i>>6, i%64*4)
		}
		return b.String()
	}
	began := time.Now()
	h.refuse(doc(10000), "too-many")
	within(t, "refusing 10,000", began, 10*time.Second) // 1 s is the goal for a machine of one's own
	began = time.Now()
	op := h.apply(doc(1024))
	t.Logf("1,024 VLANs in %v, %d requests", time.Since(began), op.Writes)
	same(t, "links", len(h.look().Links), 1024+2)
	h.settled()
	same(t, "the last", h.addresses("v1023"), "[10.15.252.1/30]")
	h.refuse(`host_nics: [{name: onemore, vlan: {id: 4000}, base_interface: eth0}]`, "nic-count")
	began = time.Now()
	op = h.replace(`{}`)
	t.Logf("taken down in %v, %d requests", time.Since(began), op.Writes)
	same(t, "links", len(h.look().Links), 2)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.Sys > 128<<20 {
		t.Errorf("%d MiB of memory", m.Sys>>20)
	}
}

// within wants something done in time.
func within(t *testing.T, what string, began time.Time, limit time.Duration) {
	t.Helper()
	if d := time.Since(began); d > limit {
		t.Errorf("%s took %v, more than %v", what, d, limit)
	}
}

func TestFault_C31(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	for _, doc := range []string{`{}`, `{"host_nics": []}`, rack, rack, `{}`, `{"host_nics": [{"name": "eth2", "ip": {"address": "192.0.2.10"}}]}`} {
		before, was := h.View(), h.look()
		op := h.apply(doc)
		if doc == rack && len(before.Running.HostNics) == 0 {
			h.commit()
			continue
		}
		same(t, "writes", op.Writes, 0)
		h.unchanged(was)
		op, err := h.Do(t.Context(), engine.Request{Kind: engine.Commit}, nil)
		after := h.View()
		same(t, "commit", []any{err, op.State, op.Err, op.Writes, op.Revision}, []any{nil, engine.Done, nil, 0, 0})
		same(t, "revisions", []int64{after.StagedRevision, after.CommittedRevision}, []int64{before.StagedRevision, before.CommittedRevision})
	}
	revisions, err := h.Revisions(t.Context())
	same(t, "revisions", []any{len(revisions), err}, "[1 <nil>]")
}
