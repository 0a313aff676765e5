package netcfg

import (
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestLeaseTimes(t *testing.T) {
	l := &Lease{Expires: 100 * time.Second}
	for _, test := range []struct {
		now  time.Duration
		left uint32
		want bool
	}{
		{0, 100, true}, {time.Millisecond, 100, true}, {99*time.Second + 1, 1, true},
		{100 * time.Second, 0, false}, {time.Hour, 0, false},
	} {
		if got := l.Seconds(test.now); got != test.left || l.Valid(test.now) != test.want {
			t.Errorf("at %s: %d s left, valid %t", test.now, got, l.Valid(test.now))
		}
	}
	if l.Expires = LeaseForever; l.Seconds(time.Hour) != math.MaxUint32 || !l.Valid(1<<62) {
		t.Error("for ever has an end")
	}
	if l.Expires = (math.MaxUint32 - 1) * time.Second; l.Seconds(0) != math.MaxUint32-1 {
		t.Errorf("136 years are %d s, for ever is %d", l.Seconds(0), uint32(math.MaxUint32))
	}
	if (*Lease)(nil).Valid(0) {
		t.Error("no lease is valid")
	}
}

// Every fact counts, and no time does.
func TestLeaseSameFacts(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	facts := []Lease{
		{Address: netip.PrefixFrom(a, 24)}, {Broadcast: a}, {Server: a}, {Gateways: []netip.Addr{a}}, {Routes: []LeaseRoute{{Gateway: a}}},
		{DNS: []netip.Addr{a}}, {NTP: []netip.Addr{a}}, {Domain: "a"}, {Search: []string{"a"}}, {HostName: "a"}, {MTU: 1400},
	}
	times := []Lease{{Obtained: 1}, {RenewAt: 1}, {RebindAt: 1}, {Expires: 1}}
	if n := reflect.TypeFor[Lease]().NumField(); n != len(facts)+len(times) {
		t.Errorf("a lease has %d fields, of which %d are tested", n, len(facts)+len(times))
	}
	for i := range facts {
		if facts[i].SameFacts(&Lease{}) || !facts[i].SameFacts(&facts[i]) {
			t.Errorf("%+v", facts[i])
		}
	}
	for i := range times {
		if !times[i].SameFacts(&Lease{}) {
			t.Errorf("%+v", times[i])
		}
	}
	if facts[0].SameFacts(nil) || !(*Lease)(nil).SameFacts(nil) {
		t.Error("nil")
	}
}
