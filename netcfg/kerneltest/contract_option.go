package kerneltest

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// sample is a value of each option that is not its default.
var sample = map[string]string{
	"miimon": "50", "updelay": "200", "downdelay": "300", "peer_notif_delay": "400", "use_carrier": "off",
	"arp_interval": "250", "arp_ip_target": "10.0.0.8,10.0.0.9", "ns_ip6_target": "2001:db8::8,2001:db8::9",
	"arp_validate": "all", "arp_all_targets": "all", "primary_reselect": "better", "fail_over_mac": "active",
	"xmit_hash_policy": "layer3+4", "resend_igmp": "7", "num_grat_arp": "9", "all_slaves_active": "on",
	"min_links": "1", "lp_interval": "5", "packets_per_slave": "3", "lacp_active": "off", "lacp_rate": "fast",
	"ad_select": "count", "ad_actor_sys_prio": "100", "ad_user_port_key": "12", "ad_actor_system": "02:00:00:00:00:77",
	"tlb_dynamic_lb": "off", "arp_missed_max": "4",
}

// contractOptions holds netcfg.BondOptions to the kernel: for every option and
// mode whether it is taken, and for every option what a change costs.
func contractOptions(t *testing.T, open func(t *testing.T) Host) {
	for _, mode := range netcfg.BondModes {
		t.Run(mode, func(t *testing.T) {
			l := newLab(t, open(t))
			l.nics("x")
			for _, s := range netcfg.BondOptions[1:] {
				optionAtCreation(l, mode, s)
			}
			optionDefaults(l, mode)
		})
	}
	for _, s := range netcfg.BondOptions {
		if s.Name != "mode" {
			t.Run(s.Name, func(t *testing.T) { optionClass(newLab(t, open(t)), s) })
		}
	}
}

// monitor is what an option needs beside it to be taken.
func monitor(s netcfg.OptionSpec) string {
	if s.NeedsMiimon {
		return " miimon=100"
	}
	return ""
}

// optionAtCreation: an option that is not valid in the mode is refused even with
// its default value.
func optionAtCreation(l *lab, mode string, s netcfg.OptionSpec) {
	l.Helper()
	value, word := sample[s.Name], opt(s.Name+"="+sample[s.Name])
	if s.Type == netcfg.TypeSlave {
		value, word = "", l.primary("x")
	}
	b := l.bond("b", opt("mode="+mode+monitor(s)), word)
	if s.ValidIn(mode) {
		l.do(b)
		l.want("b.opt."+s.Name+"="+value, "b.opt.mode="+mode)
		l.do(l.del("b"))
		return
	}
	l.refused(syscall.EACCES, plan.Refused, b)
	if s.Default != "" {
		l.refused(syscall.EACCES, plan.Refused, l.bond("b", opt("mode="+mode+" "+s.Name+"="+s.Default)))
	}
	l.want("b.kind=absent")
}

func optionDefaults(l *lab, mode string) {
	l.Helper()
	l.do(l.bond("b", opt("mode="+mode)))
	facts := []string{"b.opt.mode=" + mode}
	for _, s := range netcfg.BondOptions[1:] {
		def := s.Default
		if s.Name == "miimon" && slices.Contains([]string{netcfg.Mode8023AD, netcfg.ModeTLB, netcfg.ModeALB}, mode) {
			def = "100"
		}
		if s.ValidIn(mode) {
			facts = append(facts, "b.opt."+s.Name+"="+def)
		}
	}
	l.want(facts...)
}

// optionClass changes the option on a bond that is up and has a slave, then on one
// that is down and has a slave, then on one without slaves.
func optionClass(l *lab, s netcfg.OptionSpec) {
	mode := netcfg.BondModes[0]
	if s.Modes != nil {
		mode = s.Modes[0]
	}
	l.nics("x")
	l.do(l.bond("b", opt("mode="+mode+monitor(s)), up), l.set("x", l.master("b")))
	value, change := sample[s.Name], l.set("b", opt(s.Name+"="+sample[s.Name]))
	if s.Type == netcfg.TypeSlave {
		value, change = "x", l.set("b", l.primary("x"))
	}
	changed := "b.opt." + s.Name + "=" + value
	unchanged := strings.Replace(changed, "=", "!=", 1)
	switch s.Class {
	case netcfg.ClassLive:
		l.do(change)
	case netcfg.ClassDown:
		l.refused(syscall.EBUSY, plan.Refused, change)
		l.want(unchanged)
		l.do(l.set("b", down), change)
	case netcfg.ClassSlavesOut:
		l.refused(syscall.ENOTEMPTY, plan.Refused, change)
		l.do(l.set("b", down))
		l.refused(syscall.ENOTEMPTY, plan.Refused, change)
		l.want(unchanged)
		l.do(l.set("b", up), l.set("x", free), change)
	}
	l.want(changed)
}

