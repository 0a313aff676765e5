//go:build kernel

package controlplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A host that was configured by commands, as ifupdown and scripts do it: what import says
// of it takes nothing to bring about, is committed with no write to the kernel, and comes
// back at boot.
func TestImport(t *testing.T) {
	h := newHost(t, nil, "eth0", "eth1", "eth2")
	for _, command := range []string{
		"link add bond0 type bond mode active-backup miimon 50 primary_reselect better", "link set eth0 master bond0", "link set eth1 master bond0",
		"link set bond0 mtu 1600", "link set bond0 up",
		"link add link bond0 name bond0.7 type vlan id 7", "link set bond0.7 up", "addr add 10.7.0.1/24 dev bond0.7", "addr add 2001:db8:7::1/64 dev bond0.7",
		"link add link eth2 name storage type vlan id 9", "link set eth2 up", "link set storage up", "addr add 10.9.0.1/24 dev storage", "addr add 10.9.0.2/24 dev storage",
		"addr add 192.0.2.1/24 dev eth2", "route add default via 192.0.2.254", "route add 198.51.100.0/24 via 192.0.2.254",
		"link add vnet0 type dummy", "addr add 203.0.113.1/24 dev vnet0",
	} {
		h.NS.IP(t, strings.Fields(command)...)
	}
	h.settings("")
	h.start()
	h.eventually("the links are up", func() bool {
		return strings.Count(h.NS.IP(t, "link"), "state UP") >= 5 && !strings.Contains(h.NS.IP(t, "address"), "tentative")
	})
	look := func() string { return h.NS.IP(t, "-d", "address") + h.NS.IP(t, "route") + h.NS.IP(t, "-6", "route") }
	before := look()

	a := h.local("import", "bond0.7", "storage")
	h.must(a, 0, "miimon: 50", "primary_reselect: better", "gateway: 192.0.2.254", "10.9.0.2/24", "warning: ", "198.51.100.0/24")
	if strings.Contains(a.out, "vnet0") {
		t.Errorf("it speaks of what is others':\n%s", a.out)
	}
	h.must(h.local("import", "lo"), 3, "not-importable")
	h.must(h.local("import", "eth9"), 3, "nic-unknown")
	// Only the document, without what stands on standard error.
	h.must(h.local("-o", "json", "import", "bond0.7", "storage"), 0)
	document := filepath.Join(h.Dir, "imported.yaml")
	from := strings.Index(a.out, "host_nics:")
	if err := os.WriteFile(document, []byte(a.out[from:]), 0o600); err != nil {
		t.Fatal(err)
	}
	h.must(h.local("stage", "--replace", "-f", document), 0)
	h.must(h.local("diff"), 0)
	h.must(h.local("commit"), 0, "committed as revision 1")
	if after := look(); after != before {
		t.Errorf("taking over has changed\n%s\nto\n%s", before, after)
	}
	h.must(h.local("history", "--operations", "-o", "json"), 0, `"kind": "commit"`)
	if strings.Contains(h.local("history", "--operations", "-o", "json").out, `"writes"`) {
		t.Error("the kernel was written to")
	}
	// What is the agent's now stays what it is when it is imported once more.
	again := h.local("import", "bond0.7", "storage")
	h.must(again, 0, "miimon: 50")
	h.must(h.local("config", "committed"), 0, again.out[strings.Index(again.out, "host_nics:"):])
}
