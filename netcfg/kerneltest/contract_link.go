package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

var linkCases = []contractCase{
	{"a bond is born as asked", func(l *lab) {
		l.do(l.bond("b", opt("mode=active-backup miimon=50"), mtu(9000), mac("02:00:00:00:00:07"), group(26734), up))
		l.want("b.kind=bond", "b.up=yes", "b.mtu=9000", "b.mac=02:00:00:00:00:07", "b.group=26734",
			"b.carrier=no", "b.oper=down", "b.opt.mode=active-backup", "b.opt.miimon=50")
	}},
	{"the index is as asked", func(l *lab) {
		l.do(l.bond("b"))
		s := l.look()
		if got := s.ByName("b").Index; got != l.index("b") {
			l.Errorf("got index %d, want %d", got, l.index("b"))
		}
	}},
	{"an index is taken once", func(l *lab) {
		l.do(l.bond("b"))
		o := l.bond("c")
		o.Index = l.index("b")
		l.refused(syscall.EEXIST, plan.Present, o)
		l.want("b.kind=bond", "c.kind=absent")
	}},
	{"a name is taken once", func(l *lab) {
		l.do(l.bond("b"))
		o := l.bond("b")
		o.Index++
		l.refused(syscall.EEXIST, plan.Present, o)
	}},
	{"a name of 15 bytes is taken, of 16 not", func(l *lab) {
		l.do(l.bond("a23456789012345"))
		l.refused(syscall.ERANGE, plan.Refused, l.bond("a234567890123456"))
	}},
	{"names that the kernel does not take", func(l *lab) {
		for _, name := range []string{"all", "default", "a/b", "a b", "a:b", "..", "."} {
			l.refused(syscall.EINVAL, plan.Refused, l.bond(name))
		}
	}},
	{"names that it takes", func(l *lab) {
		for _, name := range []string{"éth", "bond00", "bond5", "-x"} {
			l.do(l.bond(name))
			l.want(name + ".kind=bond")
		}
	}},
	{"a name with %d is a pattern", func(l *lab) {
		l.do(l.bond("b%d"), l.bond("b%dx"))
		l.want("b0.kind=bond", "b0x.kind=bond")
		l.refused(syscall.EINVAL, plan.Refused, l.bond("b%s"))
	}},
	{"a kind that there is not", func(l *lab) {
		o := l.bond("b")
		o.Kind = "nosuchkind"
		l.refused(syscall.EOPNOTSUPP, plan.Unsupported, o)
	}},
	{"a refused creation leaves nothing", func(l *lab) {
		l.refused(syscall.EPERM, plan.Refused, l.bond("b", opt("mode=active-backup miimon=0 updelay=100")))
		l.want("b.kind=absent")
	}},
	{"a link that is not there is not changed", func(l *lab) {
		l.refused(syscall.ENODEV, plan.Absent, l.set("gone", up))
	}},
	{"what is not there is deleted with success", func(l *lab) {
		l.do(l.del("gone"), l.delGroup(777))
	}},
	{"a group is deleted whole", func(l *lab) {
		l.nics("nic")
		l.do(l.bond("b", group(777)), l.vlan("v", "nic", 5, group(777)), l.vlan("w", "nic", 6), l.delGroup(777))
		l.want("b.kind=absent", "v.kind=absent", "w.kind=vlan", "nic.up=no")
	}},
	{"group 0 is nobody's to delete", func(l *lab) {
		l.refused(syscall.EPERM, plan.Refused, l.delGroup(0))
	}},
	{"a group with something in it that cannot be deleted stays whole", func(l *lab) {
		l.do(l.bond("b", group(777)))
		s := l.look()
		l.indexes["lo"] = s.ByName("lo").Index
		l.do(l.set("lo", group(777)))
		l.refused(syscall.EOPNOTSUPP, plan.Unsupported, l.delGroup(777))
		l.want("b.kind=bond")
	}},
	{"group changes on a link that is up", func(l *lab) {
		l.do(l.bond("b", up), l.set("b", group(5)))
		l.want("b.group=5", "b.up=yes")
	}},
	{"lo is not deleted", func(l *lab) {
		s := l.look()
		l.indexes["lo"] = s.ByName("lo").Index
		l.refused(syscall.EOPNOTSUPP, plan.Unsupported, l.del("lo"))
	}},
	{"addr_gen_mode is for links that exist", func(l *lab) {
		l.refused(syscall.EAFNOSUPPORT, plan.Unsupported, l.bond("b", none))
		l.want("b.kind=absent")
	}},
	{"without addr_gen_mode there is no link-local address", func(l *lab) {
		l.nics("nic", "other")
		l.do(l.set("nic", none), l.set("nic", up), l.set("other", up))
		l.want("nic.genmode=no", "other.genmode=yes", "other.ll=yes", "other.llroute=yes", "nic.carrier=yes", "nic.ll=no")
	}},
	{"addr_gen_mode none leaves the address that is there", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up))
		l.want("nic.ll=yes")
		l.do(l.set("nic", none))
		l.want("nic.genmode=no", "nic.ll=yes")
		l.do(l.set("nic", eui))
		l.want("nic.genmode=yes")
	}},
	{"no carrier, no link-local address", func(l *lab) {
		l.nics("nic")
		l.SetCarrier("nic", false)
		l.do(l.set("nic", up))
		l.want("nic.up=yes", "nic.carrier=no", "nic.oper=lowerlayerdown|down", "nic.ll=no")
		l.SetCarrier("nic", true)
		l.want("nic.carrier=yes", "nic.oper=up", "nic.ll=yes")
		l.SetCarrier("nic", false)
		l.want("nic.carrier=no", "nic.ll=yes")
	}},
}

