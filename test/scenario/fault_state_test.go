//go:build kernel

package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// A killed agent is one whose state directory is put back to what it was at the
// moment: what it did not get to write is not there.

// files are the state directory, as it is now.
func (h *host) files() map[string][]byte {
	out := map[string][]byte{}
	_ = filepath.WalkDir(h.state, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "lock" {
			out[path], _ = os.ReadFile(path)
		}
		return nil
	})
	return out
}

// putBack makes the state directory what it was.
func (h *host) putBack(files map[string][]byte) {
	h.t.Helper()
	for path := range h.files() {
		if _, ok := files[path]; !ok {
			if err := os.Remove(path); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	for path, data := range files {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestFault_A1(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	before := h.look()
	if err := h.stage(rack); err != nil {
		t.Fatal(err)
	}
	staged := h.View().StagedRevision
	same(t, "writes of a restart", h.restart(), 0)
	h.unchanged(before)
	v := h.View()
	same(t, "the candidate", []any{v.StagedRevision, len(v.Staged.HostNics), len(v.Running.HostNics)}, []any{staged, 4, 0})
	h.apply(`{}`)
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
}

// TestFault_A2 kills the agent between journal and first request, and TestFault_A3
// after each request.
func TestFault_A2(t *testing.T) { killed(t, 0, 1) }

func TestFault_A3(t *testing.T) { killed(t, 1, len(rackOperations(t))+1) }

// TestFault_A4 kills the agent after the last request, before it has looked whether all
// is well.
func TestFault_A4(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.lived()
	before := h.look()
	var left map[string][]byte
	h.inject(func(plan.Op) syscall.Errno {
		left = h.files()
		return 0
	})
	h.apply(rack)
	h.stop()
	h.inject(nil)
	h.putBack(left)
	h.start()
	h.unchanged(before)
	same(t, "running", len(h.View().Running.HostNics), 0)
	same(t, "degraded", h.View().Degraded, "[]")
}

// killed is a host whose agent is killed after so many requests for the rack, from
// first to before last. Started again, it brings back what was there.
func killed(t *testing.T, first, last int) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.lived()
	before := h.look()
	for after := first; after < last; after++ {
		var left map[string][]byte
		n := 0
		h.inject(func(plan.Op) syscall.Errno {
			if n == after && left == nil {
				left = h.files()
			}
			if n++; n > after {
				return unix.EPERM // nothing goes through any more, nor on the way back
			}
			return 0
		})
		op, err := h.tryApply(rack)
		if left == nil { // all were sent
			left = h.files()
		}
		h.stop()
		h.inject(nil)
		h.putBack(left)
		writes := h.kernel.Writes()
		h.start()
		if after == 0 {
			same(t, "writes", h.kernel.Writes()-writes, 0)
		}
		if op.State == engine.Done { // all were sent, and the end was written down
			h.settled()
			h.replace(`{}`)
		}
		h.unchanged(before)
		same(t, "degraded", h.View().Degraded, "[]")
		same(t, "running", len(h.View().Running.HostNics), 0)
		if t.Failed() {
			t.Fatalf("killed after %d requests: %s, %v, %v", after, op.State, err, op.Err)
		}
	}
}

// onDisk puts the state directory onto a file system of its own, of a quarter of a
// megabyte.
func (h *host) onDisk() {
	h.t.Helper()
	h.stop()
	files := h.files()
	if err := unix.Mount("tmpfs", h.state, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		h.stop()
		if err := unix.Unmount(h.state, 0); err != nil {
			h.t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(h.state, "revisions"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.putBack(files)
	h.start()
}

// fill leaves no room on the disk, and gives back how to make room again.
func (h *host) fill(dir string) (free func()) {
	h.t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	for err == nil {
		_, err = f.Write(make([]byte, 1024))
	}
	_ = f.Close()
	if !errors.Is(err, unix.ENOSPC) {
		h.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			h.t.Fatal(err)
		}
	}
}

// storageRefusal wants the error to be the engine's own, of that kind.
func storageRefusal(t *testing.T, what string, err error, kind engine.ErrorKind) {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Rule != "state-not-written" {
		t.Errorf("%s: %v", what, err)
	}
}

func TestFault_A13(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.onDisk()
	before := h.look()
	free := h.fill(h.state)
	storageRefusal(t, "staging", h.stage(rack), engine.Full)
	same(t, "the candidate", len(h.View().Staged.HostNics), 0)
	free()
	if err := h.stage(rack); err != nil {
		t.Fatal(err)
	}
	free = h.fill(h.state)
	writes := h.kernel.Writes()
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Apply}, nil)
	storageRefusal(t, "applying", err, engine.Full)
	same(t, "state, writes", []any{op.State, h.kernel.Writes() - writes}, "[refused 0]")
	h.unchanged(before)
	free()
	h.apply(`{}`)
	h.settled()
}

// A full disk at the moment of storing: what runs stays, and is not committed; what
// was applied only to be committed is taken back.
func TestFault_A14(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.apply(rack)
	if err := unix.Mount("tmpfs", filepath.Join(h.state, "revisions"), "tmpfs", 0, "size=4k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.stop()
		if err := unix.Unmount(filepath.Join(h.state, "revisions"), 0); err != nil {
			t.Error(err)
		}
	})
	free := h.fill(filepath.Join(h.state, "revisions"))
	before := h.look()
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Commit}, nil)
	storageRefusal(t, "committing what runs", err, engine.Full)
	same(t, "state, writes", []any{op.State, op.Writes}, "[refused 0]")
	h.unchanged(before)
	same(t, "committed", h.View().CommittedRevision, 0)
	if err := h.stage(`host_nics: [{name: eth2, ip: {address: 192.0.2.99}}]`); err != nil {
		t.Fatal(err)
	}
	op, err = h.Do(t.Context(), engine.Request{Kind: engine.Commit}, nil)
	same(t, "state, error", []any{op.State, err}, "[rolled-back <nil>]")
	storageRefusal(t, "committing what is staged", op.Err, engine.Full)
	h.unchanged(before)
	running := h.View().Running
	same(t, "running", running.Nic("eth2").IP.Address, "192.0.2.10")
	same(t, "writes of a restart", h.restart(), 0)
	free()
	h.commit()
	same(t, "committed", h.View().CommittedRevision, 1)
}

// A disk that cannot be written to keeps nobody from reading, nor the agent from
// starting; every change is refused before the kernel hears of it.
func TestFault_A15(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.onDisk()
	h.apply(rack)
	h.commit()
	if err := unix.Mount("", h.state, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	before := h.look()
	for range 2 {
		storageRefusal(t, "staging", h.stage(`host_nics: [{name: eth2, ip: null}]`), engine.Storage)
		h.unchanged(before)
		v := h.View()
		same(t, "what is read", []any{len(v.Running.HostNics), v.CommittedRevision}, "[4 1]")
		if _, err := h.Plan(t.Context(), engine.Selector{}, nil, nil); err != nil {
			t.Error(err)
		}
		same(t, "writes of a restart", h.restart(), 0)
	}
	if len(h.View().Degraded) == 0 {
		t.Error("nobody is told")
	}
	// With something staged from before, applying it.
	if err := unix.Mount("", h.state, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if err := h.stage(`host_nics: [{name: eth2, ip: null}]`); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", h.state, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	op, err := h.Do(t.Context(), engine.Request{Kind: engine.Apply}, nil)
	storageRefusal(t, "applying", err, engine.Storage)
	same(t, "state", op.State, engine.Refused)
	h.unchanged(before)
}
