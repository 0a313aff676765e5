package converge_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

var (
	transitions = flag.Int("transitions", 2000, "how many random changes of configuration to try on the fake kernel")
	seed        = flag.Uint64("seed", 0, "seed of the random changes; 0 takes one from the clock and prints it")
)

func randomSeed(t *testing.T) uint64 {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -seed=%d", s)
	return s
}

var randomNICs = []string{"eth0", "eth1", "eth2", "eth3", "eth4"}

// walker goes from one random configuration to the next on one host.
type walker struct {
	t    *testing.T
	k    converge.Kernel
	rng  *rand.Rand
	step int

	config netcfg.Config
	memory plan.Memory
	// foreign is what others have on links that are never configured.
	foreign []string
}

func newWalker(t *testing.T, k converge.Kernel, seed uint64) *walker {
	w := &walker{t: t, k: k, rng: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // reproducible on purpose
	w.foreign = w.foreignNow()
	return w
}

var errCut = errors.New("cut off")

// cutKernel performs so many operations and then is dead, as a killed agent is.
type cutKernel struct {
	converge.Kernel
	left int
}

func (c *cutKernel) Apply(ctx context.Context, ops []plan.Op) error {
	if c.left < len(ops) {
		ops = ops[:c.left]
		c.left = 0
		return errors.Join(errCut, c.Kernel.Apply(ctx, ops))
	}
	c.left -= len(ops)
	return c.Kernel.Apply(ctx, ops)
}

// walk makes one transition: to a new configuration, in one go or cut off after
// any operation and then taken to either side.
func (w *walker) walk() {
	w.step++
	next := kerneltest.GenConfig(w.rng, randomNICs)
	next.Routes = nil // kept, but not applied yet
	if w.rng.IntN(20) == 0 {
		next = netcfg.Config{}
	}
	if problems, _ := next.Validate(netcfg.Limits{}); len(problems) > 0 {
		w.fatal("the generator made an invalid configuration", problems, next)
	}
	switch w.rng.IntN(4) {
	case 0:
		w.cutOff(next)
	default:
		rep, err := converge.Run(w.t.Context(), w.k, converge.Target{Config: next, Memory: w.memory})
		if err != nil {
			w.fatal("converge", err, next, rep.Plan.Ops())
		}
		w.arrive(next, rep)
	}
}

func (w *walker) cutOff(next netcfg.Config) {
	var memory plan.Memory
	var before *state.Snapshot
	cut := &cutKernel{w.k, w.rng.IntN(40)}
	begin := func(intent plan.Intent, _ plan.Plan, s state.Snapshot) error {
		memory, before = w.memory.Union(intent.Memory), &s
		return nil
	}
	rep, err := converge.Run(w.t.Context(), cut, converge.Target{Config: next, Memory: w.memory, Begin: begin})
	if err == nil {
		w.arrive(next, rep)
		return
	}
	if !errors.Is(err, errCut) {
		w.fatal("converge that is going to be cut off", err, next, rep.Plan.Ops())
	}
	target := converge.Target{Config: next, Memory: memory, Lenient: true, Before: before}
	back := w.rng.IntN(2) == 0
	if back {
		target.Config = w.config
	}
	after, err := converge.Run(w.t.Context(), w.k, target)
	if err != nil {
		w.fatal("converge after a cut", err, target.Config, rep.Plan.Ops(), after.Plan.Ops())
	}
	if back {
		if diff := cmp.Diff(words(*before), words(w.look())); diff != "" {
			w.fatal("going back does not lead to what was there (-before +after)", errors.New(diff), next, rep.Plan.Ops(), after.Plan.Ops())
		}
	}
	w.arrive(target.Config, after)
}

// arrive wants the host as asked, others' things untouched, and nothing more to do.
func (w *walker) arrive(config netcfg.Config, rep converge.Report) {
	w.config, w.memory = config, rep.Intent.Settled()
	again, err := converge.Run(w.t.Context(), w.k, converge.Target{Config: config, Memory: w.memory})
	if err != nil || again.Wrote {
		w.fatal("a second converge", err, config, rep.Plan.Ops(), again.Plan.Ops())
	}
	if config.MasterOf("eth1") == nil {
		w.returned(config, rep)
	}
	if now := w.foreignNow(); !slices.Equal(now, w.foreign) {
		w.fatal("what others own has changed", errors.New(cmp.Diff(w.foreign, now)), config, rep.Plan.Ops())
	}
}

// returned wants what somebody has put onto eth1 to be there whenever eth1 is no
// slave.
func (w *walker) returned(config netcfg.Config, rep converge.Report) {
	found := strings.Join(words(w.look()), "\n")
	for _, want := range foreignOnEth1 {
		if !strings.Contains(found, want) {
			w.fatal("lost on eth1", errors.New(want), config, rep.Plan.Ops())
		}
	}
}

var foreignOnEth1 = []string{" 198.18.1.1/24", " 2001:db8:ffff:1::1/64", "eth1 route 198.19.0.0/16 via 198.18.1.254"}

func (w *walker) look() state.Snapshot {
	s, err := w.k.Snapshot(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// foreignNow is what stands on links of others, by name.
func (w *walker) foreignNow() []string {
	var out []string
	for _, line := range words(w.look()) {
		if strings.HasPrefix(line, "ext") {
			out = append(out, line)
		}
	}
	return out
}

func (w *walker) fatal(what string, err error, config netcfg.Config, ops ...[]plan.Op) {
	w.t.Helper()
	w.t.Logf("the configuration: %+v", describe(config))
	for i, list := range ops {
		for _, op := range list {
			w.t.Logf("plan %d: %s", i, op)
		}
	}
	w.t.Logf("the host:\n%s", strings.Join(words(w.look()), "\n"))
	w.t.Fatalf("step %d: %s: %v", w.step, what, err)
}

func describe(c netcfg.Config) string {
	var b strings.Builder
	for _, n := range c.HostNics {
		fmt.Fprintf(&b, "\n  %s %s base %s mtu %v addresses %v gateways %v", n.Name, n.Kind(), n.BaseInterface, value(n.MTU), n.Addresses(), n.Gateways())
		if n.Bonding != nil {
			fmt.Fprintf(&b, " slaves %v options %v", n.Bonding.Slaves, n.Bonding.Options)
		}
	}
	return b.String()
}

func value(p *int) any {
	if p == nil {
		return "-"
	}
	return *p
}

// words is a snapshot in lines that do not depend on indexes: what two looks at
// the same host have in common.
func words(s state.Snapshot) []string {
	var out []string
	for _, l := range s.Links {
		line := fmt.Sprintf("%s kind=%s mtu=%d up=%v master=%s parent=%s vlan=%d group=%d", l.Name, l.Kind, l.MTU, l.AdminUp,
			s.Name(l.Master), s.Name(l.Parent), l.VLANID, l.Group)
		if ownMAC(l) {
			line += " mac=" + l.MAC
		}
		if l.Bond != nil {
			line += fmt.Sprint(" ", valid(l.Bond.Options))
		}
		out = append(out, line+addressWords(s.AddressesOf(l.Index)))
	}
	for _, r := range s.Routes {
		if r.Protocol != state.ProtocolKernel {
			out = append(out, fmt.Sprintf("%s route %s via %s metric %d proto %d", s.Name(r.Link), r.Dst, r.Gateway, r.Metric, r.Protocol))
		}
	}
	slices.Sort(out)
	return out
}

// addressWords keeps the order of addresses within a subnet, which is what the kernel
// makes something of: primary and secondary, and the source of what is sent.
func addressWords(list []state.Address) string {
	list = slices.DeleteFunc(list, state.Address.LinkLocal)
	slices.SortStableFunc(list, func(a, b state.Address) int { return a.Prefix.Masked().Compare(b.Prefix.Masked()) })
	line := ""
	for _, a := range list {
		line += " " + a.Prefix.String()
	}
	return line
}

// valid are the options that do something in the bond's mode. Others linger from
// former modes, and the driver takes no value for them.
func valid(options map[string]string) map[string]string {
	out := map[string]string{}
	for name, v := range options {
		if s, ok := netcfg.BondOptionSpec(name); ok && s.ValidIn(options["mode"]) {
			out[name] = v
		}
	}
	return out
}

// ownMAC is true of links whose MAC is not the bonding driver's to move about.
func ownMAC(l state.Link) bool {
	return l.Slave == nil && l.Kind != "vlan" && (l.Bond == nil || l.Bond.Options["fail_over_mac"] == "none")
}

// TestRandomTransitions walks many hosts from one random configuration to the
// next, cutting some of the changes off in the middle. It ends each walk by taking
// everything away, which has to leave the host as it was found.
func TestRandomTransitions(t *testing.T) {
	s := randomSeed(t)
	hosts := runtime.GOMAXPROCS(0)
	for i := range hosts {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for done, life := 0, uint64(0); done < *transitions/hosts; life++ {
				done += walkOne(t, randomHost(t), s+uint64(i)*1e6+life, 100)
			}
		})
	}
}

// walkOne is the life of one host.
func walkOne(t *testing.T, k converge.Kernel, seed uint64, steps int) int {
	w := newWalker(t, k, seed)
	found := words(w.look())
	for range steps {
		w.walk()
	}
	rep, err := converge.Run(t.Context(), k, converge.Target{Memory: w.memory})
	if err != nil {
		w.fatal("taking everything away", err, netcfg.Config{}, rep.Plan.Ops())
	}
	if diff := cmp.Diff(found, words(w.look())); diff != "" {
		w.fatal("the host is not as it was found (-found +left)", errors.New(diff), netcfg.Config{}, rep.Plan.Ops())
	}
	return steps
}

// randomHost is a host with NICs to configure and with things of others on it.
func randomHost(t *testing.T) *kerneltest.Fake {
	f := newHost(t, append(slices.Clone(randomNICs), "ext0")...)
	if _, err := f.AddVLAN("ext0.7", "ext0", 7); err != nil {
		t.Fatal(err)
	}
	up := true
	address := func(link, prefix string) plan.Op {
		return plan.Op{Action: plan.AddrAdd, Index: f.Index(link), Name: link, Address: state.Address{Link: f.Index(link),
			Prefix: netip.MustParsePrefix(prefix), Flags: state.FlagPermanent, Valid: state.Forever, Preferred: state.Forever}}
	}
	err := f.Foreign(
		plan.Op{Action: plan.LinkSet, Index: f.Index("ext0"), Up: &up},
		plan.Op{Action: plan.LinkSet, Index: f.Index("ext0.7"), Up: &up},
		plan.Op{Action: plan.LinkSet, Index: f.Index("eth1"), Up: &up},
		address("ext0", "198.18.0.1/24"), address("ext0.7", "198.18.7.1/24"), address("ext0.7", "2001:db8:ffff:7::1/64"),
		address("eth1", "198.18.1.1/24"), address("eth1", "2001:db8:ffff:1::1/64"),
		plan.Op{Action: plan.RouteAdd, Index: f.Index("eth1"), Name: "eth1", Route: state.Route{Table: state.MainTable, Type: 1, Protocol: 12,
			Dst: netip.MustParsePrefix("198.19.0.0/16"), Gateway: netip.MustParseAddr("198.18.1.254"), Link: f.Index("eth1")}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
