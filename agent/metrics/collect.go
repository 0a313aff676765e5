package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
)

// collectPatience is how long a scrape waits for the host to be looked at.
const collectPatience = 5 * time.Second

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("hostnic_"+name, help, labels, nil)
}

// What is looked at when somebody scrapes. Of NICs only those of the agent: a hypervisor
// has thousands of others.
var (
	buildInfo       = describe("build_info", "The agent's version; always 1.", "version")
	up              = describe("up", "Always 1: the agent answers.")
	writable        = describe("writable", "Whether changes are taken.")
	degraded        = describe("degraded", "How many reasons there are why the agent cannot do all of its work.")
	confirmPending  = describe("confirm_pending", "Whether a change waits to be confirmed.")
	confirmDeadline = describe("confirm_deadline_seconds", "Time until the change that waits goes back; absent when none waits.")
	incomplete      = describe("rollback_incomplete", "Whether a change could not be taken back yet.")
	uncommitted     = describe("uncommitted", "Whether what is running would be lost by a reboot.")
	committed       = describe("committed_revision", "The revision that is committed; 0 before the first.")
	watchers        = describe("watchers", "Clients that follow the NICs.")
	driftNow        = describe("drift", "Fields in which the NIC differs from what is running.", "nic")
	driftTotal      = describe("drift_total", "Times that the NIC has begun to differ from what is running.", "nic")
	nicUp           = describe("nic_up", "Whether the NIC is up and has a carrier.", "nic")
	nicWaiting      = describe("nic_waiting", "Whether the NIC waits for something before it can be as configured.", "nic")
	nicSpeed        = describe("nic_speed_bytes", "Speed of the NIC in bytes per second, an eighth of what is printed on it; absent where it is not known.", "nic")
	carrierLosses   = describe("nic_carrier_losses_total", "Times that the NIC has lost its carrier since it was made.", "nic")
	bondSlaves      = describe("bond_slaves", "Slaves of the bond.", "nic")
	bondSlavesUp    = describe("bond_slaves_up", "Slaves of the bond that have a link, as the bond sees it.", "nic")
	bondActive      = describe("bond_active_slave", "The slave in use, in modes that have one; always 1.", "nic", "slave")
	dhcpState       = describe("dhcp_state", "Where the DHCP client of the NIC stands; always 1.", "nic", "state")
	dhcpExpiry      = describe("dhcp_lease_expiry_seconds", "Time until the lease of the NIC ends; absent where there is none, or it lasts for ever.", "nic")
	dhcp6State      = describe("dhcpv6_state", "Where the DHCPv6 client of the NIC stands; always 1.", "nic", "state")
	dhcp6Expiry     = describe("dhcpv6_lease_expiry_seconds", "Time until the last address of the DHCPv6 lease of the NIC ends; absent where there is none, or it lasts for ever.", "nic")
	connections     = describe("remote_connections", "Clients connected over TLS; absent where the API is not on the network, as all of remote and certificate.")
	refused         = describe("remote_refused_total", "Connections over TLS that were not let in, for want of a good certificate or of room.")
	certExpiry      = describe("certificate_expiry_seconds", "Time until the agent's certificate ends, negative when it has, by the wall clock; absent where there is none.")
	lacpConverged   = describe("lacp_converged", "Whether an 802.3ad bond has a partner, and each slave with a link is distributing.", "nic")
)

