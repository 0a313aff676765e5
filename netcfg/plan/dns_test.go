package plan_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// What leases tell comes in document order, IPv4 first, nothing twice; of a NIC that is
// a slave, or off dhcp, nothing.
func TestScenario_N08(t *testing.T) {
	h := newTenant(t)
	address := netip.MustParseAddr
	h.lend("eth0", "192.0.2.10/24", "", func(l *netcfg.Lease) { l.DNS, l.Domain = []netip.Addr{address("192.0.2.53")}, "zero.example" })
	h.lend("eth1", "198.51.100.10/24", "", func(l *netcfg.Lease) {
		l.DNS, l.Domain, l.Search = []netip.Addr{address("192.0.2.53"), address("198.51.100.53")}, "left.example", []string{"one.example"}
	})
	h.held6["eth1"] = &netcfg.Lease6{Addresses: []netcfg.LeaseAddress{{Address: address("2001:db8::5"), Preferred: netcfg.LeaseForever, Expires: netcfg.LeaseForever}},
		DNS: []netip.Addr{address("2001:db8::53")}, Search: []string{"one.example", "six.example"}}
	for _, c := range []struct{ doc, want string }{
		{"host_nics: [{name: eth1, boot_protocol: dhcp, ipv6_boot_protocol: dhcp}, {name: eth0, boot_protocol: dhcp}]\ndns: {}",
			"search one.example six.example zero.example, nameserver 192.0.2.53, nameserver 198.51.100.53, nameserver 2001:db8::53"},
		{"host_nics: [{name: eth0, boot_protocol: dhcp}, {name: eth1, boot_protocol: none}]\ndns: {servers: [192.0.2.1], search: [a.example]}",
			"search a.example zero.example, nameserver 192.0.2.1, nameserver 192.0.2.53"},
		{"host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}]\ndns: {}", "no servers"},
	} {
		intent, problems := plan.Resolve(plan.Input{Config: config(t, netcfg.Config{}, c.doc), Leases: plan.Leases{Now: h.now, Held: h.held, Held6: h.held6}, Snapshot: resolving(h, state.Resolver{})})
		if problems != nil || intent.Resolver.String() != c.want {
			t.Errorf("%s\ngot %v, %v, want %s", c.doc, intent.Resolver, problems, c.want)
		}
	}
}

