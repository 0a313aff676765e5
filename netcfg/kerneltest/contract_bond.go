package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

var enslaveCases = []contractCase{
	{"a slave is set up and has the bond's MTU and MAC", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", mtu(9000), mac(macA)), l.set("x", l.master("b")))
		l.want("x.master=b", "b.slaves=x", "x.up=yes", "x.mtu=9000", "x.mac="+macA, "x.permmac=@x", "b.mac="+macA)
	}},
	{"the first slave lends its MAC to a bond that was given none", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b"), l.set("y", l.master("b")), l.set("x", l.master("b")))
		l.want("b.mac=@y", "x.mac=@y", "x.permmac=@x")
	}},
	{"a bond given a MAC later keeps it, too", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b"), l.set("b", mac(macA)), l.set("x", l.master("b")))
		l.want("b.mac="+macA, "x.mac="+macA)
	}},
	{"not while it is up", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b"), l.set("x", up))
		l.refused(syscall.EPERM, plan.Refused, l.set("x", l.master("b")))
		l.want("x.master=", "x.up=yes", "b.mac!=@x")
	}},
	{"not lo, not itself", func(l *lab) {
		s := l.look()
		l.indexes["lo"] = s.ByName("lo").Index
		l.do(l.bond("b"))
		l.refused(syscall.EPERM, plan.Refused, l.set("lo", l.master("b")))
		l.refused(syscall.EPERM, plan.Refused, l.set("b", l.master("b")))
	}},
	{"another bond is taken, as long as it is down", func(l *lab) {
		l.do(l.bond("a"), l.bond("b"), l.bond("c", up))
		l.do(l.set("a", l.master("b")))
		l.want("a.master=b", "a.up=yes")
		l.refused(syscall.EPERM, plan.Refused, l.set("c", l.master("b")))
	}},
	{"not by a master that is not there, nor by one that takes no slaves", func(l *lab) {
		l.nics("x", "y")
		l.refused(syscall.EINVAL, plan.Refused, l.set("x", l.master("gone")))
		l.refused(syscall.EOPNOTSUPP, plan.Unsupported, l.set("x", l.master("y")))
	}},
	{"the same master again changes nothing", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b"), l.set("x", l.master("b")), l.set("x", l.master("b")))
		l.want("x.master=b", "x.up=yes")
	}},
	{"a slave of another bond is stolen", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("a"), l.bond("b"), l.set("x", l.master("a")), l.set("y", l.master("a")), l.set("x", l.master("b")))
		l.want("x.master=b", "a.slaves=y", "b.mac=@x", "x.mac=@x", "a.mac=@x", "y.mac=@x")
	}},
	{"a port is taken out of its bridge", func(l *lab) {
		l.nics("x")
		l.AddBridge("br", "x")
		l.do(l.bond("b"), l.set("x", down), l.set("x", l.master("b")))
		l.want("x.master=b")
	}},
	{"even when it is then refused", func(l *lab) {
		l.nics("x")
		l.AddBridge("br", "x")
		l.do(l.bond("b"))
		l.refused(syscall.EPERM, plan.Refused, l.set("x", l.master("b")))
		l.want("x.master=", "x.up=yes")
	}},
	{"IPv4 stays on the slave, with its route; IPv6 is gone", func(l *lab) {
		l.nics("x")
		l.do(l.set("x", up), l.addr("x", "10.0.0.1/24"), l.addr("x", "2001:db8::1/64 nodad"))
		l.want("x.ll=yes")
		l.do(l.bond("b", up), l.set("x", down), l.set("x", l.master("b")), l.addr("b", "10.0.0.2/24"))
		l.want("x.ip=10.0.0.1/24", "x.ll=no", "x.routes=10.0.0.0/24 src 10.0.0.1 proto 2", "b.routes=10.0.0.0/24 src 10.0.0.2 proto 2")
	}},
	{"a slave gets no link-local address", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("miimon=100"), up), l.set("x", l.master("b")))
		l.want("x.carrier=yes", "b.ll=yes", "x.ll=no")
	}},
	{"an MTU that the slave cannot have", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", mtu(1400)), l.vlan("v", "x", 5), l.bond("c", mtu(1501)))
		l.refused(syscall.ERANGE, plan.Refused, l.set("v", l.master("c")))
		l.want("v.master=", "v.mtu=1500", "c.mac!=@x")
	}},
	{"a VLAN may be a slave", func(l *lab) {
		l.nics("x")
		l.do(l.set("x", up), l.vlan("v", "x", 5), l.bond("b"), l.set("v", l.master("b")))
		l.want("v.master=b", "v.up=yes")
	}},
	{"slaves go down and come up on their own", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup miimon=50"), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
		l.want("b.active=x")
		l.do(l.set("x", down))
		l.want("b.active=y", "x.mii=down", "x.master=b")
		l.do(l.set("x", up))
		l.want("x.mii=up", "x.up=yes")
	}},
}

