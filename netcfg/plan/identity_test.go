package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// The configuration follows the hardware: its permanent MAC, else its slot. No link
// of a test kernel has either, so that this is shown on the fake one.

// rig is a host with hardware NICs, converged to a configuration.
type rig struct {
	*testing.T
	*kerneltest.Fake
	config netcfg.Config
	memory plan.Memory
}

func newRig(t *testing.T, doc string, nics map[string]kerneltest.NIC) *rig {
	r := &rig{T: t, Fake: kerneltest.NewFake(), config: config(t, netcfg.Config{}, doc)}
	for _, name := range []string{"eth0", "eth1", "eth2"} {
		if n, ok := nics[name]; ok {
			r.AddNIC(name, n)
		}
	}
	r.converge(false)
	return r
}

// converge is one of the agent's, and gives what waits.
func (r *rig) converge(lenient bool) converge.Report {
	r.Helper()
	rep, err := converge.Run(r.Context(), r.Fake, converge.Target{Config: r.config, Memory: r.memory, Lenient: lenient})
	if err != nil {
		r.Fatal(err)
	}
	r.memory = rep.Intent.Settled()
	return rep
}

// addresses of the link of that permanent MAC, with its name.
func (r *rig) addresses(permMAC string) string {
	r.Helper()
	s, err := r.Snapshot(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	for _, l := range s.Links {
		if l.PermMAC != permMAC {
			continue
		}
		words := []string{l.Name}
		for _, a := range s.AddressesOf(l.Index) {
			if !a.LinkLocal() {
				words = append(words, a.Prefix.String())
			}
		}
		return strings.Join(words, " ")
	}
	return "not there"
}

func (r *rig) want(permMAC, want string) {
	r.Helper()
	if got := r.addresses(permMAC); got != want {
		r.Errorf("%s: got %s, want %s", permMAC, got, want)
	}
}

const (
	macA = "52:54:00:00:00:0a"
	macB = "52:54:00:00:00:0b"
	macC = "52:54:00:00:00:0c"

	two = `host_nics: [{name: eth0, ip: {address: 10.1.0.2, netmask: 24, gateway: 10.1.0.1}}, {name: eth1, ip: {address: 10.2.0.2, netmask: 24}}]`
)

func twoNICs() map[string]kerneltest.NIC {
	return map[string]kerneltest.NIC{"eth0": {MAC: macA, BusPath: "0000:03:00.0"}, "eth1": {MAC: macB, BusPath: "0000:04:00.0"}}
}

// TestFault_B2 renames a NIC before each phase of an operation. Indexes do not
// change, and the next look finds the NIC by its permanent MAC: the operation
// succeeds, and the NIC goes on being configured under its configured name.
func TestFault_B2(t *testing.T) {
	bond := `host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}, ip: {address: 10.1.0.2, netmask: 24}}, {name: eth2, ip: {address: 10.2.0.2, netmask: 24, gateway: 10.2.0.1}}]`
	for _, nic := range []string{"eth0", "eth2"} {
		for phase := range 6 {
			t.Run(fmt.Sprintf("%s before phase %d", nic, phase), func(t *testing.T) {
				r := &rig{T: t, Fake: kerneltest.NewFake(), config: config(t, netcfg.Config{}, bond)}
				for i, name := range []string{"eth0", "eth1", "eth2"} {
					r.AddNIC(name, kerneltest.NIC{MAC: []string{macA, macB, macC}[i]})
				}
				n := 0
				rep, err := converge.Run(t.Context(), r.Fake, converge.Target{Config: r.config, Progress: func(plan.Phase) {
					if n == phase {
						r.Rename(nic, "lan9")
					}
					n++
				}})
				if err != nil {
					t.Fatal(err)
				}
				r.memory = rep.Intent.Settled()
				if rep = r.converge(false); rep.Wrote {
					t.Errorf("not settled: %v", rep.Plan.Ops())
				}
				s := rep.After
				if slaves := s.SlavesOf(s.ByName("bond0").Index); len(slaves) != 2 {
					t.Errorf("slaves: %v", slaves)
				}
				if nic == "eth2" && n > phase {
					r.want(macC, "lan9 10.2.0.2/24")
				}
			})
		}
	}
}

// TestFault_B3 has NICs come back under other names and indexes.
func TestFault_B3(t *testing.T) {
	t.Run("renamed", func(t *testing.T) {
		r := newRig(t, two, twoNICs())
		r.Rename("eth0", "lan0")
		if rep := r.converge(false); rep.Wrote {
			t.Errorf("wrote %v", rep.Plan.Ops())
		}
		r.config = config(t, r.config, `host_nics: [{name: eth0, ip: {address: 10.3.0.2, gateway: 10.3.0.1}}]`)
		r.converge(false)
		r.want(macA, "lan0 10.3.0.2/24")
	})
	t.Run("back under another name", func(t *testing.T) {
		r := newRig(t, two, twoNICs())
		r.Remove("eth0")
		if rep := r.converge(true); len(rep.Intent.Waiting) != 1 || rep.Intent.Waiting[0].Nic != "eth0" {
			t.Errorf("waiting: %v", rep.Intent.Waiting)
		}
		r.AddNIC("enp3s0", kerneltest.NIC{MAC: macA, BusPath: "0000:03:00.0"})
		r.converge(true)
		r.want(macA, "enp3s0 10.1.0.2/24")
		r.want(macB, "eth1 10.2.0.2/24")
	})
	t.Run("names exchanged", func(t *testing.T) {
		r := newRig(t, two, twoNICs())
		r.Rename("eth0", "x")
		r.Rename("eth1", "eth0")
		r.Rename("x", "eth1")
		if rep := r.converge(false); rep.Wrote {
			t.Errorf("wrote %v", rep.Plan.Ops())
		}
		r.want(macA, "eth1 10.1.0.2/24")
		r.want(macB, "eth0 10.2.0.2/24")
	})
	t.Run("the name now belongs to hardware in another slot", func(t *testing.T) {
		r := newRig(t, two, twoNICs())
		r.Remove("eth0")
		r.AddNIC("eth0", kerneltest.NIC{MAC: macC, BusPath: "0000:05:00.0"})
		if rep := r.converge(true); len(rep.Intent.Waiting) != 1 || !strings.Contains(rep.Intent.Waiting[0].Reason, macC) {
			t.Errorf("waiting: %v", rep.Intent.Waiting)
		}
		r.want(macC, "eth0")
	})
	t.Run("other hardware in the same slot", func(t *testing.T) {
		r := newRig(t, two, twoNICs())
		r.Remove("eth0")
		r.AddNIC("eth0", kerneltest.NIC{MAC: macC, BusPath: "0000:03:00.0"})
		rep := r.converge(true)
		if len(rep.Warnings) != 1 || rep.Warnings[0].Rule != "hardware-replaced" {
			t.Errorf("warnings: %v", rep.Warnings)
		}
		r.want(macC, "eth0 10.1.0.2/24")
	})
	t.Run("slaves exchanged", func(t *testing.T) {
		r := newRig(t, `host_nics: [{name: bond0, bonding: {options: {mode: active-backup, primary: eth1}, slaves: [eth0, eth1]}}]`, twoNICs())
		before := r.converge(false).After
		r.Rename("eth0", "x")
		r.Rename("eth1", "eth0")
		r.Rename("x", "eth1")
		rep := r.converge(false)
		if got, want := rep.After.ByName("bond0").MAC, before.ByName("bond0").MAC; got != want {
			t.Errorf("MAC of the bond: got %s, want %s", got, want)
		}
		if got := rep.After.ByName("bond0").Bond.Options["primary"]; got != "eth0" {
			t.Errorf("the primary is now called eth0, and not %q", got)
		}
	})
}
