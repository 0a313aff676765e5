package inventory

import (
	"fmt"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/state"
)

func counting(index int, name string, bytes uint64) state.Snapshot {
	return state.Snapshot{Links: []state.Link{
		{Index: 1, Name: "lo", Type: loopback, Counters: &state.Counters{RxBytes: 7}},
		{Index: index, Name: name, Type: 1, Counters: &state.Counters{RxBytes: bytes, TxBytes: 2 * bytes, RxPackets: bytes / 100}},
		{Index: 99, Name: "silent", Type: 1},
	}}
}

// Totals never go back, whatever the driver does, and say so when it has.
func TestFault_B22(t *testing.T) {
	m, now := NewMeter(), time.Unix(1000, 0)
	for i, c := range []struct {
		after time.Duration
		index int
		raw   uint64
		want  string
	}{
		{0, 2, 1000, "1000 2000 resets 0 rate none"},
		{2 * time.Second, 2, 3000, "3000 6000 resets 0 rate 1000/2000 over 2s"},
		// Somebody else asks at once: the measurement before serves.
		{time.Millisecond, 2, 3002, "3002 6004 resets 0 rate 1000/2001 over 2.001s"},
		{time.Second, 2, 500, "3502 7004 resets 1 rate 501/1003 over 1.001s"},                            // reset by the driver
		{time.Second, 2, 1<<32 - 1, "4294970297 8589940594 resets 1 rate 4294966795/8589933590 over 1s"}, // up to 32 bits
		{time.Second, 2, 99, "4294970396 8589940792 resets 2 rate 99/198 over 1s"},                       // and around
		{time.Second, 3, 100, "4294970496 8589940992 resets 3 rate 100/200 over 1s"},                     // made anew
		{time.Hour, 3, 200, "4294970596 8589941192 resets 3 rate none"},                                  // too long ago
	} {
		now = now.Add(c.after)
		all := m.take(now, counting(c.index, "eth0", c.raw))
		if len(all) != 1 {
			t.Fatalf("%d links are counted, want eth0 alone", len(all))
		}
		if got := words(all[0]); got != c.want {
			t.Errorf("%d: got %s, want %s", i, got, c.want)
		}
	}
	if m.take(now, state.Snapshot{}); len(m.links) != 0 {
		t.Error("a link that is gone is remembered")
	}
}

func words(s Statistics) string {
	text := fmt.Sprintf("%d %d resets %d rate ", s.Totals.RxBytes, s.Totals.TxBytes, s.Resets)
	if s.Rates == nil {
		return text + "none"
	}
	return text + fmt.Sprintf("%.0f/%.0f over %v", s.Rates.RxBytes, s.Rates.TxBytes, s.Rates.Over)
}