var releaseCases = []contractCase{
	{"a released NIC is down and has its own MAC and MTU again", func(l *lab) {
		l.nics("x", "y")
		l.do(l.set("x", mtu(9000)), l.bond("b", mac(macA)), l.set("x", l.master("b")), l.set("y", l.master("b")))
		l.want("x.mtu=1500", "x.mac="+macA)
		l.do(l.set("x", free))
		l.want("x.master=", "x.up=no", "x.mtu=9000", "x.mac=@x", "b.mac="+macA, "y.mac="+macA)
	}},
	{"a bond keeps the MAC of the slave that has gone", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b"), l.set("x", l.master("b")), l.set("y", l.master("b")), l.set("x", free))
		l.want("b.mac=@x", "x.mac=@x", "y.mac=@x")
	}},
	{"after the last slave the bond has a new MAC, whoever chose the old one", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", mac(macA), up), l.vlan("v", "b", 5, up), l.set("x", l.master("b")), l.set("x", free))
		l.want("b.mac!="+macA, "b.mac!=@x", "v.mac=b", "x.mac=@x")
		l.do(l.set("y", l.master("b")))
		l.want("b.mac=@y")
	}},
	{"releasing what is nobody's is success", func(l *lab) {
		l.nics("x")
		l.do(l.set("x", free))
		l.want("x.up=no")
	}},
	{"a port leaves its bridge and stays up", func(l *lab) {
		l.nics("x")
		l.AddBridge("br", "x")
		l.want("x.master=br", "br.kind=bridge")
		l.do(l.set("x", free))
		l.want("x.master=", "x.up=yes")
	}},
	{"a bond that is deleted takes its VLANs along and frees its slaves", func(l *lab) {
		l.nics("x", "y")
		l.do(l.set("x", mtu(2000)), l.bond("b", mac(macA), mtu(9000), up), l.set("x", l.master("b")), l.set("y", l.master("b")),
			l.vlan("v", "b", 5, up), l.addr("v", "10.0.0.1/24"), l.addr("b", "10.1.0.1/24"), l.del("b"))
		l.want("b.kind=absent", "v.kind=absent", "x.master=", "x.up=no", "x.mac=@x", "x.mtu=2000", "y.mac=@y", "y.mtu=1500", "y.up=no")
	}},
	{"a slave that vanishes leaves its bond, and the others stay", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup miimon=50"), up), l.set("x", l.master("b")), l.set("y", l.master("b")), l.vlan("v", "b", 5, up))
		l.want("b.active=x")
		l.do(l.del("x"))
		l.want("b.active=y", "b.slaves=y", "b.mac=@x", "y.mac=@x", "b.carrier=yes", "v.carrier=yes")
		l.do(l.del("y"))
		l.want("b.kind=bond", "b.slaves=", "b.up=yes", "b.mac!=@x", "v.mac=b", "v.carrier=no")
	}},
	{"a slave's VLANs go down with the release", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", mac(macA)), l.set("x", l.master("b")), l.vlan("v", "x", 5, up), l.set("x", free))
		l.want("v.up=no", "v.kind=vlan")
	}},
}