func resolving(h *tenant, r state.Resolver) state.Snapshot {
	s, err := h.Snapshot(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	r.Path = "/etc/resolv.conf"
	s.Resolver = &r
	return s
}

// The file is taken over once, and given back as it was found then, unless somebody else
// has written there since. Where nobody has looked, nothing is said.
func TestResolverTakenAndGivenBack(t *testing.T) {
	h := newTenant(t)
	found := state.Resolver{Content: "nameserver 192.0.2.200\noptions timeout:1\n"}
	with, without := config(t, netcfg.Config{}, "dns: {servers: [192.0.2.53]}"), netcfg.Config{}
	look := func(c netcfg.Config, now state.Resolver, memory plan.Memory, before *state.Snapshot) (plan.Plan, plan.Intent, []plan.Drift) {
		in := plan.Input{Config: c, Snapshot: resolving(h, now), Memory: memory, Before: before}
		intent, problems := plan.Resolve(in)
		if problems != nil {
			t.Fatal(problems)
		}
		return plan.Build(intent, in.Snapshot), intent, plan.Check(intent, in.Snapshot)
	}
	p, intent, drift := look(with, found, plan.Memory{}, nil)
	ours := plan.Project(resolving(h, found), p.Ops()).Resolver
	memory := intent.Settled()
	if p.Len() != 1 || len(drift) != 1 || drift[0].Field != "dns" || !strings.HasSuffix(ours.Content, "nameserver 192.0.2.53\noptions timeout:1\n") || !memory.Resolver.Same(&found) {
		t.Fatalf("plan %v, drift %v, file %+v, memory %+v", p.Ops(), drift, ours, memory.Resolver)
	}
	if p, intent, drift = look(with, *ours, memory, nil); !p.Empty() || len(drift) != 0 || !intent.Settled().Resolver.Same(&found) {
		t.Errorf("again: plan %v, drift %v, memory %+v", p.Ops(), drift, intent.Settled().Resolver)
	}
	theirs := state.Resolver{Content: "nameserver 203.0.113.1\n"}
	for _, c := range []struct {
		what      string
		now, want state.Resolver
		before    *state.Snapshot
	}{
		{"given back", *ours, found, nil},
		{"somebody has written there since", theirs, theirs, nil},
		{"a way back to what somebody had written there", *ours, theirs, &state.Snapshot{Resolver: &theirs}},
	} {
		p, intent, _ = look(without, c.now, memory, c.before)
		if now := plan.Project(resolving(h, c.now), p.Ops()).Resolver; !now.Same(&c.want) || intent.Settled().Resolver != nil {
			t.Errorf("%s: got %+v, want %+v; remembered %+v", c.what, now, c.want, intent.Settled().Resolver)
		}
	}
	// Somebody keeps it by now: what has been there waits, and is not forgotten; what has
	// not is refused.
	kept := plan.Input{Config: with, Snapshot: resolving(h, state.Resolver{Content: "x", Keeper: "is kept"}), Memory: memory}
	if _, problems := plan.Resolve(kept); len(problems) != 1 || problems[0].Rule != "dns-kept-elsewhere" || problems[0].Path != "dns" {
		t.Errorf("kept by somebody: %v", problems)
	}
	kept.Known = plan.Known{with}
	intent, problems := plan.Resolve(kept)
	if problems != nil || intent.Resolver != nil || len(intent.Waiting) != 1 || intent.Waiting[0].Reason != "/etc/resolv.conf is kept" || !intent.Settled().Resolver.Same(&found) {
		t.Errorf("kept by somebody since: %v, file %v, waiting %v, remembered %v", problems, intent.Resolver, intent.Waiting, intent.Settled().Resolver)
	}
	// The agent's own cannot be written by now: it is given back when it can.
	kept = plan.Input{Snapshot: resolving(h, state.Resolver{Content: ours.Content, Keeper: "cannot be written"}), Memory: memory}
	intent, problems = plan.Resolve(kept)
	if problems != nil || intent.Resolver != nil || len(intent.Waiting) != 1 || !strings.HasSuffix(intent.Waiting[0].Reason, "cannot be written") || !intent.Settled().Resolver.Same(&found) {
		t.Errorf("not writable: %v, file %v, waiting %v, remembered %v", problems, intent.Resolver, intent.Waiting, intent.Settled().Resolver)
	}
	if union := (plan.Memory{}).Union(memory); !union.Resolver.Same(&found) {
		t.Errorf("union: %+v", union.Resolver)
	}
	if intent, problems := plan.Resolve(plan.Input{Config: with}); problems != nil || intent.Resolver != nil {
		t.Errorf("nobody has looked: %+v, %v", intent.Resolver, problems)
	}
}

// Every action has a word, which metrics count by.
func TestEveryActionHasAWord(t *testing.T) {
	seen := map[string]bool{}
	for a := plan.LinkAdd; a <= plan.ResolverSet; a++ {
		if w := a.String(); w == "" || seen[w] {
			t.Errorf("action %d is %q", a, w)
		} else {
			seen[w] = true
		}
	}
}

// A way back to a configuration with dns ends there, whatever somebody had written before
// the operation that is taken back: two answers in turn would never be reached.
func TestResolverWayBackIsReached(t *testing.T) {
	h := newTenant(t)
	found, theirs := state.Resolver{Content: "nameserver 192.0.2.200\n"}, state.Resolver{Content: "nameserver 203.0.113.1\n"}
	with := config(t, netcfg.Config{}, "dns: {servers: [192.0.2.53]}")
	link := state.Resolver{Keeper: "is a link"}
	for _, c := range []struct {
		what   string
		config netcfg.Config
		before state.Resolver
		want   string
	}{
		{"hand-written", with, theirs, "nameserver 192.0.2.53"},
		{"a link, which it was then", with, link, "nameserver 192.0.2.53"},
		{"a link, and no dns", netcfg.Config{}, link, "nameserver 192.0.2.200"},
	} {
		s := resolving(h, state.Resolver{Content: state.ResolverHead + "nameserver 192.0.2.1\n"})
		in := plan.Input{Config: c.config, Snapshot: s, Memory: plan.Memory{Resolver: &found}, Before: &state.Snapshot{Resolver: &c.before}, Lenient: true}
		for range 2 {
			intent, problems := plan.Resolve(in)
			if problems != nil {
				t.Fatal(problems)
			}
			in.Snapshot = plan.Project(in.Snapshot, plan.Build(intent, in.Snapshot).Ops())
			if got := in.Snapshot.Resolver.String(); got != c.want {
				t.Errorf("%s: got %s, want %s", c.what, got, c.want)
			}
		}
	}
}

// A file that would not be read again is not written.
func TestResolverTooLarge(t *testing.T) {
	h := newTenant(t)
	with := config(t, netcfg.Config{}, "dns: {servers: [192.0.2.53]}")
	in := plan.Input{Config: with, Snapshot: resolving(h, state.Resolver{Content: "options " + strings.Repeat("x", state.MostResolver-10)})}
	if _, problems := plan.Resolve(in); len(problems) != 1 || problems[0].Rule != "dns-too-large" {
		t.Errorf("refused: %v", problems)
	}
	in.Lenient = true
	if intent, problems := plan.Resolve(in); problems != nil || intent.Resolver != nil || len(intent.Waiting) != 1 || intent.Settled().Resolver != nil {
		t.Errorf("%v, file %v, waiting %v", problems, intent.Resolver, intent.Waiting)
	}
}
