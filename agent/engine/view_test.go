package engine

import (
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// Whoever keeps what he has read about NICs is told of all that may have changed in it.
func TestTellsTheSame(t *testing.T) {
	lease := map[string]netcfg.LeaseStatus{"eth0": {NIC: "eth0", State: "bound"}}
	for name, change := range map[string]func(*View){
		"running": func(v *View) { v.Running.HostNics = []netcfg.HostNic{{Name: "eth0"}} },
		"waiting": func(v *View) { v.Waiting = []plan.Waiting{{Nic: "eth0"}} },
		"drift":   func(v *View) { v.Drift = []Drift{{}} },
		"DHCP":    func(v *View) { v.Leases = lease },
		"DHCPv6":  func(v *View) { v.Leases6 = lease },
	} {
		var before, after View
		change(&after)
		if before.tellsTheSame(&after) || !after.tellsTheSame(&after) {
			t.Errorf("%s: the same %v and %v", name, before.tellsTheSame(&after), after.tellsTheSame(&after))
		}
	}
}
