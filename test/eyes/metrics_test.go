//go:build kernel

package eyes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/pki"
)

// rig is where the dashboard and the rules are.
const rig = "../../systemd/metrics/"

// The metrics are told where the settings say so, of the agent's NICs only; promtool
// accepts them and the rules; and what the dashboard and the rules name is there.
func TestMetrics(t *testing.T) {
	t.Parallel()
	need.Kernel(t, need.LACP, need.Promtool, need.Dnsmasq)
	h := newHost(t, "eth0", "eth1", "eth2", "eth3", "eth4", "eth5")
	h.dnsmasq("p-eth5")
	scrape := func() string { return h.scrape("/metrics") }
	ca := pki.New(t, "clients")
	cert, key := ca.Agent("192.0.2.1").Write(t, h.Dir, "agent")
	h.start("metrics: "+h.path("metrics"), `listen: ["192.0.2.1:9733"]`,
		fmt.Sprintf("tls: {cert: %s, key: %s, ca: %s}\nroles: {reader: [CN=nobody]}", cert, key, pki.Put(t, h.Dir, "ca.pem", ca.PEM())))
	h.commit(`host_nics:
- {name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth0, eth1]}, ip: {address: 192.0.2.1, netmask: '24'}}
- {name: bond1, bonding: {options: {mode: active-backup}, slaves: [eth2, eth3]}}
- {name: bond0.7, base_interface: bond0, vlan: {id: 7}, mtu: 1400}
- {name: eth5, boot_protocol: dhcp}`)
	// The kernel refuses this only when it is asked.
	h.NS.Do(func() { h.writeFile("/proc/sys/net/ipv6/conf/bond1/disable_ipv6", "1") })
	h.stage(`host_nics: [{name: bond1, ipv6: {address: '2001:db8::1', prefix: 64}}]`)
	if out, code := h.Try("apply", "--no-rehearse"); code != 4 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	h.Run("discard")
	h.stage(`host_nics: [{name: bond1, mtu: 1450}]`)
	h.Run("apply", "--no-rehearse", "--revert-after", "10m")
	h.NS.IP(t, "link", "set", "bond0.7", "mtu", "1300")
	h.eventually("a lease, drift, and a slave in use", func() bool {
		text := scrape()
		return strings.Contains(text, `hostnic_dhcp_state{nic="eth5",state="bound"} 1`) && strings.Contains(text, `hostnic_drift{nic="bond0.7"} 1`) && strings.Contains(text, `hostnic_bond_active_slave{nic="bond1",slave="eth`)
	})
	text := scrape()
	for _, want := range []string{
		`hostnic_commits_total{result="done"} 1`, `hostnic_rollback_total{cause="failed"} 1`, `hostnic_confirm_pending 1`, `hostnic_up 1`,
		`hostnic_drift_total{nic="bond0.7"} 1`, `hostnic_nic_up{nic="bond0"} 1`, `hostnic_nic_speed_bytes{nic="eth0"} 1.25e+09`, `hostnic_bond_slaves_up{nic="bond1"} 2`,
		`hostnic_remote_refused_total 0`, `hostnic_certificate_expiry_seconds `, `hostnic_lacp_converged{nic="bond0"} 0`, `hostnic_netlink_errors_total{errno="E`, `hostnic_grpc_server_handling_seconds_count{code="OK",method="/hostnic.v1.NetConfigService/Stage"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s", want)
		}
	}
	if strings.Contains(text, `"eth4"`) {
		t.Error("tells of a NIC that is not the agent's")
	}
	if t.Failed() {
		t.Log(text)
	}
	judge(t, text, "check", "metrics")
	namesExist(t, text)
	// A host that cannot be scraped by others: the socket is for root and the group.
	if st, err := os.Stat(h.path("metrics")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// namesExist wants every metric that the dashboard and the rules name to be told.
func namesExist(t *testing.T, text string) {
	t.Helper()
	told := map[string]bool{}
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		told[name] = true
	}
	all := 0
	for _, file := range []string{"dashboard.json", "alerts.yaml"} {
		data, err := os.ReadFile(rig + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(hostnic|process|go)_[a-z_]+`).FindAllString(string(data), -1)
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if all++; !told[name] {
				t.Errorf("%s names %s, which is not told", file, name)
			}
		}
	}
	if all < 30 {
		t.Errorf("only %d names found", all)
	}
}

// judge runs promtool.
func judge(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := exec.Command(need.PromtoolPath(), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertRules(t *testing.T) {
	t.Parallel()
	need.Kernel(t, need.Promtool)
	judge(t, "", "check", "rules", rig+"alerts.yaml")
	judge(t, "", "test", "rules", rig+"alerts_test.yaml")
}

// An address that the host gets later is listened on before, and only /metrics is
// answered.
func TestMetricsAddress(t *testing.T) {
	t.Parallel()
	h := newHost(t, "eth0")
	h.start("metrics: 192.0.2.1:9732")
	h.commit(`host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: '24'}}]`)
	get := func(path string) (code int, body string) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (conn net.Conn, err error) {
			h.NS.Do(func() { conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address) })
			return conn, err
		}}}
		answer, err := client.Get("http://192.0.2.1:9732" + path)
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	h.eventually("the address is listened on", func() bool {
		code, body := get("/metrics")
		return code == http.StatusOK && strings.Contains(body, `hostnic_nic_up{nic="eth0"} 1`)
	})
	for _, path := range []string{"/", "/debug/pprof/"} {
		if code, _ := get(path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// dnsmasq lends addresses on a link of the far namespace until the test ends.
func (h *host) dnsmasq(link string) {
	h.T.Helper()
	h.Far.IP(h.T, "addr", "add", "198.51.100.1/24", "dev", link)
	cmd := exec.Command(need.DnsmasqPath(), "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface="+link, "--except-interface=lo", "--bind-interfaces",
		"--no-ping", "--user=root", "--pid-file="+h.path("dnsmasq.pid"), "--dhcp-leasefile="+h.path("leases"), "--dhcp-authoritative", "--dhcp-range=198.51.100.100,198.51.100.150,10m")
	var err error
	h.Far.Do(func() { err = cmd.Start() })
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// scrape asks by the socket of the metrics.
func (h *host) scrape(path string) string {
	h.T.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.path("metrics"))
	}}}
	var body bytes.Buffer
	h.eventually("an answer", func() bool {
		answer, err := client.Get("http://agent" + path)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		body.Reset()
		_, err = io.Copy(&body, answer.Body)
		return err == nil && answer.StatusCode == http.StatusOK
	})
	return body.String()
}
