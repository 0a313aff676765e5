//go:build kernel

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/probe"
	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/netns"
)

// prober reaches out from the host.
type prober struct {
	*kernel.Kernel
	ns *netns.NS
}

func (p prober) Connect(ctx context.Context, address string) (err error) {
	p.ns.Do(func() { err = probe.TCP{}.Connect(ctx, address) })
	return err
}

// Long enough for whatever works on a busy machine, and short for what does not.
const (
	patient   = time.Minute
	impatient = 3 * time.Second
)

// probing lets the engine probe from now on, after a change for so long.
func (h *host) probing(limit time.Duration) {
	h.t.Helper()
	h.prober, h.probeLimit = prober{h.kernel, h.ns}, limit
	h.restart()
}

// probe stages a document and applies it with probes.
func (h *host) probe(doc string, probes ...string) (engine.Operation, error) {
	h.t.Helper()
	if err := h.stage(doc); err != nil {
		h.t.Fatal(err)
	}
	return h.Do(h.t.Context(), engine.Request{Kind: engine.Apply, Author: "test", Probes: probes}, func(s engine.Step) { h.t.Log(s.Phase, s.Text) })
}

// votes wants an apply to be done, with these probes.
func (h *host) votes(doc string, probes []string, want ...string) {
	h.t.Helper()
	op, err := h.probe(doc, probes...)
	if err != nil || op.State != engine.Done {
		h.t.Fatalf("%v, state %s, %v", err, op.State, op.Err)
	}
	h.voted(op, want...)
}

// vetoed wants an apply taken back by the probe, with the host as it was.
func (h *host) vetoed(doc string, probes []string, name, detail string) {
	h.t.Helper()
	before := renumbered(h.look())
	op, err := h.probe(doc, probes...)
	var veto *engine.VetoError
	if err != nil || op.State != engine.RolledBack || !errors.As(op.Err, &veto) {
		h.t.Fatalf("%v, state %s, %v", err, op.State, op.Err)
	}
	if got := veto.Probes[0]; len(veto.Probes) != 1 || got.Name != name || got.State != engine.ProbeFailed || !strings.HasPrefix(got.Detail, detail) {
		h.t.Errorf("vetoed by %+v, want %s: %s", veto.Probes, name, detail)
	}
	h.becomes(before, func() state.Snapshot { return renumbered(h.look()) })
	if _, err := h.Discard(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// unprobed wants an apply refused because of a probe, with nothing touched.
func (h *host) unprobed(doc, probe, why string) {
	h.t.Helper()
	writes := h.kernel.Writes()
	op, err := h.probe(doc, probe)
	var e *engine.Error
	if op.State != engine.Refused || !errors.As(err, &e) || e.Rule != "probe-failing" || e.Kind != engine.Precondition ||
		!strings.Contains(e.Message, probe) || !strings.Contains(e.Message, why) {
		h.t.Errorf("state %s, %v", op.State, err)
	}
	same(h.t, "writes", h.kernel.Writes()-writes, 0)
	if _, err := h.Discard(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) voted(op engine.Operation, want ...string) {
	h.t.Helper()
	got := []string{}
	for _, p := range op.Probes {
		got = append(got, fmt.Sprintf("%s: %s", p.Name, p.State))
	}
	slices.Sort(got)
	slices.Sort(want)
	same(h.t, "probes", fmt.Sprintf("%q", got), fmt.Sprintf("%q", want))
}

// settledIPv6 waits until all IPv6 addresses of the host may be used.
func (h *host) settledIPv6() {
	h.t.Helper()
	eventually(h.t, "no address is tentative", func() bool {
		return !slices.ContainsFunc(h.look().Addresses, func(a state.Address) bool { return a.Flags&state.FlagTentative != 0 })
	})
}

// family is the one or the other.
type family struct{ ip, other, gateway, reply string }

var families = map[string]family{
	"IPv4": {
		"ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.254}",
		"ip: {address: 198.51.100.10, netmask: 24, gateway: 198.51.100.254}", "192.0.2.254/24", "no ARP reply",
	},
	"IPv6": {
		`ipv6: {address: "2001:db8::10", prefix: 64, gateway: "2001:db8::fe"}`,
		`ipv6: {address: "2001:db8:9::10", prefix: 64, gateway: "2001:db8:9::fe"}`, "2001:db8::fe/64", "no ND reply",
	},
}

// The way out is lost by a change that the kernel finds nothing wrong with: a wrong
// VLAN id, a wrong subnet. The host goes back, and the answer says what was lost.
func TestFault_D19(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "eth0")
			far := h.farHand()
			far.addVLAN("rack", "p-eth0", 100)
			far.up("rack")
			far.addAddress("rack", f.gateway)
			gateway, _, _ := strings.Cut(f.gateway, "/")
			h.apply(`host_nics: [{name: up0, vlan: {id: 100}, base_interface: eth0, ` + f.ip + `}]`)
			h.settledIPv6()
			h.probing(impatient)
			vote := fmt.Sprintf("gateway %s (up0)", gateway)
			h.vetoed(`host_nics: [{name: up0, vlan: {id: 200}}]`, nil, vote, "answered before the change, "+f.reply+" within 3 s after it")
			h.settledIPv6()
			h.vetoed(`host_nics: [{name: up0, `+f.other+`}]`, nil, vote, "answered before the change, "+f.reply+" from ")
			h.settledIPv6()
			h.probing(patient)
			h.votes(`host_nics: [{name: up0, mtu: 1400}]`, nil, vote+": passed")
		})
	}
}