// counters are the totals of statistics.
var counters = []struct {
	desc *prometheus.Desc
	of   func(*inventory.Statistics) uint64
}{
	{describe("nic_rx_bytes_total", "Bytes received.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.RxBytes }},
	{describe("nic_tx_bytes_total", "Bytes sent.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.TxBytes }},
	{describe("nic_rx_packets_total", "Packets received.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.RxPackets }},
	{describe("nic_tx_packets_total", "Packets sent.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.TxPackets }},
	{describe("nic_rx_errors_total", "Packets that were received damaged.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.RxErrors }},
	{describe("nic_tx_errors_total", "Packets that could not be sent.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.TxErrors }},
	{describe("nic_rx_dropped_total", "Received packets that were thrown away.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.RxDropped }},
	{describe("nic_tx_dropped_total", "Packets that were to be sent and were thrown away.", "nic"), func(s *inventory.Statistics) uint64 { return s.Totals.TxDropped }},
}

// Describe tells nothing, by which a collector says that it is unchecked: which metrics
// there are depends on the host.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect looks at the agent and the host. Where the host cannot be looked at, what is
// known of the agent is told all the same.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	s := sink{out}
	m.agent(s)
	nics, err := m.Nics(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(nicUp, err)
		return
	}
	owned := map[string]bool{}
	byName := make(map[string]*inventory.Nic, len(nics))
	for _, n := range nics {
		byName[n.Name] = n
	}
	for _, n := range nics {
		if n.Owner == inventory.OwnerAgent && !owned[n.Name] {
			owned[n.Name] = true
			m.nic(s, n, byName)
		}
	}
	m.drifts(s, owned)
	if len(owned) == 0 {
		return
	}
	statistics, err := m.Statistics(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(counters[0].desc, err)
		return
	}
	for i := range statistics {
		name := netcfg.Printable(statistics[i].Nic)
		if !owned[name] {
			continue
		}
		for _, c := range counters {
			s.counter(c.desc, float64(c.of(&statistics[i])), name)
		}
	}
}

// agent tells where the host stands.
func (m *Metrics) agent(s sink) {
	v := m.View()
	s.gauge(buildInfo, 1, m.Version)
	s.gauge(up, 1)
	s.gauge(writable, oneIf(v.Writable()))
	s.gauge(degraded, float64(len(v.Degraded)))
	s.gauge(confirmPending, oneIf(v.Pending != nil))
	if v.Pending != nil {
		s.gauge(confirmDeadline, max(0, v.Pending.Deadline-m.Clock()).Seconds())
	}
	s.gauge(incomplete, oneIf(v.Incomplete != nil))
	s.gauge(uncommitted, oneIf(v.Uncommitted))
	s.gauge(committed, float64(v.CommittedRevision))
	s.gauge(watchers, float64(m.Watchers()))
	if m.Remote == nil {
		return
	}
	r := m.Remote()
	s.gauge(connections, float64(r.Connections))
	s.counter(refused, float64(r.Refused))
	if !r.Expires.IsZero() {
		s.gauge(certExpiry, time.Until(r.Expires).Seconds())
	}
}

// nic tells of one NIC of the agent.
func (m *Metrics) nic(s sink, n *inventory.Nic, byName map[string]*inventory.Nic) {
	s.gauge(nicUp, oneIf(n.Up), n.Name)
	s.gauge(nicWaiting, oneIf(n.Waiting != ""), n.Name)
	s.gauge(driftNow, float64(len(n.Drift)), n.Name)
	if n.Speed != nil {
		s.gauge(nicSpeed, float64(*n.Speed)/8, n.Name)
	}
	if n.Present {
		s.counter(carrierLosses, float64(n.CarrierDowns), n.Name)
	}
	m.lease(s, n.Name, n.Lease, dhcpState, dhcpExpiry)
	m.lease(s, n.Name, n.Lease6, dhcp6State, dhcp6Expiry)
	if n.Bonding != nil && n.Present {
		m.bond(s, n, byName)
	}
}

func (m *Metrics) lease(s sink, nic string, l *inventory.Lease, state, expiry *prometheus.Desc) {
	if l == nil {
		return
	}
	s.gauge(state, 1, nic, l.State)
	if l.Expires != 0 {
		s.gauge(expiry, max(0, l.Expires-m.Clock()).Seconds(), nic)
	}
}

// bond tells of a bond and its slaves.
func (m *Metrics) bond(s sink, n *inventory.Nic, byName map[string]*inventory.Nic) {
	linked, passing := 0, 0
	for _, name := range n.Bonding.Slaves {
		slave := byName[name]
		if slave == nil || slave.Slave == nil || slave.Slave.MIIStatus != "up" {
			continue
		}
		linked++
		if slave.Slave.Distributing() {
			passing++
		}
	}
	s.gauge(bondSlaves, float64(len(n.Bonding.Slaves)), n.Name)
	s.gauge(bondSlavesUp, float64(linked), n.Name)
	if n.ActiveSlave != "" {
		s.gauge(bondActive, 1, n.Name, n.ActiveSlave)
	}
	if n.Aggregator != nil {
		s.gauge(lacpConverged, oneIf(n.PartnerMAC != "" && linked > 0 && passing == linked), n.Name)
	}
}

// drifts tells how often NICs have begun to differ, and forgets those that are the
// agent's no more.
func (m *Metrics) drifts(s sink, owned map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for nic := range m.drifted {
		if !owned[nic] {
			delete(m.drifted, nic)
		}
	}
	for nic := range owned {
		s.counter(driftTotal, m.drifted[nic], nic)
	}
}

// sink takes metrics.
type sink struct{ out chan<- prometheus.Metric }

func (s sink) gauge(d *prometheus.Desc, value float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (s sink) counter(d *prometheus.Desc, value float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
