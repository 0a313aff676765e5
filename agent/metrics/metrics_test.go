package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func metricsOf(nics []*inventory.Nic, err error) *Metrics {
	return New(Options{
		Version: "test",
		View: func() engine.View {
			return engine.View{Pending: &engine.Pending{Deadline: time.Minute}, Degraded: []string{"the disk is full"}, CommittedRevision: 7}
		},
		Clock: func() time.Duration { return 45 * time.Second },
		Nics:  func(context.Context) ([]*inventory.Nic, error) { return nics, err },
		Statistics: func(context.Context) ([]inventory.Statistics, error) {
			return []inventory.Statistics{{Nic: "bond0", Totals: state.Counters{RxBytes: 1 << 40, TxDropped: 3}}, {Nic: "tap0"}}, nil
		},
		Watchers: func() int { return 2 },
	})
}

func TestCollect(t *testing.T) {
	speed := int64(20e9)
	two := 2
	distributing := &inventory.Slave{MIIStatus: "up", Actor: []string{"distributing"}}
	m := metricsOf([]*inventory.Nic{
		{Name: "bond0", Present: true, Owner: inventory.OwnerAgent, Up: true, Speed: &speed, CarrierDowns: 4, Aggregator: &two, PartnerMAC: "52:54:00:00:00:99",
			Bonding: &netcfg.Bonding{Slaves: []string{"eth0", "eth1", "eth2"}}, Drift: []plan.Drift{{Field: "host_nics[bond0].mtu"}}},
		{Name: "eth0", Present: true, Slave: distributing},
		{Name: "eth1", Present: true, Slave: &inventory.Slave{MIIStatus: "up"}},
		{Name: "eth2", Present: true, Slave: &inventory.Slave{MIIStatus: "down"}},
		{Name: "eth8", Present: true, Owner: inventory.OwnerAgent, Lease: &inventory.Lease{State: "rebinding", Expires: 50 * time.Second},
			Lease6: &inventory.Lease{State: "soliciting"}},
		{Name: "eth9", Owner: inventory.OwnerAgent, Waiting: "the NIC is not on this host"},
		{Name: "tap0", Present: true, Up: true},
	}, nil)
	m.Drifted("bond0")
	m.Drifted("bond0")
	m.Drifted("gone0")
	want := `
hostnic_bond_slaves{nic="bond0"} 3
hostnic_bond_slaves_up{nic="bond0"} 2
hostnic_committed_revision 7
hostnic_confirm_deadline_seconds 15
hostnic_degraded 1
hostnic_dhcp_lease_expiry_seconds{nic="eth8"} 5
hostnic_dhcp_state{nic="eth8",state="rebinding"} 1
hostnic_dhcpv6_state{nic="eth8",state="soliciting"} 1
hostnic_drift{nic="bond0"} 1
hostnic_drift{nic="eth8"} 0
hostnic_drift{nic="eth9"} 0
hostnic_drift_total{nic="bond0"} 2
hostnic_drift_total{nic="eth8"} 0
hostnic_drift_total{nic="eth9"} 0
hostnic_lacp_converged{nic="bond0"} 0
hostnic_nic_carrier_losses_total{nic="bond0"} 4
hostnic_nic_carrier_losses_total{nic="eth8"} 0
hostnic_nic_rx_bytes_total{nic="bond0"} 1.099511627776e+12
hostnic_nic_speed_bytes{nic="bond0"} 2.5e+09
hostnic_nic_tx_dropped_total{nic="bond0"} 3
hostnic_nic_up{nic="bond0"} 1
hostnic_nic_up{nic="eth8"} 0
hostnic_nic_up{nic="eth9"} 0
hostnic_nic_waiting{nic="bond0"} 0
hostnic_nic_waiting{nic="eth8"} 0
hostnic_nic_waiting{nic="eth9"} 1
hostnic_watchers 2
`
	wantLines(t, m, want)
}

