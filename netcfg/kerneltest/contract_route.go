package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// online gives the NICs an address each, 10.0.N.1/24 and 2001:db8:N::1/64, and
// sets them up.
func (l *lab) online(names ...string) {
	l.Helper()
	l.nics(names...)
	for i, name := range names {
		l.do(l.set(name, up), l.addr(name, "10.0."+itoa(i)+".1/24"), l.addr(name, "2001:db8:"+itoa(i)+"::1/64 nodad"))
	}
	for _, name := range names {
		l.want(name+".carrier=yes", name+".ll=yes")
	}
}

const (
	connected  = "10.0.0.0/24 src 10.0.0.1 proto 2"
	connected6 = "2001:db8::/64 metric 256 proto 2"
)

var routeCases = []contractCase{
	{"one destination, one metric, one route", func(l *lab) {
		l.online("nic")
		l.do(l.route("10.9.0.0/16 via 10.0.0.9 dev nic"))
		l.refused(syscall.EEXIST, plan.Present, l.route("10.9.0.0/16 via 10.0.0.8 dev nic proto 4"))
		l.do(l.route("10.9.0.0/16 via 10.0.0.8 dev nic metric 5"), l.route("10.9.0.0/16 via 10.0.0.8 dev nic table 77"), l.route("10.9.0.0/17 via 10.0.0.8 dev nic"))
		l.want("nic.routes=10.9.0.0/16 via 10.0.0.8 table 77 proto 104, " + connected + ", 10.9.0.0/17 via 10.0.0.8 proto 104, " +
			"10.9.0.0/16 via 10.0.0.9 proto 104, 10.9.0.0/16 via 10.0.0.8 metric 5 proto 104, " + connected6)
	}},
	{"replace takes the place of whosever route it is", func(l *lab) {
		l.online("nic")
		l.do(l.route("10.9.0.0/16 via 10.0.0.9 dev nic proto 4"), l.replace("10.9.0.0/16 via 10.0.0.8 dev nic"), l.replace("10.9.0.0/16 via 10.0.0.8 dev nic"))
		l.want("nic.routes=" + connected + ", 10.9.0.0/16 via 10.0.0.8 proto 104, " + connected6)
		l.do(l.replace("10.9.0.0/16 via 10.0.0.7 dev nic metric 9"))
		l.want("nic.routes=" + connected + ", 10.9.0.0/16 via 10.0.0.8 proto 104, 10.9.0.0/16 via 10.0.0.7 metric 9 proto 104, " + connected6)
	}},
	{"of the kernel's, too, the first", func(l *lab) {
		l.nics("x", "y")
		l.do(l.set("x", up), l.set("y", up), l.addr("x", "10.0.0.1/24"), l.addr("y", "10.0.0.2/24"))
		l.do(l.replace("10.0.0.0/24 dev y"))
		l.want("x.routes=", "y.routes=10.0.0.0/24 proto 104, 10.0.0.0/24 src 10.0.0.2 proto 2")
		l.refused(syscall.EEXIST, plan.Present, l.replace("10.0.0.0/24 dev y src 10.0.0.2 proto 2"))
	}},
	{"a route that is gone is deleted with success", func(l *lab) {
		l.online("nic")
		l.do(l.delRoute("10.9.0.0/16 via 10.0.0.9 dev nic"), l.delRoute("10.9.0.0/16 dev gone"), l.delRoute("10.9.0.0/16 dev nic table 78"))
	}},
	{"delete takes the one that fits", func(l *lab) {
		l.online("nic")
		l.do(l.route("10.9.0.0/16 via 10.0.0.9 dev nic"), l.route("10.9.0.0/16 via 10.0.0.8 dev nic metric 5"), l.route("10.9.0.0/16 via 10.0.0.9 dev nic metric 7"))
		l.do(l.delRoute("10.9.0.0/16 via 10.0.0.7 dev nic"), l.delRoute("10.9.0.0/16 via 10.0.0.9 dev nic proto 4"), l.delRoute("10.9.0.0/16 via 10.0.0.8 dev nic"))
		l.want("nic.routes=" + connected + ", 10.9.0.0/16 via 10.0.0.9 proto 104, 10.9.0.0/16 via 10.0.0.9 metric 7 proto 104, " + connected6)
		l.do(l.delRoute("10.9.0.0/16 via 10.0.0.9 dev nic metric 7"))
		l.want("nic.routes=" + connected + ", 10.9.0.0/16 via 10.0.0.9 proto 104, " + connected6)
	}},
	{"routes go with their link", func(l *lab) {
		l.nics("nic")
		l.do(l.vlan("v", "nic", 5), l.set("nic", up), l.set("v", up), l.addr("v", "10.0.0.1/24"), l.addr("nic", "10.1.0.1/24"), l.route("10.9.0.0/16 via 10.0.0.9 dev v"))
		l.do(l.route("10.7.0.0/16 via 10.1.0.9 dev nic src 10.0.0.1"))
		l.do(l.del("v"))
		l.want("nic.routes=10.1.0.0/24 src 10.1.0.1 proto 2")
	}},
	{"host bits in a destination", func(l *lab) {
		l.online("nic")
		o := l.route("10.9.0.0/16 dev nic")
		l.do(o)
		l.want("nic.routes=" + connected + ", 10.9.0.0/16 proto 104, " + connected6)
	}},
}

