package kerneltest

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// The modes and the values that the code speaks of (linux/if_bonding.h).
const (
	modeActiveBackup = 1
	mode8023AD       = 4
	modeTLB          = 5
	modeALB          = 6

	fomNone   = 0
	fomActive = 1

	reselectAlways = 0
)

// The parameters in the order in which one request applies them (bond_changelink
// in bond_netlink.c). Those without a number come after numParams.
const (
	pMode = iota
	pMiimon
	pUpdelay
	pDowndelay
	pPeerNotifDelay
	pUseCarrier
	pARPInterval
	pARPTarget
	pNSTarget
	pARPValidate
	pARPAllTargets
	pPrimary
	pPrimaryReselect
	pFailOverMAC
	pXmitHashPolicy
	pResendIGMP
	pNumGratARP
	pAllSlavesActive
	pMinLinks
	pLPInterval
	pPacketsPerSlave
	pLACPActive
	pLACPRate
	pADSelect
	pADActorSysPrio
	pADUserPortKey
	pADActorSystem
	pTLBDynamicLB
	pARPMissedMax
	numParams
)

// param is one row of bond_opts in bond_options.c. It is written down once more
// here, and not taken from netcfg, so that a wrong row there is found.
type param struct {
	name string
	// modes are those in which the option is taken, one bit each.
	modes int
	// ifDown: the bond must be down. noSlaves: it must have none.
	ifDown, noSlaves bool
	min, max, def    int
}

const (
	inAll  = 1<<7 - 1
	inARP  = inAll &^ (1<<mode8023AD | 1<<modeTLB | 1<<modeALB)
	inLACP = 1 << mode8023AD
	inLB   = 1<<modeTLB | 1<<modeALB
	intMax = 1<<31 - 1
)

var params = [numParams]param{
	pMode:            {name: "mode", modes: inAll, ifDown: true, noSlaves: true, max: 6},
	pMiimon:          {name: "miimon", modes: inAll, max: intMax},
	pUpdelay:         {name: "updelay", modes: inAll, max: intMax},
	pDowndelay:       {name: "downdelay", modes: inAll, max: intMax},
	pPeerNotifDelay:  {name: "peer_notif_delay", modes: inAll, max: 300000},
	pUseCarrier:      {name: "use_carrier", modes: inAll, max: 1, def: 1},
	pARPInterval:     {name: "arp_interval", modes: inARP, max: intMax},
	pARPTarget:       {name: "arp_ip_target", modes: inAll},
	pNSTarget:        {name: "ns_ip6_target", modes: inAll},
	pARPValidate:     {name: "arp_validate", modes: inARP, max: 6},
	pARPAllTargets:   {name: "arp_all_targets", modes: inAll, max: 1},
	pPrimary:         {name: "primary", modes: inLB | 1<<modeActiveBackup},
	pPrimaryReselect: {name: "primary_reselect", modes: inAll, max: 2},
	pFailOverMAC:     {name: "fail_over_mac", modes: inAll, noSlaves: true, max: 2},
	pXmitHashPolicy:  {name: "xmit_hash_policy", modes: inAll, max: 5},
	pResendIGMP:      {name: "resend_igmp", modes: inAll, max: 255, def: 1},
	pNumGratARP:      {name: "num_grat_arp", modes: inAll, max: 255, def: 1},
	pAllSlavesActive: {name: "all_slaves_active", modes: inAll, max: 1},
	pMinLinks:        {name: "min_links", modes: inAll, max: intMax},
	pLPInterval:      {name: "lp_interval", modes: inAll, min: 1, max: intMax, def: 1},
	pPacketsPerSlave: {name: "packets_per_slave", modes: 1, max: 65535, def: 1},
	pLACPActive:      {name: "lacp_active", modes: inLACP, ifDown: true, max: 1, def: 1},
	pLACPRate:        {name: "lacp_rate", modes: inLACP, ifDown: true, max: 1},
	pADSelect:        {name: "ad_select", modes: inAll, ifDown: true, max: 2},
	pADActorSysPrio:  {name: "ad_actor_sys_prio", modes: inLACP, min: 1, max: 65535, def: 65535},
	pADUserPortKey:   {name: "ad_user_port_key", modes: inLACP, ifDown: true, max: 1023},
	pADActorSystem:   {name: "ad_actor_system", modes: inLACP},
	pTLBDynamicLB:    {name: "tlb_dynamic_lb", modes: inLB, ifDown: true, max: 1, def: 1},
	pARPMissedMax:    {name: "arp_missed_max", modes: inARP, min: 1, max: 255, def: 2},
}

var (
	defaultParams, paramIndex, specs = indexParams()
)

func indexParams() (defaults [numParams]int, index map[string]int, specs [numParams]netcfg.OptionSpec) {
	index = map[string]int{}
	for i, p := range params {
		defaults[i] = p.def
		index[p.name] = i
		specs[i], _ = netcfg.BondOptionSpec(p.name)
	}
	return defaults, index, specs
}

// request is one message's options by parameter; absent ones are nil.
type request [numParams]*string

// setOptions is bond_changelink. The kernel applies options in its own order and
// stops at the first that it refuses; on a bond that exists, what came before
// stays.
func (f *Fake) setOptions(l *link, op plan.Op) *refusal {
	var req request
	for i := range op.Options {
		p, ok := paramIndex[op.Options[i].Name]
		if !ok {
			return refuse(syscall.EINVAL, "unknown option "+op.Options[i].Name)
		}
		req[p] = &op.Options[i].Value
		if r := encodable(p, op.Options[i].Value); r != nil {
			return r
		}
	}
	for p, v := range req {
		if v == nil {
			continue
		}
		if r := f.setOption(l, p, *v, &req, op.PrimaryIndex); r != nil {
			return r
		}
	}
	return nil
}

