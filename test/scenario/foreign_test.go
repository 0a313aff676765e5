//go:build kernel

package scenario

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

var foreign = flag.Int("foreign", 200, "how many random changes to make on a host where others live")

// TestForeign lets random documents come and go, be committed and rolled back, on a host
// where others live: a guest in a bridge, a VLAN on a NIC that nobody manages, addresses
// and routes by hand and by a routing daemon, on managed NICs and elsewhere. Some of the
// changes are refused by the kernel half-way. Whatever happens, the kernel tells of the
// links of others the very same, byte by byte; what others have on a managed NIC is there
// whenever that is no slave; and when all is let go, the host is as it was.
func TestForeign(t *testing.T) {
	const seed = 20261121
	t.Logf("seed %d", seed)
	began := time.Now()
	random := rand.New(rand.NewPCG(seed, 0))
	h := newHost(t, "eth0", "eth1", "eth2", "eth3", "eth9")
	h.neighbours()
	before := h.look()
	apart := []string{"lo", "br0", "eth8", "tap0", "eth9", "guests"}
	dump := h.settledDump(apart...)
	outcomes := map[string]int{}
	for i := range *foreign {
		what := fmt.Sprintf("change %d: %s", i, h.randomChange(random, outcomes))
		h.becomes(h.foreign(before, before), func() state.Snapshot { return h.foreign(h.look(), before) })
		untouched(t, dump, h.dump(apart...))
		if t.Failed() {
			t.Fatal(what)
		}
	}
	h.tryReplace(`{}`)
	h.settled()
	h.unchanged(before)
	untouched(t, dump, h.dump(apart...))
	if testing.Verbose() {
		fmt.Printf("%d changes beside %d messages about others: %v; touched: 0; %v\n", *foreign, len(dump), outcomes, time.Since(began).Round(time.Second))
	}
}

// randomChange applies a random document or goes back to one, while the kernel may
// refuse something, and sees to it that the host is as wanted then, or as it was.
func (h *host) randomChange(random *rand.Rand, outcomes map[string]int) (what string) {
	h.t.Helper()
	was := h.look()
	if random.IntN(3) == 0 {
		h.breakAt(random.IntN(12), []syscall.Errno{unix.EINVAL, unix.ENODEV, unix.EPERM, unix.EEXIST}[random.IntN(4)])
	}
	var op engine.Operation
	if n := random.IntN(10); n < 6 {
		doc := randomDocument(random)
		var ops []plan.Op
		op, ops = h.tryReplace(doc)
		what = doc + listed(ops)
	} else {
		r := engine.Request{Kind: engine.Rollback}
		switch last := h.View().CommittedRevision; {
		case n == 9:
			r.Kind = engine.Commit
		case n == 8 && last > 0:
			r.Revision = new(1 + random.Int64N(last))
		}
		var err error
		if op, err = h.Do(h.t.Context(), r, nil); err != nil {
			h.t.Fatal(err)
		}
		what = string(r.Kind)
	}
	h.inject(nil)
	outcomes[string(op.Kind)+" "+string(op.State)]++
	what = fmt.Sprintf("%s, %s, %v", what, op.State, op.Err)
	switch op.State {
	case engine.Done:
		h.settled()
	case engine.RolledBack:
		h.becomes(renumbered(was), func() state.Snapshot { return renumbered(h.look()) })
	default:
		h.t.Fatal(what)
	}
	return what
}

// neighbours are the others.
func (h *host) neighbours() {
	h.t.Helper()
	hand := h.hand()
	hand.addBridge()
	hand.up("tap0", "eth9", "eth1", "eth2")
	hand.addVLAN("guests", "eth9", 300)
	hand.up("guests")
	hand.addAddress("guests", "10.89.0.1/24", "2001:db8:89::1/64")
	hand.addRoute("10.90.0.0/16", "10.89.0.2", "guests", protocol(unix.RTPROT_BIRD))
	hand.addAddress("eth2", "10.91.0.1/24", "10.91.0.2/24", "2001:db8:91::1/64", "2001:db8:91::2/64", "2001:db8:91::3/64")
	hand.addRoute("10.92.0.0/16", "10.91.0.9", "eth2", protocol(unix.RTPROT_BIRD))
	hand.addRoute("10.93.0.0/16", "10.91.0.9", "eth2", table(100), metric(7))
	hand.addRoute("10.94.0.0/16", "", "eth1")
	hand.addRoute("2001:db8:92::/48", "2001:db8:91::9", "eth2", protocol(unix.RTPROT_BIRD))
	hand.addRoute("2001:db8:93::/48", "", "eth1", table(100))
	hand.must("MTU", hand.LinkSetMTU(hand.link("eth3"), 1400))
	hand.ns.IP(h.t, "neigh", "add", "10.89.0.2", "lladdr", "52:54:00:89:00:02", "dev", "guests", "nud", "permanent")
	hand.ns.IP(h.t, "-6", "neigh", "add", "2001:db8:88::2", "lladdr", "52:54:00:88:00:02", "dev", "br0", "nud", "permanent")
	hand.ns.IP(h.t, "rule", "add", "from", "10.91.0.0/24", "lookup", "100")
}

