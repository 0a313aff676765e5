//go:build kernel

package eyes

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/hostnic/hostnic/test/need"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Links come and go as fast as the kernel can do it, for ten seconds, beside watchers that
// do not read: other calls are answered, what is told afterwards is what the kernel has,
// and neither goroutines nor memory stay.
func TestFault_B15(t *testing.T) {
	const stalled = 20
	h := newHost(t, "eth0")
	f := h.flapper(100)
	h.start("metrics: " + h.path("metrics"))
	h.eventually("all links are known", func() bool { return h.nic("tap099") != nil })
	before := h.number("go_goroutines")
	watching, end := context.WithCancel(t.Context())
	for range stalled {
		if _, err := h.nics().WatchHostNics(watching, &hostnicv1.WatchHostNicsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually("the watchers watch", func() bool { return h.number("hostnic_watchers") == stalled })
	var slowest time.Duration
	began := time.Now()
	for time.Since(began) < 10*time.Second {
		f.round()
		asked := time.Now()
		if _, err := h.config().GetStatus(t.Context(), &hostnicv1.GetStatusRequest{}); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(asked))
	}
	took := time.Since(began)
	if f.count%2 == 0 {
		f.round()
	}
	over := time.Now()
	h.eventually("each link is up", func() bool { return h.down() == 0 })
	t.Logf("%d changes in %v, the slowest answer beside them took %v; true %v after", f.count*len(f.links), took, slowest, time.Since(over))
	if slowest > patience/4 {
		t.Errorf("an answer took %v", slowest)
	}
	end()
	h.eventually("no goroutine is left", func() bool { return h.number("hostnic_watchers") == 0 && h.number("go_goroutines") <= before+5 })
	if memory := h.number("process_resident_memory_bytes"); memory > 64<<20 {
		t.Errorf("%.0f MiB are resident", memory/(1<<20))
	}
}

// down is how many of the flapper's links the agent tells are not up.
func (h *host) down() (n int) {
	h.T.Helper()
	answer, err := h.nics().ListHostNics(h.T.Context(), &hostnicv1.ListHostNicsRequest{})
	if err != nil {
		h.T.Fatal(err)
	}
	for _, nic := range answer.GetHostNics() {
		if nic.GetKind() == "dummy" && (nic.GetAdminState() != "up" || !nic.GetCarrier()) {
			n++
		}
	}
	return n
}

// number is a metric without labels.
func (h *host) number(name string) float64 {
	h.T.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(h.scrape("/metrics"))
	if found == nil {
		h.T.Fatalf("%s is not told", name)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		h.T.Fatal(err)
	}
	return value
}

// A slave flaps ten times a second: every loss is counted, and when it stops what is told
// is true, of its bond, too, with no backlog of events.
func TestFault_B19(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.start()
	h.commit(`host_nics: [{name: bond0, bonding: {options: {mode: active-backup, miimon: 20, primary: eth0}, slaves: [eth0, eth1]}}]`)
	active := func() bool { return h.nic("bond0").GetActiveSlave() == "eth0" }
	h.eventually("eth0 is active", active)
	h.flaps()
	h.eventually("eth0 is active again", active)
}

// The same of a NIC by itself, which nobody manages.
func TestScenario_E04(t *testing.T) {
	h := newHost(t, "eth0")
	h.start()
	h.NS.Up(t, "eth0")
	h.eventually("eth0 is up", func() bool { return h.nic("eth0").GetStatus().GetState() == "up" })
	h.flaps()
	if s := h.nic("eth0").GetStatus().GetState(); s != "up" {
		t.Errorf("eth0 is %s", s)
	}
}

// flaps has eth0 lose its carrier ten times a second, and looks at what is told of it.
func (h *host) flaps() {
	t := h.T
	t.Helper()
	const flaps = 20
	was := h.nic("eth0")
	stream := h.follow(&hostnicv1.WatchHostNicsRequest{})
	h.until(stream, "all NICs", synced)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range flaps {
		h.Far.Down(t, "p-eth0")
		<-tick.C
		h.Far.Up(t, "p-eth0")
		<-tick.C
	}
	h.eventually("it is as it was", func() bool {
		n := h.nic("eth0")
		return n.GetCarrierDowns()-was.GetCarrierDowns() == flaps && n.GetCarrierUps()-was.GetCarrierUps() == flaps && n.GetCarrier()
	})
	last := h.nic("eth0")
	_, events := h.until(stream, "the last of it", func(m *hostnicv1.WatchHostNicsResponse) bool {
		return m.GetNew().GetName() == "eth0" && m.GetNew().GetCarrierDowns() == last.GetCarrierDowns() && m.GetNew().GetCarrier()
	})
	if most := flaps * 20; events > most {
		t.Errorf("%d events for %d flaps", events, flaps)
	}
}

// What a driver tells of a speed that it does not know is no speed; half duplex is told.
func TestFault_B21(t *testing.T) {
	need.Kernel(t, need.TUN)
	h := newHost(t)
	d := newTap(t, h.NS, "eth0")
	h.start()
	d.plug(true)
	h.NS.Up(t, "eth0")
	for _, test := range []struct {
		megabits uint32
		duplex   byte
		speed    int64 // 0 is absent
		word     string
	}{{65535, 0, 0, ""}, {1<<32 - 1, 255, 0, ""}, {0, 0, 0, ""}, {100, 0, 100e6, "half"}, {25000, 1, 25e9, "full"}, {10, 255, 10e6, ""}} {
		t.Run(fmt.Sprint(test.megabits, " ", test.duplex), func(t *testing.T) {
			h.T = t
			d.medium(test.megabits, test.duplex)
			h.NS.Down(t, "eth0") // nobody tells of the speed by itself
			h.NS.Up(t, "eth0")
			var n *hostnicv1.HostNic
			h.eventually("the speed", func() bool {
				n = h.nic("eth0")
				return n.GetCarrier() && n.GetSpeed() == test.speed && n.GetDuplex() == test.word
			})
			if (n.Speed == nil) != (test.speed == 0) || (n.GetAbsentReasons()["speed"] != "") != (test.speed == 0) || (n.GetAbsentReasons()["duplex"] != "") != (test.word == "") {
				t.Errorf("%v", n)
			}
		})
	}
	h.T = t
}