// What came before the refused part of a request stays.
var sendCases = []contractCase{
	{"operations behind a refused one are performed", func(l *lab) {
		l.refused(syscall.EINVAL, plan.Refused, l.bond("a"), l.bond("a/b"), l.bond("c"))
		l.want("a.kind=bond", "c.kind=bond")
	}},
	{"an operation may name a link that the same send makes", func(l *lab) {
		l.nics("nic")
		l.do(l.bond("b", opt("mode=active-backup miimon=100"), up), l.vlan("v", "b", 5, up), l.set("nic", l.master("b")),
			l.addr("v", "10.0.0.1/24"), l.route("10.9.0.0/16 via 10.0.0.9 dev v"))
		l.want("v.carrier=yes", "v.ip=10.0.0.1/24", "v.routes=10.0.0.0/24 src 10.0.0.1 proto 2, 10.9.0.0/16 via 10.0.0.9 proto 104")
	}},
	{"mac, mtu and group stay when the flags are refused", func(l *lab) {
		l.nics("nic")
		l.do(l.vlan("v", "nic", 5))
		l.refused(syscall.ENETDOWN, plan.Refused, l.set("v", mac("02:00:00:00:00:01"), mtu(1400), group(3), up))
		l.want("v.mac=02:00:00:00:00:01", "v.mtu=1400", "v.group=3", "v.up=no")
	}},
	{"a refused mtu keeps what comes after it away", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.vlan("v", "nic", 5))
		l.refused(syscall.ERANGE, plan.Refused, l.set("v", mac("02:00:00:00:00:01"), mtu(1501), group(3), up))
		l.want("v.mac=02:00:00:00:00:01", "v.mtu=1500", "v.group=0", "v.up=no")
	}},
	{"options come before all else", func(l *lab) {
		l.do(l.bond("b", opt("mode=802.3ad"), up))
		l.refused(syscall.EBUSY, plan.Refused, l.set("b", opt("lacp_rate=fast"), mtu(1400), down))
		l.want("b.mtu=1500", "b.up=yes", "b.opt.lacp_rate=slow")
	}},
	{"down and master in one request", func(l *lab) {
		l.nics("nic")
		l.do(l.bond("b"), l.set("nic", up), l.set("nic", down, l.master("b")))
		l.want("nic.master=b")
	}},
}