// randomDocument is a whole configuration for the NICs eth0 to eth3.
func randomDocument(random *rand.Rand) string {
	var b strings.Builder
	b.WriteString("host_nics:\n")
	free := []string{"eth0", "eth1", "eth2", "eth3"}
	random.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	subnet := 0
	addressing := func() {
		subnet++
		if random.IntN(3) > 0 {
			fmt.Fprintf(&b, "  ip: {address: 10.%d.0.%d, netmask: 24}\n", subnet, 1+random.IntN(3))
		}
		if random.IntN(3) == 0 {
			fmt.Fprintf(&b, "  ipv6: {address: \"2001:db8:%d::%d\", prefix: 64}\n", subnet, 1+random.IntN(3))
		}
		if random.IntN(3) == 0 {
			fmt.Fprintf(&b, "  additional_ips: [10.%d.1.1/24, 10.%d.1.2/24]\n", subnet, subnet)
		}
	}
	bases := []string{}
	for i := range random.IntN(3) {
		slaves := free[:1+random.IntN(2)]
		free = free[len(slaves):]
		name := fmt.Sprint("bond", i)
		mode := []string{"mode: 802.3ad, lacp_rate: fast", "mode: active-backup, primary: " + slaves[0], "mode: balance-xor", "mode: 802.3ad"}[random.IntN(4)]
		fmt.Fprintf(&b, "- name: %s\n  bonding: {options: {%s}, slaves: [%s]}\n", name, mode, strings.Join(slaves, ", "))
		if random.IntN(2) == 0 {
			fmt.Fprintf(&b, "  mtu: %d\n", 1500+500*random.IntN(4))
		}
		addressing()
		bases = append(bases, name)
	}
	for _, n := range free {
		if random.IntN(2) == 0 {
			continue
		}
		fmt.Fprintf(&b, "- name: %s\n", n)
		if random.IntN(3) == 0 {
			fmt.Fprintf(&b, "  mtu: %d\n", 1500+500*random.IntN(4))
		}
		if random.IntN(4) == 0 {
			fmt.Fprintf(&b, "  mac: {address: \"52:54:00:00:00:0%d\"}\n", len(bases))
		}
		addressing()
		bases = append(bases, n)
	}
	for i, base := range bases {
		for range random.IntN(3) {
			subnet++
			fmt.Fprintf(&b, "- name: v%d\n  vlan: {id: %d}\n  base_interface: %s\n", subnet, 1+subnet*7+i, base)
			addressing()
		}
	}
	if len(bases) == 0 {
		return `{}`
	}
	return b.String()
}

func listed(ops []plan.Op) string {
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(op.String() + "\n")
	}
	return b.String()
}

// tryReplace makes a document the whole configuration, and tells what came of it and
// what was planned.
func (h *host) tryReplace(doc string) (engine.Operation, []plan.Op) {
	h.t.Helper()
	d, err := codec.Decode([]byte(doc), codec.Auto)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, doc)
	}
	if _, err := h.Stage(h.t.Context(), engine.StageRequest{Documents: []netcfg.Document{d}, Replace: true}); err != nil {
		h.t.Fatalf("%v\n%s", err, doc)
	}
	p, err := h.Plan(h.t.Context(), engine.Selector{}, nil, nil)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, doc)
	}
	op, err := h.Do(h.t.Context(), engine.Request{Kind: engine.Apply}, nil)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, doc)
	}
	return op, p.Plan.Ops()
}

// breakAt makes the operation of that number fail, once.
func (h *host) breakAt(n int, errno syscall.Errno) {
	h.inject(func(plan.Op) syscall.Errno {
		if n--; n == -1 {
			return errno
		}
		return 0
	})
}

// foreign is what of a look is none of the agent's: links that no document speaks
// of, and what others had from the start on links that are no slaves now.
func (h *host) foreign(s, before state.Snapshot) state.Snapshot {
	s = lasting(s)
	running := h.View().Running
	own := func(index int) bool {
		l := s.Link(index)
		return l == nil || l.Kind == "bond" || l.Kind == "vlan" && l.Name != "guests" || running.MasterOf(l.Name) != nil
	}
	s.Addresses = slices.DeleteFunc(s.Addresses, func(a state.Address) bool {
		return own(a.Link) || !slices.ContainsFunc(before.Addresses, func(b state.Address) bool { return b.Prefix == a.Prefix })
	})
	s.Routes = slices.DeleteFunc(s.Routes, func(r state.Route) bool {
		return own(r.Link) || r.Protocol == state.ProtocolHostnic || r.Protocol == state.ProtocolKernel
	})
	s.Links = slices.DeleteFunc(s.Links, func(l state.Link) bool {
		return own(l.Index) || slices.Contains([]string{"eth0", "eth1", "eth2", "eth3"}, l.Name)
	})
	return s
}

// renumbered gives links of the agent indexes by their names: one that was made anew
// has another index. Addresses are in order within each subnet, where the order
// tells something.
func renumbered(s state.Snapshot) state.Snapshot {
	s = lasting(s)
	const first = 1 << 20
	slices.SortStableFunc(s.Links, func(a, b state.Link) int {
		if a.Index < first || b.Index < first {
			return a.Index - b.Index
		}
		return strings.Compare(a.Name, b.Name)
	})
	to := map[int]int{}
	for i := range s.Links {
		if l := &s.Links[i]; l.Index >= first {
			to[l.Index] = first + i
			l.Index = first + i
		}
	}
	renumber := func(index *int) {
		if n, ok := to[*index]; ok {
			*index = n
		}
	}
	for i := range s.Links {
		renumber(&s.Links[i].Master)
		renumber(&s.Links[i].Parent)
	}
	for i := range s.Addresses {
		renumber(&s.Addresses[i].Link)
	}
	for i := range s.Routes {
		renumber(&s.Routes[i].Link)
	}
	slices.SortStableFunc(s.Addresses, func(a, b state.Address) int {
		return cmp.Or(a.Link-b.Link, a.Prefix.Masked().Compare(b.Prefix.Masked()))
	})
	return s
}
