package kerneltest

import (
	"math/rand/v2"
	"strconv"

	"github.com/hostnic/hostnic/netcfg"
)

// Seeded is the source of randomness of a seed, for GenConfig. A test prints the
// seed of what has failed.
func Seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// GenConfig makes up a configuration of a host with these NICs: up to three bonds
// of any mode, VLANs on bonds and NICs, static addresses of both families, at most
// one default gateway a family, MTUs, MACs and routes. netcfg.Config.Validate
// takes it, and so does every kernel; NICs that no bond took may be left out of
// it. The same state of r makes the same configuration.
func GenConfig(r *rand.Rand, nics []string) netcfg.Config {
	g := gen{Rand: r, free: append([]string(nil), nics...)}
	if g.chance(2) {
		return netcfg.Config{}
	}
	r.Shuffle(len(g.free), func(i, j int) { g.free[i], g.free[j] = g.free[j], g.free[i] })
	for range r.IntN(4) {
		g.addBond()
	}
	for _, name := range g.free {
		if g.chance(60) {
			g.add(netcfg.HostNic{Name: name})
		}
	}
	for range r.IntN(5) {
		g.addVLAN()
	}
	for i := range g.nics {
		if !g.slaves[g.nics[i].Name] {
			g.address(i)
		}
	}
	g.gateways()
	g.addRoutes()
	g.forgetEdges()
	r.Shuffle(len(g.nics), func(i, j int) { g.nics[i], g.nics[j] = g.nics[j], g.nics[i] })
	return netcfg.Config{HostNics: g.nics, Routes: g.routes}
}

// gen is one configuration in the making.
type gen struct {
	*rand.Rand
	// free are the NICs that no bond has.
	free   []string
	nics   []netcfg.HostNic
	slaves map[string]bool
	routes []netcfg.Route
	// subnets is how many there are; no two overlap.
	subnets int
	// hops are the next hops on the subnets, by family.
	hops4, hops6 []hop
}

// hop is a router on a subnet of a NIC, which is given by its place in nics.
type hop struct {
	nic     int
	gateway string
}

func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *gen, of []T) T { return of[g.IntN(len(of))] }

func (g *gen) add(n netcfg.HostNic) {
	// 1280 is the least with IPv6, which address adds without looking.
	if n.VLAN == nil && g.chance(40) {
		n.MTU = new(pick(g, []int{1280, 1400, 1500, 2000, 9000}))
	}
	if n.VLAN == nil && (n.Bonding == nil || !failsOverMAC(n.Bonding)) && g.chance(15) {
		n.MAC = &netcfg.MAC{Address: g.mac()}
	}
	g.nics = append(g.nics, n)
}

// mac is unicast, locally administered, and no other NIC's: its end is counted.
func (g *gen) mac() string {
	g.subnets++
	const hex = "0123456789abcdef"
	n := g.subnets & 0xff
	return "02:00:5e:10:" + []string{"00", "11", "22"}[g.IntN(3)] + ":" + string([]byte{hex[n>>4], hex[n&15]})
}

func (g *gen) addVLAN() {
	if len(g.nics)+len(g.free) == 0 {
		return
	}
	i := g.IntN(len(g.nics) + len(g.free))
	n := netcfg.HostNic{VLAN: &netcfg.VLAN{ID: new(1 + g.IntN(4094))}}
	var mtu *int
	if i < len(g.nics) {
		base := &g.nics[i]
		if base.VLAN != nil || g.slaves[base.Name] {
			return
		}
		n.BaseInterface, mtu = base.Name, base.MTU
	} else {
		// One that the document may not speak of.
		n.BaseInterface = g.free[i-len(g.nics)]
		for j := range g.nics {
			if g.nics[j].Name == n.BaseInterface {
				mtu = g.nics[j].MTU
			}
		}
	}
	for j := range g.nics {
		if o := &g.nics[j]; o.BaseInterface == n.BaseInterface && *o.VLAN.ID == *n.VLAN.ID {
			return
		}
	}
	n.Name = n.BaseInterface + "." + strconv.Itoa(*n.VLAN.ID)
	if len(n.Name) > 15 || g.chance(10) {
		n.Name = "v" + strconv.Itoa(len(g.nics)) + "x" + strconv.Itoa(*n.VLAN.ID)
	}
	if mtu != nil && g.chance(40) {
		n.MTU = new(max(1280, *mtu-g.IntN(3)*100))
	}
	g.add(n)
}
