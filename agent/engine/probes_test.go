package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

func TestParseProbes(t *testing.T) {
	for word, want := range map[string]string{
		"gateway": "gateway", "lacp": "lacp ", "lldp": "lldp ", "caller": "caller", "none": "",
		"gateway:192.0.2.1": "gateway 192.0.2.1", "gateway:2001:db8::1": "gateway 2001:db8::1", "gateway:fe80::1%eth0": "gateway fe80::1%eth0",
		"gateway:::ffff:192.0.2.1": "gateway 192.0.2.1",
		"tcp:192.0.2.1:443":        "tcp 192.0.2.1:443", "tcp:[2001:db8::1]:22": "tcp [2001:db8::1]:22", "tcp:engine.example:443": "tcp engine.example:443",
	} {
		list, err := parseProbes([]string{word})
		got := ""
		for _, a := range list {
			got = voter{asked: a}.name()
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", word, got, err)
		}
	}
	for word, want := range map[string]string{
		"": "does not exist", "ping": "does not exist", "lacp:bond0": "does not exist", "gateway:": "no IP address", "gateway:here": "no IP address",
		"gateway:0.0.0.0": "no neighbour", "gateway:ff02::1": "no neighbour", "gateway:127.0.0.1": "no neighbour",
		"gateway:fe80::1": "without its link", "gateway:2001:db8::1%eth0": "names a link",
		"tcp:": "no host and port", "tcp:host": "no host and port", "tcp::443": "no host and port", "tcp:a b:1": "no host and port", "tcp:a\x1b[m:1": "no host and port",
		"tcp:host:0": "no port", "tcp:host:65536": "no port", "tcp:host:https": "no port", "tcp:2001:db8::1:443": "no host and port",
		"tcp:" + strings.Repeat("x", 400) + ":1": "more than 300 bytes",
	} {
		_, err := parseProbes([]string{word})
		var e *Error
		if !errors.As(err, &e) || e.Kind != Misused || e.Rule != "probe-unknown" || !strings.Contains(e.Message, want) || len(e.Message) > 600 {
			t.Errorf("%q: %v, want something with %q", word, err, want)
		}
	}
	if _, err := parseProbes([]string{"none", "lacp"}); err == nil {
		t.Error("none goes with another")
	}
}

func TestProbesOf(t *testing.T) {
	for _, c := range []struct {
		request Request
		count   int
		named   bool
	}{
		{Request{Kind: Apply}, 3, false}, {Request{Kind: Commit}, 3, false}, {Request{Kind: Rollback}, 0, false}, {Request{Kind: Revert}, 0, false},
		{Request{Kind: Apply, Probes: []string{"none"}}, 0, true}, {Request{Kind: Rollback, Probes: []string{"gateway", "tcp:a:1", "caller"}}, 3, true},
	} {
		list, named, err := probesOf(c.request)
		if err != nil || len(list) != c.count || named != c.named {
			t.Errorf("%+v: %d, %v, %v", c.request, len(list), named, err)
		}
	}
	if _, _, err := probesOf(Request{Probes: make([]string, 17)}); err == nil {
		t.Error("17 probes are taken")
	}
}

// A snapshot in short: links with their addresses, default gateways by link, partners
// of bonds.
type seen struct {
	addresses map[string][]string
	gateways  map[string][]string
	partners  map[string]string // empty is none
}

func (s seen) snapshot() state.Snapshot {
	var out state.Snapshot
	index := func(name string) int {
		if l := out.ByName(name); l != nil {
			return l.Index
		}
		l := state.Link{Index: len(out.Links) + 1, Name: name, AdminUp: true, Carrier: true}
		if mac, bond := s.partners[name]; bond {
			l.Kind, l.Bond = "bond", &state.Bond{Options: map[string]string{"mode": netcfg.Mode8023AD}, AD: &state.AggregatorInfo{PartnerMAC: mac}}
			if mac == "" {
				l.Bond.AD.PartnerMAC = "00:00:00:00:00:00"
			}
		}
		out.Links = append(out.Links, l)
		return l.Index
	}
	for _, name := range []string{"eth0", "eth1", "bond0"} {
		_, bond := s.partners[name]
		if s.addresses[name] == nil && s.gateways[name] == nil && !bond {
			continue
		}
		for _, a := range s.addresses[name] {
			out.Addresses = append(out.Addresses, state.Address{Link: index(name), Prefix: netip.MustParsePrefix(a)})
		}
		for _, g := range s.gateways[name] {
			out.Routes = append(out.Routes, defaultRoute(g, index(name)))
		}
		index(name)
	}
	return out
}