var activeCases = []contractCase{
	{"active-backup", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup miimon=50"), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
		l.want("b.active=x", "x.state=active", "y.state=backup", "x.mii=up", "y.mii=up", "b.carrier=yes", "b.oper=up")
		l.SetCarrier("x", false)
		l.want("b.active=y", "y.state=active", "x.state=backup", "x.mii=down", "b.carrier=yes")
		l.SetCarrier("y", false)
		l.want("b.active=", "b.carrier=no", "b.oper=down", "y.mii=down")
		l.SetCarrier("x", true)
		l.want("b.active=x", "b.carrier=yes", "b.oper=up")
	}},
	{"the primary takes over when it is back", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup miimon=50"), l.primary("y"), up), l.set("x", l.master("b")))
		l.want("b.active=x", "b.opt.primary=")
		l.do(l.set("y", l.master("b")))
		l.want("b.active=y", "b.opt.primary=y")
		l.SetCarrier("y", false)
		l.want("b.active=x")
		l.SetCarrier("y", true)
		l.want("b.active=y")
	}},
	{"but not with primary_reselect=failure", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup miimon=50 primary_reselect=failure"), l.primary("y"), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
		l.want("b.opt.primary=y", "b.active=y")
		l.SetCarrier("y", false)
		l.want("b.active=x")
		l.SetCarrier("y", true)
		l.want("y.mii=up", "b.active=x")
	}},
	{"a primary is remembered by name and reads empty while it is out", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup miimon=50"), up), l.set("x", l.master("b")), l.set("y", l.master("b")), l.set("b", l.primary("y")))
		l.want("b.opt.primary=y", "b.active=y")
		l.do(l.set("y", free))
		l.want("b.opt.primary=", "b.active=x")
		l.do(l.set("y", l.master("b")))
		l.want("b.opt.primary=y", "b.active=y")
		l.do(l.set("b", l.primary("")))
		l.want("b.opt.primary=")
		l.do(l.set("y", free), l.set("y", l.master("b")))
		l.want("y.master=b", "b.opt.primary=")
	}},
	{"with nobody watching a bond stays on its dead slave", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup"), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
		l.want("b.active=x", "b.carrier=yes", "b.opt.miimon=0")
		l.SetCarrier("x", false)
		l.want("x.carrier=no", "b.active=x", "b.carrier=yes", "x.mii=up")
		l.do(l.set("b", opt("miimon=50")))
		l.want("b.active=y", "x.mii=down")
	}},
	{"balance-rr, balance-xor and broadcast use all slaves", func(l *lab) {
		l.nics("x", "y")
		for _, mode := range []string{"balance-rr", "balance-xor", "broadcast"} {
			l.do(l.bond("b", opt("miimon=50 mode="+mode), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
			l.want("b.active=", "x.state=active", "y.state=active", "b.carrier=yes")
			l.SetCarrier("x", false)
			l.SetCarrier("y", false)
			l.want("b.carrier=no", "x.mii=down")
			l.SetCarrier("x", true)
			l.SetCarrier("y", true)
			l.want("b.carrier=yes")
			l.do(l.del("b"))
		}
	}},
	{"a slave that came while the bond was down waits for updelay", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("mode=active-backup miimon=50 updelay=100")), l.set("x", l.master("b")))
		l.want("x.mii=back", "x.carrier=yes", "b.active=")
		l.do(l.set("b", up))
		l.want("x.mii=up", "b.active=x", "b.carrier=yes")
	}},
	{"no slave, no carrier", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("miimon=50"), up), l.set("x", l.master("b")))
		l.want("b.carrier=yes")
		l.do(l.set("x", free))
		l.want("b.carrier=no", "b.oper=down")
	}},
	{"802.3ad with nobody at the other end: up, on one port", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=802.3ad")), l.set("x", l.master("b")), l.set("y", l.master("b")), l.vlan("v", "b", 5))
		l.want("b.ad=", "x.aggregator=", "x.state=backup", "b.carrier=no")
		l.do(l.set("b", up))
		l.want("b.carrier=yes", "b.oper=up", "b.ad=id 1 ports 1 partner 00:00:00:00:00:00", "x.state=active", "y.state=backup",
			"x.aggregator=1", "y.aggregator=2", "b.active=", "v.carrier=yes")
		l.do(l.set("b", opt("min_links=2")))
		l.want("b.carrier=no", "v.carrier=no")
		l.do(l.set("b", opt("min_links=1")))
		l.want("b.carrier=yes")
	}},
	{"802.3ad without a link", func(l *lab) {
		l.nics("x")
		l.SetCarrier("x", false)
		l.do(l.bond("b", opt("mode=802.3ad miimon=50"), up), l.set("x", l.master("b")))
		l.want("x.mii=down", "b.carrier=no")
		l.SetCarrier("x", true)
		l.want("x.mii=up", "b.carrier=yes")
	}},
}
