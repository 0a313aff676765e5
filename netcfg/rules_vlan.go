package netcfg

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	minVLANID = 1
	maxVLANID = 4094
)

func checkVLANAndBonding(k *checker) {
	for _, b := range k.bonds {
		if b.VLAN != nil {
			k.refuse(b.at("vlan"), Problem{
				Message: b.Name + " is given both bonding and vlan: make the bond one host_nic and the VLAN on it another"})
		}
	}
}

func checkVLANID(k *checker) {
	for _, n := range k.nics {
		switch {
		case !n.isVLAN():
		case n.VLAN.ID == nil:
			k.refuse(n.at("vlan.id"), Problem{Allowed: "1 to 4094", Message: "the VLAN has no id: give vlan.id"})
		case !validVLANID(*n.VLAN.ID):
			k.refuse(n.at("vlan.id"), Problem{Found: strconv.Itoa(*n.VLAN.ID), Allowed: "1 to 4094",
				Message: "this is no VLAN id: 0 means untagged, 4095 is reserved, and more does not fit the tag"})
		}
	}
}

func validVLANID(id int) bool { return id >= minVLANID && id <= maxVLANID }

func checkVLANBase(k *checker) {
	for _, n := range k.nics {
		switch {
		case n.isVLAN() && n.BaseInterface == "":
			k.refuse(n.at("base_interface"), Problem{Allowed: "the name or id of a NIC or bond",
				Message: "the VLAN has no base_interface: say which NIC or bond it is on"})
		case n.VLAN == nil && n.BaseInterface != "":
			k.refuse(n.at("base_interface"), Problem{Found: n.BaseInterface,
				Message: "a base_interface is given, but this is no VLAN: give vlan.id, too, or take base_interface out"})
		}
	}
}

func checkVLANDuplicate(k *checker) {
	type key struct {
		base string
		id   int
	}
	first := make(map[key]*nic, len(k.nics))
	for _, n := range k.nics {
		if !n.isVLAN() || n.VLAN.ID == nil || n.BaseInterface == "" {
			continue
		}
		id := key{n.BaseInterface, *n.VLAN.ID}
		if f := first[id]; f != nil {
			k.refuse(n.at("vlan.id"), Problem{Found: strconv.Itoa(id.id),
				Message: fmt.Sprintf("%s and %s are both VLAN %d on %s: keep one of the two, or change an id",
					f.at("vlan.id").path, n.at("vlan.id").path, id.id, id.base)})
			continue
		}
		first[id] = n
	}
}

func checkVLANOnVLAN(k *checker) {
	for _, n := range k.nics {
		if base := k.byName[n.BaseInterface]; n.isVLAN() && base != nil && base.isVLAN() {
			k.refuse(n.at("base_interface"), Problem{Found: n.BaseInterface, Allowed: "a NIC or a bond",
				Message: fmt.Sprintf("%s is a VLAN itself, and a VLAN on a VLAN is not supported: put both on %s", base.Name, orWords(base.BaseInterface, "the NIC below"))})
		}
	}
}

func checkVLANOnSlave(k *checker) {
	for _, n := range k.nics {
		if !n.isVLAN() {
			continue
		}
		if s, ok := k.masters[n.BaseInterface]; ok && n.BaseInterface != "" {
			k.refuse(n.at("base_interface"), Problem{Found: n.BaseInterface,
				Message: fmt.Sprintf("%s is a slave of %s, where a VLAN gets no traffic: put the VLAN on %s",
					n.BaseInterface, s.bond.Name, s.bond.Name)})
		}
	}
}

// checkCycle follows slaves and base interfaces downwards, depth first, and
// reports each link back to where it came from.
func checkCycle(k *checker) {
	w := cycleWalk{checker: k, state: make([]walkState, len(k.nics))}
	for _, n := range k.nics {
		w.visit(n)
	}
}

type walkState int

const (
	unseen walkState = iota
	onPath
	done
)

type cycleWalk struct {
	*checker
	state []walkState
	path  []step
}

// step is one link downwards: from a NIC by one of its fields.
type step struct {
	from  *nic
	at    func() place
	slave bool
}

func (w *cycleWalk) visit(n *nic) {
	if w.state[n.order] != unseen {
		return
	}
	w.state[n.order] = onPath
	if n.BaseInterface != "" {
		w.follow(step{from: n, at: func() place { return n.at("base_interface") }}, n.BaseInterface)
	}
	if n.Bonding != nil {
		for i, s := range n.Bonding.Slaves {
			// A slave that is listed twice is another rule's.
			if m := w.masters[s]; m.bond.nic != n || m.index == i {
				w.follow(step{n, func() place { return n.at(indexed("bonding.slaves", i)) }, true}, s)
			}
		}
	}
	w.state[n.order] = done
}

func (w *cycleWalk) follow(s step, name string) {
	to := w.byName[name]
	if to == nil || name == "" {
		return
	}
	w.path = append(w.path, s)
	if w.state[to.order] == onPath {
		w.report(to)
	} else {
		w.visit(to)
	}
	w.path = w.path[:len(w.path)-1]
}

// report prints the cycle from the NIC to itself. It blames a list of slaves
// rather than a base interface, since a VLAN on a bond is right in itself.
func (w *cycleWalk) report(to *nic) {
	i := len(w.path) - 1
	for w.path[i].from != to {
		i--
	}
	cycle := w.path[i:]
	blame := cycle[0]
	for _, s := range cycle {
		if s.slave {
			blame = s
			break
		}
	}
	if w.settled[blame.at().path] {
		return
	}
	var names []string
	for j, s := range cycle {
		if j == 8 && len(cycle) > 10 {
			names = append(names, fmt.Sprintf("(%d more)", len(cycle)-j))
			break
		}
		names = append(names, s.from.Name)
	}
	names = append(names, to.Name)
	w.refuse(blame.at(), Problem{Message: to.Name + " would stand on itself: " + strings.Join(names, " → ") + " is a cycle, so take one of the links out"})
}

// orWords is s, or other where s is empty.
func orWords(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
