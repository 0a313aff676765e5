//go:build kernel

package lease

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/test/textlog"
)

// conf is a switch of net.ipv6.conf.
func (h *host) conf(nic, name string) string {
	h.Helper()
	var data []byte
	var err error
	h.NS.Do(func() { data, err = os.ReadFile("/proc/sys/net/ipv6/conf/" + nic + "/" + name) })
	if err != nil {
		h.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// watched is what agentctl watch tells from now on.
func (h *host) watched() *textlog.Log {
	h.Helper()
	told := &textlog.Log{}
	cmd := exec.Command(os.Getenv("AGENTCTL"), "--socket", h.Socket(), "watch", "-o", "json")
	cmd.Stdout, cmd.Stderr = told, told
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	h.eventually("it watches", func() bool { return strings.Contains(told.String(), "SYNCED") })
	return told
}

// A router says what would hurt the host: an MTU that IPv6 cannot do with, no hop limit,
// another way to a destination, and at last that it is none any more. Only that counts,
// and who watches is told that the gateway is gone.
func TestFault_E19(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	h.router("s0", "2001:db8:7::1/64", "2001:db8:7::")
	h.apply(`host_nics: [{name: eth0, ipv6_boot_protocol: autoconf}]`, "--wait", "60s")
	before := h.way("2001:db8:99::1")
	_, router, _ := strings.Cut(before, " via ")
	router, _, _ = strings.Cut(router, " ")
	told := h.watched()

	// Flags, hop limit and lifetime as the router's own, but what is looked at.
	h.say("s0", 1, func() []byte {
		return []byte{134, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0x04, 0xff} // hop limit 0, MTU 1279
	})
	// RFC 4861 §4.5: to 2001:db8:99::1 by fe80::bad.
	h.say("s0", 1, func() []byte {
		m := append([]byte{137, 0, 0, 0, 0, 0, 0, 0}, netip.MustParseAddr("fe80::bad").AsSlice()...)
		return append(m, netip.MustParseAddr("2001:db8:99::1").AsSlice()...)
	})
	// An MTU that it may ask for is taken, so that what came before has been, too.
	h.say("s0", 1, func() []byte {
		return []byte{134, 0, 0, 0, 64, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0x05, 0x14} // MTU 1300
	})
	h.eventually("an MTU of 1300 is taken", func() bool { return h.conf("eth0", "mtu") == "1300" })
	same(t, "hop limit", h.conf("eth0", "hop_limit"), "64")
	if now := h.way("2001:db8:99::1"); !strings.Contains(now, " via "+router+" ") {
		t.Errorf("a redirect was followed: %s, before: %s", now, before)
	}

	h.say("s0", 1, func() []byte { return []byte{134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} }) // no router any more
	h.eventually("the default route is gone", func() bool { return !strings.Contains(h.NS.IP(t, "-6", "route"), "default via fe80::") })
	h.eventually("it is told", func() bool {
		before, after := lastChange(told)
		return before == router && after == ""
	})
	h.settled()
}

// way is the route to a destination, as soon as there is one: there is none while the
// kernel is in doubt whether the router answers.
func (h *host) way(to string) (route string) {
	h.Helper()
	h.eventually("there is a way to "+to, func() bool {
		var out []byte
		var err error
		h.NS.Do(func() { out, err = exec.Command("ip", "-6", "route", "get", to).Output() })
		route = string(out)
		return err == nil
	})
	return route
}

// lastChange is the gateway of a NIC before and after the last change that was told.
func lastChange(told *textlog.Log) (before, after string) {
	for line := range strings.Lines(told.String()) {
		type nic struct{ IPv6 struct{ Gateway string } }
		var change struct{ Old, New nic }
		if json.Unmarshal([]byte(line), &change) == nil { // the last line may be half of one
			before, after = change.Old.IPv6.Gateway, change.New.IPv6.Gateway
		}
	}
	return before, after
}
