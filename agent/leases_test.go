package agent

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hostnic/hostnic/agent/dhcp"
	"github.com/hostnic/hostnic/agent/dhcp6"
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
)

func testLeases(t *testing.T) *leases {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLeases(t.Context(), DefaultConfig(), st, "12345678-9abc-def0-1234-56789abcdef0", "this boot", slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() { l.Close(); _ = st.Close() })
	return l
}

// A lease on record counts within its boot and its time; records go by the name in the
// configuration, whatever the kernel calls the link by now.
func TestLeasesRecorded(t *testing.T) {
	l := testLeases(t)
	now := sinceBoot()
	good := dhcp.Record{Boot: "this boot", Lease: netcfg.Lease{Address: netip.MustParsePrefix("192.0.2.9/24"), Obtained: now, Expires: now + time.Hour}}
	for _, c := range []struct {
		name   string
		change func(*dhcp.Record)
		there  bool
	}{
		{"good", func(*dhcp.Record) {}, true},
		{"another boot", func(r *dhcp.Record) { r.Boot = "another" }, false},
		{"over", func(r *dhcp.Record) { r.Lease.Expires = now }, false},
		{"from the future", func(r *dhcp.Record) { r.Lease.Obtained = now + time.Hour }, false},
	} {
		r := good
		c.change(&r)
		if err := l.records().SaveLease("eth0", &r); err != nil {
			t.Fatal(err)
		}
		if got := l.Recorded("eth0"); (got != nil) != c.there {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	l.news(engine.Client{NIC: "eth0", Link: "enp3s0"})
	if err := l.records().SaveLease("enp3s0", &good); err != nil || l.Recorded("eth0") == nil {
		t.Errorf("by the kernel's name: %v, %+v", err, l.Recorded("eth0"))
	}
	if err := l.records().SaveLease("enp3s0", nil); err != nil || l.Recorded("eth0") != nil {
		t.Errorf("given back: %v, %+v", err, l.Recorded("eth0"))
	}
}

// A record that is damaged is none, and says so; it is no reason to go without.
func TestLeasesDamaged(t *testing.T) {
	l := testLeases(t)
	for _, slot := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(l.store.Dir(), "lease-eth0."+slot), []byte("what is this"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Recorded("eth0"); got != nil {
		t.Errorf("read from rubbish: %+v", got)
	}
	if r, err := l.records().LoadLease("eth0"); r != nil || err == nil {
		t.Errorf("loaded from rubbish: %+v, %v", r, err)
	}
	if err := l.records().SaveLease("eth0", &dhcp.Record{Boot: "this boot"}); err != nil {
		t.Errorf("saved over it: %v", err)
	}
}

// A client that asks DHCPv6 for no addresses leaves the record of those from before alone.
func TestLeasesStateless(t *testing.T) {
	l := testLeases(t)
	now := sinceBoot()
	record := dhcp6.Record{Boot: "this boot", Lease: netcfg.Lease6{Obtained: now,
		Addresses: []netcfg.LeaseAddress{{Address: netip.MustParseAddr("2001:db8::5"), Preferred: now + time.Hour, Expires: now + time.Hour}}}}
	c := engine.Client{NIC: "eth0", Link: "enp3s0", V6: true}
	l.news(c)
	if err := l.records6().SaveLease("enp3s0", &record); err != nil {
		t.Fatal(err)
	}
	c.Stateless = true
	l.news(c)
	if r, err := l.records6().LoadLease("enp3s0"); r != nil || err != nil {
		t.Errorf("loaded %+v, %v", r, err)
	}
	for _, other := range []*dhcp6.Record{{Boot: "this boot"}, nil} {
		if err := l.records6().SaveLease("enp3s0", other); err != nil || l.Recorded6("eth0") == nil {
			t.Errorf("after it: %+v, %v", l.Recorded6("eth0"), err)
		}
	}
}
