package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

var mtuCases = []contractCase{
	{"the driver's range", func(l *lab) {
		l.nics("nic")
		l.refused(syscall.EINVAL, plan.Refused, l.set("nic", mtu(67)))
		l.refused(syscall.EINVAL, plan.Refused, l.set("nic", mtu(65536)))
		l.do(l.set("nic", mtu(68)))
		l.want("nic.mtu=68")
		l.refused(syscall.EINVAL, plan.Refused, l.bond("b", mtu(67)))
	}},
	{"a VLAN has its parent's, or less", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", mtu(9000)), l.vlan("v", "nic", 5), l.vlan("w", "nic", 6, mtu(1400)))
		l.want("v.mtu=9000", "w.mtu=1400")
	}},
	{"a VLAN with more than its parent: at creation and later", func(l *lab) {
		l.nics("nic")
		l.refused(syscall.EINVAL, plan.Refused, l.vlan("v", "nic", 5, mtu(1501)))
		l.do(l.vlan("v", "nic", 5))
		l.refused(syscall.ERANGE, plan.Refused, l.set("v", mtu(1501)))
		l.want("v.mtu=1500")
	}},
	{"a parent that shrinks takes its VLANs along, and they stay small", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", mtu(9000)), l.vlan("v", "nic", 5), l.vlan("w", "nic", 6, mtu(1300)), l.set("nic", mtu(1400)))
		l.want("v.mtu=1400", "w.mtu=1300")
		l.do(l.set("nic", mtu(9000)))
		l.want("v.mtu=1400", "w.mtu=1300")
	}},
	{"a bond's moves its slaves and shrinks its VLANs", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", mtu(9000)), l.set("x", l.master("b")), l.set("y", l.master("b")), l.vlan("v", "b", 5))
		l.want("x.mtu=9000", "y.mtu=9000", "v.mtu=9000")
		l.do(l.set("b", mtu(1500)))
		l.want("x.mtu=1500", "y.mtu=1500", "v.mtu=1500")
	}},
	{"a slave's own is taken and nobody else's business", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b"), l.set("x", l.master("b")), l.set("x", mtu(1400)))
		l.want("x.mtu=1400", "b.mtu=1500")
	}},
	{"below 1280 there is no IPv6", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "2001:db8::1/64 nodad"), l.addr("nic", "10.0.0.1/24"), l.route("2001:db8:9::/64 via 2001:db8::9 dev nic"))
		l.want("nic.ll=yes")
		l.do(l.set("nic", mtu(1279)))
		l.want("nic.ip=10.0.0.1/24", "nic.ll=no", "nic.routes=10.0.0.0/24 src 10.0.0.1 proto 2", "nic.llroute=no")
		l.refused(syscall.EINVAL, plan.Refused, l.addr("nic", "2001:db8::1/64"))
		l.refused(syscall.EAFNOSUPPORT, plan.Unsupported, l.set("nic", none))
		l.refused(syscall.ENODEV, plan.Absent, l.route("2001:db8:9::/64 dev nic"))
		l.do(l.set("nic", mtu(1280)))
		l.want("nic.ll=yes", "nic.ip=10.0.0.1/24")
	}},
	{"an IPv6 address of a link without IPv6 is gone", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", mtu(1279)), l.delAddr("nic", "2001:db8::1/64"))
	}},
	{"addr_gen_mode does not outlive IPv6", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", none), l.set("nic", mtu(1279)), l.set("nic", mtu(1500)))
		l.want("nic.genmode=yes")
	}},
	{"a VLAN loses IPv6 when its parent shrinks", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.vlan("v", "nic", 5, up), l.addr("v", "2001:db8::1/64 nodad"), l.set("nic", mtu(1200)))
		l.want("v.mtu=1200", "v.ip=")
	}},
}

const macA, macB = "02:00:00:00:00:0a", "02:00:00:00:00:0b"

