package main

import (
	"slices"
	"testing"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// What is left alone is not said to be put right, be it a NIC's or the file of DNS servers.
func TestStatusOfWhatIsLeftAlone(t *testing.T) {
	for field, name := range map[string]string{"dns": "dns", "host_nics[eth0].mtu": "eth0"} {
		status := &hostnicv1.GetStatusResponse{DriftPolicy: policyHeal, Drift: []*hostnicv1.Drift{{Field: field, Wanted: "this", Actual: "that"}}}
		if lines := statusDrift(status); !slices.Contains(lines, driftAdvice(status)) {
			t.Errorf("%s: no advice in %q", field, lines)
		}
		status.LeftAlone = []string{name}
		if lines := statusDrift(status); slices.Contains(lines, driftAdvice(status)) {
			t.Errorf("%s: advice in %q", field, lines)
		}
	}
}
