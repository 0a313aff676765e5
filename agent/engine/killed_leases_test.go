package engine

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg"
)

// onDisk is a Leaser whose clients say nothing: what is known of leases is on record.
type onDisk map[string]*netcfg.Lease

func (onDisk) Follow([]Client, Around)                {}
func (onDisk) Changed() <-chan struct{}               { return nil }
func (onDisk) Take() []netcfg.LeaseStatus             { return nil }
func (o onDisk) Recorded(nic string) *netcfg.Lease    { return o[nic] }
func (onDisk) Recorded6(string) *netcfg.Lease6        { return nil }
func (onDisk) RecordedInformed(string) *netcfg.Lease6 { return nil }
func (onDisk) Decline(string, netip.Addr)             {}
func (onDisk) Renew(context.Context, string) error    { return nil }
func (onDisk) Release(context.Context, string) error  { return nil }

// The engine is killed at every point of a change that takes a lease's address away, and
// of one that brings it. Started again the host is as one side has it, address, route and
// all, and the other side can be had.
func TestKilledWithLease(t *testing.T) {
	const leased, fixed = "host_nics: [{name: eth0, boot_protocol: dhcp, ip: null}]", "host_nics: [{name: eth0, boot_protocol: static, ip: {address: 198.51.100.1, netmask: '24'}}]"
	for _, c := range []struct{ from, to string }{{leased, fixed}, {fixed, leased}} {
		for at, survived := int64(1), false; !survived; at++ {
			survived = killedWithLease(t, at, c.from, c.to)
		}
	}
}

func killedWithLease(t *testing.T, at int64, from, to string) (survived bool) {
	t.Helper()
	r := newRig(t)
	defer func() { r.stop() }()
	r.leaser = onDisk{"eth0": {Address: netip.MustParsePrefix("192.0.2.9/24"), Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Expires: time.Hour}}
	r.restart()
	r.stage(from)
	r.do(Request{Kind: Commit})
	before := r.look()
	r.stage(to)
	survived = r.doOrDie(Request{Kind: Apply, ID: "mine"}, at)
	r.restart()
	s, err := r.kernel.Fake.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address, static := strings.Contains(r.look(), "192.0.2.9/24"), strings.Contains(r.look(), "198.51.100.1/24")
	route := len(s.Routes) > 0 && s.Routes[0].Dst.Bits() == 0
	if address == static || address != route {
		t.Errorf("killed at point %d: leased %v, static %v, default route %v", at, address, static, route)
	}
	if d := r.Drift(s); len(d) != 0 {
		t.Errorf("killed at point %d: drift %v", at, d)
	}
	r.do(Request{Kind: Rollback})
	if r.look() != before {
		t.Errorf("killed at point %d, and rolled back:\n%s\nit was\n%s", at, r.look(), before)
	}
	return survived
}
