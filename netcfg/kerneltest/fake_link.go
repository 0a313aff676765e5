package kerneltest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// ARPHRD types, IPv6's least MTU and IPv4's.
const (
	typeEthernet = 1
	typeLoopback = 772
	minMTUv6     = 1280
	minMTUv4     = 68
)

const zeroMAC = "00:00:00:00:00:00"

// origin is where a link's MAC came from (NET_ADDR_*, linux/netdevice.h). Only a
// random one gives way to the first slave's, only a stolen one follows the link
// that it was stolen from.
type origin int

const (
	permanent origin = iota
	random
	stolen
	chosen
)

// link is one net_device. The embedded facts that follow from others (Master,
// Parent, OperState, Carrier, Bond, Slave) are filled in by snapshot.
type link struct {
	state.Link
	origin origin
	// macNeedsDown is the driver that lacks IFF_LIVE_ADDR_CHANGE.
	macNeedsDown bool
	// cable is true where a NIC has something at the other end.
	cable bool
	// carrier is netif_carrier_ok. On a link that is down it may be out of date,
	// as in the kernel.
	carrier bool

	parent *link
	vlans  []*link
	master *link
	ports  []*link
	bond   *bond
	slave  *slave

	ip4 []state.Address
	// v6 is the inet6_dev, which is gone while the MTU is below 1280. ready is its
	// IF_READY: the link has been up with carrier since it was set up.
	v6, ready bool
	ip6       []state.Address
}

// discoverySet writes to /proc/sys/net/ipv6/conf.
func (f *Fake) discoverySet(op plan.Op) *refusal {
	l := f.byIndex[op.Index]
	if l == nil || !l.v6 {
		return refuse(syscall.ENOENT, "")
	}
	for _, o := range op.Options {
		switch {
		case o.Name == "addr_gen_mode": // addrconf_sysctl_addr_gen_mode
			l.AddrGenModeNone = o.Value == "1"
			f.linkLocal(l)
		case !l.Discovery.Set(o.Name, o.Value):
			return refuse(syscall.ENOENT, "")
		}
	}
	return nil
}

// register gives the link an index unless it has one, and files it.
func (f *Fake) register(l *link) {
	if l.Index == 0 {
		// dev_new_index: upwards, past the indexes that somebody chose.
		for f.lastIndex++; f.byIndex[f.lastIndex] != nil; f.lastIndex++ {
		}
		l.Index = f.lastIndex
	}
	f.byIndex[l.Index] = l
	i, _ := slices.BinarySearchFunc(f.links, l.Index, func(o *link, index int) int { return o.Index - index })
	f.links = slices.Insert(f.links, i, l)
}

func (f *Fake) byName(name string) *link {
	for _, l := range f.links {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// randomMAC is eth_random_addr: unicast and locally administered.
func (f *Fake) randomMAC() string {
	n := f.random.Uint64()
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x",
		byte(n)&0xfe|0x02, byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40))
}

// linkAdd is rtnl_newlink with NLM_F_CREATE|NLM_F_EXCL. A create that fails
// leaves nothing.
func (f *Fake) linkAdd(op plan.Op) *refusal {
	op.MAC = strings.ToLower(op.MAC)
	if len(op.Name) > 15 {
		// The policy of IFLA_IFNAME, before anything is looked at.
		return refuse(syscall.ERANGE, "Attribute failed policy validation")
	}
	if op.Kind != kindBond && op.Kind != kindVLAN {
		return refuse(syscall.EOPNOTSUPP, "Unknown device type")
	}
	if op.MAC != "" && !validMAC(op.MAC) {
		return refuse(syscall.EADDRNOTAVAIL, "")
	}
	if op.Kind == kindVLAN && op.VLANID >= 4095 {
		return refuse(syscall.ERANGE, "8021q: Invalid VLAN id")
	}
	switch {
	case op.Index < 0:
		return refuse(syscall.EINVAL, "ifindex can't be negative")
	case op.Index > 0 && f.byIndex[op.Index] != nil:
		return refuse(syscall.EEXIST, "")
	case op.Index == 0 && f.byName(op.Name) != nil:
		return refuse(syscall.EEXIST, "")
	case op.AddrGenModeNone != nil:
		// validate_linkmsg: a link that is not registered has no inet6_dev.
		return refuse(syscall.EAFNOSUPPORT, "")
	}
	l := &link{Link: state.Link{Index: op.Index, Kind: op.Kind, Type: typeEthernet, MTU: 1500,
		Discovery: state.UsualDiscovery(), MinMTU: 68, MaxMTU: 65535, Group: op.Group, MAC: op.MAC}}
	if op.MAC != "" {
		l.origin = chosen
	}
	var r *refusal
	if op.Kind == kindVLAN {
		r = f.newVLAN(l, op)
	} else {
		r = f.newBond(l, op)
	}
	if r != nil {
		return r
	}
	return f.configureNew(l, op)
}

// configureNew is what rtnl_newlink_create does once the link is there. When
// that fails the link goes again.
func (f *Fake) configureNew(l *link, op plan.Op) *refusal {
	var r *refusal
	if op.Up != nil && *op.Up {
		r = f.setUp(l)
	}
	if r == nil && op.Master != nil && *op.Master != 0 {
		r = f.setMaster(l, *op.Master)
	}
	if r != nil {
		f.unregister([]*link{l})
	}
	return r
}

// registerNamed is register_netdevice: the name is judged last.
func (f *Fake) registerNamed(l *link, name string) *refusal {
	name, r := f.freeName(name)
	if r != nil {
		return r
	}
	l.Name = name
	l.v6 = l.MTU >= minMTUv6
	f.register(l)
	return nil
}

// freeName is dev_prep_valid_name, and sysctl_dev_name_is_allowed by way of
// inetdev_init.
func (f *Fake) freeName(name string) (string, *refusal) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n\v\f\r") || strings.IndexByte(name, 0xa0) >= 0 {
		return "", refuse(syscall.EINVAL, "")
	}
	if before, after, ok := strings.Cut(name, "%"); ok {
		if !strings.HasPrefix(after, "d") || strings.Contains(after, "%") {
			return "", refuse(syscall.EINVAL, "")
		}
		for n := 0; ; n++ {
			if try := fmt.Sprint(before, n, after[1:]); f.byName(try) == nil {
				return try, nil
			}
		}
	}
	if f.byName(name) != nil {
		return "", refuse(syscall.EEXIST, "")
	}
	if name == "all" || name == "default" {
		return "", refuse(syscall.EINVAL, "")
	}
	return name, nil
}
