//go:build kernel

package eyes

import (
	"fmt"
	"strings"
	"testing"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Who has changed what, when, and what came of it is in the history and in the log, also
// after a restart.
func TestAudit(t *testing.T) {
	t.Parallel()
	h := newHost(t, "eth0", "eth1")
	h.start()
	h.stage(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}, ip: {address: 192.0.2.1, netmask: '24'}}]`)
	h.Run("commit", "--no-rehearse", "--probe", "none")
	h.stage(`host_nics: [{name: bond0, mtu: 1400}]`)
	h.Run("apply", "--no-rehearse", "--probe", "none", "--revert-after", "10m")
	h.Run("rollback")
	check := func() {
		t.Helper()
		var list hostnicv1.ListOperationsResponse
		h.read(&list, "history", "-v")
		all := list.GetOperations()
		if len(all) != 3 {
			t.Fatalf("%d operations", len(all))
		}
		for i, want := range []string{"ip link set dev bond0 mtu 1500", "ip link set dev bond0 mtu 1400", "ip addr add 192.0.2.1/24"} {
			op := all[i]
			if !strings.HasPrefix(op.GetCaller(), "uid 0 (root), process ") || !strings.Contains(strings.Join(op.GetChanges(), "\n"), want) {
				t.Errorf("%s by %q: %q, want %s", op.GetKind(), op.GetCaller(), op.GetChanges(), want)
			}
			if int64(len(op.GetChanges()))+int64(op.GetUnlistedChanges()) != op.GetWrites() {
				t.Errorf("%s: %d changes for %d writes", op.GetKind(), len(op.GetChanges()), op.GetWrites())
			}
		}
		if out := h.Run("history", "-v"); !strings.Contains(out, "uid 0 (root), process ") || !strings.Contains(out, "ip addr add 192.0.2.1/24") {
			t.Errorf("history -v:\n%s", out)
		}
	}
	check()
	log := h.log()
	for _, want := range []string{
		`"msg":"operation ended"`, `"kind":"commit","state":"done","author":"root","caller":"uid 0 (root), process `, `ip addr add 192.0.2.1/24`,
		fmt.Sprintf(`"msg":"edited","what":"Stage","author":"root","caller":"uid 0 (root), process %d"`, h.pid()),
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	h.stop()
	h.start()
	check()
}
