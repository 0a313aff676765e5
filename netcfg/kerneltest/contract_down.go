package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

var downCases = []contractCase{
	{"IPv4 addresses stay, IPv6 addresses and all routes go", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "10.0.0.1/24"), l.addr("nic", "2001:db8::1/64 nodad"),
			l.route("default via 10.0.0.9 dev nic"), l.route("default6 via 2001:db8::9 dev nic"), l.route("10.8.0.0/16 dev nic table 77"))
		l.want("nic.ll=yes", "nic.routes=10.8.0.0/16 table 77 proto 104, 0.0.0.0/0 via 10.0.0.9 proto 104, 10.0.0.0/24 src 10.0.0.1 proto 2, "+
			"2001:db8::/64 metric 256 proto 2, ::/0 via 2001:db8::9 metric 1024 proto 104")
		l.do(l.set("nic", down))
		l.want("nic.ip=10.0.0.1/24", "nic.ll=no", "nic.routes=", "nic.llroute=no", "nic.oper=down", "nic.carrier=no")
		l.do(l.set("nic", up))
		l.want("nic.ip=10.0.0.1/24", "nic.ll=yes", "nic.routes=10.0.0.0/24 src 10.0.0.1 proto 2")
	}},
	{"setting up what is up, or down what is down, changes nothing", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "10.0.0.1/24"), l.route("default via 10.0.0.9 dev nic"), l.set("nic", up))
		l.want("nic.routes=0.0.0.0/0 via 10.0.0.9 proto 104, 10.0.0.0/24 src 10.0.0.1 proto 2")
		l.do(l.set("nic", down), l.set("nic", down))
	}},
	{"without carrier all stays, and routes are marked", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "10.0.0.1/24"), l.addr("nic", "2001:db8::1/64 nodad"), l.route("default via 10.0.0.9 dev nic"))
		l.want("nic.ll=yes")
		l.SetCarrier("nic", false)
		l.want("nic.ip=10.0.0.1/24 2001:db8::1/64", "nic.routes=0.0.0.0/0 via 10.0.0.9 proto 104 linkdown, 10.0.0.0/24 src 10.0.0.1 proto 2 linkdown, "+
			"2001:db8::/64 metric 256 proto 2 linkdown")
		l.SetCarrier("nic", true)
		l.want("nic.routes=0.0.0.0/0 via 10.0.0.9 proto 104, 10.0.0.0/24 src 10.0.0.1 proto 2, 2001:db8::/64 metric 256 proto 2")
	}},
	{"routes may be added without carrier", func(l *lab) {
		l.nics("nic")
		l.SetCarrier("nic", false)
		l.do(l.set("nic", up), l.addr("nic", "10.0.0.1/24"), l.addr("nic", "2001:db8::1/64 nodad"),
			l.route("default via 10.0.0.9 dev nic"), l.route("default6 via 2001:db8::9 dev nic"))
		l.want("nic.routes=0.0.0.0/0 via 10.0.0.9 proto 104 linkdown, 10.0.0.0/24 src 10.0.0.1 proto 2 linkdown, " +
			"2001:db8::/64 metric 256 proto 2 linkdown, ::/0 via 2001:db8::9 metric 1024 proto 104 linkdown")
	}},
	{"VLANs go down with what they stand on, and come up with it, all of them", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.vlan("v", "nic", 5, up), l.vlan("w", "nic", 6), l.addr("v", "10.0.0.1/24"), l.addr("v", "2001:db8::1/64 nodad"), l.route("10.9.0.0/16 via 10.0.0.9 dev v"))
		l.want("v.ll=yes", "w.up=no")
		l.do(l.set("nic", down))
		l.want("v.up=no", "v.ip=10.0.0.1/24", "v.ll=no", "v.routes=")
		l.do(l.set("nic", up))
		l.want("v.up=yes", "w.up=yes", "v.ip=10.0.0.1/24", "v.ll=yes", "v.routes=10.0.0.0/24 src 10.0.0.1 proto 2")
	}},
	{"the VLANs of a bond, too", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("miimon=100"), up), l.set("x", l.master("b")), l.vlan("v", "b", 5, up), l.vlan("w", "b", 6))
		l.want("v.carrier=yes", "v.oper=up", "w.up=no")
		l.do(l.set("b", down))
		l.want("v.up=no", "x.up=yes")
		l.do(l.set("b", up))
		l.want("v.up=yes", "w.up=yes")
	}},
	{"a VLAN comes not up while its parent is down", func(l *lab) {
		l.nics("nic")
		l.do(l.vlan("v", "nic", 5))
		l.refused(syscall.ENETDOWN, plan.Refused, l.set("v", up))
		l.refused(syscall.ENETDOWN, plan.Refused, l.vlan("w", "nic", 6, up))
		l.want("v.up=no", "w.kind=absent")
	}},
	{"a VLAN has the carrier of its parent", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.vlan("v", "nic", 5, up))
		l.want("v.carrier=yes", "v.oper=up", "v.ll=yes")
		l.SetCarrier("nic", false)
		l.want("v.carrier=no", "v.oper=lowerlayerdown")
		l.SetCarrier("nic", true)
		l.want("v.carrier=yes", "v.oper=up")
	}},
}

