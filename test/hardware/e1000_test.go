//go:build hardware

package hardware

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protojson"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/hypervisor"
)

const (
	// What test/hardware/run has put into the machine.
	nicMAC, cable = "52:54:00:00:00:01", "cable0"
	// monitor is the serial line at whose other end QEMU listens.
	monitor = "/dev/ttyS2"
	gigabit = 1_000_000_000
	// patience is how long anything may take in an emulated machine that is busy.
	patience = time.Minute
)

// outside gives orders to the machine's maker, at the end of a serial line.
type outside struct {
	t    *testing.T
	line *os.File
}

func fromOutside(t *testing.T) outside {
	t.Helper()
	line, err := os.OpenFile(monitor, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	settings, err := unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS)
	if err == nil {
		settings.Lflag, settings.Oflag = 0, 0 // what comes back is not to be sent there again
		err = unix.IoctlSetTermios(int(line.Fd()), unix.TCSETS, settings)
	}
	if err != nil {
		t.Fatal(err)
	}
	return outside{t, line}
}

// cable has it put in (on), or pulled (off).
func (o outside) cable(word string) {
	o.t.Helper()
	o.t.Logf("outside: set_link %s %s", cable, word)
	if _, err := o.line.WriteString("set_link " + cable + " " + word + "\n"); err != nil {
		o.t.Fatal(err)
	}
}

// plugged is the NIC of the machine, in a namespace of the test's.
func plugged(h *hypervisor.Host) string {
	h.T.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		h.T.Fatal(err)
	}
	for _, l := range links {
		if l.Attrs().HardwareAddr.String() != nicMAC {
			continue
		}
		ns, err := os.Open(h.NS.Path())
		if err == nil {
			err = errors.Join(netlink.LinkSetNsFd(l, int(ns.Fd())), ns.Close())
		}
		if err != nil {
			h.T.Fatal(err)
		}
		return l.Attrs().Name
	}
	h.T.Fatalf("no NIC %s: run make test-hardware", nicMAC)
	return ""
}

// watch gives what agentctl watch tells of a NIC.
func watch(h *hypervisor.Host, name string) <-chan *hostnicv1.WatchHostNicsResponse {
	h.T.Helper()
	ctx, cancel := context.WithCancel(h.T.Context())
	cmd := exec.CommandContext(ctx, os.Getenv("AGENTCTL"), "--socket", h.Socket(), "-o", "json", "watch", name)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.T.Fatal(err)
	}
	told := make(chan *hostnicv1.WatchHostNicsResponse)
	go func() {
		defer close(told)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			m := &hostnicv1.WatchHostNicsResponse{}
			if err := protojson.Unmarshal(lines.Bytes(), m); err != nil {
				h.T.Errorf("watch: %v: %s", err, lines.Text())
				return
			}
			select {
			case told <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	h.T.Cleanup(func() {
		cancel()
		for range told { // to its end
		}
		_ = cmd.Wait()
	})
	return told
}

// until waits for the watcher to be told of something.
func until(t *testing.T, told <-chan *hostnicv1.WatchHostNicsResponse, what string, enough func(*hostnicv1.WatchHostNicsResponse) bool) *hostnicv1.HostNic {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case m, ok := <-told:
			if !ok {
				t.Fatalf("the watch ended before %s", what)
			}
			if enough(m) {
				return m.GetNew()
			}
		case <-limit:
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// show is what agentctl show says.
func show(h *hypervisor.Host, name string) *hostnicv1.HostNic {
	h.T.Helper()
	n := &hostnicv1.HostNic{}
	if err := protojson.Unmarshal([]byte(h.Run("show", name, "-o", "json")), n); err != nil {
		h.T.Fatal(err)
	}
	return n
}

// The speed is what the driver says, in bits per second; the cable is pulled from outside
// of the machine, a watcher is told, and told again when it is put back.
func TestE1000(t *testing.T) {
	h, o := hypervisor.New(t), fromOutside(t)
	name := plugged(h)
	h.Start()
	told := watch(h, name)
	until(t, told, "the NICs as they are", func(m *hostnicv1.WatchHostNicsResponse) bool {
		return m.GetEvent() == hostnicv1.WatchEvent_WATCH_EVENT_SYNCED
	})
	h.Stage("host_nics: [{name: " + name + ", ip: {address: 192.0.2.1, netmask: 255.255.255.0}}]")
	t.Log("agentctl commit\n" + h.Run("commit"))
	up := func(m *hostnicv1.WatchHostNicsResponse) bool {
		return m.GetNew().GetStatus().GetState() == "up" && m.GetNew().GetSpeed() == gigabit
	}
	until(t, told, "up with its speed", up)

	n := show(h, name)
	t.Logf("agentctl show %s\n%s", name, h.Run("show", name))
	if n.GetSpeed() != gigabit || n.GetDuplex() != "full" || n.GetDriver() != "e1000" || n.GetPermanentMac() != nicMAC ||
		!regexp.MustCompile(`^0000:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`).MatchString(n.GetBusPath()) {
		t.Errorf("speed %d, duplex %q, driver %q, permanent MAC %q, bus path %q", n.GetSpeed(), n.GetDuplex(), n.GetDriver(), n.GetPermanentMac(), n.GetBusPath())
	}
	// The bus path is where the hardware is.
	if at, err := os.Readlink(filepath.Join("/sys/bus/pci/drivers/e1000", n.GetBusPath())); err != nil || !strings.HasSuffix(at, n.GetBusPath()) {
		t.Errorf("no such NIC on the bus: %v", err)
	}

	o.cable("off")
	n = until(t, told, "its carrier gone", func(m *hostnicv1.WatchHostNicsResponse) bool {
		return m.GetNew().GetStatus().GetState() == "down"
	})
	t.Logf("agentctl nics\n%s", h.Run("nics"))
	if n.GetCarrier() || n.Speed != nil || n.GetAbsentReasons()["speed"] == "" || n.GetAdminState() != "up" || n.GetOperState() != "down" {
		t.Errorf("without a cable: %v", n)
	}
	o.cable("on")
	n = until(t, told, "up again", up)
	t.Logf("agentctl nics\n%s", h.Run("nics"))
	if n.GetCarrierDowns() == 0 {
		t.Errorf("no loss of the carrier is counted: %v", n)
	}
}