// A gateway that does not answer before a change says nothing about it.
func TestProbeFailingBefore(t *testing.T) {
	h := newHost(t, "eth0")
	h.apply(`host_nics: [{name: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.254}}]`)
	h.probing(impatient)
	h.votes(`host_nics: [{name: eth0, mtu: 1400}]`, nil, "gateway 192.0.2.254 (eth0): not-voting")
	h.unprobed(`host_nics: [{name: eth0, mtu: 1300}]`, "gateway", "no ARP reply")
	h.unprobed(`host_nics: [{name: eth0, mtu: 1300}]`, "gateway:192.0.2.77", "no ARP reply")
	h.unprobed(`host_nics: [{name: eth0, mtu: 1300}]`, "gateway:10.9.9.9", "no link of the host that leads to it")
	h.unprobed(`host_nics: [{name: eth0, mtu: 1300}]`, "lacp", "nothing of the kind")
	h.votes(`host_nics: [{name: eth0, mtu: 1300}]`, []string{"none"})
	h.far.Down(t, "p-eth0")
	h.unprobed(`host_nics: [{name: eth0, mtu: 1200}]`, "gateway", "eth0 has no carrier")
}

// The default gateway is replaced, moved to another link, and taken out on purpose;
// and somebody else's is lost by the way.
func TestProbeGatewayChanges(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	far := h.farHand()
	far.addAddress("p-eth0", "192.0.2.254/24", "192.0.2.253/24")
	h.probing(patient)
	h.votes(`host_nics: [{name: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.254}}]`, nil)
	h.votes(`host_nics: [{name: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.253}}]`, nil, "gateway 192.0.2.254 (eth0): passed")
	h.votes(`host_nics: [{name: eth0, ip: null}, {name: bond0, bonding: {slaves: [eth0]}, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.253}}]`,
		nil, "gateway 192.0.2.253 (eth0): passed")
	h.votes(`host_nics: [{name: bond0, ip: {gateway: null}}]`, nil, "gateway 192.0.2.253 (bond0): not-voting")
	h.votes(`host_nics: [{name: bond0, mtu: 1400}]`, []string{"gateway:192.0.2.254"}, "gateway 192.0.2.254 (bond0): passed")

	hand := h.hand()
	h.votes(`host_nics: [{name: bond0, ip: null}]`, nil)
	far.addAddress("p-eth1", "203.0.113.254/24")
	hand.up("eth1")
	hand.addAddress("eth1", "203.0.113.10/24")
	hand.addRoute("0.0.0.0/0", "203.0.113.254", "eth1")
	h.probing(impatient)
	h.vetoed(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}]`, nil,
		"gateway 203.0.113.254 (eth1)", "answered before the change, no default route through it within 3 s after it")
}

// A server that a change cuts off, and one that only the change leads to.
func TestProbeTCP(t *testing.T) {
	h := newHost(t, "eth0")
	far := h.farHand()
	far.addAddress("p-eth0", "192.0.2.254/24", "2001:db8::fe/64", "203.0.113.1/32")
	listen := func(address string) net.Listener {
		var l net.Listener
		var err error
		h.far.Do(func() { l, err = net.Listen("tcp", address) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	four, six, beyond := "tcp:"+listen("192.0.2.254:0").Addr().String(), "tcp:"+listen("[2001:db8::fe]:0").Addr().String(), "tcp:"+listen("203.0.113.1:0").Addr().String()
	name := func(word string) string { return strings.Replace(word, ":", " ", 1) }
	h.probing(patient)
	// No route leads to any of them yet.
	doc := `host_nics: [{name: eth0, ip: {address: 192.0.2.10, netmask: 24}, ipv6: {address: "2001:db8::10", prefix: 64}}]`
	h.votes(doc, []string{four, six}, name(four)+": passed", name(six)+": passed")
	h.votes(`host_nics: [{name: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.254}}]`, []string{beyond, four}, name(beyond)+": passed", name(four)+": passed")
	h.settledIPv6()
	h.probing(impatient)
	h.vetoed(`host_nics: [{name: eth0, ip: {gateway: null}}]`, []string{beyond}, name(beyond), "connected before the change, no connection within 3 s after it (network is unreachable)")
	h.settledIPv6()
	h.vetoed(`host_nics: [{name: eth0, ipv6: {address: "2001:db8:7::10", prefix: 64}}]`, []string{four, six}, name(six), "connected before the change, no connection within 3 s after it")
	h.unprobed(`host_nics: [{name: eth0, mtu: 1400}]`, "tcp:192.0.2.254:9", "connection refused")
}

// The LACP partner is at the other end of the old slaves, and nobody is at that of
// the new one.
func TestProbeLACP(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.partner("eth0", "eth1")
	h.apply(`host_nics: [{name: bond0, bonding: {options: {mode: 802.3ad, lacp_rate: fast, miimon: 50}, slaves: [eth0, eth1]}}]`)
	converged := func() bool { return h.ports("bond0") == 2 }
	eventually(t, "the partner is found", converged)
	h.probing(impatient)
	h.vetoed(`host_nics: [{name: bond0, bonding: {slaves: [eth2]}}]`, nil, "lacp bond0", "partner "+h.partnerMAC()+" before the change, no LACP partner within 3 s after it")
	eventually(t, "the partner is found again", converged)
	h.probing(patient)
	h.votes(`host_nics: [{name: bond0, bonding: {slaves: [eth0]}}]`, []string{"lacp"}, "lacp bond0: passed")
	h.votes(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup}}}]`, nil, "lacp bond0: not-voting")
	h.votes(`host_nics: [{name: bond0, bonding: {options: {mode: 802.3ad, lacp_rate: fast}}}]`, []string{"lacp"}, "lacp bond0: passed")
	h.votes(`removed: [bond0]`, nil, "lacp bond0: not-voting")
}

