//go:build kernel

package lease

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/state"
)

const byHand = "# by hand\nnameserver 192.0.2.200\noptions edns0\n"

// resolves is a host whose file of DNS servers somebody has written by hand, and that
// gets leases of one who tells of a server and a domain.
func resolves(t *testing.T) *host {
	t.Helper()
	h := newHost(t, 2, "")
	h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150", "--dhcp-option=option:dns-server,192.0.2.53", "--dhcp-option=option:domain-name,lab.example")
	h.handWritten()
	return h
}

func (h *host) handWritten() {
	h.Helper()
	if err := os.WriteFile(h.ResolvConf(), []byte(byHand), 0o640); err != nil { //nolint:gosec // another mode than the agent's
		h.Fatal(err)
	}
}

func (h *host) resolvConf() string {
	h.Helper()
	data, err := os.ReadFile(h.ResolvConf())
	if err != nil {
		h.Fatal(err)
	}
	return string(data)
}

// resolvesBy wants the file to be the agent's, with these lines.
func (h *host) resolvesBy(lines ...string) {
	h.Helper()
	want := state.ResolverHead + strings.Join(lines, "\n") + "\n"
	if got := h.resolvConf(); got != want {
		h.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Servers of the document go first, those of leases behind them, or stay out; when both
// are gone, or dns is taken out, the file is as it was found.
func TestScenario_D25(t *testing.T) { // and TestScenario_N01, TestScenario_N06, TestScenario_N09
	t.Parallel()
	h := resolves(t)
	h.apply("host_nics: [{name: eth0, boot_protocol: dhcp}]\ndns: {servers: [198.51.100.53, 2001:0db8::0053], search: [a.example]}", "--wait", "30s")
	h.resolvesBy("search a.example lab.example", "nameserver 198.51.100.53", "nameserver 2001:db8::53", "nameserver 192.0.2.53", "options edns0")
	h.settled()
	if out := h.apply(`dns: {servers: [198.51.100.1, 198.51.100.2, 198.51.100.3, 198.51.100.4], static_only: true}`); !strings.Contains(out, "dns-many") {
		t.Errorf("no warning of four servers:\n%s", out)
	}
	h.resolvesBy("nameserver 198.51.100.1", "nameserver 198.51.100.2", "nameserver 198.51.100.3", "nameserver 198.51.100.4", "options edns0")

	h.apply(`dns: {}`)
	leased := []string{"search lab.example", "nameserver 192.0.2.53", "options edns0"}
	h.resolvesBy(leased...)
	h.run("commit")
	before := h.written()
	h.Kill()
	h.Start()
	h.leased("eth0", "192.0.2.1")
	h.resolvesBy(leased...)
	if now := h.written(); now != before {
		t.Errorf("written at %v by a restart, and at %v before", now, before)
	}
	h.run("release", "eth0")
	h.eventually("without a lease the file is as it was found", func() bool { return h.resolvConf() == byHand })
	h.run("renew", "eth0")
	h.eventually("the lease has told of a server", func() bool { return strings.Contains(h.resolvConf(), "192.0.2.53") })
	h.resolvesBy(leased...)
	h.settled()

	h.apply(`dns: null`)
	same(t, "the file", h.resolvConf(), byHand)
	if st, err := os.Stat(h.ResolvConf()); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
	h.settled()
}

func (h *host) written() time.Time {
	h.Helper()
	st, err := os.Stat(h.ResolvConf())
	if err != nil {
		h.Fatal(err)
	}
	return st.ModTime()
}

// Nobody who says nothing of DNS has the file touched; and a change that is taken back
// leaves it byte for byte as it was, also where there was none.
func TestScenario_N02(t *testing.T) {
	t.Parallel()
	h := resolves(t)
	before := h.written()
	h.apply(`host_nics: [{name: eth0, boot_protocol: dhcp}]`, "--wait", "30s")
	h.run("commit")
	same(t, "the file", h.resolvConf(), byHand)
	same(t, "written", h.written(), before)

	h.apply(`dns: {servers: [198.51.100.53]}`, "--revert-after", "2s")
	h.resolvesBy("search lab.example", "nameserver 198.51.100.53", "nameserver 192.0.2.53", "options edns0")
	h.eventually("the change is taken back", func() bool { return h.resolvConf() == byHand })

	h.run("discard")
	if err := os.Remove(h.ResolvConf()); err != nil {
		t.Fatal(err)
	}
	h.apply(`dns: {servers: [198.51.100.53], static_only: true}`)
	h.resolvesBy("nameserver 198.51.100.53")
	h.run("rollback")
	if _, err := os.Stat(h.ResolvConf()); !os.IsNotExist(err) {
		t.Errorf("after the rollback there is the file: %v", err)
	}
	h.settled()
}

// Whoever keeps the file keeps it: that is said, with what to do, before anything is
// touched. What somebody writes into the agent's is drift, and his to give back.
func TestResolverOfOthers(t *testing.T) {
	t.Parallel()
	h := resolves(t)
	link := "../run/systemd/resolve/stub-resolv.conf"
	if err := os.Remove(h.ResolvConf()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(link, h.ResolvConf()); err != nil {
		t.Fatal(err)
	}
	doc := filepath.Join(h.Dir, "refused.yaml")
	if err := os.WriteFile(doc, []byte("host_nics: [{name: eth1, mtu: 1400}]\ndns: {servers: [198.51.100.53]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := h.Try("stage", "-f", doc)
	if code != 3 || !strings.Contains(out, "dns-kept-elsewhere") || !strings.Contains(out, "systemctl disable --now systemd-resolved") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if to, err := os.Readlink(h.ResolvConf()); to != link || h.show("eth1").MTU != 1500 {
		t.Errorf("%s, %v, MTU %d", to, err, h.show("eth1").MTU)
	}

	if err := os.Remove(h.ResolvConf()); err != nil {
		t.Fatal(err)
	}
	h.handWritten()
	h.run("stage", "-f", doc)
	h.run("commit")
	h.resolvesBy("nameserver 198.51.100.53", "options edns0")
	h.handWritten()
	h.eventually("that is drift, which nobody has asked for", func() bool { return strings.Contains(h.log(), `"field":"dns"`) })
	if out, _ := h.Try("doctor"); !strings.Contains(out, "dns should be nameserver 198.51.100.53") {
		t.Errorf("the doctor does not tell of drift:\n%s", out)
	}
	h.apply(`host_nics: [{name: eth1, mtu: 1300}]`, "--revert-after", "1s")
	h.eventually("the way back is gone to its end", func() bool { return strings.Contains(h.run("status"), "revert done") })
	h.resolvesBy("nameserver 198.51.100.53", "options edns0")
	h.run("discard")
	h.handWritten()
	h.apply(`host_nics: [{name: eth0, boot_protocol: dhcp}]`)
	h.leased("eth0", "192.0.2.1")
	h.eventually("an apply has the agent write again", func() bool { return strings.Contains(h.resolvConf(), "192.0.2.53") })

	// systemd-resolved comes back while the agent is away: the NICs are configured all the
	// same.
	h.run("commit")
	h.Kill()
	if err := os.Remove(h.ResolvConf()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(link), h.ResolvConf()); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.eventually("dns waits", func() bool { return strings.Contains(h.run("status"), "is a link to stub-resolv.conf") })
	if out, _ := h.Try("doctor"); !strings.Contains(out, "is a link to stub-resolv.conf") {
		t.Errorf("the doctor does not tell who keeps the file:\n%s", out)
	}
	h.leased("eth0", "192.0.2.1")
}

// A router that has no addresses to lend has servers to tell of (the O flag).
func TestResolverOfAutoconf(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.router6("s0", "2001:db8:1::1/64", "2001:db8:1::,ra-stateless,64,10m", "--dhcp-option=option6:dns-server,[2001:db8:1::53],[2001:db8:1::54]")
	h.apply("host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]\ndns: {}")
	h.eventually("the servers are told", func() bool { _, err := os.Stat(h.ResolvConf()); return err == nil })
	h.resolvesBy("nameserver 2001:db8:1::53", "nameserver 2001:db8:1::54")
	h.run("commit")
	before := h.written()
	h.Kill()
	h.Start()
	h.eventually("the client goes on", func() bool { return h.show("eth0").IPv6Lease.State == "informed" })
	same(t, "written", h.written(), before)
	h.settled()
}
