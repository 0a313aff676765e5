package kerneltest

import (
	"context"
	"errors"
	"reflect"
	"syscall"
	"testing"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// rack is a fake with a bond of two NICs, a VLAN on it and addresses.
func rack(t *testing.T) (*Fake, *lab) {
	t.Helper()
	f := NewFake()
	l := newLab(t, fakeHost{f})
	l.nics("x", "y")
	l.do(l.bond("b", opt("mode=active-backup miimon=100"), up), l.set("x", l.master("b")), l.set("y", l.master("b")),
		l.vlan("v", "b", 5, up), l.addr("v", "10.0.0.1/24"), l.addr("v", "2001:db8::1/64"), l.route("default via 10.0.0.9 dev v"))
	return f, l
}

func TestSnapshotIsACopy(t *testing.T) {
	_, l := rack(t)
	want := l.look()
	s := l.look()
	s.ByName("b").Bond.Options["miimon"] = "1"
	s.ByName("x").Slave.State = "none"
	s.Addresses[0].Label, s.Routes[0].Metric, s.Links[0].Name = "none", 9, "none"
	if got := l.look(); !reflect.DeepEqual(got, want) {
		t.Errorf("a change to a snapshot has changed the fake\n got %+v\nwant %+v", got, want)
	}
	before := l.look()
	l.do(l.set("b", opt("miimon=50")), l.delAddr("v", "10.0.0.1/24"), l.set("y", free))
	if !reflect.DeepEqual(before, want) {
		t.Error("a change to the fake has changed a snapshot")
	}
}

func TestSameCallsSameNamespace(t *testing.T) {
	_, a := rack(t)
	_, b := rack(t)
	if got, want := a.look(), b.look(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestInject(t *testing.T) {
	f, l := rack(t)
	var seen []int
	f.Inject(func(n int, op plan.Op) syscall.Errno {
		seen = append(seen, n)
		if n == 1 {
			return syscall.ENOBUFS
		}
		return 0
	})
	l.refused(syscall.ENOBUFS, plan.Busy, l.set("v", mtu(1400)), l.set("v", mtu(1300)), l.set("v", group(3)))
	l.want("v.mtu=1400", "v.group=3")
	if !reflect.DeepEqual(seen, []int{0, 1, 2}) {
		t.Errorf("asked for %v", seen)
	}
	f.Inject(nil)
	l.do(l.set("v", mtu(1300)))
}

func TestInjectedEnd(t *testing.T) {
	f, l := rack(t)
	f.Inject(func(int, plan.Op) syscall.Errno { return syscall.ENODEV })
	l.do(l.delAddr("v", "10.0.0.1/24")) // an answer that means done
	l.refused(syscall.ENODEV, plan.Absent, l.set("v", up))
	l.want("v.ip=10.0.0.1/24 2001:db8::1/64")
}

func TestStopAfter(t *testing.T) {
	f, l := rack(t)
	f.StopAfter(2)
	ctx := context.Background()
	ops := []plan.Op{l.set("v", mtu(1400)), l.bond("a/b"), l.set("v", mtu(1300)), l.set("v", group(3))}
	err := f.Apply(ctx, ops)
	if all := refusals(err); !errors.Is(err, ErrKilled) || len(all) != 1 || all[0].Errno != syscall.EINVAL {
		t.Errorf("got %v", err)
	}
	if _, err := f.Snapshot(ctx); !errors.Is(err, ErrKilled) {
		t.Errorf("snapshot: %v", err)
	}
	if err := f.Apply(ctx, ops); !errors.Is(err, ErrKilled) {
		t.Errorf("apply: %v", err)
	}
	f.Revive()
	l.want("v.mtu=1400", "v.group=0")
	l.do(l.set("v", mtu(1300)))
}

func TestStopAfterTheLast(t *testing.T) {
	f, l := rack(t)
	f.StopAfter(1)
	l.do(l.set("v", mtu(1400)))
	l.want("v.mtu=1400")
	if err := f.Apply(context.Background(), []plan.Op{l.set("v", mtu(1300))}); !errors.Is(err, ErrKilled) {
		t.Errorf("got %v", err)
	}
}

func TestWritesAndOps(t *testing.T) {
	f, l := rack(t)
	n := f.Writes()
	f.ForgetOps()
	l.refused(syscall.EINVAL, plan.Refused, l.bond("a/b"), l.set("v", mtu(1400)))
	if err := f.Foreign(l.set("v", mtu(1300))); err != nil {
		t.Fatal(err)
	}
	if got := f.Writes() - n; got != 2 {
		t.Errorf("%d writes, want 2", got)
	}
	if ops := f.Ops(); len(ops) != 2 || ops[1].MTU != 1400 {
		t.Errorf("got %v", ops)
	}
}

func TestContext(t *testing.T) {
	f, l := rack(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Snapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("snapshot: %v", err)
	}
	if err := f.Apply(ctx, []plan.Op{l.set("v", mtu(1400))}); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v", err)
	}
	l.want("v.mtu=1500")
}

func TestHardwareNIC(t *testing.T) {
	f := NewFake()
	l := newLab(t, fakeHost{f})
	f.AddNIC("eth0", NIC{MAC: macA, MACNeedsDown: true, MaxMTU: 9000, Speed: 10e9, BusPath: "0000:03:00.0", Driver: "ice", Unplugged: true})
	s := l.look()
	eth0 := s.ByName("eth0")
	l.indexes["eth0"] = eth0.Index
	if eth0.Kind != "" || eth0.PermMAC != macA || eth0.MAC != macA || *eth0.Speed != 10e9 || eth0.BusPath != "0000:03:00.0" {
		t.Errorf("got %+v", eth0)
	}
	l.refused(syscall.EOPNOTSUPP, plan.Unsupported, l.del("eth0"))
	l.refused(syscall.EINVAL, plan.Refused, l.set("eth0", mtu(9001)))
	l.do(l.set("eth0", up))
	l.refused(syscall.EBUSY, plan.Busy, l.set("eth0", mac(macB)))
	l.want("eth0.carrier=no", "eth0.oper=down")
	l.do(l.set("eth0", down), l.set("eth0", mac(macB)))
	if s := l.look(); s.ByName("eth0").PermMAC != macA {
		t.Error("the permanent MAC has changed")
	}
}

func TestUnplug(t *testing.T) {
	f, l := rack(t)
	f.Remove("x")
	l.want("x.kind=absent", "b.slaves=y", "b.active=y", "b.mac=@x")
	f.Remove("y")
	l.want("b.slaves=", "b.carrier=no", "b.mac!=@x", "v.mac=b")
	f.Remove("b")
	l.want("b.kind=absent", "v.kind=absent")
	if s := l.look(); len(s.Links) != 1 || len(s.Routes) != 0 {
		t.Errorf("left: %+v", s)
	}
}

func TestRename(t *testing.T) {
	f, l := rack(t)
	l.do(l.set("b", l.primary("y")), l.set("x", up))
	l.want("b.active=y", "b.opt.primary=y")
	f.Rename("y", "z")
	l.want("b.opt.primary=", "z.master=b", "y.kind=absent")
	f.Rename("v", "w")
	if s := l.look(); s.AddressesOf(s.ByName("w").Index)[0].Label != "w" {
		t.Error("the label has not followed")
	}
	f.Rename("x", "z") // taken
	l.want("x.master=b")
}

func TestKeepAddrOnDown(t *testing.T) {
	f, l := rack(t)
	f.KeepAddrOnDown = true
	l.do(l.addr("v", "2001:db8::2/64 nodad"), l.set("v", down))
	l.want("v.ip=10.0.0.1/24 2001:db8::2/64 2001:db8::1/64?", "v.ll=no", "v.routes=")
	l.do(l.set("v", up))
	l.want("v.ip=10.0.0.1/24 2001:db8::2/64 2001:db8::1/64", "v.ll=yes",
		"v.routes=10.0.0.0/24 src 10.0.0.1 proto 2, 2001:db8::/64 metric 256 proto 2")
}

func TestForeign(t *testing.T) {
	f := NewFake()
	l := newLab(t, fakeHost{f})
	l.nics("x", "y", "z")
	l.do(l.set("x", up))
	if _, err := f.AddBond("other", "802.3ad", "x", "y"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.AddVLAN("other7", "other", 7); err != nil {
		t.Fatal(err)
	}
	f.AddBridge("br", "z")
	l.want("other.slaves=x y", "other.up=yes", "other.carrier=yes", "other7.vlan=7", "z.master=br", "br.carrier=yes", "br.kind=bridge")
	if _, err := f.AddBond("other", "802.3ad"); err == nil {
		t.Error("the same name twice")
	}
	route := l.route("10.9.0.0/16 dev z proto 9")
	if err := f.Foreign(l.addr("z", "10.0.0.1/24"), route); err != nil {
		t.Fatal(err)
	}
	l.want("z.routes=10.0.0.0/24 src 10.0.0.1 proto 2, 10.9.0.0/16 proto 9")
	if f.Writes() != 1 {
		t.Errorf("%d writes", f.Writes())
	}
}

func TestRawRoute(t *testing.T) {
	f := NewFake()
	l := newLab(t, fakeHost{f})
	o := l.route("10.9.0.0/16")
	o.Route.Raw = []byte{1, 2, 3}
	if err := f.Foreign(o); err != nil {
		t.Fatal(err)
	}
	s := l.look()
	if len(s.Routes) != 1 || !reflect.DeepEqual(s.Routes[0].Raw, []byte{1, 2, 3}) || s.Routes[0].Table != state.MainTable {
		t.Errorf("got %+v", s.Routes)
	}
}

// BenchmarkTransition is what a transition of about 20 operations costs, with its
// two looks.
func BenchmarkTransition(b *testing.B) {
	ctx := context.Background()
	for b.Loop() {
		f := NewFake()
		for _, name := range sixNICs {
			f.AddNIC(name, NIC{})
		}
		l := newLab(b, nil)
		for _, name := range sixNICs {
			l.indexes[name] = f.Index(name)
		}
		ops := []plan.Op{l.bond("b", opt("mode=802.3ad miimon=100 xmit_hash_policy=layer2+3"), up)}
		for _, name := range sixNICs[:2] {
			ops = append(ops, l.set(name, l.master("b")))
		}
		for i := range 5 {
			name := "v" + itoa(i)
			ops = append(ops, l.vlan(name, "b", i+1, up), l.addr(name, "10.0."+itoa(i)+".1/24"), l.addr(name, "2001:db8:"+itoa(i)+"::1/64"))
		}
		ops = append(ops, l.set("b", mtu(9000)), l.del("b"))
		if _, err := f.Snapshot(ctx); err != nil {
			b.Fatal(err)
		}
		if err := f.Apply(ctx, ops); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Snapshot(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