// partnerMAC is who is at the other end.
func (h *host) partnerMAC() string {
	h.t.Helper()
	return h.farHand().link("partner").Attrs().HardwareAddr.String()
}

// A rollback is probed when that is asked for, and a change that waits is taken back
// whatever a probe says.
func TestProbeRollback(t *testing.T) {
	h := newHost(t, "eth0")
	far := h.farHand()
	far.addAddress("p-eth0", "192.0.2.254/24")
	h.apply(`host_nics: [{name: eth0, ip: {address: 198.51.100.10, netmask: 24}}]`)
	h.commit()
	h.apply(`host_nics: [{name: eth0, ip: {address: 192.0.2.10, netmask: 24, gateway: 192.0.2.254}}]`)
	h.probing(impatient)
	before := h.look()
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Rollback, Probes: []string{"gateway:192.0.2.254"}}, nil)
	if err != nil || op.State != engine.RolledBack {
		t.Fatalf("%v, %s, %v", err, op.State, op.Err)
	}
	h.voted(op, "gateway 192.0.2.254 (eth0): failed")
	h.unchanged(before)
	h.voted(h.rollback())
	if err := h.stage(`host_nics: [{name: eth0, mtu: 1400}]`); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Do(t.Context(), engine.Request{Kind: engine.Apply, RevertAfter: time.Minute}, nil); err != nil {
		t.Fatal(err)
	}
	var e *engine.Error
	if _, err = h.Do(t.Context(), engine.Request{Kind: engine.Rollback, Probes: []string{"gateway"}}, nil); !errors.As(err, &e) || e.Rule != "probe-useless" {
		t.Errorf("a probed way back: %v", err)
	}
	h.rollback()
}
