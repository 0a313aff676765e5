package netcfg

import (
	"fmt"
	"strconv"
)

func checkBondSlaves(k *checker) {
	for _, b := range k.bonds {
		if len(b.Bonding.Slaves) == 0 {
			k.refuse(b.at("bonding.slaves"), Problem{Allowed: "at least one NIC",
				Message: "the bond has no slaves and so no link: name its NICs, or take " + b.Name + " out with removed"})
		}
	}
}

func checkSingleSlave(k *checker) {
	for _, b := range k.bonds {
		if len(b.Bonding.Slaves) == 1 {
			k.warn(b.at("bonding.slaves"), Problem{Found: b.Bonding.Slaves[0],
				Message: "the bond has one slave only, so nothing takes over when that one fails: a second slave is advisable"})
		}
	}
}

func checkSlaveTwice(k *checker) {
	for _, b := range k.bonds {
		first := make(map[string]int, len(b.Bonding.Slaves))
		for i, s := range b.Bonding.Slaves {
			if j, twice := first[s]; twice {
				k.refuse(slot{b, i}.at(), Problem{Found: s,
					Message: fmt.Sprintf("%s is a slave of %s already, as number %d of the list: take one of the two out", s, b.Name, j+1)})
				continue
			}
			first[s] = i
		}
	}
}

// eachSlave calls visit for every slave of every bond. Each slave is visited once
// a bond: the second mention has been refused.
func (k *checker) eachSlave(visit func(s slot, name string)) {
	for _, b := range k.bonds {
		for i, name := range b.Bonding.Slaves {
			visit(slot{b, i}, name)
		}
	}
}

func checkSlaveShared(k *checker) {
	k.eachSlave(func(s slot, name string) {
		if first := k.masters[name]; first.bond != s.bond {
			k.refuse(s.at(), Problem{Found: name,
				Message: fmt.Sprintf("%s is a slave of %s already (%s), and a NIC has one bond: take it out of one of the two", name, first.bond.Name, first.at().path)})
		}
	})
}

func checkSlaveKind(k *checker) {
	k.eachSlave(func(s slot, name string) {
		n := k.byName[name]
		switch {
		case k.isBondName(name) || n != nil && n.Bonding != nil:
			k.refuse(s.at(), Problem{Found: name, Allowed: "NICs",
				Message: name + " is a bond, and a bond is not the slave of a bond: name the NICs themselves"})
		case n != nil && n.isVLAN():
			k.refuse(s.at(), Problem{Found: name, Allowed: "NICs",
				Message: name + " is a VLAN, and a VLAN is not the slave of a bond: make the NIC below it a slave and put the VLAN on the bond"})
		}
	})
}

func checkSlaveHasVLAN(k *checker) {
	k.eachSlave(func(s slot, name string) {
		vlans := k.vlansOn[name]
		if len(vlans) == 0 {
			return
		}
		names := make([]string, 0, 4)
		for i, v := range vlans {
			if i == 3 && len(vlans) > 4 {
				names = append(names, strconv.Itoa(len(vlans)-i)+" more")
				break
			}
			names = append(names, v.Name)
		}
		k.refuse(s.at(), Problem{Found: name,
			Message: fmt.Sprintf("%s carries %s, which would get no traffic any more: move them to %s or take them out with removed", name, joinWords(names, "and"), s.bond.Name)})
	})
}

// checkSlaveAddressing looks at each slave once, by the NIC.
func checkSlaveAddressing(k *checker) {
	for _, n := range k.nics {
		m, slave := k.masters[n.Name]
		if !slave || n.Name == "" {
			continue
		}
		refuse := func(field, found string) {
			k.refuse(n.at(field), Problem{Found: found,
				Message: fmt.Sprintf("%s is a slave of %s, and the address belongs on the bond: give it to %s and unset %s here", n.Name, m.bond.Name, m.bond.Name, field)})
		}
		if n.IP != nil {
			refuse("ip", n.IP.Address)
		}
		if n.IPv6 != nil {
			refuse("ipv6", n.IPv6.Address)
		}
		if len(n.AdditionalIPs) > 0 {
			refuse("additional_ips", n.AdditionalIPs[0])
		}
		if n.BootProtocol != "" && n.BootProtocol != BootNone {
			refuse("boot_protocol", string(n.BootProtocol))
		}
		if n.IPv6BootProtocol != "" && n.IPv6BootProtocol != BootNone {
			refuse("ipv6_boot_protocol", string(n.IPv6BootProtocol))
		}
	}
}

func checkSlaveNetwork(k *checker) {
	for _, n := range k.nics {
		if m, slave := k.masters[n.Name]; slave && n.Network != nil {
			k.refuse(n.at("network"), Problem{Found: orWords(n.Network.Name, n.Network.ID),
				Message: fmt.Sprintf("%s is a slave of %s, and the network belongs on the bond: attach it to %s and detach it here", n.Name, m.bond.Name, m.bond.Name)})
		}
	}
}

func checkSlaveMAC(k *checker) {
	for _, n := range k.nics {
		if m, slave := k.masters[n.Name]; slave && n.MAC != nil {
			k.refuse(n.at("mac"), Problem{Found: n.MAC.Address,
				Message: fmt.Sprintf("%s is a slave of %s and takes its hardware address from the bond: give the mac to %s, or unset it", n.Name, m.bond.Name, m.bond.Name)})
		}
	}
}

// checkSlaveMTU refuses what the kernel takes and the bond does not follow: an MTU
// set on a slave alone stays until the bond's is set.
func checkSlaveMTU(k *checker) {
	for _, n := range k.nics {
		m, slave := k.masters[n.Name]
		if !slave || n.MTU == nil {
			continue
		}
		if of := m.bond.MTU; of == nil || *of != *n.MTU {
			k.refuse(n.at("mtu"), Problem{Found: strconv.Itoa(*n.MTU),
				Message: fmt.Sprintf("%s is a slave of %s and takes its mtu from the bond: give the mtu to %s and unset it here", n.Name, m.bond.Name, m.bond.Name)})
		}
	}
}
