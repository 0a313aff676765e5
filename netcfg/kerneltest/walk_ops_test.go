//go:build kernel

package kerneltest

import (
	"fmt"
	"math/rand/v2"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

func one(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// operation makes up an operation, as a function, because the indexes differ.
func (w *walk) operation() func(*lab) plan.Op {
	switch w.IntN(20) {
	case 0, 1:
		if s := w.fake.look(); s.ByName("a") != nil && s.ByName("b") != nil {
			return w.enslave()
		}
		return w.newBond()
	case 2, 3:
		return w.newVLAN()
	case 4:
		if w.IntN(2) == 0 {
			return w.attributes()
		}
		name := w.there("a", "b", "v", "w", "u")
		return func(l *lab) plan.Op { return l.del(name) }
	case 5, 6, 7, 8:
		return w.enslave()
	case 9, 10:
		return w.options()
	case 11, 12, 13:
		return w.addresses()
	case 14, 15:
		return w.routes()
	}
	return w.attributes()
}

// there chooses a link that is there, but for one time in ten.
func (w *walk) there(names ...string) string {
	s := w.fake.look()
	for range 20 {
		if name := one(w.Rand, names...); s.ByName(name) != nil || w.IntN(200) == 0 {
			return name
		}
	}
	return one(w.Rand, names...)
}

// gone chooses one that is not.
func (w *walk) gone(names ...string) string {
	s := w.fake.look()
	for range 20 {
		if name := one(w.Rand, names...); s.ByName(name) == nil {
			return name
		}
	}
	return one(w.Rand, names...)
}

func (w *walk) anyLink() string { return w.there("x", "y", "z", "a", "b", "v", "w", "u") }

func (w *walk) newBond() func(*lab) plan.Op {
	name, words := w.gone("a", "b"), "mode="+netcfg.BondModes[w.IntN(7)]
	if w.IntN(4) > 0 {
		words += " miimon=50"
	}
	for range w.IntN(3) {
		words += " " + w.option()
	}
	var more []with
	if w.IntN(3) == 0 {
		more = append(more, mac(fmt.Sprintf("02:00:00:00:02:%02x", w.IntN(3))))
	}
	if w.IntN(3) == 0 {
		more = append(more, mtu(1200+400*w.IntN(3)))
	}
	if w.IntN(2) == 0 {
		more = append(more, up)
	}
	return func(l *lab) plan.Op { return l.bond(name, append(more, opt(words))...) }
}

func (w *walk) newVLAN() func(*lab) plan.Op {
	name, parent, id := w.gone("v", "w", "u"), w.anyLink(), 1+w.IntN(2)
	var more []with
	if w.IntN(3) == 0 {
		more = append(more, mtu(1200+300*w.IntN(3)))
	}
	if w.IntN(4) == 0 {
		more = append(more, mac(fmt.Sprintf("02:00:00:00:03:%02x", w.IntN(3))))
	}
	if w.IntN(2) == 0 {
		more = append(more, up)
	}
	return func(l *lab) plan.Op { return l.vlan(name, parent, id, more...) }
}

// enslave gives a NIC a master, and mostly sets it down in the same request. That
// bonds and VLANs may be slaves, too, is known and of no use.
func (w *walk) enslave() func(*lab) plan.Op {
	name, to := one(w.Rand, walkNICs...), w.there("a", "b")
	if w.IntN(5) == 0 {
		to = ""
	}
	first := w.IntN(4) > 0
	return func(l *lab) plan.Op {
		o := l.set(name)
		if to == "" {
			free(&o)
			return o
		}
		l.master(to)(&o)
		if first {
			o.Up = &no
		}
		return o
	}
}

// option is one that may be out of place.
func (w *walk) option() string {
	s := netcfg.BondOptions[1+w.IntN(len(netcfg.BondOptions)-1)]
	// Nobody answers an ARP monitor here.
	if s.Name == "primary" || s.Name == "arp_interval" || w.IntN(6) == 0 {
		return one(w.Rand, "miimon=50", "miimon=70", "min_links=2", "primary_reselect=failure", "fail_over_mac=follow", "updelay=0")
	}
	return s.Name + "=" + sample[s.Name]
}

func (w *walk) options() func(*lab) plan.Op {
	name := w.there("a", "b")
	switch w.IntN(6) {
	case 0:
		words := "mode=" + netcfg.BondModes[w.IntN(7)]
		return func(l *lab) plan.Op { return l.set(name, opt(words)) }
	case 1, 2:
		primary := one(w.Rand, "x", "y", "z", "")
		return func(l *lab) plan.Op { return l.set(name, l.primary(primary)) }
	}
	words := w.option()
	return func(l *lab) plan.Op { return l.set(name, opt(words)) }
}

func (w *walk) attributes() func(*lab) plan.Op {
	name := w.anyLink()
	var word with
	switch w.IntN(8) {
	case 0:
		word = mtu([]int{1200, 1400, 1500, 2000}[w.IntN(4)])
	case 1:
		word = mac(fmt.Sprintf("02:00:00:00:04:%02x", w.IntN(3)))
	case 2:
		word = []with{none, eui}[w.IntN(2)]
	case 3:
		word = group(uint32(1 + w.IntN(2)))
	case 4:
		word = down
	default:
		word = up
	}
	return func(l *lab) plan.Op { return l.set(name, word) }
}

func (w *walk) addresses() func(*lab) plan.Op {
	name := w.anyLink()
	words := one(w.Rand, "10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/16", "10.1.0.1/24", "10.1.0.2/32", "10.0.0.1/32",
		"2001:db8::1/64 nodad", "2001:db8::2/64 nodad", "2001:db8:1::1/64 nodad", "2001:db8::1/48 nodad", "2001:db8:1::2/128 nodad")
	if w.IntN(3) == 0 {
		return func(l *lab) plan.Op { return l.delAddr(name, words) }
	}
	return func(l *lab) plan.Op { return l.addr(name, words) }
}

func (w *walk) routes() func(*lab) plan.Op {
	words := one(w.Rand, "10.9.0.0/16 via 10.0.0.9", "10.9.0.0/16 via 10.1.0.9", "10.9.0.0/16", "default via 10.0.0.9", "10.0.0.0/24",
		"default6 via 2001:db8::9", "default6 via fe80::9", "2001:db8:9::/64 via 2001:db8:1::9", "2001:db8:9::/64", "2001:db8::/64",
		"10.9.0.0/16 via 192.168.0.1 onlink", "2001:db8:9::/64 via 2001:db8:77::1 onlink", "10.8.0.0/16 via 10.9.0.1")
	words += " dev " + w.anyLink()
	words += one(w.Rand, "", "", "", " metric 256", " metric 7", " src 10.0.0.1", " table 77", " proto 2")
	if words[0] == '2' || words[:8] == "default6" {
		words = replaceSource(words)
	}
	switch w.IntN(4) {
	case 0:
		return func(l *lab) plan.Op { return l.delRoute(words) }
	case 1:
		return func(l *lab) plan.Op { return l.replace(words) }
	}
	return func(l *lab) plan.Op { return l.route(words) }
}

func replaceSource(words string) string {
	const v4, v6 = " src 10.0.0.1", " src 2001:db8::1"
	if n := len(words) - len(v4); n > 0 && words[n:] == v4 {
		return words[:n] + v6
	}
	return words
}
