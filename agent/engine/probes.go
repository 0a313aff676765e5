package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Prober reaches out from the host. Its methods wait until ctx ends at most, and may
// be called side by side.
type Prober interface {
	// Neighbour asks a neighbour on the link of that index, by ARP or ND, and waits
	// for its answer. The error is that it cannot be asked.
	Neighbour(ctx context.Context, link int, address netip.Addr) (state.Neighbour, error)
	// Connect makes a TCP connection to host:port and closes it again. The error is
	// ENETUNREACH where no route leads there.
	Connect(ctx context.Context, address string) error
}

// ProbeState is what came of a probe.
type ProbeState string

// The states of a probe.
const (
	ProbePassed    ProbeState = "passed"
	ProbeFailed    ProbeState = "failed"     // it vetoes
	ProbeNotVoting ProbeState = "not-voting" // it says nothing about the change
)

// Probe is a test of what the host is connected to, before a change and after it.
type Probe struct {
	// Name is what is tested: gateway 192.0.2.254 (eth0).
	Name  string
	State ProbeState
	// Detail is what was seen, in a few words.
	Detail string
}

// VetoError is that probes that passed before a change fail after it.
type VetoError struct{ Probes []Probe }

// Error is a line for each.
func (e *VetoError) Error() string {
	var lines []string
	for _, p := range e.Probes {
		lines = append(lines, fmt.Sprintf("probe %s: %s", p.Name, p.Detail))
	}
	return strings.Join(lines, "\n")
}

// The limits of probes.
const (
	// DefaultProbeLimit is how long all probes together may take after a change.
	DefaultProbeLimit = 10 * time.Second
	// beforeLimit is the same before it: the kernel's three tries.
	beforeLimit = 3 * time.Second
	// mostProbes and longestProbe bound what is asked for.
	mostProbes, longestProbe = 16, 300
)

// probeKind tells the probes apart.
type probeKind int

const (
	gatewayProbe   probeKind = iota // each default gateway
	neighbourProbe                  // one neighbour
	tcpProbe
	callerProbe
	lacpProbe // the partner of each bond
	lldpProbe // the expected neighbour of each NIC
)

// asked is a probe as it is asked for.
type asked struct {
	// word is what the request says.
	word string
	kind probeKind
	// address is that of the one neighbour, target the host:port.
	address netip.Addr
	target  string
	// required leaves out expected neighbours that are not.
	required bool
}

// reachesOut is true of what takes a Prober.
func (a asked) reachesOut() bool {
	return a.kind == gatewayProbe || a.kind == neighbourProbe || a.kind == tcpProbe
}

// unasked are the probes of an apply or a commit that names none.
var unasked = []asked{{word: "gateway", kind: gatewayProbe}, {word: "lacp", kind: lacpProbe}, {word: "lldp", kind: lldpProbe, required: true}}

// probesOf are the probes of a request. They are named when the request says which,
// or that there is to be none.
func probesOf(r Request) (list []asked, named bool, err error) {
	switch {
	case len(r.Probes) > mostProbes:
		return nil, true, &Error{Kind: Misused, Rule: "probe-count", Message: fmt.Sprintf("%d probes are asked for, and %d are the most", len(r.Probes), mostProbes)}
	case len(r.Probes) > 0:
		list, err = parseProbes(r.Probes)
		return list, true, err
	case r.Kind == Apply, r.Kind == Commit:
		return unasked, false, nil
	}
	return nil, false, nil
}

func parseProbes(words []string) ([]asked, error) {
	var list []asked
	for _, word := range words {
		if word == "none" && len(words) > 1 {
			return nil, badProbe(word, "goes with no other probe")
		}
		if word == "none" {
			return nil, nil
		}
		a, wrong := parseProbe(word)
		if wrong != "" {
			return nil, badProbe(word, wrong)
		}
		list = append(list, a)
	}
	return list, nil
}

func badProbe(word, wrong string) error {
	if len(word) > longestProbe {
		word = word[:longestProbe] + " …"
	}
	return &Error{Kind: Misused, Rule: "probe-unknown",
		Message: fmt.Sprintf("the probe %q %s: there are gateway, gateway:ADDRESS, tcp:HOST:PORT, caller, lacp, lldp, none", netcfg.Printable(word), wrong)}
}

// parseProbe reads one probe, or says what is wrong with it.
func parseProbe(word string) (a asked, wrong string) {
	kind, rest, more := strings.Cut(word, ":")
	a.word = word
	switch {
	case len(word) > longestProbe:
		return a, fmt.Sprintf("has more than %d bytes", longestProbe)
	case word == "gateway":
		return a, ""
	case word == "lacp":
		a.kind = lacpProbe
		return a, ""
	case word == "lldp":
		a.kind = lldpProbe
		return a, ""
	case word == "caller":
		a.kind = callerProbe
		return a, ""
	case kind == "gateway" && more:
		a.kind = neighbourProbe
		a.address, wrong = parseNeighbour(rest)
		return a, wrong
	case kind == "tcp" && more:
		a.kind, a.target = tcpProbe, rest
		return a, checkTarget(rest)
	}
	return a, "does not exist"
}

func parseNeighbour(text string) (address netip.Addr, wrong string) {
	address, err := netip.ParseAddr(text)
	address = address.Unmap()
	local := address.Is6() && address.IsLinkLocalUnicast()
	switch {
	case err != nil:
		return address, "names no IP address"
	case address.IsUnspecified(), address.IsMulticast(), address.IsLoopback():
		return address, "names an address that no neighbour has"
	case local && address.Zone() == "":
		return address, "names a link-local address without its link (fe80::1%eth0)"
	case !local && address.Zone() != "":
		return address, "names a link, which only goes with a link-local address"
	}
	return address, ""
}

func checkTarget(target string) (wrong string) {
	host, port, err := net.SplitHostPort(target)
	n, notNumber := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || host == "" || host != netcfg.Printable(host) || strings.ContainsAny(host, " /"):
		return "names no host and port (tcp:192.0.2.1:443, tcp:[2001:db8::1]:443)"
	case notNumber != nil || n == 0:
		return "names no port from 1 to 65535"
	}
	return ""
}

// checkProbes refuses probes that the request itself rules out.
func (e *Engine) checkProbes(r Request) error {
	list, named, err := probesOf(r)
	if err != nil || !named || len(list) == 0 {
		return err
	}
	limit := e.probeLimit()
	if r.RevertAfter != 0 && r.RevertAfter <= limit {
		return &Error{Kind: Misused, Rule: "window-length",
			Message: fmt.Sprintf("the change waits %s to be confirmed, and its probes may take %s: let it wait longer than that, or leave them out", r.RevertAfter, limit)}
	}
	if e.window != nil && r.Kind == Rollback {
		return &Error{Kind: Misused, Rule: "probe-useless",
			Message: "taking back a change that waits to be confirmed is not itself taken back, whatever a probe says: leave the probes out"}
	}
	for _, a := range list {
		if e.Prober == nil && a.reachesOut() || e.Heard == nil && a.kind == lldpProbe {
			return &Error{Kind: Unsupported, Rule: "probe-unsupported", Message: fmt.Sprintf("the probe %s cannot be made here", a.word)}
		}
	}
	return nil
}

// probeLimit is how long probes may take after a change.
func (e *Engine) probeLimit() time.Duration {
	if e.ProbeLimit == 0 {
		return DefaultProbeLimit
	}
	return e.ProbeLimit
}
