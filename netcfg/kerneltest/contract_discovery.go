package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// discoveryCases are what netlink has no word for, and addresses on loan.
var discoveryCases = []contractCase{
	{"a new link listens to routers, within bounds", func(l *lab) {
		l.nics("nic")
		l.do(l.bond("b", opt("miimon=100"), up))
		for _, name := range []string{"nic", "b"} {
			l.discovery(name, state.UsualDiscovery())
		}
	}},
	{"switches are set among other operations", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", up), l.switches("nic", "accept_ra", "2", "max_addresses", "4"), l.addr("nic", "192.0.2.1/24"), l.switches("nic", "accept_redirects", "0"))
		want := state.UsualDiscovery()
		want.AcceptRA, want.MaxAddresses, want.AcceptRedirects = 2, 4, 0
		l.discovery("nic", want)
		l.want("nic.ip=192.0.2.1/24")
	}},
	{"a link that is up gets a link-local address by a switch, and not by netlink", func(l *lab) {
		l.nics("nic")
		l.do(l.set("nic", none), l.set("nic", up), l.set("nic", eui))
		l.want("nic.genmode=yes", "nic.ll=no")
		l.do(l.set("nic", none), l.switches("nic", "addr_gen_mode", "0"))
		l.want("nic.genmode=yes", "nic.ll=yes", "nic.llroute=yes")
	}},
	{"a link that is gone, and a switch that there is none of", func(l *lab) {
		l.nics("nic")
		l.refused(syscall.ENOENT, plan.Absent, l.switches("gone", "accept_ra", "2"))
		l.refused(syscall.ENOENT, plan.Absent, l.switches("nic", "accept_everything", "2"))
	}},
	{"lifetimes are replaced, and the address stays", func(l *lab) {
		l.nics("nic")
		add, longer, forever := l.addr("nic", "192.0.2.1/24"), l.addr("nic", "192.0.2.1/24"), l.addr("nic", "192.0.2.1/24")
		longer.Action, forever.Action = plan.AddrReplace, plan.AddrReplace
		add.Address.Valid, add.Address.Preferred = 100, 100
		longer.Address.Valid, longer.Address.Preferred = 1000, 1000
		for _, step := range []struct {
			op          plan.Op
			least, most uint32
		}{{add, 50, 100}, {longer, 900, 1000}, {forever, state.Forever, state.Forever}, {longer, 900, 1000}} {
			l.do(step.op)
			s := l.look()
			for _, a := range s.AddressesOf(l.index("nic")) {
				if a.Prefix == add.Address.Prefix && (a.Valid < step.least || a.Valid > step.most) {
					l.Errorf("valid for %d s after %s", a.Valid, step.op)
				}
			}
			l.want("nic.ip=192.0.2.1/24")
		}
	}},
}

// switches are for DiscoverySet, as names and values.
func (l *lab) switches(name string, words ...string) plan.Op {
	o := plan.Op{Action: plan.DiscoverySet, Name: name, Index: l.index(name)}
	for i := 0; i+1 < len(words); i += 2 {
		o.Options = append(o.Options, plan.Option{Name: words[i], Value: words[i+1]})
	}
	return o
}

func (l *lab) discovery(name string, want state.Discovery) {
	l.Helper()
	s := l.look()
	if have := s.ByName(name); have == nil || have.Discovery != want {
		l.Errorf("%s: got %+v, want %+v", name, have, want)
	}
}