// setOption is __bond_opt_set: first what the option depends on, then its value.
func (f *Fake) setOption(l *link, p int, value string, req *request, primary int) *refusal {
	b := l.bond
	miimon := req[pMiimon] != nil && number(pMiimon, *req[pMiimon]) != 0
	if miimon && p == pARPInterval && number(p, value) != 0 {
		return refuse(syscall.EINVAL, "ARP monitoring cannot be used with MII monitoring")
	}
	if miimon && p == pARPValidate && number(p, value) != 0 {
		return refuse(syscall.EINVAL, "ARP validating cannot be used with MII monitoring")
	}
	if p == pARPTarget {
		b.arpTargets = nil
	}
	if p == pNSTarget {
		b.nsTargets = nil
	}
	if (p == pARPTarget || p == pNSTarget) && value == "" {
		return nil // an empty list: nothing is set, so nothing is checked
	}
	switch {
	case params[p].modes&(1<<b.mode()) == 0:
		return refuse(syscall.EACCES, "option not supported in mode")
	case params[p].noSlaves && len(b.slaves) > 0:
		return refuse(syscall.ENOTEMPTY, "unable to set option because the bond device has slaves")
	case params[p].ifDown && l.Up():
		return refuse(syscall.EBUSY, "unable to set option because the bond is up")
	}
	switch p {
	case pARPTarget, pNSTarget:
		return setTargets(b, p, value)
	case pPrimary:
		f.setPrimary(l, value, primary)
		return nil
	case pADActorSystem:
		if len(value) != 17 || hexDigit(value[1])&1 != 0 {
			return refuse(syscall.EINVAL, "invalid option value")
		}
		b.actorSystem = value
		return nil
	}
	return f.setNumber(l, p, number(p, value))
}

// encodable is what the door itself refuses, before any of the request is sent: a
// value out of range would be cut to the width of its attribute.
func encodable(p int, value string) *refusal {
	switch p {
	case pPrimary, pARPTarget, pNSTarget, pADActorSystem:
		return nil
	}
	if n := number(p, value); n < params[p].min || n > params[p].max {
		return refuse(syscall.EINVAL, params[p].name+": invalid option value")
	}
	return nil
}

// setNumber are the setters of bond_options.c, with what they change on the side.
func (f *Fake) setNumber(l *link, p, n int) *refusal {
	b := l.bond
	switch p {
	case pMode:
		if 1<<n&inARP == 0 {
			b.params[pARPInterval] = 0
			if b.params[pMiimon] == 0 {
				b.params[pMiimon] = 100
			}
		}
		if n == modeALB {
			b.params[pTLBDynamicLB] = 1
		}
		b.params[pARPValidate] = 0
	case pMiimon:
		if n > 0 && b.params[pARPInterval] > 0 {
			b.params[pARPInterval], b.params[pARPValidate] = 0, 0
		}
	case pARPInterval:
		if n > 0 {
			b.params[pMiimon] = 0
		}
	case pUpdelay, pDowndelay, pPeerNotifDelay:
		if b.params[pMiimon] == 0 {
			return refuse(syscall.EPERM, "")
		}
		n /= b.params[pMiimon]
	}
	b.params[p] = n
	switch p {
	case pMinLinks:
		f.setBondCarrier(l)
	case pPrimaryReselect:
		f.selectActive(l)
	}
	return nil
}

// setPrimary takes the link of that index by its name; no such link clears. The
// name is remembered where it is no slave's.
func (f *Fake) setPrimary(l *link, value string, index int) {
	b := l.bond
	b.primary = ""
	if p := f.byIndex[index]; p != nil && value != "" {
		b.primary = p.Name
		b.forcePrimary = b.forcePrimary || b.primarySlave() != nil
	}
	f.selectActive(l)
}

func setTargets(b *bond, p int, value string) *refusal {
	for text := range strings.SplitSeq(value, ",") {
		a, err := netip.ParseAddr(text)
		list := &b.arpTargets
		ok := err == nil && a.Is4() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
		if p == pNSTarget {
			list = &b.nsTargets
			ok = err == nil && a.Is6() && !a.IsMulticast() && !a.IsLoopback()
		}
		if !ok || a.IsUnspecified() || slices.Contains(*list, a.String()) || len(*list) == 16 {
			return refuse(syscall.EINVAL, "invalid option value")
		}
		*list = append(*list, a.String())
	}
	return nil
}

// number is the value of a numeric option; what is none gives -1.
func number(p int, value string) int {
	if n, err := strconv.Atoi(value); err == nil {
		return n
	}
	return slices.Index(specs[p].Words, value)
}

// optionsOf is bond_fill_info in the words of state.Bond.
func optionsOf(b *bond) map[string]string {
	out := make(map[string]string, numParams)
	for p := range params {
		switch p {
		case pPrimary, pARPTarget, pNSTarget, pADActorSystem:
			continue
		case pADActorSysPrio, pADUserPortKey:
			if b.mode() != mode8023AD {
				continue
			}
		}
		n := b.params[p]
		switch p {
		case pUpdelay, pDowndelay, pPeerNotifDelay:
			n *= b.params[pMiimon]
		}
		if words := specs[p].Words; words != nil {
			out[params[p].name] = words[n]
		} else {
			out[params[p].name] = itoa(n)
		}
	}
	if b.mode() == mode8023AD {
		out["ad_actor_system"] = b.actorSystem
	}
	out["arp_ip_target"] = strings.Join(b.arpTargets, ",")
	out["ns_ip6_target"] = strings.Join(b.nsTargets, ",")
	if l := b.primarySlave(); l != nil {
		out["primary"] = l.Name
	} else if b.usesPrimary() {
		out["primary"] = ""
	}
	return out
}
