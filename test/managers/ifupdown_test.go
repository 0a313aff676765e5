//go:build kernel

package managers

import (
	"os"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/test/need"
)

// ifupdown, which knows no file that would have it leave a link alone: the commands of
// the refusal take the link out of its files, and nothing of the host changes.
func TestFault_B9_Ifupdown(t *testing.T) {
	need.Kernel(t, need.Own, need.Netns, need.Veth, need.Ifupdown)
	m := &machine{t: t, dir: t.TempDir()}
	m.lay(need.IfupPath())
	m.cables()
	const main, lan = "/etc/network/interfaces", "/etc/network/interfaces.d/lan"
	m.put(main, "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n")
	const before, stanza, after = "# the lab\nauto eth0 eth1\n", `iface eth0 inet static
    address 192.0.2.1/24
    gateway 192.0.2.254

iface eth0 inet6 static
    address 2001:db8::1/64
    accept_ra 0
    dad-attempts 0
`, `
iface eth1 inet static
    address 198.51.100.1/24
`
	m.put(lan, before+stanza+after)
	m.sh("mkdir -p /run/network && ifup eth0 eth1")
	t.Cleanup(func() { m.sh("rm -r /run/network " + main + " " + lan) })
	m.hostnicd()
	look := func() string { return m.sh("ip addr show dev eth0; ip route; ip -6 route") }
	was := look()

	m.stage(m.must(0, "192.0.2.254", "import", "eth0"), "--replace")
	m.must(0, "ifupdown manages eth0", "diff") // and nothing to do
	commands := []string{"/etc/network/interfaces.d/lan has a stanza for it in line 3", "sed -i '3,10s/^/# /' /etc/network/interfaces.d/lan", `sed -i '2s/[[:space:]]eth0\b//' /etc/network/interfaces.d/lan`}
	for _, flags := range [][]string{nil, {"--take-over"}} {
		out := m.must(3, "managed-elsewhere", append([]string{"commit"}, flags...)...)
		for _, hand := range commands {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), hand) {
				t.Errorf("%v: no %q in\n%s", flags, hand, out)
			}
		}
	}
	if now := look(); now != was {
		t.Errorf("a refusal has changed something:\n%s\nwas\n%s", now, was)
	}

	out, _ := m.agentctl("commit")
	m.byHand(out)
	m.must(0, "committed as revision 1", "commit")
	if now := look(); now != was {
		t.Errorf("handed over, the host is\n%s\nand was\n%s", now, was)
	}
	want := "# the lab\nauto eth1\n# " + strings.ReplaceAll(strings.TrimSuffix(stanza, "\n"), "\n", "\n# ") + "\n" + after
	if now, err := os.ReadFile(lan); err != nil || string(now) != want {
		t.Errorf("its file: %v\n%s", err, now)
	}
	// It reads what is left of it, and knows eth1 as ever.
	if out := m.sh("ifquery --list"); strings.TrimSpace(out) != "lo\neth1" {
		t.Errorf("ifupdown brings up %q", out)
	}
}
