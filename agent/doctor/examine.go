package doctor

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Weight is how bad a finding is.
type Weight string

// The weights.
const (
	Error   Weight = "error"   // it does not work now
	Warning Weight = "warning" // it works by luck, or will not for long
	Note    Weight = "note"    // it may be meant so
)

// Finding is something that is wrong or suspicious.
type Finding struct {
	// Rule is a stable name of what was looked for.
	Rule   string
	Weight Weight
	// Nic is the name of the link; empty where it is about the whole host.
	Nic string
	// What is one sentence; Evidence what was seen, a clause each.
	What     string
	Evidence []string
	// Do is a command to run, or what else to do.
	Do string
}

// Skipped is a check that could not be made, and why.
type Skipped struct{ Rule, Reason string }

// Facts are what is judged.
type Facts struct {
	// Host is a look with speeds.
	Host state.Snapshot
	// Owned are the names of the links that the agent made or manages.
	Owned map[string]bool
	// Slaves are those that the configuration wants, by bond.
	Slaves map[string][]string
	// Cables are those at whose other end the configuration expects somebody.
	Cables []Cable
	// Drift, LeftAlone, Waiting and Degraded are what the engine says.
	Drift     []plan.Drift
	LeftAlone []string
	Waiting   []plan.Waiting
	Degraded  []string
	// Missing is what this host cannot do, by feature.
	Missing map[string]string
	// Uncommitted says that a reboot would lose what is running; Pending that it goes
	// back by itself.
	Uncommitted, Pending bool
	// Certificate is when the agent's certificate expires; zero where it has none.
	Certificate time.Time
	// Around is what lies outside of the network.
	Around Around
}

// Cable is what of a NIC is known by LLDP.
type Cable struct {
	Nic      string
	Carrier  bool
	Expected *netcfg.ExpectedNeighbour
	Heard    []netcfg.Neighbour
}

// Examine judges a host. The findings are in the order of their weight.
func Examine(f Facts) ([]Finding, []Skipped) {
	e := &examiner{Facts: f}
	for _, check := range []func(*examiner){
		(*examiner).agent, (*examiner).drift, (*examiner).missing, (*examiner).managers,
		(*examiner).duplicateMACs, (*examiner).mtus, (*examiner).bonds, (*examiner).carriers, (*examiner).cables, (*examiner).addresses, (*examiner).defaultRoutes,
		(*examiner).disk, (*examiner).clock, (*examiner).certificate,
	} {
		check(e)
	}
	slices.SortStableFunc(e.findings, func(a, b Finding) int { return cmp.Compare(order[a.Weight], order[b.Weight]) })
	return e.findings, e.Around.Skipped
}

var order = map[Weight]int{Error: 0, Warning: 1, Note: 2}

type examiner struct {
	Facts
	findings []Finding
}

func (e *examiner) found(f Finding) { e.findings = append(e.findings, f) }

// agent is what the agent itself complains about.
func (e *examiner) agent() {
	for _, d := range e.Degraded {
		e.found(Finding{Rule: "degraded", Weight: Error, What: "the agent cannot do all of its work", Evidence: []string{d}, Do: "agentctl status"})
	}
	for _, w := range e.Waiting {
		do := "agentctl show " + w.Nic
		if w.Nic == netcfg.DNSPath { // the resolver's file, whose reason says what to do
			do = "agentctl status"
		}
		e.found(Finding{Rule: "waiting", Weight: Warning, Nic: w.Nic, What: "it waits for something before it can be as configured", Evidence: []string{w.Reason}, Do: do})
	}
	if e.Uncommitted && !e.Pending {
		e.found(Finding{Rule: "uncommitted", Weight: Note, What: "what is running is not committed: a reboot loses it", Do: "agentctl commit"})
	}
}

// drift is how the host differs from what is running.
func (e *examiner) drift() {
	for _, d := range e.Drift {
		do := "agentctl apply"
		if e.Pending {
			do = "agentctl commit or agentctl rollback, and then agentctl apply"
		}
		if d.Hint != "" {
			do = d.Hint
		}
		e.found(Finding{Rule: "drift", Weight: Warning, Nic: nicOf(d.Field), What: "the host differs from what is applied",
			Evidence: []string{d.Field + " should be " + orNothing(d.Wanted) + ", is " + orNothing(d.Actual)}, Do: do})
	}
	for _, nic := range e.LeftAlone {
		e.found(Finding{Rule: "left-alone", Weight: Error, Nic: nic, What: "somebody changes it back again and again, and it is healed no more", Do: "end that other program, then agentctl apply"})
	}
}

// missing is what this host cannot do at all.
func (e *examiner) missing() {
	for _, feature := range []string{"write", "bond", "vlan"} {
		if reason, ok := e.Missing[feature]; ok {
			e.found(Finding{Rule: "missing-" + feature, Weight: Error, What: "this host cannot do it: " + feature, Evidence: []string{reason}, Do: remedies[feature]})
		}
	}
}

var remedies = map[string]string{
	"write": "give the agent CAP_NET_ADMIN: systemctl cat hostnicd",
	"bond":  "modprobe bonding",
	"vlan":  "modprobe 8021q",
}

// managers are other programs that manage a link of the agent.
func (e *examiner) managers() {
	for _, c := range e.Around.Managers {
		if e.Owned[c.Link.Name] {
			e.found(Finding{Rule: "other-manager", Weight: Error, Nic: c.Link.Name, What: c.Manager + " manages it, too: the two will undo each other's work",
				Evidence: []string{c.Reason}, Do: strings.Join(c.HandOver, " && ")})
		}
	}
}

// carriers are links of the agent that ought to have one.
func (e *examiner) carriers() {
	for _, l := range e.Host.Links {
		if e.Owned[l.Name] && l.AdminUp && !l.Carrier && l.Slave == nil {
			e.found(Finding{Rule: "no-carrier", Weight: Warning, Nic: l.Name, What: "it is up and has no carrier", Evidence: []string{"oper_state " + l.OperState}, Do: "see to the cable and the switch: agentctl show " + l.Name})
		}
	}
}

// addresses are those that somebody else has as well.
func (e *examiner) addresses() {
	for _, a := range e.Host.Addresses {
		if a.Flags&state.FlagDADFailed != 0 {
			name := e.Host.Name(a.Link)
			e.found(Finding{Rule: "duplicate-address", Weight: Error, Nic: name, What: "another host has its address", Evidence: []string{a.Prefix.String() + " dad-failed"},
				Do: "give one of them another address: agentctl set " + name + " ipv6.address=…"})
		}
	}
}