var gatewayCases = []contractCase{
	{"a gateway is on the link of the route", func(l *lab) {
		l.online("x", "y")
		l.do(l.route("default via 10.0.0.9 dev x"), l.route("10.9.0.0/16 via 10.0.1.9 dev y"))
		l.want("x.routes=0.0.0.0/0 via 10.0.0.9 proto 104, " + connected + ", " + connected6)
		l.refused(syscall.ENETUNREACH, plan.Refused, l.route("10.8.0.0/16 via 10.0.1.9 dev x"))
		l.refused(syscall.ENETUNREACH, plan.Refused, l.route("10.8.0.0/16 via 192.168.0.1 dev x"))
	}},
	{"but for onlink", func(l *lab) {
		l.online("nic")
		l.do(l.route("default via 192.168.0.1 dev nic onlink"))
		l.want("nic.routes=0.0.0.0/0 via 192.168.0.1 proto 104 onlink, " + connected + ", " + connected6)
	}},
	{"a gateway that is reached by way of a gateway is none", func(l *lab) {
		l.online("nic")
		l.do(l.route("10.9.0.0/16 via 10.0.0.9 dev nic"))
		l.refused(syscall.ENETUNREACH, plan.Refused, l.route("10.8.0.0/16 via 10.9.0.9 dev nic"))
		l.do(l.route("10.7.0.0/16 dev nic"), l.route("10.6.0.0/16 via 10.7.0.9 dev nic"))
	}},
	{"an address of one's own is taken, the broadcast address not", func(l *lab) {
		l.online("nic")
		l.do(l.route("10.9.0.0/16 via 10.0.0.1 dev nic"))
		l.refused(syscall.EINVAL, plan.Refused, l.route("10.8.0.0/16 via 10.0.0.255 dev nic"))
	}},
	{"on a link that is down", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "10.0.0.1/24"))
		l.refused(syscall.ENETUNREACH, plan.Refused, l.route("10.9.0.0/16 via 10.0.0.9 dev nic"))
		l.refused(syscall.ENETDOWN, plan.Refused, l.route("10.9.0.0/16 dev nic"))
		l.refused(syscall.ENETDOWN, plan.Refused, l.route("10.9.0.0/16 via 10.0.0.9 dev nic onlink"))
	}},
	{"on a link that is not there", func(l *lab) {
		l.refused(syscall.ENETUNREACH, plan.Refused, l.route("10.9.0.0/16 via 10.0.0.9 dev gone"))
		l.refused(syscall.ENODEV, plan.Absent, l.route("10.9.0.0/16 dev gone"))
	}},
	{"in another table", func(l *lab) {
		l.online("nic")
		l.do(l.route("10.9.0.0/16 via 10.0.0.9 dev nic table 77"), l.route("10.7.0.0/16 dev nic table 77"), l.route("10.6.0.0/16 via 10.7.0.1 dev nic table 77"))
		l.refused(syscall.ENETUNREACH, plan.Refused, l.route("10.6.0.0/16 via 10.7.0.1 dev nic"))
	}},
	{"a source address is one of the host's", func(l *lab) {
		l.online("x", "y")
		l.do(l.route("10.9.0.0/16 via 10.0.0.9 dev x src 10.0.1.1"))
		l.refused(syscall.EINVAL, plan.Refused, l.route("10.8.0.0/16 via 10.0.0.9 dev x src 1.2.3.4"))
	}},
}

