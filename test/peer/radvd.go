package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// Radvd starts a router on a NIC of the namespace, which advertises what the lines of
// radvd.conf(5) for that interface say.
func Radvd(t testing.TB, ns *netns.NS, nic, lines string) *Server {
	t.Helper()
	need.Kernel(t, need.Radvd)
	dir := t.TempDir()
	config := filepath.Join(dir, "radvd.conf")
	text := fmt.Sprintf("interface %s {\n\tAdvSendAdvert on;\n\tMinRtrAdvInterval 3;\n\tMaxRtrAdvInterval 4;\n%s\n};\n", nic, lines)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil { //nolint:gosec // radvd wants to read it as anybody
		t.Fatal(err)
	}
	return Start(t, ns, "started", exec.Command(need.RadvdPath(), "--nodaemon", "--logmethod=stderr_clean", "--debug=1", "--config="+config, "--pidfile="+filepath.Join(dir, "pid")))
}
