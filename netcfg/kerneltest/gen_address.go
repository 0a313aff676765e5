package kerneltest

import (
	"net/netip"
	"strconv"

	"github.com/hostnic/hostnic/netcfg"
)

// address gives a NIC static addresses of either family, or none.
func (g *gen) address(i int) {
	n := &g.nics[i]
	if g.chance(60) {
		g.address4(n, i)
	} else if g.chance(5) {
		n.BootProtocol = netcfg.BootNone
	}
	if g.chance(45) {
		g.address6(n, i)
	} else if g.chance(5) {
		n.IPv6BootProtocol = netcfg.BootNone
	}
}

// subnet4 is 10.x.y.0 with the length, and where in it the router is.
func (g *gen) subnet4(bits int) (net netip.Addr, router string) {
	g.subnets++
	a := [4]byte{10, byte(g.subnets), byte(g.IntN(256)), 0}
	net = netip.AddrFrom4(a)
	a[3] = byte(1<<(32-bits) - 2)
	return net, netip.AddrFrom4(a).String()
}

func host4(net netip.Addr, n int) string {
	a := net.As4()
	a[3] += byte(n)
	return netip.AddrFrom4(a).String()
}

func (g *gen) address4(n *netcfg.HostNic, place int) {
	bits := 24 + g.IntN(6)
	net, router := g.subnet4(bits)
	mask := strconv.Itoa(bits)
	if g.chance(50) {
		mask = netcfg.Netmask(bits)
	}
	first := 1 + g.IntN(2)
	n.IP = &netcfg.IP{Address: host4(net, first), Netmask: mask}
	if g.chance(30) {
		n.BootProtocol = netcfg.BootStatic
	}
	// More in the same subnet are secondaries.
	for i := range g.IntN(3) {
		n.AdditionalIPs = append(n.AdditionalIPs, host4(net, first+1+i)+"/"+strconv.Itoa(bits))
	}
	if g.chance(20) {
		other, _ := g.subnet4(24)
		n.AdditionalIPs = append(n.AdditionalIPs, host4(other, 7)+"/"+strconv.Itoa(24+8*g.IntN(2)))
	}
	g.hops4 = append(g.hops4, hop{place, router})
}

// subnet6 is 2001:db8:0:x::/64.
func (g *gen) subnet6() netip.Addr {
	g.subnets++
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, byte(g.IntN(256)), byte(g.subnets)})
}

func host6(net netip.Addr, n byte) string {
	a := net.As16()
	a[15] = n
	return netip.AddrFrom16(a).String()
}

func (g *gen) address6(n *netcfg.HostNic, place int) {
	net := g.subnet6()
	n.IPv6 = &netcfg.IPv6{Address: host6(net, 1), Prefix: new(64)}
	if g.chance(30) {
		n.IPv6BootProtocol = netcfg.BootStatic
	}
	for i := range g.IntN(3) {
		n.AdditionalIPs = append(n.AdditionalIPs, host6(net, byte(2+i))+"/64")
	}
	if g.chance(20) {
		n.AdditionalIPs = append(n.AdditionalIPs, host6(g.subnet6(), 9)+"/"+pick(g, []string{"64", "96", "128"}))
	}
	router := host6(net, 0xfe)
	if g.chance(20) {
		router = "fe80::1"
	}
	g.hops6 = append(g.hops6, hop{place, router})
}

// gateways chooses at most one default gateway a family.
func (g *gen) gateways() {
	if len(g.hops4) > 0 && g.chance(60) {
		h := pick(g, g.hops4)
		g.nics[h.nic].IP.Gateway = h.gateway
	}
	if len(g.hops6) > 0 && g.chance(60) {
		h := pick(g, g.hops6)
		g.nics[h.nic].IPv6.Gateway = h.gateway
	}
}

// addRoutes adds routes to destinations of their own, by way of the routers on
// the subnets.
func (g *gen) addRoutes() {
	for i := range g.IntN(3) {
		family := g.hops4
		r := netcfg.Route{Destination: "172.16." + strconv.Itoa(i) + ".0/24"}
		if g.chance(40) {
			family = g.hops6
			r.Destination = "2001:db8:ffff:" + strconv.Itoa(i) + "::/64"
		}
		if len(family) == 0 {
			continue
		}
		h := pick(g, family)
		r.Gateway, r.NIC = h.gateway, g.nics[h.nic].Name
		if g.chance(30) {
			r.Metric = new(1 + g.IntN(2000))
		}
		if g.chance(15) {
			r.Table = new(100 + g.IntN(3))
		}
		g.routes = append(g.routes, r)
	}
}

// forgetEdges leaves bare entries of slaves in the document now and then.
func (g *gen) forgetEdges() {
	for _, n := range g.nics[:len(g.nics):len(g.nics)] {
		if n.Bonding != nil && g.chance(20) {
			g.nics = append(g.nics, netcfg.HostNic{Name: n.Bonding.Slaves[0]})
		}
	}
}
