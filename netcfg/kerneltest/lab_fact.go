package kerneltest

import (
	"fmt"
	"strings"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// fact is what a snapshot says, in a word or a few: bond.mtu, nic.ip, bond.opt.mode.
// Link-local addresses and their routes, which come and go by themselves, are left
// out of ip and routes and have words of their own.
func fact(s *state.Snapshot, path string) string {
	name, what, _ := strings.Cut(path, ".")
	l := s.ByName(name)
	if l == nil {
		return "absent"
	}
	if option, ok := strings.CutPrefix(what, "opt."); ok {
		v, told := l.Bond.Options[option]
		if !told {
			return "untold"
		}
		return v
	}
	switch what {
	case "mtu":
		return fmt.Sprint(l.MTU)
	case "mac":
		return l.MAC
	case "up":
		return yesNo(l.AdminUp)
	case "carrier":
		return yesNo(l.Carrier)
	case "oper":
		return l.OperState
	case "kind":
		return l.Kind
	case "master":
		return s.Name(l.Master)
	case "parent":
		return s.Name(l.Parent)
	case "group":
		return fmt.Sprint(l.Group)
	case "vlan":
		return fmt.Sprint(l.VLANID)
	case "genmode":
		return yesNo(!l.AddrGenModeNone)
	case "slaves":
		var names []string
		for _, i := range s.SlavesOf(l.Index) {
			names = append(names, s.Name(i))
		}
		return strings.Join(names, " ")
	case "ip", "ll":
		return addressFact(s, l, what == "ll")
	case "routes", "llroute":
		return routeFact(s, l, what == "llroute")
	}
	return bondFact(s, l, what)
}

func bondFact(s *state.Snapshot, l *state.Link, what string) string {
	switch {
	case what == "active" && l.Bond != nil:
		return s.Name(l.Bond.ActiveSlave)
	case what == "ad" && l.Bond != nil:
		if ad := l.Bond.AD; ad != nil {
			return fmt.Sprintf("id %d ports %d partner %s", ad.ID, ad.NumPorts, ad.PartnerMAC)
		}
		return ""
	case l.Slave == nil:
		return "no slave"
	case what == "state":
		return l.Slave.State
	case what == "mii":
		return l.Slave.MIIStatus
	case what == "permmac":
		return l.Slave.PermMAC
	case what == "aggregator":
		if id := l.Slave.AggregatorID; id != nil {
			return fmt.Sprint(*id)
		}
		return ""
	}
	return "no such fact"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// addressFact lists the addresses in the kernel's order: * is a secondary one, ?
// one that is still being looked for on the wire.
func addressFact(s *state.Snapshot, l *state.Link, linkLocal bool) string {
	var out []string
	for _, a := range s.AddressesOf(l.Index) {
		if a.LinkLocal() != linkLocal {
			continue
		}
		w := a.Prefix.String()
		if a.Secondary() {
			w += "*"
		}
		if a.Prefix.Addr().Is6() && a.Flags&state.FlagTentative != 0 {
			w += "?"
		}
		out = append(out, w)
	}
	if linkLocal {
		return yesNo(len(out) > 0)
	}
	return strings.Join(out, " ")
}

// routeFact lists the routes by way of the link in the kernel's order.
func routeFact(s *state.Snapshot, l *state.Link, linkLocal bool) string {
	var out []string
	for _, r := range s.Routes {
		if r.Link != l.Index || r.Dst == linkLocalNet != linkLocal {
			continue
		}
		w := r.Dst.String()
		if r.Gateway.IsValid() {
			w += " via " + r.Gateway.String()
		}
		if r.Source.IsValid() {
			w += " src " + r.Source.String()
		}
		if r.Table != state.MainTable {
			w += fmt.Sprintf(" table %d", r.Table)
		}
		if r.Metric != 0 {
			w += fmt.Sprintf(" metric %d", r.Metric)
		}
		w += fmt.Sprintf(" proto %d", r.Protocol)
		if r.Flags&plan.FlagOnlink != 0 {
			w += " onlink"
		}
		if r.Flags&flagLinkDown != 0 {
			w += " linkdown"
		}
		out = append(out, w)
	}
	if linkLocal {
		return yesNo(len(out) > 0)
	}
	return strings.Join(out, ", ")
}
