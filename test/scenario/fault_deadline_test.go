//go:build kernel

package scenario

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// window applies a document that goes back unless it is confirmed.
func (h *host) window(doc string, length time.Duration) {
	h.t.Helper()
	if err := h.stage(doc); err != nil {
		h.t.Fatal(err)
	}
	op, err := h.Do(h.t.Context(), engine.Request{Kind: engine.Apply, RevertAfter: length}, nil)
	if err != nil || op.State != engine.Done {
		h.t.Fatalf("apply: %v, state %s, %v", err, op.State, op.Err)
	}
}

// A reboot while a change waits to be confirmed brings up what is committed, and a
// confirmation that comes after it is refused.
func TestFault_A11(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(bonded)
	h.commit()
	h.window(`
removed: [bond0.8]
host_nics: [{name: bond0, ip: {address: 192.0.2.99}}, {vlan: {id: 77}, base_interface: eth2}]
`, time.Hour)
	h.reboot("another boot", "eth0", "eth1", "eth2")
	h.absent("eth2.77")
	h.link("bond0.8")
	same(t, "addresses", h.addresses("bond0"), "[192.0.2.10/24]")
	same(t, "pending", h.View().Pending == nil, true)
	h.settled()
	var e *engine.Error
	if _, err := h.Do(t.Context(), engine.Request{Kind: engine.Commit}, nil); !errors.As(err, &e) || e.Rule != "window-lapsed" {
		t.Errorf("a late confirmation: %v", err)
	}
}

// No room for another file, although there are bytes left.
func TestFault_A23(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.stop()
	files := h.files()
	if err := unix.Mount("tmpfs", h.state, "tmpfs", 0, "nr_inodes=8,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.stop()
		if err := unix.Unmount(h.state, 0); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mkdir(filepath.Join(h.state, "revisions"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.putBack(files)
	h.start()
	before := h.look()
	for n := 0; ; n++ { // the folder, the lock and the revisions have some of them
		if err := unix.Mknod(filepath.Join(h.state, "ballast"+string(rune('a'+n))), unix.S_IFREG, 0); errors.Is(err, unix.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	writes := h.kernel.Writes()
	storageRefusal(t, "staging", h.stage(rack), engine.Full)
	if err := unix.Unlink(filepath.Join(h.state, "ballasta")); err != nil {
		t.Fatal(err)
	}
	if err := h.stage(rack); err != nil { // has the one file that there was room for
		t.Fatal(err)
	}
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Apply}, nil)
	storageRefusal(t, "applying", err, engine.Full)
	same(t, "state, writes", []any{op.State, h.kernel.Writes() - writes}, "[refused 0]")
	h.unchanged(before)
}

// The kernel does not answer one request of a change: what was done is taken back.
func TestFault_B13(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(`host_nics: [{name: eth2, ip: {address: 198.51.100.1, netmask: "24"}}]`)
	before := h.look()
	h.failOnce(plan.AddrAdd, unix.ETIMEDOUT)
	op := h.rolledBack(rack)
	var e *plan.OpError
	if !errors.As(op.Err, &e) || e.Kind != plan.Hung {
		t.Errorf("the error: %v", op.Err)
	}
	h.unchanged(before)
	h.apply(rack)
	h.settled()
}

// A carrier that never comes keeps nothing else from being there.
func TestFault_B20(t *testing.T) {
	h := newHost(t, "eth0")
	h.far.Down(t, "p-eth0")
	h.apply(`host_nics: [{name: eth0, ip: {address: 192.0.2.1, netmask: "24", gateway: 192.0.2.254}}, {vlan: {id: 7}, base_interface: eth0, ip: {address: 198.51.100.1, netmask: "24"}}]`)
	same(t, "carrier", h.link("eth0").Carrier, false)
	same(t, "addresses", []any{h.addresses("eth0"), h.addresses("eth0.7")}, "[[192.0.2.1/24] [198.51.100.1/24]]")
	same(t, "routes", h.routes(), "[0.0.0.0/0 via 192.0.2.254 dev eth0]")
	h.settled()
	writes := h.kernel.Writes()
	h.far.Up(t, "p-eth0")
	eventually(t, "the carrier is there", func() bool { return h.link("eth0.7").Carrier })
	same(t, "requests for that", h.kernel.Writes()-writes, 0)
	h.settled()
}
