package netcfg

import (
	"fmt"
	"net"
	"strconv"
)

const (
	minMTU = 68
	maxMTU = 65535
	// minMTUIPv6 is IPV6_MIN_MTU: below it the kernel takes IPv6 off the link.
	minMTUIPv6 = 1280
)

func checkMAC(k *checker) {
	for _, n := range k.nics {
		if n.MAC == nil {
			continue
		}
		fault := ""
		m, err := ParseMAC(n.MAC.Address)
		switch {
		case err != nil:
			fault = "this is no hardware address: " + err.Error()
		case m.String() == "ff:ff:ff:ff:ff:ff":
			fault = "this is the broadcast address, which no NIC can have: give a unicast one"
		case m[0]&1 != 0:
			fault = "this is a multicast address, which no NIC can have: give one with an even first byte"
		case m.String() == net.HardwareAddr(make([]byte, 6)).String():
			fault = "all zeros are no hardware address: unset the mac to leave it to the agent"
		}
		if fault != "" {
			k.refuse(n.at("mac.address"), Problem{Found: n.MAC.Address, Allowed: "a unicast address such as 52:54:00:12:34:56", Message: fault})
		}
	}
}

// checkMACDuplicate lets VLANs share the address of what they are on, which they
// have by nature. Slaves are given none.
func checkMACDuplicate(k *checker) {
	type owner struct {
		*nic
		root string
	}
	first := map[string]owner{}
	for _, n := range k.nics {
		if _, slave := k.masters[n.Name]; slave || n.MAC == nil {
			continue
		}
		m, err := ParseMAC(n.MAC.Address)
		if err != nil {
			continue
		}
		root := n.Name
		if n.isVLAN() && n.BaseInterface != "" {
			root = n.BaseInterface
		}
		f, taken := first[m.String()]
		if taken && f.root != root {
			k.refuse(n.at("mac.address"), Problem{Found: n.MAC.Address,
				Message: fmt.Sprintf("%s has this hardware address already (%s), and two links with one address disturb each other: change one of the two", f.Name, f.at("mac.address").path)})
		}
		if !taken {
			first[m.String()] = owner{n, root}
		}
	}
}

func checkMTU(k *checker) {
	for _, n := range k.nics {
		if n.MTU != nil && !validMTU(*n.MTU) {
			k.refuse(n.at("mtu"), Problem{Found: strconv.Itoa(*n.MTU), Allowed: "68 to 65535, or less where the driver says so",
				Message: "no link takes an mtu of this size: 1500 is usual, 9000 where jumbo frames are"})
		}
	}
}

func validMTU(mtu int) bool { return mtu >= minMTU && mtu <= maxMTU }

func checkMTUIPv6(k *checker) {
	for _, n := range k.nics {
		if n.MTU == nil || *n.MTU >= minMTUIPv6 {
			continue
		}
		user := k.usesIPv6(n)
		if user == nil {
			continue
		}
		k.refuse(n.at("mtu"), Problem{Found: strconv.Itoa(*n.MTU), Allowed: "1280 or more with IPv6",
			Message: fmt.Sprintf("IPv6 is configured on %s, and it needs an mtu of 1280: the kernel would take its addresses away, so raise the mtu or unset IPv6", user.Name)})
	}
}

// usesIPv6 is the NIC itself or a VLAN that inherits its MTU, where IPv6 is
// configured; nil where it is not.
func (k *checker) usesIPv6(n *nic) *nic {
	if n.hasIPv6() {
		return n
	}
	for _, v := range k.vlansOn[n.Name] {
		if v.MTU == nil && v.hasIPv6() {
			return v
		}
	}
	return nil
}

func (n *nic) hasIPv6() bool {
	if n.IPv6 != nil || n.IPv6Boot() != BootNone {
		return true
	}
	for _, s := range n.AdditionalIPs {
		if isIPv6Text(s) {
			return true
		}
	}
	return false
}

func checkVLANMTU(k *checker) {
	for _, n := range k.nics {
		base := k.byName[n.BaseInterface]
		if !n.isVLAN() || n.MTU == nil || base == nil || base.MTU == nil || *n.MTU <= *base.MTU {
			continue
		}
		k.refuse(n.at("mtu"), Problem{Found: strconv.Itoa(*n.MTU), Allowed: fmt.Sprintf("at most %d", *base.MTU),
			Message: fmt.Sprintf("the mtu is above that of %s below the VLAN (%s), and the kernel refuses that: raise the one or lower the other", base.Name, base.at("mtu").path)})
	}
}