var vlanCases = []contractCase{
	{"ids", func(l *lab) {
		l.nics("nic")
		l.refused(syscall.ERANGE, plan.Refused, l.vlan("v", "nic", 4095))
		l.refused(syscall.ERANGE, plan.Refused, l.vlan("v", "nic", 4096))
		l.do(l.vlan("v", "nic", 4094), l.vlan("zero", "nic", 0))
		l.want("v.vlan=4094", "v.parent=nic", "zero.vlan=0", "v.kind=vlan")
	}},
	{"an id is there once on a parent", func(l *lab) {
		l.nics("x", "y")
		l.do(l.vlan("v", "x", 5), l.vlan("w", "y", 5))
		l.refused(syscall.EEXIST, plan.Present, l.vlan("z", "x", 5))
		l.want("z.kind=absent")
	}},
	{"a parent that is not there", func(l *lab) {
		l.refused(syscall.ENODEV, plan.Absent, l.vlan("v", "gone", 5))
	}},
	{"lo has no VLANs", func(l *lab) {
		s := l.look()
		l.indexes["lo"] = s.ByName("lo").Index
		l.refused(syscall.EOPNOTSUPP, plan.Unsupported, l.vlan("v", "lo", 5))
	}},
	{"a slave may have VLANs, and so may a VLAN", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", up), l.set("x", l.master("b")), l.vlan("v", "x", 5, up), l.vlan("w", "v", 6, up))
		l.want("v.parent=x", "w.parent=v", "w.up=yes", "x.master=b")
	}},
	{"VLANs vanish with their parent", func(l *lab) {
		l.do(l.bond("b"), l.vlan("v", "b", 5), l.vlan("w", "v", 6), l.addr("v", "10.0.0.1/24"), l.del("b"))
		l.want("b.kind=absent", "v.kind=absent", "w.kind=absent")
	}},
	{"a NIC with VLANs becomes a slave, and they stay", func(l *lab) {
		l.nics("x")
		l.do(l.vlan("v", "x", 5), l.bond("b", mac(macA)), l.set("x", l.master("b")))
		l.want("x.master=b", "v.parent=x", "v.up=yes", "v.mac="+macA)
	}},
	{"a VLAN in its own bond: a loop", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b"), l.vlan("v", "b", 5))
		l.refused(syscall.ENETDOWN, plan.Refused, l.set("v", l.master("b")))
		l.do(l.set("x", l.master("b")), l.set("b", up), l.set("v", down))
		l.refused(syscall.EBUSY, plan.Busy, l.set("v", l.master("b")))
		l.want("v.master=", "v.up=no", "v.mac!=b", "v.mtu=1500")
	}},
}