var optionCases = []contractCase{
	{"the mode changes on a bond that is down and has no slaves", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("mode=active-backup"), up), l.set("x", l.master("b")))
		l.refused(syscall.ENOTEMPTY, plan.Refused, l.set("b", opt("mode=balance-xor")))
		l.do(l.set("b", down))
		l.refused(syscall.ENOTEMPTY, plan.Refused, l.set("b", opt("mode=balance-xor")))
		l.do(l.set("x", free), l.set("b", up))
		l.refused(syscall.EBUSY, plan.Refused, l.set("b", opt("mode=balance-xor")))
		l.do(l.set("b", down), l.set("b", opt("mode=balance-xor")))
		l.want("b.opt.mode=balance-xor")
	}},
	{"the mode that it has is refused as well", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("mode=active-backup"), up), l.set("x", l.master("b")))
		l.refused(syscall.ENOTEMPTY, plan.Refused, l.set("b", opt("mode=active-backup miimon=100")))
		l.want("b.opt.miimon=0")
	}},
	{"802.3ad, balance-tlb and balance-alb monitor with MII", func(l *lab) {
		for _, mode := range []string{"802.3ad", "balance-tlb", "balance-alb"} {
			l.do(l.bond("b", opt("mode=active-backup arp_interval=100 arp_ip_target=10.0.0.9 arp_validate=all")), l.set("b", opt("mode="+mode)))
			l.want("b.opt.miimon=100", "b.opt.arp_interval=0", "b.opt.arp_validate=none", "b.opt.arp_ip_target=10.0.0.9")
			l.do(l.set("b", opt("miimon=0")))
			l.want("b.opt.miimon=0")
			l.do(l.del("b"), l.bond("b", opt("mode="+mode+" miimon=70")))
			l.want("b.opt.miimon=70")
			l.do(l.del("b"))
		}
	}},
	{"options of the old mode linger", func(l *lab) {
		l.do(l.bond("b", opt("mode=802.3ad lacp_rate=fast ad_user_port_key=5 min_links=2 xmit_hash_policy=layer3+4")),
			l.set("b", opt("mode=active-backup")))
		l.want("b.opt.lacp_rate=fast", "b.opt.min_links=2", "b.opt.xmit_hash_policy=layer3+4", "b.opt.ad_user_port_key=untold")
		l.do(l.set("b", opt("mode=802.3ad")))
		l.want("b.opt.ad_user_port_key=5", "b.opt.lacp_rate=fast")
	}},
	{"balance-alb switches tlb_dynamic_lb on, balance-tlb leaves it", func(l *lab) {
		l.do(l.bond("b", opt("mode=balance-tlb tlb_dynamic_lb=off")), l.set("b", opt("mode=active-backup")), l.set("b", opt("mode=balance-tlb")))
		l.want("b.opt.tlb_dynamic_lb=off")
		l.do(l.set("b", opt("mode=balance-alb")))
		l.want("b.opt.tlb_dynamic_lb=on")
	}},
	{"delays want miimon, even for 0", func(l *lab) {
		l.do(l.bond("b", opt("mode=active-backup")))
		for _, o := range []string{"updelay", "downdelay", "peer_notif_delay"} {
			l.refused(syscall.EPERM, plan.Refused, l.set("b", opt(o+"=0")))
			l.refused(syscall.EPERM, plan.Refused, l.set("b", opt(o+"=100")))
		}
		l.do(l.set("b", opt("miimon=100 updelay=100")))
		l.want("b.opt.updelay=100")
	}},
	{"delays are multiples of miimon, and follow it", func(l *lab) {
		l.do(l.bond("b", opt("miimon=100 updelay=250 downdelay=99 peer_notif_delay=300")))
		l.want("b.opt.updelay=200", "b.opt.downdelay=0", "b.opt.peer_notif_delay=300")
		l.do(l.set("b", opt("miimon=70")))
		l.want("b.opt.updelay=140", "b.opt.peer_notif_delay=210")
		l.do(l.set("b", opt("arp_interval=100")))
		l.want("b.opt.miimon=0", "b.opt.updelay=0")
		l.do(l.set("b", opt("miimon=50")))
		l.want("b.opt.updelay=100", "b.opt.arp_interval=0")
	}},
	{"one monitor takes over from the other", func(l *lab) {
		l.do(l.bond("b", opt("mode=active-backup miimon=100")), l.set("b", opt("arp_interval=200 arp_validate=active")))
		l.want("b.opt.miimon=0", "b.opt.arp_interval=200", "b.opt.arp_validate=active")
		l.do(l.set("b", opt("miimon=0")))
		l.want("b.opt.arp_interval=200", "b.opt.arp_validate=active")
		l.do(l.set("b", opt("miimon=100")))
		l.want("b.opt.miimon=100", "b.opt.arp_interval=0", "b.opt.arp_validate=none")
		l.do(l.set("b", opt("arp_interval=0")))
		l.want("b.opt.miimon=100")
	}},
	{"both monitors in one request are refused, and miimon stays", func(l *lab) {
		l.do(l.bond("b", opt("mode=active-backup arp_interval=200 arp_validate=active")))
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("arp_interval=200 miimon=100")))
		l.want("b.opt.miimon=100", "b.opt.arp_interval=0")
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("miimon=50 arp_validate=all")))
		l.want("b.opt.miimon=50", "b.opt.arp_validate=none")
		l.do(l.set("b", opt("miimon=100 arp_interval=0 arp_validate=none")))
		l.refused(syscall.EINVAL, plan.Refused, l.bond("c", opt("arp_interval=200 miimon=100")))
		l.want("c.kind=absent")
	}},
	{"what came before the refused option stays, whatever the order in the request", func(l *lab) {
		l.nics("x")
		l.do(l.bond("b", opt("mode=802.3ad"), up), l.set("x", l.master("b")))
		l.refused(syscall.EBUSY, plan.Refused, l.set("b", opt("ad_actor_sys_prio=7 lacp_rate=fast min_links=1 miimon=200")))
		l.want("b.opt.miimon=200", "b.opt.min_links=1", "b.opt.lacp_rate=slow", "b.opt.ad_actor_sys_prio=65535")
		l.refused(syscall.ENOTEMPTY, plan.Refused, l.set("b", opt("xmit_hash_policy=layer3+4 fail_over_mac=active miimon=300")))
		l.want("b.opt.miimon=300", "b.opt.xmit_hash_policy=layer2")
	}},
	{"options of something that is no bond", func(l *lab) {
		l.nics("x")
		l.refused(syscall.EOPNOTSUPP, plan.Unsupported, l.set("x", opt("miimon=100")))
	}},
	{"a list of targets is replaced whole", func(l *lab) {
		l.do(l.bond("b", opt("arp_interval=100 arp_ip_target=10.0.0.1,10.0.0.2")), l.set("b", opt("arp_ip_target=10.0.0.3")))
		l.want("b.opt.arp_ip_target=10.0.0.3")
		l.do(l.set("b", opt("arp_ip_target= ns_ip6_target=2001:db8::1")))
		l.want("b.opt.arp_ip_target=", "b.opt.ns_ip6_target=2001:db8::1")
		l.do(l.set("b", opt("ns_ip6_target=")))
		l.want("b.opt.ns_ip6_target=")
	}},
	{"targets that nobody can have; those before stay, the old ones are gone", func(l *lab) {
		l.do(l.bond("b", opt("arp_ip_target=10.0.0.1 ns_ip6_target=2001:db8::1")))
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("arp_ip_target=10.0.0.2,0.0.0.0,10.0.0.3")))
		l.want("b.opt.arp_ip_target=10.0.0.2")
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("arp_ip_target=255.255.255.255")))
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("arp_ip_target=10.0.0.7,10.0.0.7")))
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("ns_ip6_target=ff02::1")))
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("ns_ip6_target=::")))
		l.want("b.opt.arp_ip_target=10.0.0.7", "b.opt.ns_ip6_target=")
	}},
	{"16 targets and not one more", func(l *lab) {
		var all []string
		for i := range 17 {
			all = append(all, "10.0.0."+itoa(i+1))
		}
		l.do(l.bond("b", opt("arp_ip_target="+strings.Join(all[:16], ","))))
		l.want("b.opt.arp_ip_target=" + strings.Join(all[:16], ","))
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("arp_ip_target="+strings.Join(all, ","))))
	}},
	{"ad_actor_system", func(l *lab) {
		l.do(l.bond("b", opt("mode=802.3ad ad_actor_system=00:00:00:00:00:00"), up), l.set("b", opt("ad_actor_system=02:00:00:00:00:01")))
		l.want("b.opt.ad_actor_system=02:00:00:00:00:01")
		l.refused(syscall.EINVAL, plan.Refused, l.set("b", opt("ad_actor_system=01:00:00:00:00:01")))
		l.do(l.set("b", opt("ad_actor_system=00:00:00:00:00:00")))
		l.want("b.opt.ad_actor_system=00:00:00:00:00:00")
	}},
	{"primary is any link's name", func(l *lab) {
		l.nics("x", "y")
		l.do(l.bond("b", opt("mode=active-backup")), l.set("b", l.primary("y")), l.set("x", l.master("b")))
		l.want("b.opt.primary=")
		l.do(l.set("y", l.master("b")))
		l.want("b.opt.primary=y")
	}},
	{"primary is not for all modes, not even to clear it", func(l *lab) {
		l.do(l.bond("b", opt("mode=802.3ad")))
		l.refused(syscall.EACCES, plan.Refused, l.set("b", l.primary("")))
		l.want("b.opt.primary=untold")
	}},
}
