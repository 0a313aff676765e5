package server

import (
	"encoding/json"
	"fmt"
	"testing"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// BenchmarkCommit stages and commits 1,000 VLANs on one NIC with an address each,
// and takes them away again outside of the clock. The kernel is the fake one, which
// a profile is to leave out: -cpuprofile, and go tool pprof -ignore kerneltest.
func BenchmarkCommit(b *testing.B) {
	h := newHost(b)
	whole, none := manyVLANs(b, 1000)
	for range b.N {
		h.do(whole)
		b.StopTimer()
		h.do(none)
		b.StartTimer()
	}
}

// BenchmarkCommitAgain stages and commits what is there.
func BenchmarkCommitAgain(b *testing.B) {
	h := newHost(b)
	whole, _ := manyVLANs(b, 1000)
	h.do(whole)
	b.ResetTimer()
	for range b.N {
		h.do(whole)
	}
}

// do stages and commits.
func (h *host) do(document []byte) {
	h.t.Helper()
	req := &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: document, Format: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_JSON}}}
	if _, err := h.config.Stage(h.ctx(), req); err != nil {
		h.t.Fatal(err)
	}
	op, _, err := h.commit(nil, "")
	if err != nil || op.GetState() != "done" {
		h.t.Fatalf("commit: %v, %v", op, err)
	}
}

// manyVLANs are the documents that make so many VLANs on eth0, and remove them.
func manyVLANs(t testing.TB, n int) (whole, none []byte) {
	t.Helper()
	var nics []any
	var names []string
	for i := range n {
		name := fmt.Sprintf("eth0.%d", i+1)
		names = append(names, name)
		nics = append(nics, map[string]any{"name": name, "base_interface": "eth0", "vlan": map[string]any{"id": i + 1},
			"ip": map[string]any{"address": fmt.Sprintf("10.%d.%d.1", i>>8, i&255), "netmask": "255.255.255.0"}})
	}
	whole, err := json.Marshal(map[string]any{"host_nics": nics})
	if err == nil {
		none, err = json.Marshal(map[string]any{"removed": names})
	}
	if err != nil {
		t.Fatal(err)
	}
	return whole, none
}
