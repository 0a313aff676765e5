package netcfg

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ruleGroups are all tables of cases; their tests stand beside them.
var ruleGroups = []ruleGroup{
	groupC1, groupC2, groupC3, groupC4, groupC6, groupC7, groupC8, groupC9, groupC10, groupC11, groupC12, groupC13, groupC14, groupC15,
	groupC16, groupC17, groupC18, groupC19, groupC20, groupC21, groupC22, groupC23, groupC29, groupC30, groupC32,
	groupB13, groupB22, groupV10, groupV12, groupX07, groupX11, groupX18, groupX22, groupR14, groupN05, groupNetworks, groupNeighbour,
}

// TestEveryRule holds the table of rules and the tables of cases together: a rule
// without a case that breaks it and one beside it that does not is untested.
func TestEveryRule(t *testing.T) {
	broken, kept := map[string]bool{}, map[string]bool{}
	for _, g := range ruleGroups {
		for _, c := range g.cases {
			said := strings.Join(slices.Concat(c.want, c.warn), "\n") + "\n"
			for _, name := range g.rules {
				if strings.Contains("\n"+said, "\n"+name+" ") {
					broken[name] = true
				} else if said == "\n" {
					kept[name] = true
				}
			}
		}
	}
	for _, r := range rules {
		if !broken[r.name] || !kept[r.name] {
			t.Errorf("%s: broken by a case: %v, kept by a case: %v", r.name, broken[r.name], kept[r.name])
		}
		delete(broken, r.name)
	}
	for name := range broken {
		t.Errorf("there is no rule %s", name)
	}
}

func TestRules(t *testing.T) {
	names := map[string]bool{}
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	fault := regexp.MustCompile(`^[ABCDINRVX][0-9]+$`)
	docs := Rules()
	for i, r := range rules {
		if !kebab.MatchString(r.name) || names[r.name] {
			t.Errorf("%s is not kebab case or not the only one", r.name)
		}
		names[r.name] = true
		if !fault.MatchString(r.fault) || r.check == nil {
			t.Errorf("%s: fault %q, check %v", r.name, r.fault, r.check != nil)
		}
		if docs[i] != (RuleDoc{r.name, r.doc}) || !strings.HasSuffix(r.doc, ".") || strings.Contains(r.doc, ". ") {
			t.Errorf("%s: doc is not one sentence: %q", r.name, docs[i].Doc)
		}
	}
}

// TestFault_C31: an empty document is fine and changes nothing.
func TestFault_C31(t *testing.T) {
	if problems, warnings := (Config{}).Validate(Limits{}); problems != nil || warnings != nil {
		t.Errorf("empty: got %v, %v", problems, warnings)
	}
	base := benchmarkConfig(20)
	got, ps := Merge(base, Document{}, identity)
	if diff := cmp.Diff(base, got); ps != nil || diff != "" {
		t.Errorf("no change: got %v (-want +got):\n%s", ps, diff)
	}
}

// All problems come at once, by NIC.
func TestValidateOrder(t *testing.T) {
	c := host(
		aNic("eth9", mtu(1), mac("x")),
		aBond("bond9", opts("miimon=x mode=x")),
		aNic("eth8", ip4("10.0.0.0", "24"), boot6("x")))
	c.Routes = []Route{{}}
	problems, _ := c.Validate(Limits{})
	want := []string{
		"mac host_nics[eth9].mac.address", "mtu host_nics[eth9].mtu",
		"bond-name host_nics[bond9].name", "bond-option-value host_nics[bond9].bonding.options.miimon", "bond-option-value host_nics[bond9].bonding.options.mode",
		"boot-protocol host_nics[eth8].ipv6_boot_protocol", "ipv4-host host_nics[eth8].ip.address",
		"route-destination routes[0].destination", "route-gateway routes[0].gateway",
	}
	if diff := cmp.Diff(want, places(problems)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A text in any field, those to come included, is judged as text.
func TestTextEverywhere(t *testing.T) {
	var all Config
	fill(reflect.ValueOf(&all).Elem())
	n := 0
	eachLeaf(reflect.ValueOf(&all).Elem(), "", func(path string, v reflect.Value) {
		if v.Kind() != reflect.String {
			return
		}
		n++
		before := v.String()
		v.SetString("a\x1bb")
		problems, _ := all.Validate(Limits{})
		v.SetString(before)
		found := slices.ContainsFunc(problems, func(p Problem) bool { return p.Rule == "text" && p.Found == "a\x1bb" && p.Path != "" })
		if !found {
			t.Errorf("%s: got %v, want the rule text", path, problems)
		}
	})
	if n < 25 {
		t.Errorf("only %d texts were found", n)
	}
}

// words and numbers make configurations that are often nearly right.
var words = []string{
	"", "eth0", "eth1", "eth2", "bond0", "bond1", "bond7", "eth0.5", "bond0.5", "lo", "a/b", "\x1b[1m", "\u202e", "ü",
	"10.0.0.1", "10.0.0.2/24", "10.0.0.9/8", "10.0.0.0", "255.255.255.0", "24", "32", "2001:db8::1", "2001:db8::2/64", "fe80::1%eth0", "::ffff:1.2.3.4", "010.0.0.1",
	"none", "static", "dhcp", "autoconf", "dhcpv6", "52:54:00:12:34:56", "default", "10.0.0.0/8", "example.com", "red",
	"mode", "miimon", "arp_interval", "arp_ip_target", "updelay", "primary", "num_unsol_na", "num_grat_arp", "lacp_rate", "1", "4", "0", "100", "802.3ad", "active-backup",
}

func arbitrary[V any]() *rapid.Generator[V] {
	return rapid.MakeCustom[V](rapid.MakeConfig{Kinds: map[reflect.Kind]*rapid.Generator[any]{
		reflect.String: rapid.OneOf(rapid.SampledFrom(words), rapid.SampledFrom(words), rapid.SampledFrom(words), rapid.String()).AsAny(),
		reflect.Int:    rapid.OneOf(rapid.SampledFrom([]int{0, 1, 5, 24, 64, 68, 1500, 4095}), rapid.Int()).AsAny(),
	}})
}

func TestValidateNeverPanics(t *testing.T) {
	known := map[string]bool{}
	for _, r := range rules {
		known[r.name] = true
	}
	rapid.Check(t, func(rt *rapid.T) {
		c, limits := arbitrary[Config]().Draw(rt, "config"), arbitrary[Limits]().Draw(rt, "limits")
		before := c.Clone()
		problems, warnings := c.Validate(limits)
		if diff := cmp.Diff(before, c); diff != "" {
			rt.Fatalf("Validate changed the configuration:\n%s", diff)
		}
		for _, p := range slices.Concat(problems, warnings) {
			// Quoted text may hold U+FFFD itself, which is harmless.
			said := strings.ReplaceAll(p.String(), "\ufffd", "")
			if !known[p.Rule] || p.Path == "" || p.Message == "" || Printable(said) != said {
				rt.Errorf("bad problem: %#v", p)
			}
		}
	})
}

// The overlap of subnets is found by sorting; the oracle compares all pairs.
func TestOverlapAgainstAllPairs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var c Config
		for i := range rapid.IntRange(1, 6).Draw(rt, "nics") {
			c.HostNics = append(c.HostNics, aNic(fmt.Sprintf("eth%d", i)))
			for range rapid.IntRange(0, 4).Draw(rt, "addresses") {
				a := netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 3).Draw(rt, "net")), byte(rapid.IntRange(1, 254).Draw(rt, "host"))})
				p := netip.PrefixFrom(a, rapid.IntRange(20, 32).Draw(rt, "bits"))
				c.HostNics[i].AdditionalIPs = append(c.HostNics[i].AdditionalIPs, p.String())
			}
		}
		k := newChecker(c, Limits{})
		want := false
		for i, a := range k.static {
			for _, b := range k.static[:i] {
				want = want || a.nic != b.nic && a.prefix.Overlaps(b.prefix)
			}
		}
		k.rule = &rule{name: "subnet-overlap"}
		checkOverlap(k)
		if got := len(k.problems) > 0; got != want {
			rt.Fatalf("got %v, all pairs say %v: %v", got, want, c.HostNics)
		}
	})
}

