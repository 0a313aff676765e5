//go:build kernel

package e2e

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"testing"
)

// TestScenario_E08 sends traffic of known size: the totals grow by at least that, the
// rates tell of it, and neither is negative after the link was made anew.
func TestScenario_E08(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.Start()
	h.Stage(`host_nics: [{name: bond0, bonding: {slaves: [eth0]}, ip: {address: 192.0.2.1, netmask: '24'}}]`)
	h.Run("commit")
	h.Far.IP(t, "addr", "add", "192.0.2.2/24", "dev", "p-eth0")
	before := h.counters("bond0")
	h.datagrams(100, 1000)
	after := h.counters("bond0", "--interval", "1s")
	if grown := after.total - before.total; grown < 100*1000 || grown > 200*1000 {
		t.Errorf("the total has grown by %d bytes for 100,000", grown)
	}
	if after.rate < 0 || before.rate < 0 {
		t.Errorf("rates %v, %v", before.rate, after.rate)
	}
	h.Stage(`removed: [bond0]`)
	h.Run("commit")
	h.Stage(`host_nics: [{name: bond0, bonding: {slaves: [eth0]}, ip: {address: 192.0.2.1, netmask: '24'}}]`)
	h.Run("commit")
	h.datagrams(10, 1000)
	anew := h.counters("bond0")
	if anew.total < 10*1000 || anew.rate < 0 {
		t.Errorf("made anew: total %d, rate %v", anew.total, anew.rate)
	}
	if out, code := h.Try("stats", "eth9"); code == 0 || !strings.Contains(out, "there is no NIC eth9 on this host") {
		t.Errorf("a NIC that is not there: exit code %d\n%s", code, out)
	}
	if out := h.Run("stats"); !strings.Contains(out, "bond0") || !strings.Contains(out, "eth1") {
		t.Errorf("the table:\n%s", out)
	}
}

type counters struct {
	total int64
	rate  float64
}

func (h *host) counters(nic string, flags ...string) counters {
	h.T.Helper()
	var answer struct {
		Statistics []struct {
			DataTotalTx   string  `json:"data_total_tx"`
			DataCurrentTx float64 `json:"data_current_tx"`
		}
	}
	out := h.Run(append([]string{"stats", nic, "-o", "json"}, flags...)...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Statistics) != 1 {
		h.T.Fatalf("%v in %s", err, out)
	}
	total, _ := strconv.ParseInt(answer.Statistics[0].DataTotalTx, 10, 64)
	return counters{total, answer.Statistics[0].DataCurrentTx}
}

// datagrams sends so many of so many bytes to the other end of the cable.
func (h *host) datagrams(n, size int) {
	h.T.Helper()
	var conn net.Conn
	var err error
	h.NS.Do(func() { conn, err = net.Dial("udp4", "192.0.2.2:9") })
	if err != nil {
		h.T.Fatal(err)
	}
	defer conn.Close()
	for sent := 0; sent < n; {
		// Nobody listens there, which is told of an earlier one instead of sending.
		if _, err := conn.Write(make([]byte, size)); err == nil {
			sent++
		}
	}
}
