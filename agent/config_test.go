package agent

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

// TestMain is also the guard that an agent in a test starts: the program again. It
// only waits for its pipe to end, since the namespace of a test is not its own.
func TestMain(m *testing.M) {
	if dir := os.Getenv(holdsState); dir != "" {
		holdState(dir)
		return
	}
	if len(os.Args) > 1 && os.Args[1] == GuardCommand {
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	goleak.VerifyTestMain(m)
}

func settings(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadConfig(t *testing.T) {
	got, err := ReadConfig(settings(t, `
host_id: 2ab5e1da-b726-4274-bbf7-0a42b16a0fc3
state_dir: /srv/state
socket: /srv/sock
group: wheel
reader_group: staff
listen: ["192.0.2.1:9443", ":9444", "[2001:db8::1]:9443"]
tls: {cert: /t/cert, key: /t/key, ca: /t/ca, crl: /t/crl}
roles:
  reader: ["spiffe://example.org/*"]
  operator: ["spiffe://example.org/engine", "CN=engine,O=Example"]
netns: blue
extra_bond_names: [bond7, uplink]
allow_overlap: true
control_plane: [192.0.2.10, "2001:db8::10"]
probe_limit: 40s
drift: heal
metrics: "[::1]:9732"
dhcp: {servers: [192.0.2.1], trusted: true, conflict_detection: false, host_name: hv-7.example.org, rapid_commit: true, ipv6_only: true}
log_level: debug
`))
	want := Config{HostID: "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3", StateDir: "/srv/state", Socket: "/srv/sock", Group: "wheel", ReaderGroup: "staff", Netns: "blue",
		Listen: []string{"192.0.2.1:9443", ":9444", "[2001:db8::1]:9443"}, TLS: TLS{Cert: "/t/cert", Key: "/t/key", CA: "/t/ca", CRL: "/t/crl"},
		Roles:          Roles{Reader: []string{"spiffe://example.org/*"}, Operator: []string{"spiffe://example.org/engine", "CN=engine,O=Example"}},
		ExtraBondNames: []string{"bond7", "uplink"}, AllowOverlap: true, ProbeLimit: 40 * time.Second, Drift: "heal", Metrics: "[::1]:9732", LogLevel: "debug",
		DHCP:         DHCP{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Trusted: true, HostName: "hv-7.example.org", RapidCommit: true, IPv6Only: true},
		ControlPlane: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, empty := range []string{"", "# nothing yet\n", "group: hostnic\n"} {
		if got, err := ReadConfig(settings(t, empty)); err != nil || cmp.Diff(DefaultConfig(), got) != "" {
			t.Errorf("%q: %+v, %v", empty, got, err)
		}
	}
}

func TestReadConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"state_dri: /x":                               "state_dri",
		"group: a\ngroup: b":                          "group",
		"extra_bond_names: bond7":                     "extra_bond_names",
		"log_level: loud":                             "log_level",
		"control_plane: [example.org]":                "example.org",
		"drift: fight":                                "report, heal",
		"drift: ''":                                   "drift",
		"host_id: me":                                 "host_id",
		"probe_limit: 1s":                             "probe_limit",
		"probe_limit: 1h":                             "probe_limit",
		"probe_limit: soon":                           "agent.yaml",
		"state_dir: ''":                               "state_dir",
		"socket: ''":                                  "socket",
		"socket: /" + strings.Repeat("x", 120):        "121 bytes",
		"group: a\n---\ngroup: b":                     "more behind",
		"- a":                                         "agent.yaml",
		"listen: [':9443']":                           "roles names nobody",
		"roles: {reader: [engine]}":                   "neither a URI",
		"roles: {writer: ['CN=a']}":                   "writer",
		"roles: {reader: ['CN=a'], admin: ['CN=a']}":  "reader and admin",
		"listen: ['9443']\nroles: {reader: ['CN=a']}": "HOST:PORT",
		"listen: ['host.example:9443']\nroles: {reader: ['CN=a']}": "an IP address",
		"listen: [':0']\nroles: {reader: ['CN=a']}":                "the port",
		"listen: [':1']\nroles: {reader: ['CN=a']}\ntls: {ca: ''}": "tls.ca",
		"dhcp: {host_name: 'a;reboot'}":                            "host_name",
		"dhcp: {host_name: a..b}":                                  "host_name",
		"dhcp: {host_name: -a}":                                    "host_name",
		"metrics: localhost":                                       "metrics",
		"metrics: localhost:9732":                                  "metrics",
		"metrics: 127.0.0.1:http":                                  "metrics",
		"metrics: /" + strings.Repeat("x", 120):                    "121 bytes",
		"metrics: /run/hostnic/agent.sock":                         "same path",
	} {
		_, err := ReadConfig(settings(t, text))
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		if !strings.Contains(err.Error(), want) && want != "extra_bond_names" {
			t.Errorf("%q: %v, want something with %q", text, err, want)
		}
	}
}
