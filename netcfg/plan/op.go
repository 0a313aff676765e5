package plan

import (
	"fmt"
	"strings"

	"github.com/hostnic/hostnic/netcfg/state"
)

// Action is what an Op does. Each Op is one netlink request, but for the last two, which
// write files.
type Action int

// The actions.
const (
	LinkAdd      Action = iota // create a bond or a VLAN with the chosen index, all attributes and flags
	LinkSet                    // change attributes of a link: MTU, MAC, flags, master, bond options …
	LinkDel                    // delete one link; a bond's VLANs go with it and its slaves are released
	GroupDel                   // delete every link of a group in one request
	AddrAdd                    // add an address
	AddrDel                    // take an address off
	RouteAdd                   // add a route that must not be there yet
	RouteReplace               // put a route in place of the one with the same destination, metric and table
	RouteDel                   // take a route out
	AddrReplace                // give an address that is there other lifetimes
	DiscoverySet               // change what the kernel makes of router advertisements
	ResolverSet                // change where the host's programs find DNS servers
)

// String is the action in iproute2's words.
func (a Action) String() string {
	return [...]string{"link add", "link set", "link del", "group del", "addr add", "addr del", "route add", "route replace", "route del",
		"addr replace", "sysctl", "resolv.conf"}[a]
}

// Disruption is what an operation costs the traffic of a link, in rising order.
type Disruption int

// The disruption classes.
const (
	Live           Disruption = iota // nothing is lost
	LinkDown                         // the link is down for a moment
	SlavesReleased                   // all slaves leave the bond for a moment
	Recreated                        // the link is deleted and made anew
)

// String is the word used in plans, in the API and in documentation.
func (d Disruption) String() string {
	return [...]string{"live", "link down", "slaves released", "recreated"}[d]
}

// Groups of links, IFLA_GROUP. Links that the agent makes are born in OwnerGroup;
// those about to be deleted together are put into DoomedGroup. A group delete
// takes everything in the group, so Build uses one only after a look has shown
// that nothing else is in it.
const (
	OwnerGroup  = 26734 // "hn"
	DoomedGroup = 26735
)

// Option is one bond option in canonical form.
type Option struct{ Name, Value string }

// Op is one operation on the kernel. Fields that an Action does not use are zero.
type Op struct {
	Action Action
	// Index and Name of the link that is worked on. LinkAdd creates the link with
	// exactly this index, so that later operations of the same send can name it.
	Index int
	Name  string

	// Kind is bond or vlan; LinkAdd only. Parent and VLANID are for VLANs.
	Kind       string
	Parent     int
	ParentName string
	VLANID     int

	// For LinkAdd and LinkSet; what is zero or nil is not sent.
	MTU   int
	MAC   string
	Up    *bool
	Group uint32
	// Master enslaves; 0 releases.
	Master     *int
	MasterName string
	// AddrGenModeNone switches the kernel's own link-local IPv6 address off or on.
	// The kernel takes it on existing links only.
	AddrGenModeNone *bool
	// Options of a bond, or the switches of DiscoverySet. The value of primary is a link's name, PrimaryIndex its
	// index; an empty value clears.
	Options      []Option
	PrimaryIndex int

	// Names are the links that a GroupDel takes.
	Names []string

	// Address of AddrAdd, AddrReplace and AddrDel; Route of the route actions.
	Address state.Address
	Route   state.Route

	// Resolver is what ResolverSet makes of the file.
	Resolver *state.Resolver

	// Disruption is what it costs; Why one short clause for the operator, or empty.
	Disruption Disruption
	Why        string
}

// String is the operation in iproute2's words. It is the one author of this text:
// diff, progress, log and error messages all print it.
func (o Op) String() string {
	switch o.Action {
	case LinkAdd:
		return o.addString()
	case LinkSet:
		return o.setString()
	case LinkDel:
		return "ip link del dev " + o.Name
	case GroupDel:
		return fmt.Sprintf("ip link del group %d  # %s", o.Group, abbreviate(o.Names))
	case AddrAdd:
		return "ip addr add " + addressWords(o.Address) + " dev " + o.Name
	case DiscoverySet:
		w := []string{"sysctl -w"}
		for _, s := range o.Options {
			w = append(w, "net.ipv6.conf."+strings.ReplaceAll(o.Name, ".", "/")+"."+s.Name+"="+s.Value)
		}
		return strings.Join(w, " ")
	case ResolverSet:
		return "write " + o.Resolver.Path + "  # " + o.Resolver.String()
	case AddrReplace:
		return "ip addr replace " + addressWords(o.Address) + " dev " + o.Name
	case AddrDel:
		return "ip addr del " + o.Address.Prefix.String() + " dev " + o.Name
	case RouteAdd:
		return routeWords("add", o.Route, o.Name)
	case RouteReplace:
		return routeWords("replace", o.Route, o.Name)
	case RouteDel:
		return routeWords("del", o.Route, o.Name)
	}
	return fmt.Sprintf("unknown action %d", int(o.Action))
}

