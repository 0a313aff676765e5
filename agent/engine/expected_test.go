package engine

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
)

// A change at whose end somebody else than the required neighbour is heard is taken back,
// and one that has nothing to write is refused; where it is not required it is a warning.
func TestExpectedNeighbour(t *testing.T) {
	r := newRig(t)
	var there atomic.Pointer[netcfg.Neighbour]
	r.heard = func(link string) []netcfg.Neighbour {
		if n := there.Load(); n != nil && link == "eth0" {
			return []netcfg.Neighbour{*n}
		}
		return nil
	}
	r.restart()
	leaf3, leaf4 := &netcfg.Neighbour{SystemName: "leaf3", PortID: "1"}, &netcfg.Neighbour{SystemName: "leaf4", PortID: "1"}
	fresh := r.look()
	for _, test := range []struct {
		name, doc string
		heard     *netcfg.Neighbour
		probes    []string
		state     State
		// said is in the error, or without one in the probes and warnings.
		said string
	}{
		{"nobody is there", `{name: eth0, mtu: 1400, expected_neighbour: {system_name: leaf3, required: true}}`, nil, nil, RolledBack,
			"probe lldp eth0: to come with the change, nobody heard by LLDP within 1 s after it (system_name leaf3 is expected)"},
		{"another one is there", `{name: eth0, mtu: 1400, expected_neighbour: {system_name: leaf3, required: true}}`, leaf4, nil, RolledBack, "there is system_name leaf4"},
		{"as no probe is wanted", `{name: eth0, mtu: 1400, expected_neighbour: {system_name: leaf3, required: true}}`, leaf4, []string{"none"}, Done, "neighbour-unexpected"},
		{"wrong before already", `{name: eth0, mtu: 1410, expected_neighbour: {system_name: leaf3, required: true}}`, leaf4, nil, Done, "was failing before, does not vote: another LLDP neighbour"},
		{"the right one", `{name: eth0, mtu: 1420, expected_neighbour: {system_name: leaf3, required: true}}`, leaf3, nil, Done, "lldp eth0 passed system_name leaf3"},
		{"nothing to write, and wrong", `{name: eth0, expected_neighbour: {port_id: "7"}}`, leaf3, nil, Refused, "nothing was touched"},
		{"nothing to write, and right", `{name: eth0, expected_neighbour: {port_id: "1"}}`, leaf3, nil, Done, "lldp eth0 passed"},
		{"not required", `{name: eth0, mtu: 1430, expected_neighbour: {system_name: leaf5, required: false}}`, leaf3, nil, Done, "there is system_name leaf3"},
		{"not required, but asked for", `{name: eth0, mtu: 1440, expected_neighbour: {system_name: leaf6}}`, leaf3, []string{"lldp"}, RolledBack, "system_name leaf6, port_id 1 is expected"},
	} {
		there.Store(test.heard)
		before := r.look()
		r.stage("host_nics: [" + test.doc + "]")
		op, err := r.Do(t.Context(), Request{Kind: Apply, Probes: test.probes}, nil)
		said := fmt.Sprint(op.Err, err)
		for _, p := range op.Probes {
			said += "\n" + p.Name + " " + string(p.State) + " " + p.Detail
		}
		for _, w := range op.Warnings {
			said += "\n" + w.Rule + " " + w.Found
		}
		if op.State != test.state || !strings.Contains(said, test.said) {
			t.Errorf("%s: %s, want %s with %q: %s", test.name, op.State, test.state, test.said, said)
		}
		if op.State != Done && r.look() != before {
			t.Errorf("%s: the host is not as before\n%s", test.name, r.look())
		}
		if op.State != Done {
			if _, err := r.Discard(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r.look() == fresh {
		t.Error("nothing was applied")
	}
}
