package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/resolver"
)

// Config are the settings of the daemon, as agent.yaml has them. What the host's
// network is to be is not among them.
type Config struct {
	// HostID is the UUID of the host, from which the ids of its NICs are made.
	// Empty: one that follows from /etc/machine-id.
	HostID string `yaml:"host_id"`
	// StateDir is where everything is kept that outlives the daemon.
	StateDir string `yaml:"state_dir"`
	// Socket is the path of the API's socket.
	Socket string `yaml:"socket"`
	// Group is whose members may change the configuration, by name or number; root
	// always may.
	Group string `yaml:"group"`
	// ReaderGroup is whose members may look, on a socket of their own: that of agent.sock
	// is agent-reader.sock beside it. Nothing is said where there is no such group.
	ReaderGroup string `yaml:"reader_group"`
	// Listen are the addresses of the API on the network, HOST:PORT. Empty: none.
	Listen []string `yaml:"listen"`
	TLS    TLS      `yaml:"tls"`
	Roles  Roles    `yaml:"roles"`
	// Netns is the network namespace to work in, by the name that ip netns gave it
	// or by a path. Empty: the one that the daemon was started in.
	Netns string `yaml:"netns"`
	// ResolvConf is the file by which the host's programs find DNS servers, which the
	// agent writes where a configuration has dns; none is none. Empty: /etc/resolv.conf, and
	// in the network namespace NAME /etc/netns/NAME/resolv.conf, as ip-netns(8) has it.
	ResolvConf string `yaml:"resolv_conf"`
	// ExtraBondNames are names that bonds may have beside bond0 to bond4.
	ExtraBondNames []string `yaml:"extra_bond_names"`
	// AllowOverlap lets two NICs have overlapping subnets.
	AllowOverlap bool `yaml:"allow_overlap"`
	// ControlPlane are IP addresses from which the host is managed. A change that
	// leaves no way to one of them is refused unless it is forced.
	ControlPlane []netip.Addr `yaml:"control_plane"`
	// ProbeLimit is how long the probes of a change may take after it, from 3s to 5m: a
	// switch that keeps a port silent for 30 s after its link comes up (STP) takes more
	// than that.
	ProbeLimit time.Duration `yaml:"probe_limit"`
	// Drift is what to do when somebody else changes what the agent has configured:
	// report tells it and touches nothing, heal puts it right within about a second.
	// Heal gives a link up, with an alarm and until the next apply, when it differs
	// again after five corrections within a minute.
	Drift string `yaml:"drift"`
	// Metrics is where Prometheus is told what the agent knows: an address and port
	// (127.0.0.1:9732), or the path of a unix socket. Empty: nowhere. Whoever reaches an
	// address may read them; a socket is for root and the group.
	Metrics string `yaml:"metrics"`
	// DHCP is how leases are got.
	DHCP DHCP `yaml:"dhcp"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `yaml:"log_level"`
}

// DHCP is how leases are got for NICs on boot_protocol dhcp.
type DHCP struct {
	// Servers are the DHCP servers that are listened to, by the address that they call
	// themselves (option 54). None: all.
	Servers []netip.Addr `yaml:"servers"`
	// Trusted lets servers send routes that cover an address of control_plane, are as good
	// as a default route, or go into the subnet of another NIC (option 121, CVE-2024-3661),
	// which are ignored otherwise.
	Trusted bool `yaml:"trusted"`
	// ConflictDetection looks whether somebody else has an address before it is used, and
	// watches afterwards (RFC 5227). It is on unless it is switched off; an address is
	// then there some seconds sooner.
	ConflictDetection bool `yaml:"conflict_detection"`
	// HostName is what servers are told that the host is called (option 12). Empty:
	// nothing.
	HostName string `yaml:"host_name"`
	// RapidCommit has a lease granted in two messages instead of four, by servers that
	// can do so (RFC 4039, RFC 8415 §18.2.1).
	RapidCommit bool `yaml:"rapid_commit"`
	// IPv6Only says that the host can do without IPv4 in a network that asks it to (RFC
	// 8925): a NIC on dhcp then has no lease there, and waits.
	IPv6Only bool `yaml:"ipv6_only"`
}

// Where things are unless somebody says otherwise.
const (
	DefaultConfigFile = "/etc/hostnic/agent.yaml"
	DefaultStateDir   = "/var/lib/hostnic"
	DefaultSocket     = "/run/hostnic/agent.sock"
	DefaultGroup      = "hostnic"
	DefaultReaders    = "hostnic-ro"
	DefaultDrift      = string(engine.DriftReport)
	DefaultLogLevel   = "info"
)

// DefaultConfig is what holds where nothing is set.
func DefaultConfig() Config {
	return Config{
		StateDir: DefaultStateDir, Socket: DefaultSocket, Group: DefaultGroup, ReaderGroup: DefaultReaders,
		TLS: TLS{Cert: DefaultCert, Key: DefaultKey, CA: DefaultCA}, ProbeLimit: engine.DefaultProbeLimit, Drift: DefaultDrift, DHCP: DHCP{ConflictDetection: true}, LogLevel: DefaultLogLevel,
	}
}

// resolvConf is the file that goes with the network namespace.
func (c *Config) resolvConf() string {
	switch {
	case c.ResolvConf != "":
		return c.ResolvConf
	case c.Netns == "":
		return "/etc/resolv.conf"
	case !strings.Contains(c.Netns, "/"):
		return filepath.Join("/etc/netns", c.Netns, "resolv.conf")
	}
	return resolver.None
}

// ReadConfig reads a settings file over the defaults. A key that does not exist is
// an error, because a setting that was mistyped and ignored is worse than none.
func ReadConfig(path string) (Config, error) {
	c := DefaultConfig()
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the settings: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("the settings in %s: %w", path, err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("the settings in %s: there is more behind the first document", path)
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("the settings in %s: %w", path, err)
	}
	return c, nil
}

// The bounds of ProbeLimit. A call that a probe waits for comes after 2 s at the
// soonest.
const (
	shortestProbes = 3 * time.Second
	longestProbes  = 5 * time.Minute
)

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// hostName is one of RFC 1123 §2.1, mostHostName the most of it that the DNS takes.
var hostName = regexp.MustCompile(`^[0-9A-Za-z]([-0-9A-Za-z]{0,61}[0-9A-Za-z])?(\.[0-9A-Za-z]([-0-9A-Za-z]{0,61}[0-9A-Za-z])?)*$`)

const mostHostName = 253

// mostSocketPath is what fits into sun_path (unix(7)) beside the suffix that the
// socket has while it is made ready.
const mostSocketPath = 107 - len(newSocket)

func (c Config) check() error {
	if _, err := c.Level(); err != nil {
		return err
	}
	if _, err := c.DriftPolicy(); err != nil {
		return err
	}
	switch {
	case c.HostID != "" && !uuid.MatchString(c.HostID):
		return fmt.Errorf("host_id %q is not a UUID", c.HostID)
	case c.DHCP.HostName != "" && (!hostName.MatchString(c.DHCP.HostName) || len(c.DHCP.HostName) > mostHostName):
		return fmt.Errorf("dhcp.host_name %q is not a host name: letters, digits and hyphens in labels of 63 at most, %d in all", c.DHCP.HostName, mostHostName)
	case c.ProbeLimit < shortestProbes || c.ProbeLimit > longestProbes:
		return fmt.Errorf("probe_limit %s is not from %s to %s", c.ProbeLimit, shortestProbes, longestProbes)
	case c.ResolvConf != "" && c.ResolvConf != resolver.None && !filepath.IsAbs(c.ResolvConf):
		return fmt.Errorf("resolv_conf %q is neither an absolute path nor %s", c.ResolvConf, resolver.None)
	case c.StateDir == "":
		return errors.New("state_dir is empty")
	case c.Socket == "":
		return errors.New("socket is empty")
	case c.Metrics != "" && c.metricsError() != nil:
		return c.metricsError()
	case c.Metrics == c.Socket:
		return fmt.Errorf("metrics and socket are the same path: %s", c.Socket)
	case len(c.Socket) > mostSocketPath:
		return fmt.Errorf("the path of the socket has %d bytes, and %d is the most that the kernel takes: %s", len(c.Socket), mostSocketPath, c.Socket)
	}
	return c.checkRemote()
}

// metricsError is what is wrong with Metrics.
func (c Config) metricsError() error {
	if strings.HasPrefix(c.Metrics, "/") {
		if len(c.Metrics) > mostSocketPath {
			return fmt.Errorf("the path in metrics has %d bytes, and %d is the most that the kernel takes: %s", len(c.Metrics), mostSocketPath, c.Metrics)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(c.Metrics)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("metrics %q is neither an IP address with a port, such as 127.0.0.1:9732, nor the path of a socket: %w", c.Metrics, err)
	}
	return nil
}

// DriftPolicy is Drift as the engine has it.
func (c Config) DriftPolicy() (engine.DriftPolicy, error) {
	switch p := engine.DriftPolicy(c.Drift); p {
	case engine.DriftReport, engine.DriftHeal:
		return p, nil
	}
	return "", fmt.Errorf("drift %q is not one of %s, %s", c.Drift, engine.DriftReport, engine.DriftHeal)
}

// Level is LogLevel as slog has it.
func (c Config) Level() (slog.Level, error) {
	switch c.LogLevel {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log_level %q is not one of debug, info, warn, error", c.LogLevel)
}
