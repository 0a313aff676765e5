package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

var addressCases = []contractCase{
	{"an address brings its route when the link is up", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "10.0.0.1/24"))
		l.want("nic.ip=10.0.0.1/24", "nic.routes=")
		l.do(l.set("nic", up))
		l.want("nic.routes=10.0.0.0/24 src 10.0.0.1 proto 2")
		l.do(l.delAddr("nic", "10.0.0.1/24"))
		l.want("nic.ip=", "nic.routes=")
	}},
	{"one that is there already, and one that is gone, are done", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "10.0.0.1/24"), l.addr("nic", "10.0.0.1/24"), l.delAddr("nic", "10.0.0.9/24"),
			l.delAddr("nic", "10.0.0.1/25"), l.delAddr("gone", "10.0.0.1/24"))
		l.want("nic.ip=10.0.0.1/24")
	}},
	{"a link that is not there", func(l *lab) {
		l.refused(syscall.ENODEV, plan.Absent, l.addr("gone", "10.0.0.1/24"))
		l.refused(syscall.ENODEV, plan.Absent, l.addr("gone", "2001:db8::1/64"))
	}},
	{"the same address with another prefix length is another one", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "10.0.0.1/24"), l.addr("nic", "10.0.0.1/16"), l.set("nic", up))
		l.want("nic.ip=10.0.0.1/24 10.0.0.1/16", "nic.routes=10.0.0.0/24 src 10.0.0.1 proto 2, 10.0.0.0/16 src 10.0.0.1 proto 2")
	}},
	{"the same address may be on two links", func(l *lab) {
		l.nics("x", "y")
		l.do(l.set("x", up), l.set("y", up), l.addr("x", "10.0.0.1/24"), l.addr("y", "10.0.0.1/24"))
		l.want("x.routes=10.0.0.0/24 src 10.0.0.1 proto 2", "y.routes=10.0.0.0/24 src 10.0.0.1 proto 2")
	}},
	{"the first of a subnet is primary, and stands before all secondaries", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "10.0.0.1/24"), l.addr("nic", "10.0.0.2/24"), l.addr("nic", "10.1.0.1/24"), l.addr("nic", "10.0.0.3/24"),
			l.addr("nic", "10.1.0.2/24"), l.addr("nic", "10.0.0.4/16"))
		l.want("nic.ip=10.0.0.1/24 10.1.0.1/24 10.0.0.4/16 10.0.0.2/24* 10.0.0.3/24* 10.1.0.2/24*")
	}},
	{"a primary takes its secondaries along", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "10.0.0.1/24"), l.addr("nic", "10.0.0.2/24"), l.addr("nic", "10.1.0.1/24"), l.addr("nic", "10.0.0.3/24"))
		l.do(l.delAddr("nic", "10.0.0.2/24"))
		l.want("nic.ip=10.0.0.1/24 10.1.0.1/24 10.0.0.3/24*")
		l.do(l.delAddr("nic", "10.0.0.1/24"))
		l.want("nic.ip=10.1.0.1/24", "nic.routes=10.1.0.0/24 src 10.1.0.1 proto 2")
	}},
	{"adding before deleting in one subnet loses both", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "10.0.0.1/24"), l.addr("nic", "10.0.0.2/24"), l.delAddr("nic", "10.0.0.1/24"))
		l.want("nic.ip=")
	}},
	{"with the last address go all IPv4 routes of the link", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "10.0.0.1/24"), l.addr("nic", "10.1.0.1/24"), l.route("10.9.0.0/16 via 10.0.0.9 dev nic"), l.route("10.8.0.0/16 dev nic table 77"))
		l.do(l.delAddr("nic", "10.0.0.1/24"))
		l.want("nic.routes=10.8.0.0/16 table 77 proto 104, 10.1.0.0/24 src 10.1.0.1 proto 2, 10.9.0.0/16 via 10.0.0.9 proto 104")
		l.do(l.delAddr("nic", "10.1.0.1/24"))
		l.want("nic.routes=")
	}},
	{"routes of the table main go with their source address", func(l *lab) {
		l.nics("nic", "other")
		l.do(l.set("nic", up), l.set("other", up), l.addr("nic", "10.0.0.1/24"), l.addr("other", "192.168.0.1/32"),
			l.route("10.9.0.0/16 via 10.0.0.9 dev nic src 192.168.0.1"), l.route("10.9.0.0/16 via 10.0.0.9 dev nic src 192.168.0.1 table 77"))
		l.do(l.delAddr("other", "192.168.0.1/32"))
		l.want("nic.routes=10.9.0.0/16 via 10.0.0.9 src 192.168.0.1 table 77 proto 104, 10.0.0.0/24 src 10.0.0.1 proto 2")
	}},
	{"/32 and /31", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "10.0.0.1/32"), l.addr("nic", "10.0.1.1/31"), l.addr("nic", "10.0.0.2/32"))
		l.want("nic.ip=10.0.0.1/32 10.0.1.1/31 10.0.0.2/32", "nic.routes=10.0.1.0/31 src 10.0.1.1 proto 2")
	}},
	{"addresses that make no sense", func(l *lab) {
		l.nics("nic")
		for _, a := range []string{"127.1.2.3/8", "224.0.0.1/4", "240.0.0.1/4", "255.255.255.255/32", "10.0.0.0/24", "10.0.1.255/24"} {
			l.do(l.addr("nic", a))
		}
		l.do(l.addr("nic", "0.0.0.0/0"))
		l.want("nic.ip=127.1.2.3/8 224.0.0.1/4 240.0.0.1/4 255.255.255.255/32 10.0.0.0/24 10.0.1.255/24")
	}},
	{"a label is the link's name, and lifetimes are for ever", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "10.0.0.1/24"))
		s := l.look()
		a := s.AddressesOf(l.index("nic"))[0]
		if a.Label != "nic" || a.Valid != state.Forever || a.Preferred != state.Forever || a.Flags != state.FlagPermanent || a.Scope != 0 {
			l.Errorf("got %+v", a)
		}
	}},
	{"an address on loan can be given another lease", func(l *lab) {
		l.nics("nic")
		lease := func(valid uint32) plan.Op {
			o := l.addr("nic", "10.0.0.1/24")
			o.Address.Valid, o.Address.Preferred = valid, valid/2
			return o
		}
		l.do(lease(1000), lease(5000))
		s := l.look()
		a := s.AddressesOf(l.index("nic"))[0]
		if a.Valid < 4990 || a.Valid > 5000 || a.Preferred > 2500 || a.Flags&state.FlagPermanent != 0 {
			l.Errorf("got %+v", a)
		}
		l.do(l.addr("nic", "10.0.0.1/24"))
		s = l.look()
		if a := s.AddressesOf(l.index("nic"))[0]; a.Valid != state.Forever || a.Flags&state.FlagPermanent == 0 {
			l.Errorf("for ever: got %+v", a)
		}
	}},
}