var route6Cases = []contractCase{
	{"one destination, one metric, one route", func(l *lab) {
		l.online("nic")
		l.do(l.route("2001:db8:9::/64 via 2001:db8:0::9 dev nic"))
		l.refused(syscall.EEXIST, plan.Present, l.route("2001:db8:9::/64 via 2001:db8:0::8 dev nic"))
		l.refused(syscall.EEXIST, plan.Present, l.route("2001:db8:9::/64 dev nic metric 1024"))
		l.do(l.route("2001:db8:9::/64 via 2001:db8:0::8 dev nic metric 5"), l.route("default6 via 2001:db8:0::8 dev nic"), l.route("2001:db8:9::/48 via 2001:db8:0::8 dev nic"))
		l.want("nic.routes=" + connected + ", " + connected6 + ", 2001:db8:9::/64 via 2001:db8::8 metric 5 proto 104, " +
			"2001:db8:9::/64 via 2001:db8::9 metric 1024 proto 104, 2001:db8:9::/48 via 2001:db8::8 metric 1024 proto 104, " +
			"::/0 via 2001:db8::8 metric 1024 proto 104")
	}},
	{"replace", func(l *lab) {
		l.online("nic")
		l.do(l.route("2001:db8:9::/64 via 2001:db8:0::9 dev nic proto 4"), l.replace("2001:db8:9::/64 via 2001:db8:0::8 dev nic"), l.replace("2001:db8:9::/64 via 2001:db8:0::8 dev nic"))
		l.want("nic.routes=" + connected + ", " + connected6 + ", 2001:db8:9::/64 via 2001:db8::8 metric 1024 proto 104")
		l.do(l.replace("2001:db8:9::/64 dev nic"))
		l.want("nic.routes=" + connected + ", " + connected6 + ", 2001:db8:9::/64 metric 1024 proto 104")
		l.do(l.replace("2001:db8::/64 dev nic metric 256"))
		l.want("nic.routes=" + connected + ", 2001:db8::/64 metric 256 proto 104, 2001:db8:9::/64 metric 1024 proto 104")
	}},
	{"a gateway is on the link of the route", func(l *lab) {
		l.online("x", "y")
		l.refused(syscall.EHOSTUNREACH, plan.Refused, l.route("2001:db8:9::/64 via 2001:db8:1::9 dev x"))
		l.refused(syscall.EHOSTUNREACH, plan.Refused, l.route("2001:db8:9::/64 via 2001:db8:77::9 dev x"))
		l.do(l.route("2001:db8:9::/64 via 2001:db8:77::9 dev x onlink"))
		l.refused(syscall.EINVAL, plan.Refused, l.route("2001:db8:8::/64 via 2001:db8:1::9 dev x onlink"))
		l.want("x.routes=" + connected + ", " + connected6 + ", 2001:db8:9::/64 via 2001:db8:77::9 metric 1024 proto 104 onlink")
	}},
	{"a link-local gateway needs no address", func(l *lab) {
		l.online("nic")
		l.do(l.route("default6 via fe80::9 dev nic"))
		l.want("nic.routes=" + connected + ", " + connected6 + ", ::/0 via fe80::9 metric 1024 proto 104")
	}},
	{"an address of one's own is no gateway", func(l *lab) {
		l.online("x", "y")
		l.refused(syscall.EINVAL, plan.Refused, l.route("2001:db8:9::/64 via 2001:db8:0::1 dev x"))
		l.refused(syscall.EINVAL, plan.Refused, l.route("2001:db8:9::/64 via 2001:db8:1::1 dev x"))
	}},
	{"a gateway that is reached by way of a gateway is none", func(l *lab) {
		l.online("nic")
		l.do(l.route("default6 via 2001:db8:0::9 dev nic"))
		l.refused(syscall.EHOSTUNREACH, plan.Refused, l.route("2001:db8:8::/64 via 2001:db8:77::9 dev nic"))
		l.do(l.route("2001:db8:7::/64 dev nic"), l.route("2001:db8:6::/64 via 2001:db8:7::9 dev nic"))
	}},
	{"on a link that is down, or not there", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "2001:db8::1/64 nodad"))
		l.refused(syscall.ENETDOWN, plan.Refused, l.route("2001:db8:9::/64 dev nic"))
		l.refused(syscall.EHOSTUNREACH, plan.Refused, l.route("2001:db8:9::/64 via 2001:db8::9 dev nic"))
		l.refused(syscall.ENETDOWN, plan.Refused, l.route("2001:db8:9::/64 via 2001:db8::9 dev nic onlink"))
		l.refused(syscall.ENODEV, plan.Absent, l.route("2001:db8:9::/64 dev gone"))
		l.refused(syscall.ENODEV, plan.Absent, l.route("2001:db8:9::/64 via 2001:db8::9 dev gone"))
	}},
	{"a source address is one of the host's", func(l *lab) {
		l.online("nic")
		l.do(l.route("2001:db8:9::/64 via 2001:db8:0::9 dev nic src 2001:db8:0::1"))
		l.refused(syscall.EINVAL, plan.Refused, l.route("2001:db8:8::/64 via 2001:db8:0::9 dev nic src 2001:db8:55::1"))
	}},
	{"delete takes the one that fits, or none", func(l *lab) {
		l.online("nic")
		l.do(l.route("2001:db8:9::/64 via 2001:db8:0::9 dev nic"), l.route("2001:db8:9::/64 via 2001:db8:0::8 dev nic metric 5"))
		l.do(l.delRoute("2001:db8:9::/64 via 2001:db8:0::7 dev nic"), l.delRoute("2001:db8:9::/64 via 2001:db8:0::9 dev nic proto 4"),
			l.delRoute("2001:db8:9::/64 dev gone"), l.delRoute("2001:db8:99::/64 dev nic"), l.delRoute("2001:db8:9::/64 via 2001:db8:0::9 dev nic"))
		l.want("nic.routes=" + connected + ", " + connected6 + ", 2001:db8:9::/64 via 2001:db8::8 metric 5 proto 104")
	}},
}
