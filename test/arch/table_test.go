package arch

// A rule says what a package may import, besides the standard library. Names
// end in "/..." for a package and all below it. Tests of a package may import
// anything of ours, and testLibraries.
type rule struct {
	pkg    string
	ours   []string
	theirs []string
	why    string
}

const (
	grpc      = "google.golang.org/grpc/..."
	protobuf  = "google.golang.org/protobuf/..."
	rpcDetail = "google.golang.org/genproto/googleapis/rpc/..."
	sys       = "golang.org/x/sys/unix"
	yaml      = "go.yaml.in/yaml/v3"
	cobra     = "github.com/spf13/cobra/..."
)

var testLibraries = []string{
	"pgregory.net/rapid",
	"github.com/google/go-cmp/...",
	"go.uber.org/goleak",
	"github.com/rogpeppe/go-internal/...",
}

// netlinkOnlyIn are the doors to the kernel. Their tests are no exception.
var netlinkOnlyIn = []string{"netcfg/kernel", "test/..."}

var netlinkLibraries = []string{
	"github.com/vishvananda/netlink/...",
	"github.com/vishvananda/netns",
	"github.com/mdlayher/netlink/...",
	"github.com/mdlayher/genetlink",
	"github.com/mdlayher/ethtool",
}

// table is the house, from the ground up: a package imports what stands above it
// here, and only that which its line names.
var table = []rule{
	{
		pkg: "netcfg",
		why: "the words lie at the bottom and know nobody",
	}, {
		pkg: "netcfg/codec", ours: []string{"netcfg"}, theirs: []string{yaml},
		why: "turns text into words and back",
	}, {
		pkg: "netcfg/state", ours: []string{"netcfg"},
		why: "observed values, no way to observe",
	}, {
		pkg: "netcfg/plan", ours: []string{"netcfg", "netcfg/state"},
		why: "a plan is a value: deciding touches nothing",
	}, {
		pkg: "netcfg/converge", ours: []string{"netcfg", "netcfg/state", "netcfg/plan"},
		why: "acts through an interface, so that the same loop runs on a fake kernel",
	}, {
		pkg: "netcfg/kernel", ours: []string{"netcfg", "netcfg/state", "netcfg/plan"},
		theirs: append([]string{sys}, netlinkLibraries...),
		why:    "the only door to netlink",
	}, {
		pkg: "netcfg/kerneltest", ours: []string{"netcfg/..."},
		theirs: testLibraries,
		why:    "the fake kernel and the contract that fake and real one pass",
	}, {
		pkg: "proto/hostnic/v1", theirs: []string{grpc, protobuf, rpcDetail},
		why: "generated",
	}, {
		pkg: "agent/store", ours: []string{"netcfg"}, theirs: []string{sys},
		why: "the only writer of files",
	}, {
		pkg: "agent/dhcp/drive", ours: []string{"netcfg"}, theirs: []string{sys},
		why: "runs machines and carries what they say, understands none of it",
	}, {
		pkg: "agent/dhcp/drive/drivetest", ours: []string{"agent/dhcp/drive"},
		why: "time and records for tests of clients",
	}, {
		pkg: "agent/dhcp", ours: []string{"agent/dhcp/drive", "netcfg"},
		theirs: []string{sys, "github.com/insomniacslk/dhcp/..."},
		why:    "makes leases, never touches links",
	}, {
		pkg: "agent/dhcp6", ours: []string{"agent/dhcp/drive", "netcfg"},
		theirs: []string{sys, "github.com/insomniacslk/dhcp/..."},
		why:    "as agent/dhcp, for IPv6",
	}, {
		pkg: "agent/resolver", ours: []string{"netcfg/converge", "netcfg/plan", "netcfg/state"}, theirs: []string{sys},
		why: "the only door to the file of DNS servers",
	}, {
		pkg: "agent/probe",
		why: "reaches out by sockets, knows nobody",
	}, {
		pkg: "agent/remote", ours: []string{"netcfg"},
		why: "lets clients in from the network, knows nothing of what they want",
	}, {
		pkg: "agent/inventory", ours: []string{"netcfg", "netcfg/state", "netcfg/plan"},
		why: "the one eye for clients",
	}, {
		pkg: "agent/managers",
		why: "knows the other programs that configure links, and nothing of ours",
	}, {
		pkg:  "agent/engine",
		ours: []string{"agent/managers", "netcfg", "netcfg/codec", "netcfg/state", "netcfg/plan", "netcfg/converge", "agent/store"},
		why:  "decides on values; the kernel comes in as an interface",
	}, {
		pkg: "agent/doctor", ours: []string{"agent/managers", "netcfg", "netcfg/plan", "netcfg/state"}, theirs: []string{sys},
		why: "judges values; what it looks at it changes in nothing",
	}, {
		pkg: "agent/lldp", ours: []string{"netcfg"}, theirs: []string{sys},
		why: "listens to switches, knows nobody",
	}, {
		pkg: "agent/metrics", ours: []string{"agent/engine", "agent/inventory", "netcfg", "netcfg/plan"},
		theirs: []string{sys, "github.com/prometheus/client_golang/...", "golang.org/x/net/netutil"},
		why:    "counts and tells, decides nothing",
	}, {
		pkg: "agent/server",
		ours: []string{
			"proto/hostnic/v1", "agent/doctor", "agent/engine", "agent/inventory", "agent/lldp", "agent/remote",
			"netcfg", "netcfg/codec", "netcfg/state", "netcfg/plan",
		},
		theirs: []string{grpc, protobuf, rpcDetail, sys},
		why:    "translates between API and Go, decides nothing",
	}, {
		pkg:  "agent",
		ours: []string{"agent/...", "netcfg", "netcfg/codec", "netcfg/state", "netcfg/plan", "netcfg/converge", "netcfg/kernel"},
		theirs: []string{
			"golang.org/x/sync/...", "github.com/coreos/go-systemd/v22/...", sys, grpc, yaml,
		},
		why: "puts everything together",
	}, {
		pkg: "cmd/internal/manual", theirs: []string{cobra, "github.com/spf13/pflag", yaml},
		why: "writes the manual when packages are built, and is in none of the programs",
	}, {
		pkg: "cmd/hostnicd", ours: []string{"agent", "cmd/internal/manual"}, theirs: []string{cobra, sys},
		why: "flags and wiring",
	}, {
		pkg: "cmd/agentctl", ours: []string{"proto/hostnic/v1", "cmd/internal/manual"},
		theirs: []string{
			cobra, yaml, grpc, protobuf, rpcDetail,
			"github.com/jedib0t/go-pretty/v6/...", "golang.org/x/term",
		},
		why: "uses the public API and nothing else",
	}, {
		pkg: "test/...", ours: []string{"..."}, theirs: []string{"..."},
		why: "tests the whole",
	},
}