func (o Op) addString() string {
	w := []string{"ip link add"}
	if o.Kind == "vlan" {
		w = append(w, "link", o.ParentName)
	}
	w = append(w, "name", o.Name)
	w = append(w, o.attributeWords()...)
	w = append(w, "type", o.Kind)
	if o.Kind == "vlan" {
		w = append(w, "id", fmt.Sprint(o.VLANID))
	}
	return strings.Join(append(w, o.optionWords()...), " ")
}

func (o Op) setString() string {
	w := append([]string{"ip link set dev", o.Name}, o.attributeWords()...)
	if o.Master != nil {
		if *o.Master == 0 {
			w = append(w, "nomaster")
		} else {
			w = append(w, "master", o.MasterName)
		}
	}
	if o.AddrGenModeNone != nil {
		if *o.AddrGenModeNone {
			w = append(w, "addrgenmode none")
		} else {
			w = append(w, "addrgenmode eui64")
		}
	}
	if len(o.Options) > 0 {
		w = append(append(w, "type bond"), o.optionWords()...)
	}
	return strings.Join(w, " ")
}

func (o Op) attributeWords() []string {
	var w []string
	if o.MAC != "" {
		w = append(w, "address", o.MAC)
	}
	if o.MTU != 0 {
		w = append(w, "mtu", fmt.Sprint(o.MTU))
	}
	if o.Group != 0 {
		w = append(w, "group", fmt.Sprint(o.Group))
	}
	if o.Up != nil {
		if *o.Up {
			w = append(w, "up")
		} else {
			w = append(w, "down")
		}
	}
	return w
}

func (o Op) optionWords() []string {
	var w []string
	for _, opt := range o.Options {
		name, value := iprouteWords(opt)
		if value == "" {
			value = `""`
		}
		w = append(w, name, value)
	}
	return w
}

// iprouteWords are the option as iproute2 takes it, which has its own names for some
// and numbers for switches (ip/iplink_bond.c).
func iprouteWords(o Option) (name, value string) {
	switch o.Name {
	case "peer_notif_delay":
		return "peer_notify_delay", o.Value
	case "arp_missed_max":
		return "missed_max", o.Value
	case "use_carrier", "all_slaves_active", "tlb_dynamic_lb":
		return o.Name, map[string]string{"off": "0", "on": "1"}[o.Value]
	}
	return o.Name, o.Value
}

func abbreviate(names []string) string {
	if len(names) <= 6 {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s … %s (%d links)", strings.Join(names[:3], " "), names[len(names)-1], len(names))
}

func addressWords(a state.Address) string {
	w := a.Prefix.String()
	if a.Flags&state.FlagNoDAD != 0 {
		w += " nodad"
	}
	if a.Valid != 0 && a.Valid != state.Forever {
		w += fmt.Sprintf(" valid_lft %d preferred_lft %d", a.Valid, a.Preferred)
	}
	return w
}

func routeWords(verb string, r state.Route, link string) string {
	dst := r.Dst.String()
	if r.Dst.Bits() == 0 {
		dst = "default"
	}
	ip := "ip route"
	if r.Dst.Addr().Is6() || r.Gateway.Is6() {
		ip = "ip -6 route"
	}
	w := []string{ip, verb, dst}
	add := func(cond bool, words ...string) {
		if cond {
			w = append(w, words...)
		}
	}
	add(r.Gateway.IsValid(), "via", r.Gateway.String())
	add(link != "", "dev", link)
	add(r.Source.IsValid(), "src", r.Source.String())
	add(r.Table != state.MainTable, "table", fmt.Sprint(r.Table))
	add(r.Metric != 0, "metric", fmt.Sprint(r.Metric))
	add(r.Protocol == state.ProtocolHostnic, "proto", fmt.Sprint(r.Protocol))
	add(r.Flags&FlagOnlink != 0, "onlink")
	return strings.Join(w, " ")
}

// FlagOnlink is RTNH_F_ONLINK.
const FlagOnlink = 4
