package netcfg

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
)

func checkRouteDestination(k *checker) {
	for i, r := range k.config.Routes {
		if fault := destinationFault(r); fault != "" {
			k.refuse(k.beside("routes", i, "destination"), Problem{Found: r.Destination,
				Allowed: "a prefix such as 198.51.100.0/24, or default", Message: fault})
		}
	}
}

func destinationFault(r Route) string {
	switch r.Destination {
	case "":
		return "the route has no destination: give a prefix, or default"
	case "default":
		if r.Gateway == "" {
			return "a default route without a gateway is of no known family: give the gateway, or 0.0.0.0/0 or ::/0"
		}
		return ""
	}
	p, err := netip.ParsePrefix(r.Destination)
	switch {
	case err != nil && !strings.Contains(r.Destination, "/"):
		return "the destination has no prefix length: write it behind the address, 32 for one host, or 128 with IPv6"
	case err != nil:
		return "this is no prefix: it is an address and a prefix length with a slash between them"
	case p.Addr().Is4In6():
		return "this is an IPv4 prefix written as IPv6: write it as IPv4"
	case p != p.Masked():
		return "the address has bits beyond its prefix length: write " + p.Masked().String() + ", or a longer prefix"
	}
	return ""
}

func checkRouteGateway(k *checker) {
	for i, r := range k.config.Routes {
		if r.Gateway == "" {
			if r.NIC == "" {
				k.refuse(k.beside("routes", i, "gateway"), Problem{
					Message: "the route leads nowhere: give its gateway, its nic or both"})
			}
			continue
		}
		if fault := gatewayFault(r.Gateway, isIPv6Text(r.Gateway)); fault != "" {
			k.refuse(k.beside("routes", i, "gateway"), Problem{Found: r.Gateway, Message: fault})
		} else if gw := netip.MustParseAddr(r.Gateway); gw.Is6() && gw.IsLinkLocalUnicast() && r.NIC == "" {
			k.refuse(k.beside("routes", i, "nic"), Problem{Found: r.Gateway,
				Message: "a link-local gateway is known on one link only: say through which nic"})
		}
	}
}

func checkRouteFamily(k *checker) {
	for i, r := range k.config.Routes {
		p, err := netip.ParsePrefix(r.Destination)
		gw, gwErr := netip.ParseAddr(r.Gateway)
		if err == nil && gwErr == nil && p.Addr().Is4() != gw.Is4() {
			k.refuse(k.beside("routes", i, "gateway"), Problem{Found: r.Gateway,
				Message: "the destination and the gateway are of two families of addresses: give a gateway of the destination's"})
		}
	}
}

func checkRouteNumbers(k *checker) {
	for i, r := range k.config.Routes {
		if r.Metric != nil && (*r.Metric < 0 || int64(*r.Metric) > math.MaxUint32) {
			k.refuse(k.beside("routes", i, "metric"), Problem{Found: strconv.Itoa(*r.Metric), Allowed: "0 to 4294967295",
				Message: "the kernel has no such metric: the lowest is preferred, and 0 is the default"})
		}
		if r.Table != nil && (*r.Table < 1 || int64(*r.Table) > math.MaxUint32 || *r.Table == 255) {
			k.refuse(k.beside("routes", i, "table"), Problem{Found: strconv.Itoa(*r.Table), Allowed: "1 to 4294967295 but 255",
				Message: "this is no table for routes: unset it for the main table, 254"})
		}
	}
}

func checkDNSServers(k *checker) {
	if k.config.DNS == nil {
		return
	}
	for i, s := range k.config.DNS.Servers {
		if fault := serverFault(s); fault != "" {
			k.refuse(k.beside("dns.servers", i, ""), Problem{Found: s, Allowed: "an address such as 192.0.2.53, 2001:db8::53 or fe80::53%eth0", Message: fault})
		}
	}
}

// serverFault takes loopback addresses, where a resolver on the host listens.
func serverFault(s string) string {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return "a DNS server is given by its address, and this is none: correct it"
	case (a.Is4In6() || !a.IsLoopback()) && unusable(a) != "":
		return unusable(a)
	case a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "":
		return "a link-local server is known on one link only: add the NIC as zone, as in fe80::53%eth0"
	case a.Zone() != "" && !a.IsLinkLocalUnicast():
		return "a zone belongs to link-local addresses only: leave out the % and what follows"
	}
	return ""
}

func checkDNSSearch(k *checker) {
	if k.config.DNS == nil {
		return
	}
	for i, s := range k.config.DNS.Search {
		if !isDomain(s) {
			k.refuse(k.beside("dns.search", i, ""), Problem{Found: s, Allowed: "a name such as example.com",
				Message: "this is no domain: it has labels of letters, digits and hyphens with dots between them"})
		}
	}
}

// isDomain takes underscores, which internal zones use.
func isDomain(s string) bool {
	if s = strings.TrimSuffix(s, "."); len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
				return false
			}
		}
	}
	return true
}

func checkNetworks(k *checker) {
	for i, n := range k.config.Networks {
		if n.Name == "" && n.ID == "" {
			k.refuse(k.beside("networks", i, "name"), Problem{
				Message: "the network has neither name nor id, so that nothing can refer to it: give one"})
		}
		switch {
		case n.VLAN == nil:
		case n.VLAN.ID == nil:
			k.refuse(k.beside("networks", i, "vlan.id"), Problem{Allowed: "1 to 4094",
				Message: "the network's vlan has no id: give vlan.id, or unset vlan"})
		case !validVLANID(*n.VLAN.ID):
			k.refuse(k.beside("networks", i, "vlan.id"), Problem{Found: strconv.Itoa(*n.VLAN.ID), Allowed: "1 to 4094",
				Message: "this is no VLAN id: unset vlan for an untagged network"})
		}
		if n.MTU != nil && !validMTU(*n.MTU) {
			k.refuse(k.beside("networks", i, "mtu"), Problem{Found: strconv.Itoa(*n.MTU), Allowed: "68 to 65535",
				Message: "no link takes an mtu of this size: 1500 is usual, 9000 where jumbo frames are"})
		}
	}
}
