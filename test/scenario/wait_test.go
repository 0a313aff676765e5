//go:build kernel

package scenario

import (
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/engine"
)

// TestWait waits for a cable and for the kernel to have checked an address. It ends
// when they are there and not before.
func TestWait(t *testing.T) {
	h := newHost(t, "eth0")
	h.far.Down(t, "p-eth0")
	if err := h.stage(`host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: "24"}}, {vlan: {id: 7}, base_interface: eth0, ipv6: {address: "2001:db8::1", prefix: 64}}]`); err != nil {
		t.Fatal(err)
	}
	var told []string
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Apply, Wait: time.Minute}, func(s engine.Step) {
		if s.Phase != "waiting" {
			return
		}
		told = append(told, s.Text)
		if strings.Contains(s.Text, "eth0: it has no carrier") {
			h.far.Up(t, "p-eth0")
		}
	})
	if err != nil || op.State != engine.Done || len(op.Waiting) != 0 {
		t.Fatalf("%v, state %s, %v, waiting for %v", err, op.State, op.Err, op.Waiting)
	}
	if len(told) == 0 || !strings.Contains(told[0], "eth0: it has no carrier") {
		t.Errorf("told: %q", told)
	}
	if l := h.link("eth0.7"); !l.Carrier {
		t.Errorf("it has ended before %s had a carrier", l.Name)
	}
	h.settled()
}