func defaultRoute(gateway string, link int) state.Route {
	g := netip.MustParseAddr(gateway)
	dst := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if g.Is6() {
		dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return state.Route{Table: state.MainTable, Dst: dst, Gateway: g, Link: link}
}

func owned(gateways ...string) plan.Owned {
	var o plan.Owned
	for _, g := range gateways {
		r := defaultRoute(g, 0)
		o.Routes = append(o.Routes, plan.OwnedRoute{Dst: r.Dst, Gateway: r.Gateway})
	}
	return o
}

func wanted(gateways ...string) plan.Intent {
	var i plan.Intent
	for _, g := range gateways {
		i.Routes = append(i.Routes, plan.Route{Route: defaultRoute(g, 0)})
	}
	return i
}

func words(t *testing.T, list ...string) []asked {
	t.Helper()
	out, err := parseProbes(list)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestVoters has what each probe finds to test.
func TestVoters(t *testing.T) {
	two := seen{addresses: map[string][]string{"eth0": {"192.0.2.10/24", "2001:db8::10/64"}, "eth1": {"192.0.2.200/25"}},
		gateways: map[string][]string{"eth0": {"192.0.2.1", "2001:db8::1"}, "eth1": {"fe80::1"}}, partners: map[string]string{"bond0": "52:54:00:00:00:01"}}
	making := wanted("192.0.2.1")
	making.Links = []plan.Link{
		{Name: "eth0", KernelName: "eth0", Addresses: []state.Address{{Prefix: netip.MustParsePrefix("192.0.2.10/24")}}},
		{Name: "bond0", KernelName: "bond0", Kind: netcfg.KindBond, Options: map[string]string{"mode": netcfg.Mode8023AD}},
	}
	for _, c := range []struct {
		probes []string
		seen   seen
		intent plan.Intent
		want   string
	}{
		{[]string{"gateway"}, two, plan.Intent{}, "[gateway 192.0.2.1 (eth0) gateway 2001:db8::1 (eth0) gateway fe80::1 (eth1)]"},
		{[]string{"gateway", "gateway:192.0.2.1"}, two, plan.Intent{}, "[gateway 192.0.2.1 (eth0) gateway 2001:db8::1 (eth0) gateway fe80::1 (eth1)]"},
		{[]string{"gateway:192.0.2.77"}, two, plan.Intent{}, "[gateway 192.0.2.77 (eth0)]"},
		{[]string{"gateway:192.0.2.201"}, two, plan.Intent{}, "[gateway 192.0.2.201 (eth1)]"}, // the narrower subnet
		{[]string{"gateway:fe80::9%eth1"}, two, plan.Intent{}, "[gateway fe80::9%eth1]"},
		{[]string{"gateway:203.0.113.1"}, two, plan.Intent{}, "[gateway 203.0.113.1]"},
		{[]string{"lacp", "caller", "tcp:a:1"}, two, making, "[lacp bond0 caller tcp a:1]"},
		{[]string{"gateway", "lacp"}, seen{}, plan.Intent{}, "[]"},
		{[]string{"gateway", "lacp"}, seen{}, making, "[gateway fresh lacp bond0 fresh]"},
		{[]string{"gateway:192.0.2.254"}, seen{}, making, "[gateway 192.0.2.254 fresh]"},
		{[]string{"gateway:192.0.2.10"}, seen{}, making, "[gateway 192.0.2.10]"}, // one's own
		{[]string{"lacp"}, seen{partners: map[string]string{"bond0": ""}}, making, "[lacp bond0]"},
	} {
		var got []string
		for _, v := range (change{before: c.seen.snapshot(), intent: c.intent}).voters(words(t, c.probes...)) {
			name := v.name()
			if v.fresh {
				name += " fresh"
			}
			got = append(got, name)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v: %v, want %s", c.probes, got, c.want)
		}
	}
}

// TestHops has whom a gateway's vote asks after a change.
func TestHops(t *testing.T) {
	on := func(link string, gateways ...string) seen {
		return seen{addresses: map[string][]string{link: {"192.0.2.10/24"}}, gateways: map[string][]string{link: gateways}}
	}
	both := seen{gateways: map[string][]string{"eth0": {"192.0.2.2"}, "eth1": {"203.0.113.1"}}}
	for name, c := range map[string]struct {
		probe      string
		before     seen
		owned      plan.Owned
		intent     plan.Intent
		after      seen
		want, lost string
	}{
		"stays":             {"gateway", on("eth0", "192.0.2.1"), plan.Owned{}, plan.Intent{}, on("eth0", "192.0.2.1"), "192.0.2.1 eth0", ""},
		"moves":             {"gateway", on("eth0", "192.0.2.1"), plan.Owned{}, plan.Intent{}, on("bond0", "192.0.2.1"), "192.0.2.1 bond0", ""},
		"replaced":          {"gateway", on("eth0", "192.0.2.1"), owned("192.0.2.1"), wanted("192.0.2.2"), on("eth0", "192.0.2.2"), "192.0.2.2 eth0", ""},
		"replaced here":     {"gateway", on("eth0", "192.0.2.1"), owned("192.0.2.1"), wanted("192.0.2.2", "203.0.113.1"), both, "192.0.2.2 eth0", ""},
		"replaced anywhere": {"gateway", on("bond0", "192.0.2.1"), owned("192.0.2.1"), wanted("192.0.2.2", "203.0.113.1"), both, "192.0.2.2 eth0, 203.0.113.1 eth1", ""},
		"other family":      {"gateway", on("eth0", "192.0.2.1"), owned("192.0.2.1"), wanted("2001:db8::1"), on("eth0", "2001:db8::1"), "", "abstains: no default gateway any more, as the configuration has it"},
		"taken out":         {"gateway", on("eth0", "192.0.2.1"), owned("192.0.2.1"), plan.Intent{}, on("eth0"), "", "abstains: no default gateway any more, as the configuration has it"},
		"lost":              {"gateway", on("eth0", "192.0.2.1"), owned("192.0.2.1"), wanted("192.0.2.1"), on("eth0"), "", "no default route through it"},
		"somebody else's":   {"gateway", on("eth0", "192.0.2.1"), plan.Owned{}, plan.Intent{}, on("eth0"), "", "no default route through it"},
		"the other stays":   {"gateway", on("eth0", "192.0.2.1", "192.0.2.3"), plan.Owned{}, plan.Intent{}, on("eth0", "192.0.2.3"), "", "no default route through it"},
		"fresh":             {"gateway", seen{}, plan.Owned{}, wanted("192.0.2.1"), on("eth0", "192.0.2.1"), "192.0.2.1 eth0", ""},
		"fresh and not":     {"gateway", seen{}, plan.Owned{}, wanted("192.0.2.1"), seen{}, "", "no default gateway"},
		"one":               {"gateway:192.0.2.77", on("eth0"), plan.Owned{}, plan.Intent{}, on("bond0"), "192.0.2.77 bond0", ""},
		"one is named":      {"gateway:192.0.2.1", on("eth0", "192.0.2.1"), owned("192.0.2.1"), plan.Intent{}, seen{}, "", "no link of the host that leads to it"},
		"zone":              {"gateway:fe80::1%eth0", on("eth0"), plan.Owned{}, plan.Intent{}, on("eth0"), "fe80::1%eth0 eth0", ""},
		"zone lost":         {"gateway:fe80::1%eth0", on("eth0"), plan.Owned{}, plan.Intent{}, on("bond0"), "", "no link of the host that leads to it"},
	} {
		of := change{before: c.before.snapshot(), owned: c.owned, intent: c.intent}
		hops, err := of.voters(words(t, c.probe))[0].hops(of, c.after.snapshot())
		var got []string
		for _, h := range hops {
			got = append(got, h.address.String()+" "+h.link.Name)
		}
		lost := ""
		var abstains *abstention
		if errors.As(err, &abstains) {
			lost = "abstains: "
		}
		if err != nil {
			lost += err.Error()
		}
		if strings.Join(got, ", ") != c.want || lost != c.lost {
			t.Errorf("%s: %v, %q; want %s, %q", name, got, lost, c.want, c.lost)
		}
	}
}

func TestPartner(t *testing.T) {
	const was, other = "52:54:00:00:00:01", "52:54:00:00:00:02"
	bond := func(mode string) plan.Intent {
		return plan.Intent{Links: []plan.Link{{Name: "bond0", KernelName: "bond0", Kind: netcfg.KindBond, Options: map[string]string{"mode": mode}}}}
	}
	with := func(mac string) seen { return seen{partners: map[string]string{"bond0": mac}} }
	ours := plan.Owned{Links: map[string]netcfg.Kind{"bond0": netcfg.KindBond}}
	for name, c := range map[string]struct {
		owned  plan.Owned
		intent plan.Intent
		after  seen
		want   string
	}{
		"same":              {ours, bond(netcfg.Mode8023AD), with(was), "partner " + was},
		"another":           {ours, bond(netcfg.Mode8023AD), with(other), "another LACP partner (" + other + ")"},
		"none":              {ours, bond(netcfg.Mode8023AD), with(""), "no LACP partner"},
		"other mode":        {ours, bond("balance-xor"), seen{}, "abstains: in the mode balance-xor, as the configuration has it"},
		"not yet":           {ours, bond(netcfg.Mode8023AD), seen{}, "no bond in mode 802.3ad"},
		"removed":           {ours, plan.Intent{}, seen{}, "abstains: removed, as the configuration has it"},
		"somebody else's":   {plan.Owned{}, plan.Intent{}, seen{}, "no bond in mode 802.3ad"},
		"somebody else's 2": {plan.Owned{}, plan.Intent{}, with(was), "partner " + was},
	} {
		of := change{before: with(was).snapshot(), owned: c.owned, intent: c.intent}
		got, err := of.voters(words(t, "lacp"))[0].partnerNow(of, c.after.snapshot())
		var abstains *abstention
		if errors.As(err, &abstains) {
			got = "abstains: "
		}
		if err != nil {
			got += err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestContacts has which calls count as contact after a change.
func TestContacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Engine
		e.Met(Contact{Client: "before anybody waits"})
		since := time.Now()
		await := func(limit time.Duration) chan string {
			out := make(chan string, 1)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			go func() {
				defer cancel()
				who, err := e.contacts.await(ctx, "me", since)
				out <- fmt.Sprint(who, err)
			}()
			synctest.Wait()
			return out
		}
		at := func(d time.Duration) time.Time { return since.Add(d) }
		calls := func() {
			e.Met(Contact{"me", at(time.Second), at(3 * time.Second)})
			e.Met(Contact{"", at(time.Second), at(3 * time.Second)})
			e.Met(Contact{"old", at(-time.Second), at(3 * time.Second)})
			e.Met(Contact{"early", at(time.Second), at(1999 * time.Millisecond)})
		}
		got := await(10 * time.Second)
		calls()
		if answer := <-got; answer != "no call of another client on a new connection (seen: 1 on connections from before it, 1 too soon to count, 2 of the client that waits for this)" {
			t.Errorf("none counts: %s", answer)
		}
		if waited := time.Since(since); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
		got = await(10 * time.Second)
		calls()
		e.Met(Contact{"you", at(0), at(2 * time.Second)})
		e.Met(Contact{"he", at(0), at(2 * time.Second)})
		if answer := <-got; answer != "called by you on a new connection<nil>" {
			t.Errorf("one counts: %s", answer)
		}
	})
}