var macCases = []contractCase{
	{"nobody may have a multicast MAC, or none", func(l *lab) {
		l.nics("nic")
		for _, m := range []string{"01:00:00:00:00:01", "00:00:00:00:00:00"} {
			l.refused(syscall.EADDRNOTAVAIL, plan.Refused, l.set("nic", mac(m)))
			l.refused(syscall.EADDRNOTAVAIL, plan.Refused, l.bond("b", mac(m)))
			l.refused(syscall.EADDRNOTAVAIL, plan.Refused, l.vlan("v", "nic", 5, mac(m)))
		}
	}},
	{"a MAC changes while addresses and routes stay", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "2001:db8::1/64 nodad"), l.addr("nic", "10.0.0.1/24"), l.route("10.9.0.0/16 via 10.0.0.9 dev nic"))
		l.want("nic.ll=yes")
		l.do(l.set("nic", mac(macA)))
		l.want("nic.mac="+macA, "nic.ip=10.0.0.1/24 2001:db8::1/64", "nic.ll=yes",
			"nic.routes=10.0.0.0/24 src 10.0.0.1 proto 2, 10.9.0.0/16 via 10.0.0.9 proto 104, 2001:db8::/64 metric 256 proto 2")
	}},
	{"a VLAN has its parent's", func(l *lab) {
		l.nics("nic")
		l.do(l.vlan("v", "nic", 5), l.vlan("w", "nic", 6, mac(macA)))
		l.want("v.mac=@nic", "w.mac="+macA)
	}},
	{"a VLAN that is up follows its parent, one that is down when it comes up", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.vlan("v", "nic", 5, up), l.vlan("w", "nic", 6), l.set("nic", mac(macA)))
		l.want("v.mac="+macA, "w.mac=@nic")
		l.do(l.set("w", up))
		l.want("w.mac=" + macA)
	}},
	{"a VLAN with a MAC of its own follows nobody", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.vlan("v", "nic", 5, up), l.vlan("w", "nic", 6, up, mac(macB)), l.set("v", mac(macB)), l.set("nic", mac(macA)))
		l.want("v.mac="+macB, "w.mac="+macB)
	}},
	{"a VLAN that was once given its parent's MAC follows no more", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up, mac(macB)), l.vlan("v", "nic", 5, up), l.set("v", mac(macB)), l.set("nic", mac(macA)))
		l.want("v.mac=" + macB)
	}},
	{"a bond's is all its slaves'", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("miimon=100"), up), l.set("x", l.master("b")), l.set("y", l.master("b")), l.vlan("v", "b", 5, up))
		l.want("b.mac=@x", "y.mac=@x", "v.mac=@x")
		l.do(l.set("b", mac(macA)))
		l.want("b.mac="+macA, "x.mac="+macA, "y.mac="+macA, "v.mac="+macA)
	}},
	{"with fail_over_mac a bond's is ignored with success", func(l *lab) {
		l.nics("x", "y")
		for _, fom := range []string{"active", "follow"} {
			l.do(l.bond("b", opt("mode=active-backup miimon=100 fail_over_mac="+fom), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
			l.want("b.mac=@x", "x.mac=@x", "y.mac=@y", "b.active=x")
			l.do(l.set("b", mac(macA)))
			l.want("b.mac=@x", "x.mac=@x", "y.mac=@y")
			l.do(l.del("b"))
		}
	}},
	{"with fail_over_mac=active one given at creation gives way", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("mode=active-backup miimon=100 fail_over_mac=active"), mac(macA)))
		l.want("b.mac=" + macA)
		l.do(l.set("x", l.master("b")))
		l.want("b.mac=@x", "x.mac=@x")
	}},
	{"with fail_over_mac=follow one given at creation goes to the active slave", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup miimon=100 fail_over_mac=follow"), mac(macA), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
		l.want("b.mac="+macA, "x.mac="+macA, "y.mac=@y")
		l.SetCarrier("x", false)
		l.want("b.mac="+macA, "x.mac=@y", "y.mac="+macA)
		l.do(l.set("x", free), l.set("y", free))
		l.want("x.mac=@x", "y.mac=@y")
	}},
	{"with fail_over_mac=follow a MAC set before the slaves come is ignored, and then it is random", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("mode=active-backup miimon=100 fail_over_mac=follow")), l.set("b", mac(macA)), l.set("x", l.master("b")))
		l.want("b.mac!="+macA, "b.mac!=@x", "x.mac=b")
	}},
	{"in balance-alb and -tlb the slaves keep theirs but the active one", func(l *lab) {
		l.nics("x", "y")
		for _, mode := range []string{"balance-tlb", "balance-alb"} {
			l.do(l.bond("b", opt("mode="+mode), mac(macA), up), l.set("x", l.master("b")), l.set("y", l.master("b")))
			l.want("b.active=x", "x.mac="+macA, "y.mac=@y")
			l.SetCarrier("x", false)
			l.want("b.active=y", "x.mac=@y", "y.mac="+macA)
			l.do(l.set("y", free))
			l.want("y.mac=@y")
			l.SetCarrier("x", true)
			l.want("b.active=x", "x.mac="+macA)
			l.do(l.del("b"))
			l.want("x.mac=@x", "y.mac=@y")
		}
	}},
	{"a MAC for a balance-alb bond goes to the active slave, for a balance-tlb bond to all", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=balance-alb"), up), l.set("x", l.master("b")), l.set("y", l.master("b")), l.set("b", mac(macB)))
		l.want("b.mac="+macB, "x.mac="+macB, "y.mac=@y")
		l.do(l.del("b"), l.bond("b", opt("mode=balance-tlb"), up), l.set("x", l.master("b")), l.set("y", l.master("b")), l.set("b", mac(macB)))
		l.want("b.mac="+macB, "x.mac="+macB, "y.mac="+macB)
	}},
}