var ipv6Cases = []contractCase{
	{"the newest address comes first, link-local ones last", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up))
		l.want("nic.ll=yes")
		l.do(l.addr("nic", "2001:db8:1::1/64 nodad"), l.addr("nic", "2001:db8:2::1/64 nodad"), l.addr("nic", "2001:db8:1::2/64 nodad"), l.addr("nic", "10.0.0.1/24"))
		l.want("nic.ip=10.0.0.1/24 2001:db8:1::2/64 2001:db8:2::1/64 2001:db8:1::1/64")
		s := l.look()
		all := s.AddressesOf(l.index("nic"))
		if last := all[len(all)-1]; !last.LinkLocal() || last.Scope != scopeLink || last.Flags&state.FlagPermanent == 0 {
			l.Errorf("the last is %+v", last)
		}
	}},
	{"a route for each prefix, gone with the last address in it", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "2001:db8:1::1/64 nodad"), l.addr("nic", "2001:db8:1::2/64 nodad"), l.addr("nic", "2001:db8:2::1/128 nodad"))
		l.want("nic.routes=2001:db8:1::/64 metric 256 proto 2, 2001:db8:2::1/128 metric 256 proto 2")
		l.do(l.delAddr("nic", "2001:db8:1::1/64"))
		l.want("nic.routes=2001:db8:1::/64 metric 256 proto 2, 2001:db8:2::1/128 metric 256 proto 2")
		l.do(l.delAddr("nic", "2001:db8:1::2/64"), l.delAddr("nic", "2001:db8:2::1/128"))
		l.want("nic.routes=", "nic.ip=")
	}},
	{"routes by way of a gateway outlive the address, but not as their source", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.addr("nic", "2001:db8:1::1/64 nodad"), l.route("2001:db8:9::/64 via 2001:db8:1::9 dev nic src 2001:db8:1::1"))
		l.want("nic.routes=2001:db8:1::/64 metric 256 proto 2, 2001:db8:9::/64 via 2001:db8:1::9 src 2001:db8:1::1 metric 1024 proto 104")
		l.do(l.delAddr("nic", "2001:db8:1::1/64"))
		l.want("nic.routes=2001:db8:9::/64 via 2001:db8:1::9 metric 1024 proto 104")
	}},
	{"an address added while the link is down waits for it", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "2001:db8::1/64"), l.addr("nic", "2001:db8::2/64 nodad"))
		l.want("nic.ip=2001:db8::2/64 2001:db8::1/64?", "nic.routes=")
		l.do(l.set("nic", up))
		l.want("nic.ip=2001:db8::2/64 2001:db8::1/64", "nic.routes=2001:db8::/64 metric 256 proto 2")
	}},
	{"without carrier an address stays tentative", func(l *lab) {
		l.nics("nic")
		l.SetCarrier("nic", false)
		l.do(l.set("nic", up), l.addr("nic", "2001:db8::1/64"))
		l.want("nic.ip=2001:db8::1/64?")
		l.SetCarrier("nic", true)
		l.want("nic.ip=2001:db8::1/64")
	}},
	{"one that is there already, and one that is gone, are done", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "2001:db8::1/64 nodad"), l.addr("nic", "2001:db8::1/64 nodad"), l.delAddr("nic", "2001:db8::9/64"),
			l.delAddr("nic", "2001:db8::1/63"), l.delAddr("gone", "2001:db8::1/64"))
		l.want("nic.ip=2001:db8::1/64")
	}},
	{"the same address with another prefix length is refused", func(l *lab) {
		l.nics("nic")
		l.do(l.addr("nic", "2001:db8::1/64 nodad"))
		l.refused(syscall.EEXIST, plan.Present, l.addr("nic", "2001:db8::1/48 nodad"))
		l.want("nic.ip=2001:db8::1/64")
		l.do(l.delAddr("nic", "2001:db8::1/64"), l.addr("nic", "2001:db8::1/48 nodad"))
		l.want("nic.ip=2001:db8::1/48")
	}},
	{"addresses that nobody may have", func(l *lab) {
		l.nics("nic")
		for _, a := range []string{"::/64", "::1/128", "ff02::1/128"} {
			l.refused(syscall.EADDRNOTAVAIL, plan.Refused, l.addr("nic", a))
		}
	}},
	{"a slave may be given one, and it stays tentative", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("miimon=100"), up), l.set("x", l.master("b")), l.addr("x", "2001:db8::1/64"))
		l.want("b.ll=yes", "x.ip=2001:db8::1/64?")
	}},
}
