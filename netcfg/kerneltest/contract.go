package kerneltest

import (
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/converge"
)

// Host is a network namespace that a test may do with as it likes: a Kernel, and
// the hands of whoever plugs cables.
type Host interface {
	converge.Kernel
	// AddNIC adds a NIC that is down, with an MTU of 1500, a MAC of its own, and a
	// cable that is plugged in.
	AddNIC(name string)
	// AddBridge adds somebody else's bridge and sets it and its ports up.
	AddBridge(name string, ports ...string)
	// SetCarrier pulls a NIC's cable or plugs it in.
	SetCarrier(name string, on bool)
	// Patience is how long the kernel may take for what it does by itself.
	Patience() time.Duration
}

// Contract is what is known of the kernel behind converge.Kernel: what it refuses
// and how, and what it changes on the side. The fake and the real one both pass
// it. open makes a Host with nothing but lo in it.
func Contract(t *testing.T, open func(t *testing.T) Host) {
	for _, part := range []struct {
		name  string
		cases []contractCase
	}{
		{"link", linkCases},
		{"mtu", mtuCases},
		{"mac", macCases},
		{"down", downCases},
		{"vlan", vlanCases},
		{"enslave", enslaveCases},
		{"release", releaseCases},
		{"active", activeCases},
		{"option", optionCases},
		{"address", addressCases},
		{"ipv6", ipv6Cases},
		{"route", routeCases},
		{"gateway", gatewayCases},
		{"route6", route6Cases},
		{"discovery", discoveryCases},
		{"send", sendCases},
	} {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.cases {
				t.Run(c.name, func(t *testing.T) { c.run(newLab(t, open(t))) })
			}
		})
	}
	t.Run("options", func(t *testing.T) { contractOptions(t, open) })
}

// contractCase is one thing that is known, told as an experiment.
type contractCase struct {
	name string
	run  func(*lab)
}