// benchmarkConfig is a valid host: two bonds, and VLANs with addresses of both
// families on them, n host_nics in all.
func benchmarkConfig(n int) Config {
	c := host(aBond("bond0", opts("mode=4 miimon=100 lacp_rate=fast"), mtu(9000)), aBond("bond1", opts("mode=1 primary=eth10")), aNic("eth00"), aNic("eth01"))
	for i := 1; len(c.HostNics) < n; i++ {
		base, id := "bond0", i
		if id > 4094 {
			base, id = "bond1", id-4094
		}
		v := aVLAN(fmt.Sprintf("%s.%d", base, id), base, id, mtu(1500),
			ip4(fmt.Sprintf("10.%d.%d.9", i/256, i%256), "255.255.255.0"), ip6(fmt.Sprintf("2001:db8:%x::9", i), 64), more(fmt.Sprintf("10.%d.%d.10/24", i/256, i%256)))
		c.HostNics = append(c.HostNics, v)
	}
	return c
}

// A rule that compares all pairs shows here. It is some hundredths of a second otherwise,
// and what counts is the work of this thread, whatever else the machine does.
func TestValidateIsFast(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for name, grown := range map[string]func(n int) Config{"valid": benchmarkConfig, "crowded": crowdedConfig, "VLANs on a slave": slaveConfig, "cycle": cycleConfig} {
		large := grown(4000)
		began := worked()
		problems, _ := large.Validate(Limits{})
		if took := worked() - began; took > time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		if name == "valid" && problems != nil {
			t.Errorf("got %v", problems[:1])
		}
		if len(problems) > 4*len(large.HostNics) {
			t.Errorf("%s: %d problems", name, len(problems))
		}
	}
}

// worked is how long this thread has worked.
func worked() time.Duration {
	const thread = 1 // RUSAGE_THREAD, getrusage(2)
	var used syscall.Rusage
	if err := syscall.Getrusage(thread, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// crowdedConfig is a host on which all NICs have one MAC and one subnet.
func crowdedConfig(n int) (c Config) {
	for i := range n {
		c.HostNics = append(c.HostNics, aNic(fmt.Sprintf("eth%d", i), mac("52:54:00:00:00:01"), ip4(fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), "16"), gw4("10.0.0.251")))
	}
	return c
}

func slaveConfig(n int) Config {
	c := host(aBond("bond0"))
	for i := range n {
		c.HostNics = append(c.HostNics, aVLAN(fmt.Sprintf("v%d", i), "eth00", i+1))
	}
	return c
}

func cycleConfig(n int) (c Config) {
	for i := range n {
		c.HostNics = append(c.HostNics, aVLAN(fmt.Sprintf("v%d", i), fmt.Sprintf("v%d", (i+1)%n), i+1))
	}
	return c
}

func BenchmarkValidate100(b *testing.B)  { benchmarkValidate(b, 100) }
func BenchmarkValidate4000(b *testing.B) { benchmarkValidate(b, 4000) }

func benchmarkValidate(b *testing.B, n int) {
	c := benchmarkConfig(n)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Validate(Limits{})
	}
}
