package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/kerneltest"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// A hypervisor has 4,000 links that are not the agent's, and all are listed.
func TestFault_B23(t *testing.T) {
	h := newHost(t)
	for i := range 4000 {
		h.kernel.AddNIC(fmt.Sprintf("tap%d", i), kerneltest.NIC{Veth: true})
	}
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := h.commit(nil, ""); err != nil {
		t.Fatal(err)
	}
	writes := h.kernel.Writes()
	began := time.Now()
	list, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{})
	if err != nil || len(list.GetHostNics()) != 4004 {
		t.Fatalf("%d NICs, %v", len(list.GetHostNics()), err)
	}
	t.Logf("listed in %v", time.Since(began))
	owned := 0
	for _, n := range list.GetHostNics() {
		if n.GetOwner() != "" {
			owned++
		}
	}
	if owned != 1 || h.kernel.Writes() != writes {
		t.Errorf("%d NICs are the agent's, want 1; %d requests for a list", owned, h.kernel.Writes()-writes)
	}
}