// What concerns the API on the network is told where there is one, and of the certificate
// how long it is good for.
func TestRemote(t *testing.T) {
	m := metricsOf(nil, nil)
	if text := gathered(t, m); strings.Contains(text, "remote") || strings.Contains(text, "certificate") {
		t.Errorf("of an API that is not on the network:\n%s", text)
	}
	far := Remote{Connections: 3, Refused: 17}
	m.Remote = func() Remote { return far }
	wantLines(t, m, "hostnic_remote_connections 3\nhostnic_remote_refused_total 17")
	if text := gathered(t, m); strings.Contains(text, "hostnic_certificate_expiry_seconds") {
		t.Errorf("of a certificate that nobody knows:\n%s", text)
	}
	for left, want := range map[time.Duration]string{2*time.Hour + time.Minute: "hostnic_certificate_expiry_seconds 72", -(2*time.Hour + time.Minute): "hostnic_certificate_expiry_seconds -72"} {
		far.Expires = time.Now().Add(left)
		if text := gathered(t, m); !strings.Contains(text, want) {
			t.Errorf("%v: not %s", left, want)
		}
	}
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// wantLines compares metrics without their comments.
func wantLines(t *testing.T, m *Metrics, want string) {
	t.Helper()
	text := gathered(t, m)
	names := map[string]bool{}
	for line := range strings.Lines(strings.TrimSpace(want)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ = strings.Cut(name, "{")
		names[name] = true
	}
	var got []string
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		if names[name] {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if lines := strings.Join(got, "\n"); lines != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", lines, want)
	}
}

// serving has the metrics served at an address until the test ends.
func serving(t *testing.T, m *Metrics) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Serve(ctx, l, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// gathered is what a scrape gets, over a connection.
func gathered(t *testing.T, m *Metrics) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + serving(t, m) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	return string(text)
}

// A host that cannot be looked at does not hide what is known of the agent.
func TestHostUnseen(t *testing.T) {
	wantLines(t, metricsOf(nil, errors.New("the kernel does not answer")), "hostnic_degraded 1\nhostnic_up 1")
}

func TestCounting(t *testing.T) {
	m := metricsOf(nil, nil)
	for _, op := range []engine.Operation{
		{Kind: engine.Commit, State: engine.Done, Duration: 20 * time.Millisecond},
		{Kind: engine.Commit, State: engine.Refused},
		{Kind: engine.Commit, State: engine.RolledBack, Probes: []engine.Probe{{State: engine.ProbeFailed}}},
		{Kind: engine.Apply, State: engine.RolledBack},
		{Kind: engine.Revert, State: engine.Done},
		{Kind: engine.Rollback, State: engine.Done},
	} {
		m.Ended(op)
	}
	refused := &plan.OpError{Op: plan.Op{Action: plan.AddrAdd}, Errno: syscall.EACCES}
	m.Refused(fmt.Errorf("apply: %w", errors.Join(refused, refused)))
	m.Refused(errors.Join(refused, errors.New("3 more were not tried")))
	m.Refused(context.Canceled)
	m.Resync(CauseLost)
	wantLines(t, m, `
hostnic_commit_duration_seconds_count 1
hostnic_commits_total{result="done"} 1
hostnic_commits_total{result="incomplete"} 0
hostnic_commits_total{result="refused"} 1
hostnic_commits_total{result="rolled-back"} 1
hostnic_netlink_errors_total{errno="EACCES",op="addr add"} 3
hostnic_netlink_resync_total{cause="broken"} 0
hostnic_netlink_resync_total{cause="lost"} 1
hostnic_rollback_total{cause="asked"} 1
hostnic_rollback_total{cause="failed"} 1
hostnic_rollback_total{cause="probe"} 1
hostnic_rollback_total{cause="unconfirmed"} 1
`)
}

func TestNamesAreAsPrometheusWants(t *testing.T) {
	problems, err := testutil.GatherAndLint(metricsOf([]*inventory.Nic{{Name: "bond0", Owner: inventory.OwnerAgent, Present: true, Bonding: &netcfg.Bonding{}}}, nil).registry)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// Connections beyond the limit wait for others to end, and do not keep the agent from
// ending.
func TestLimit(t *testing.T) {
	address := serving(t, metricsOf(nil, nil))
	idle := make([]net.Conn, mostConnections)
	for i := range idle {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle[i] = c
	}
	answered := make(chan error)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get("http://" + address + "/metrics")
		if err == nil {
			err = answer.Body.Close()
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("one more than %d connections: %v", mostConnections, err)
	case <-time.After(50 * time.Millisecond):
	}
	_ = idle[0].Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
