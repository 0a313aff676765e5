package kernel

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

var byValue = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// same fails the test unless the two are one, but for what changes by itself.
func same(t *testing.T, want, got state.Snapshot) {
	t.Helper()
	if diff := cmp.Diff(settled(want), settled(got), byValue); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func settled(s state.Snapshot) state.Snapshot {
	var out state.Snapshot
	for _, l := range s.Links {
		l.CarrierUps, l.CarrierDowns, l.OperState, l.Carrier = 0, 0, "", false
		out.Links = append(out.Links, l)
	}
	for _, a := range s.Addresses {
		a.Flags &^= state.FlagTentative
		if !a.LinkLocal() {
			out.Addresses = append(out.Addresses, a)
		}
	}
	for _, r := range s.Routes {
		r.Flags &^= 16
		if !r.Dst.Addr().IsMulticast() && !r.Dst.Addr().IsLinkLocalUnicast() {
			out.Routes = append(out.Routes, r)
		}
	}
	return out
}

// clearExpiry is a raw route without the time that it has left, which has to be
// some, or none, in both.
func clearExpiry(t *testing.T, raw []byte) []byte {
	t.Helper()
	raw = slices.Clone(raw)
	info := attribute(raw[unix.SizeofRtMsg:], unix.RTA_CACHEINFO)
	if len(info) >= 12 && u32(info[8:]) != 0 {
		copy(info[8:], "live")
	}
	return raw
}
