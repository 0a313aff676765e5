//go:build kernel

package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/netns"
)

// open opens the door to ns for the length of a test.
func open(t *testing.T, ns *netns.NS, options Options) *Kernel {
	t.Helper()
	var k *Kernel
	var err error
	ns.Do(func() { k, err = Open(options) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return k
}

func apply(t *testing.T, k *Kernel, ops ...plan.Op) {
	t.Helper()
	if err := k.Apply(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
}

func snapshot(t *testing.T, k *Kernel) state.Snapshot {
	t.Helper()
	s, err := k.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// link is the link of that name, which has to be there.
func link(t *testing.T, k *Kernel, name string) state.Link {
	t.Helper()
	s := snapshot(t, k)
	l := s.ByName(name)
	if l == nil {
		t.Fatalf("no link %s in %+v", name, s.Links)
	}
	return *l
}

// sysfs reads files below /sys/class/net of ns, by path.
func sysfs(t *testing.T, ns *netns.NS, paths ...string) map[string]string {
	t.Helper()
	values := map[string]string{}
	ns.Do(func() {
		// The thread ends after this, and its mounts with it.
		must := func(what string, err error) {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		must("unshare", unix.Unshare(unix.CLONE_NEWNS))
		must("private mounts", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must("mount sysfs", unix.Mount("sysfs", "/sys", "sysfs", 0, ""))
		for _, p := range paths {
			b, err := os.ReadFile(filepath.Join("/sys/class/net", p))
			must("sysfs", err)
			values[p] = strings.TrimSpace(string(b))
		}
	})
	return values
}

// Ops, in short.

func addBond(index int, name, mode string, options ...plan.Option) plan.Op {
	return plan.Op{Action: plan.LinkAdd, Kind: "bond", Index: index, Name: name,
		Options: append([]plan.Option{{Name: "mode", Value: mode}}, options...)}
}

func addVLAN(index int, parent, id int, name string, up bool) plan.Op {
	op := plan.Op{Action: plan.LinkAdd, Kind: "vlan", Index: index, Name: name, Parent: parent, ParentName: "parent", VLANID: id}
	if up {
		op.Up = new(true)
	}
	return op
}

func setUp(l state.Link, up bool) plan.Op {
	return plan.Op{Action: plan.LinkSet, Index: l.Index, Name: l.Name, Up: &up}
}

func setMaster(l state.Link, master int) plan.Op {
	return plan.Op{Action: plan.LinkSet, Index: l.Index, Name: l.Name, Master: &master, MasterName: "master"}
}

func setOptions(index int, name string, options ...plan.Option) plan.Op {
	return plan.Op{Action: plan.LinkSet, Index: index, Name: name, Options: options}
}

func addAddress(index int, name, prefix string) plan.Op {
	return plan.Op{Action: plan.AddrAdd, Index: index, Name: name, Address: wantAddress(index, prefix)}
}
