package kernel

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

func TestPending(t *testing.T) {
	p := newPending()
	isReady := func() bool {
		select {
		case <-p.ready:
			return true
		default:
			return false
		}
	}
	if isReady() || p.take() != nil {
		t.Error("ready for nothing")
	}
	p.add(Nudge{Index: 7, Link: true})
	p.add(Nudge{Index: 3, Route: true})
	p.add(Nudge{Index: 7, Address: true})
	want := []Nudge{{Index: 3, Route: true}, {Index: 7, Link: true, Address: true}}
	if !isReady() || isReady() {
		t.Error("ready once, whatever has come")
	}
	p.add(Nudge{Index: 3, Route: true}) // between the signal and the taking
	if got := p.take(); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if isReady() {
		t.Error("ready for what is taken already")
	}
	p.add(Nudge{Index: 1, Link: true})
	p.lose()
	p.add(Nudge{Index: 2, Link: true}) // is in what Lost asks for
	if got := p.take(); !slices.Equal(got, []Nudge{{Lost: true}}) {
		t.Errorf("lost: %+v", got)
	}
	if got := p.take(); got != nil {
		t.Errorf("after it: %+v", got)
	}
	twice := []Nudge{{Index: 1, Address: true}, {Index: 1, Address: true, Duplicate: netip.MustParseAddr("2001:db8::1")}}
	for range 2 {
		p.add(twice[1])
		p.add(twice[0])
	}
	if got := p.take(); !slices.Equal(got, twice) {
		t.Errorf("a duplicate: %+v", got)
	}
	for i := range mostPending + 10 {
		p.add(Nudge{Index: i, Link: true})
	}
	if got := p.take(); !slices.Equal(got, []Nudge{{Lost: true}}) || len(p.set) != 0 {
		t.Errorf("too many: %+v", got)
	}
}

func TestDecodeEvent(t *testing.T) {
	link := appendIfInfo(nil, 7, 0, 0)
	address := appendAddress(nil, 7, wantAddress(7, "192.0.2.1/24"), true)
	to := func(destination string, table int) []byte {
		r := route(0, 7, destination, "").Route
		r.Table = table
		return appendRoute(nil, r)
	}
	withTable := func(table int) []byte { return to("10.0.0.0/8", table) }
	cached := appendRtMsg(nil, state.Route{Dst: wantAddress(0, "10.0.0.0/8").Prefix}, unix.RTM_F_CLONED)
	twice := wantAddress(7, "2001:db8::1/64")
	failed := appendAddress(nil, 7, twice, true)
	failed[2] |= state.FlagDADFailed
	tests := []struct {
		name string
		m    message
		want Nudge // zero is none
	}{
		{"new link", message{typ: unix.RTM_NEWLINK, body: link}, Nudge{Index: 7, Link: true}},
		{"link gone", message{typ: unix.RTM_DELLINK, body: link}, Nudge{Index: 7, Link: true}},
		{"short link", message{typ: unix.RTM_NEWLINK, body: link[:15]}, Nudge{}},
		{"new address", message{typ: unix.RTM_NEWADDR, body: address}, Nudge{Index: 7, Address: true}},
		{"address gone", message{typ: unix.RTM_DELADDR, body: address}, Nudge{Index: 7, Address: true}},
		{"a duplicate, gone", message{typ: unix.RTM_DELADDR, body: failed}, Nudge{Index: 7, Address: true, Duplicate: twice.Prefix.Addr()}},
		{"short address", message{typ: unix.RTM_NEWADDR, body: address[:7]}, Nudge{}},
		{"new route", message{typ: unix.RTM_NEWROUTE, body: withTable(254)}, Nudge{Index: 7, Route: true}},
		{"route gone", message{typ: unix.RTM_DELROUTE, body: withTable(1000)}, Nudge{Index: 7, Route: true}},
		{"default route", message{typ: unix.RTM_NEWROUTE, body: to("::/0", 254)}, Nudge{Index: 7, Route: true, Default: true}},
		{"short route", message{typ: unix.RTM_NEWROUTE, body: withTable(254)[:11]}, Nudge{}},
		{"table local", message{typ: unix.RTM_NEWROUTE, body: withTable(255)}, Nudge{}},
		{"cache", message{typ: unix.RTM_NEWROUTE, body: cached}, Nudge{}},
		{"neighbor", message{typ: unix.RTM_NEWNEIGH, body: link}, Nudge{}},
	}
	for _, test := range tests {
		if got, ok := decodeEvent(test.m); got != test.want || ok != (test.want != Nudge{}) {
			t.Errorf("%s: %+v, %v", test.name, got, ok)
		}
	}
}
