//go:build kernel

// Package bed tests the test bed: that the kernel under the tests still does
// what the other tests take for granted, and that test/netns keeps its word.
package bed

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

func TestFeatures(t *testing.T) {
	for _, f := range need.All() {
		t.Run(string(f), func(t *testing.T) { need.Kernel(t, f) })
	}
}

func TestNoLinksOfTheMachine(t *testing.T) {
	if os.Getenv("HOSTNIC_NEED") == "" {
		t.Skip("perhaps not in the runner; run: make test-kernel")
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if names := linkNames(links); !slices.Equal(names, []string{"lo"}) {
		t.Errorf("the runner lets a test at %v", names)
	}
}

func TestNamespaceIsApart(t *testing.T) {
	need.Kernel(t, need.Netns, need.Dummy)
	a, b := netns.New(t), netns.New(t)
	a.Dummy(t, "eth0")
	for _, test := range []struct {
		name string
		in   func(func())
		want []string
	}{
		{"a", a.Do, []string{"lo", "eth0"}},
		{"b", b.Do, []string{"lo"}},
		{"outside", func(fn func()) { fn() }, []string{"lo"}},
	} {
		var links []net.Interface
		test.in(func() { links, _ = net.Interfaces() })
		if got := linkNames(links); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if _, err := a.Netlink(t).LinkByName("eth0"); err != nil {
		t.Errorf("handle: %v", err)
	}
	if out := a.IP(t, "-br", "link"); !strings.Contains(out, "eth0") {
		t.Errorf("ip: %s", out)
	}
	out, err := exec.Command("nsenter", "--net="+a.Path(), "ip", "-br", "link").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "eth0") {
		t.Errorf("another process by Path: %v\n%s", err, out)
	}
}

func TestNamespacesDoNotLeak(t *testing.T) {
	need.Kernel(t, need.Netns, need.Dummy)
	use := func(t *testing.T) {
		ns := netns.New(t)
		ns.Dummy(t, "eth0")
		ns.Netlink(t)
	}
	t.Run("warm up", use)
	before := count(t, "/proc/self/fd")
	for range 20 {
		t.Run("use", use)
	}
	if after := count(t, "/proc/self/fd"); after > before {
		t.Errorf("%d open files before, %d after", before, after)
	}
	eventually(t, 5*time.Second, "threads to end", func() bool { return count(t, "/proc/self/task") < 20 })
}

func TestEndInsideDoEndsTheTest(t *testing.T) {
	need.Kernel(t, need.Netns)
	ns := netns.New(t)
	done := make(chan string, 1)
	go func() {
		told := "ended"
		defer func() { done <- told }()
		ns.Do(runtime.Goexit) // what t.Fatal does
		told = "went on"
	}()
	if told := <-done; told != "ended" {
		t.Error("the caller of Do " + told)
	}
}

func TestBondFailsOver(t *testing.T) {
	need.Kernel(t, need.Netns, need.Veth, need.Bond)
	host, far := netns.New(t), netns.New(t)
	lay(t, host, far, 2)
	makeBond(t, host, netlink.BOND_MODE_ACTIVE_BACKUP)
	far.Up(t, "p0", "p1")
	handle := host.Netlink(t)
	active := func() string {
		link, err := handle.LinkByIndex(bondOf(t, handle).ActiveSlave)
		if err != nil {
			return ""
		}
		return link.Attrs().Name
	}
	eventually(t, 5*time.Second, "a first active slave", func() bool { return active() != "" })
	first := active()
	far.Down(t, first)
	eventually(t, 5*time.Second, "the other slave", func() bool { return active() != "" && active() != first })
}

func TestLACP(t *testing.T) {
	need.Kernel(t, need.Netns, need.Veth, need.LACP)
	a, b := netns.New(t), netns.New(t)
	lay(t, a, b, 2)
	makeBond(t, a, netlink.BOND_MODE_802_3AD)
	makeBond(t, b, netlink.BOND_MODE_802_3AD)
	far := bondOf(t, b.Netlink(t)).HardwareAddr.String()
	// By ip, because the netlink library leaves ad_info out.
	partner := func(ports int, mac string) func() bool {
		want := regexp.MustCompile(fmt.Sprintf(`ad_num_ports %d .*ad_partner_mac %s `, ports, mac))
		return func() bool { return want.MatchString(a.IP(t, "-d", "link", "show", "bond0")) }
	}
	eventually(t, 20*time.Second, "the far bond as partner on 2 ports", partner(2, far))
	b.Down(t, "p1")
	eventually(t, 20*time.Second, "1 port after a cable was pulled", partner(1, far))
}

func TestVLANCarries(t *testing.T) {
	need.Kernel(t, need.Netns, need.Veth, need.VLAN)
	a, b := netns.New(t), netns.New(t)
	lay(t, a, b, 1)
	for i, ns := range []*netns.NS{a, b} {
		ns.Up(t, "p0")
		ns.IP(t, "link", "add", "link", "p0", "name", "p0.100", "type", "vlan", "id", "100")
		ns.IP(t, "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", "p0.100")
		ns.Up(t, "p0.100")
	}
	talk(t, a, b, "192.0.2.2")
}

func TestIPv6Carries(t *testing.T) {
	need.Kernel(t, need.Netns, need.Veth, need.IPv6)
	a, b := netns.New(t), netns.New(t)
	lay(t, a, b, 1)
	for i, ns := range []*netns.NS{a, b} {
		ns.Up(t, "p0")
		ns.IP(t, "addr", "add", fmt.Sprintf("2001:db8::%d/64", i+1), "dev", "p0")
	}
	// Addresses are tentative at first, for about 2 s.
	eventually(t, 10*time.Second, "duplicate address detection", func() bool {
		return a.IP(t, "-6", "addr", "show", "tentative")+b.IP(t, "-6", "addr", "show", "tentative") == ""
	})
	talk(t, a, b, "2001:db8::2")
}

func TestBridgeCarries(t *testing.T) {
	need.Kernel(t, need.Netns, need.Veth, need.Bridge)
	a, b, between := netns.New(t), netns.New(t), netns.New(t)
	a.Veth(t, "eth0", between, "a")
	b.Veth(t, "eth0", between, "b")
	between.Bridge(t, "switch", "a", "b")
	for i, ns := range []*netns.NS{a, b} {
		ns.Up(t, "eth0")
		ns.IP(t, "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", "eth0")
	}
	talk(t, a, b, "192.0.2.2")
}

// lay lays n cables, p0 to p0, p1 to p1 and so on.
func lay(t *testing.T, a, b *netns.NS, n int) {
	t.Helper()
	for i := range n {
		a.Veth(t, fmt.Sprintf("p%d", i), b, fmt.Sprintf("p%d", i))
	}
}

// makeBond makes bond0 of p0 and p1, and sets it up.
func makeBond(t *testing.T, ns *netns.NS, mode netlink.BondMode) {
	t.Helper()
	handle := ns.Netlink(t)
	bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
	bond.Mode, bond.Miimon = mode, 100
	if mode == netlink.BOND_MODE_802_3AD {
		bond.LacpRate = netlink.BOND_LACP_RATE_FAST
	}
	if err := handle.LinkAdd(bond); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		link, err := handle.LinkByName(fmt.Sprintf("p%d", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := handle.LinkSetMaster(link, bond); err != nil {
			t.Fatal(err)
		}
	}
	ns.Up(t, "bond0")
}

func bondOf(t *testing.T, handle *netlink.Handle) *netlink.Bond {
	t.Helper()
	link, err := handle.LinkByName("bond0")
	if err != nil {
		t.Fatal(err)
	}
	bond, ok := link.(*netlink.Bond)
	if !ok {
		t.Fatalf("bond0 is a %s", link.Type())
	}
	return bond
}

// talk opens a connection from a to address in b and gets a word through.
func talk(t *testing.T, a, b *netns.NS, address string) {
	t.Helper()
	var listener net.Listener
	var err error
	b.Do(func() { listener, err = net.Listen("tcp", net.JoinHostPort(address, "7")) })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = conn.Write([]byte("hello"))
			_ = conn.Close()
		}
	}()
	a.Do(func() {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, "7"), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		word := make([]byte, 5)
		if _, err := conn.Read(word); err != nil || string(word) != "hello" {
			t.Fatalf("got %q, %v", word, err)
		}
	})
}

// eventually waits for the condition; the only other way out is failure.
func eventually(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", limit, what)
		}
	}
}

func count(t *testing.T, folder string) int {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func linkNames(links []net.Interface) []string {
	var names []string
	for _, link := range links {
		names = append(names, link.Name)
	}
	return names
}
