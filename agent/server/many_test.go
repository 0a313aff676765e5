package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/kerneltest"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Listing a hypervisor's 4,000 links takes at most 200 ms (B23 of the faults).
func TestFault_B23(t *testing.T) {
	h := newHost(t)
	for i := range 4000 {
		h.kernel.AddNIC(fmt.Sprintf("tap%d", i), kerneltest.NIC{Veth: true})
	}
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.commit(nil, ""); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 5 { // the best of some: the machine may have other things to do
		began := time.Now()
		list, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{})
		if err != nil || len(list.GetHostNics()) != 4004 {
			t.Fatalf("%d NICs, %v", len(list.GetHostNics()), err)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("%v", best)
	if limit := 200 * time.Millisecond * slow; best > limit {
		t.Errorf("%v, want at most %v", best, limit)
	}
}
