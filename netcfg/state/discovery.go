package state

import "strconv"

// Discovery is what the kernel makes of router advertisements on a link (RFC 4861,
// 4862): the switches net.ipv6.conf.LINK.* of those names.
type Discovery struct {
	// DisableIPv6 switches all of IPv6 off.
	DisableIPv6 int32
	// AcceptRA is 0 for never, 1 for unless the host forwards, 2 for always.
	AcceptRA int32
	// AcceptRADefrtr and AcceptRAPinfo take the default route and the prefixes of
	// advertisements, Autoconf makes addresses of the latter, MaxAddresses of them at most.
	AcceptRADefrtr, AcceptRAPinfo, Autoconf, MaxAddresses int32
	// AcceptRARtInfoMaxPlen is how long the prefix of a further route may be (RFC 4191).
	AcceptRARtInfoMaxPlen int32
	// AcceptRedirects lets routers send a host elsewhere (ICMPv6 redirects).
	AcceptRedirects int32
	// Forwarding is not 0 where the host forwards what comes by the link. It is nobody's
	// to set here.
	Forwarding int32
}

// Switch is one of them.
type Switch struct {
	// Name is the kernel's.
	Name  string
	Value int32
}

// Learns is true where addresses are made of router advertisements.
func (d Discovery) Learns() bool {
	listens := d.AcceptRA == 2 || d.AcceptRA == 1 && d.Forwarding == 0
	return listens && d.AcceptRAPinfo != 0 && d.Autoconf != 0
}

// Switches are all of them, in the order in which to set them.
func (d Discovery) Switches() []Switch {
	var out []Switch
	for _, s := range d.fields() {
		out = append(out, Switch{s.name, *s.value})
	}
	return out
}

// Set changes one of them, and is false when there is none of that name.
func (d *Discovery) Set(name, value string) bool {
	n, err := strconv.ParseInt(value, 10, 32)
	for _, s := range d.fields() {
		if s.name == name && err == nil {
			*s.value = int32(n)
			return true
		}
	}
	return false
}

func (d *Discovery) fields() []struct {
	name  string
	value *int32
} {
	return []struct {
		name  string
		value *int32
	}{
		{"accept_redirects", &d.AcceptRedirects}, {"accept_ra_rt_info_max_plen", &d.AcceptRARtInfoMaxPlen}, {"max_addresses", &d.MaxAddresses},
		{"autoconf", &d.Autoconf}, {"accept_ra_pinfo", &d.AcceptRAPinfo}, {"accept_ra_defrtr", &d.AcceptRADefrtr},
		{"accept_ra", &d.AcceptRA}, {"disable_ipv6", &d.DisableIPv6},
	}
}

// UsualDiscovery is what a new link has unless somebody has changed that
// (ipv6_devconf_dflt in net/ipv6/addrconf.c).
func UsualDiscovery() Discovery {
	return Discovery{AcceptRA: 1, AcceptRADefrtr: 1, AcceptRAPinfo: 1, Autoconf: 1, MaxAddresses: 16, AcceptRedirects: 1}
}

// Learnt is true of an IPv6 address that the kernel has made of a router advertisement,
// also of a temporary one.
func (a Address) Learnt() bool {
	const temporary, manageTemporary, protoRA = 0x01, 0x100, 2 // IFA_F_TEMPORARY, IFA_F_MANAGETEMPADDR, IFAPROT_KERNEL_RA
	return a.Prefix.Addr().Is6() && !a.LinkLocal() && (a.Flags&(temporary|manageTemporary) != 0 || a.Proto == protoRA)
}
