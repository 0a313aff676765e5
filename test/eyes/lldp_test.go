//go:build kernel

package eyes

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/test/need"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// lldpd runs Debian's in the far namespace, with what it has to say, until the test ends.
// It wants a user of its own to drop its rights to.
func (h *host) lldpd(speak ...string) (stop func()) {
	h.T.Helper()
	for path, line := range map[string]string{"/etc/passwd": "_lldpd:x:987:987::/run/lldpd:/usr/sbin/nologin\n", "/etc/group": "_lldpd:x:987:\n"} {
		text, err := os.ReadFile(path)
		if err != nil {
			h.T.Fatal(err)
		}
		if !strings.Contains(string(text), "_lldpd:") {
			if err := os.WriteFile(path, append(text, line...), 0o600); err != nil {
				h.T.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll("/run/lldpd", 0o755); err != nil {
		h.T.Fatal(err)
	}
	cmd := exec.Command(need.LldpdPath(), append([]string{"-d", "-u", h.path("lldpd"), "-L", need.LldpcliPath()}, speak...)...)
	log, err := os.Create(h.path("lldpd.log"))
	if err != nil {
		h.T.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	h.Far.Do(func() { err = cmd.Start() })
	if err != nil {
		h.T.Fatal(err)
	}
	running := true
	stop = func() {
		if running {
			running = false
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	h.T.Cleanup(func() {
		stop()
		if h.T.Failed() {
			said, _ := os.ReadFile(h.path("lldpd.log"))
			h.T.Logf("lldpd: %s", said)
		}
	})
	return stop
}

func (h *host) neighbours(nics ...string) []*hostnicv1.LldpNeighbour {
	h.T.Helper()
	answer, err := h.nics().ListLldpNeighbours(h.T.Context(), &hostnicv1.ListLldpNeighboursRequest{Nics: nics})
	if err != nil {
		h.T.Fatal(err)
	}
	return answer.GetNeighbours()
}

// Debian's lldpd in another namespace is seen over a cable, slaves of a bond included,
// with all that it says; and is forgotten when it takes its leave.
func TestLLDP(t *testing.T) {
	need.Kernel(t, need.Own, need.Lldpd)
	h := newHost(t, "eth0", "eth1", "eth2")
	h.Far.IP(t, "link", "add", "link", "p-eth0", "name", "blue", "type", "vlan", "id", "11")
	h.Far.Up(t, "blue")
	h.Far.IP(t, "addr", "add", "198.51.100.7/24", "dev", "blue")
	const name = "leaf3"
	if err := unix.Sethostname([]byte(name)); err != nil {
		t.Fatal(err)
	}
	h.start("probe_limit: 3s")
	h.commit(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup}, slaves: [eth0, eth1]}}]`)
	h.eventually("LLDP is listened to", func() bool { return h.sockets() == 2 })
	stop := h.lldpd("-I", "p-eth*", "-C", "p-eth0", "-S", "a switch of the test", "-H", "8")
	var found []*hostnicv1.LldpNeighbour
	h.eventually("lldpd is heard on both slaves", func() bool {
		found = h.neighbours("bond0")
		return len(found) == 2
	})
	n := found[0]
	mac := strings.Fields(h.Far.IP(t, "-br", "link", "show", "p-eth0"))[2]
	switch {
	case n.GetNic() != "eth0" || found[1].GetNic() != "eth1":
		t.Errorf("heard on %s and %s", n.GetNic(), found[1].GetNic())
	case n.GetChassisIdKind() != "mac" || n.GetChassisId() != mac || n.GetMac() != mac:
		t.Errorf("chassis %s %s, from %s; want %s", n.GetChassisIdKind(), n.GetChassisId(), n.GetMac(), mac)
	case n.GetPortIdKind() != "mac" || n.GetPortId() != mac || n.GetPortDescription() != "p-eth0":
		t.Errorf("port %s %s, %s", n.GetPortIdKind(), n.GetPortId(), n.GetPortDescription())
	case !strings.HasPrefix(n.GetSystemName(), name) || n.GetSystemDescription() != "a switch of the test":
		t.Errorf("system %q, %q; want %q", n.GetSystemName(), n.GetSystemDescription(), name)
	case n.GetTtl().AsDuration() != 120*time.Second || time.Since(n.GetLastHeard().AsTime()) > patience:
		t.Errorf("%v, heard %v", n.GetTtl(), n.GetLastHeard())
	case !slices.Contains(n.GetCapabilities(), "station") || !slices.Contains(n.GetCapabilities(), "bridge"):
		t.Errorf("capabilities %v", n.GetCapabilities())
	case len(n.GetVlans()) != 1 || n.GetVlans()[0].GetId() != 11 || n.GetVlans()[0].GetName() != "vlan11":
		t.Errorf("VLANs %v", n.GetVlans())
	case n.GetAggregation() == nil || n.GetAggregation().GetEnabled():
		t.Errorf("aggregation %v", n.GetAggregation())
	case !slices.Contains(n.GetManagementAddresses(), "198.51.100.7"):
		t.Errorf("management %v", n.GetManagementAddresses())
	}
	if t.Failed() {
		t.Log(n)
	}
	if lines := h.nic("eth0").GetLldp(); len(lines) != 1 || !strings.Contains(lines[0], "p-eth0") {
		t.Errorf("the NIC tells %q", lines)
	}
	if out := h.Run("lldp"); !strings.Contains(out, "p-eth0") || !strings.Contains(out, "p-eth1") {
		t.Errorf("the table:\n%s", out)
	}
	if out := h.Run("lldp", "eth0"); !strings.Contains(out, "11 vlan11") {
		t.Errorf("in full:\n%s", out)
	}
	h.expectNeighbours(n)
	// Nobody listens on a link that is not the agent's, or that is down.
	if out, code := h.Try("lldp", "eth9"); code == 0 || !strings.Contains(out, "there is no NIC eth9") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	stop()
	h.eventually("lldpd has taken its leave", func() bool { return len(h.neighbours()) == 0 })
	h.commit(`{}`)
	h.eventually("nobody listens any more", func() bool { return h.sockets() == 0 })
}

// expectNeighbours has the document say who is to be at the ends of the cables: n at that
// of eth0, which is so, and at that of eth1 somebody who is not there.
func (h *host) expectNeighbours(n *hostnicv1.LldpNeighbour) {
	h.T.Helper()
	h.stage(`host_nics: [{name: bond0, mtu: 1400},
		{name: eth0, expected_neighbour: {system_name: "` + n.GetSystemName() + `", chassis_id: "` + n.GetChassisId() + `", port_description: p-eth0, required: true}},
		{name: eth1, expected_neighbour: {port_description: p-eth7}}]`)
	if out, code := h.Try("commit", "--no-rehearse"); code != 0 || !strings.Contains(out, "lldp eth0") || !strings.Contains(out, "there is port_description p-eth1") {
		h.T.Errorf("the right one at eth0, another one at eth1: exit code %d\n%s", code, out)
	}
	if e := h.nic("eth0").GetExpectedNeighbour(); e.GetChassisId() != n.GetChassisId() || !e.GetRequired() {
		h.T.Errorf("eth0 tells that it expects %v", e)
	}
	if out, code := h.Try("doctor"); code == 0 || !strings.Contains(out, "port_description p-eth7") || strings.Contains(out, "expected: system_name") {
		h.T.Errorf("the doctor: exit code %d\n%s", code, out)
	}
	h.stage(`host_nics: [{name: bond0, mtu: 1300}, {name: eth1, expected_neighbour: {required: true, port_description: p-eth8}}]`)
	if out, code := h.Try("apply", "--no-rehearse"); code != 4 || !strings.Contains(out, "lldp eth1") || !strings.Contains(out, "there is port_description p-eth1") {
		h.T.Errorf("another one at eth1, and required: exit code %d\n%s", code, out)
	}
	if mtu := h.nic("bond0").GetMtu(); mtu != 1400 {
		h.T.Errorf("the MTU is %d, want that of before", mtu)
	}
	h.stage(`host_nics: [{name: bond0, mtu: 1400}, {name: eth1, expected_neighbour: {port_description: p-eth1}}]`)
	h.Run("commit", "--no-rehearse")
}

// sockets is how many packet sockets for LLDP are open in the host's namespace.
func (h *host) sockets() int {
	h.T.Helper()
	var text []byte
	var err error
	h.NS.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/packet") })
	if err != nil {
		h.T.Fatal(err)
	}
	return strings.Count(string(text), " 88cc ")
}

// Frames that a hostile port sends: malformed ones, a flood of made-up neighbours, and
// what a VM on a tap says, neither end the agent nor fill it.
func TestHostileLLDP(t *testing.T) {
	h := newHost(t, "eth0")
	h.start()
	h.commit(`host_nics: [{name: eth0, mtu: 1500}]`)
	h.eventually("LLDP is listened to", func() bool { return h.sockets() == 1 })
	send := h.sender("p-eth0")
	files, err := filepath.Glob("../../agent/lldp/testdata/*.pdu")
	if err != nil || len(files) == 0 {
		t.Fatal("no frames", err)
	}
	for _, file := range files {
		pdu, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		send(pdu[:len(pdu)/2])
		send(append([]byte{0xfe}, pdu...))
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	h.eventually("the good one", func() bool {
		send(good)
		return len(h.neighbours("eth0")) == 1
	})
	for i := range 5000 {
		send([]byte("\x02\x02\x07a\x04\x03\x05" + string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26)}) + "\x06\x02\xff\xff\x00\x00"))
	}
	h.eventually("as many as there may be", func() bool { return len(h.neighbours()) == 16 })
	h.Far.Down(t, "p-eth0")
	h.NS.Down(t, "eth0")
	h.eventually("down, and nobody known", func() bool { return len(h.neighbours()) == 0 && h.sockets() == 0 })
}

// sender sends LLDPDUs from a link of the far namespace.
func (h *host) sender(link string) func(pdu []byte) {
	h.T.Helper()
	nl := h.Far.Netlink(h.T)
	l, err := nl.LinkByName(link)
	if err != nil {
		h.T.Fatal(err)
	}
	var fd int
	h.Far.Do(func() { fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { _ = unix.Close(fd) })
	to := &unix.SockaddrLinklayer{Protocol: 0xcc88, Ifindex: l.Attrs().Index, Halen: 6, Addr: [8]byte{0x01, 0x80, 0xc2, 0, 0, 0x0e}}
	return func(pdu []byte) {
		if err := unix.Sendto(fd, pdu, 0, to); err != nil {
			h.T.Fatal(err)
		}
	}
}
