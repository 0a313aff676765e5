package netcfg

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

func checkAddressAndProtocol(k *checker) {
	k.eachFamily(func(n *nic, f *family) {
		where := f.static()
		if where == "" || f.protocol == "" || f.protocol == BootStatic {
			return
		}
		why := "takes its address from the network"
		if f.protocol == BootNone {
			why = "means no address"
		}
		k.refuse(n.at(f.boot), Problem{Found: string(f.protocol), Allowed: "static beside an address",
			Message: fmt.Sprintf("%s %s, but %s gives one: say static, or unset the address", f.protocol, why, where)})
	})
}

func checkStaticAddress(k *checker) {
	k.eachFamily(func(n *nic, f *family) {
		if f.protocol == BootStatic && f.static() == "" {
			k.refuse(n.at(f.name+".address"), Problem{
				Message: fmt.Sprintf("%s is static, but no address is given: give %s.address and %s, or choose another boot protocol", f.boot, f.name, f.maskField)})
		}
	})
}

func checkAddressMissing(k *checker) {
	k.eachFamily(func(n *nic, f *family) {
		if f.protocol == BootStatic && f.static() == "" {
			return // refused for that already
		}
		if f.mask != "" && f.address == "" {
			k.refuse(n.at(f.maskField), Problem{Found: f.mask,
				Message: fmt.Sprintf("%s is given without an address and means nothing: give %s.address, too, or unset %s", f.maskField, f.name, f.name)})
		}
		if f.gateway != "" && f.static() == "" && (f.protocol == "" || f.protocol == BootNone) {
			k.refuse(n.at(f.name+".gateway"), Problem{Found: f.gateway,
				Message: fmt.Sprintf("a gateway is given without an address to reach it from: give %s.address, too, or unset the gateway", f.name)})
		}
	})
}

// judged are the static addresses whose own fields are in order. Once the same
// address twice has been looked for, the second is not among them.
func (k *checker) judged() []placed {
	return slices.DeleteFunc(slices.Clone(k.static), func(p placed) bool {
		return p.prefix.Bits() == 0 || len(k.settled) > 0 && k.settled[p.at(p.field).path]
	})
}

func checkAddressDuplicate(k *checker) {
	all := k.judged()
	first := make(map[netip.Addr]placed, len(all))
	for _, p := range all {
		a := p.prefix.Addr()
		if f, taken := first[a]; taken {
			k.refuse(p.at(p.field), Problem{Found: a.String(),
				Message: fmt.Sprintf("the address is given already at %s: keep one of the two", f.at(f.field).path)})
			continue
		}
		first[a] = p
	}
}

// checkOverlap walks through the subnets in order of their first address, the
// larger ones first, so that whatever encloses a subnet is on the stack when its
// turn comes. Comparing all pairs would take seconds for thousands of VLANs.
func checkOverlap(k *checker) {
	if k.limits.AllowOverlap {
		return
	}
	all := k.judged()
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(a.prefix.Masked().Addr().Compare(b.prefix.Masked().Addr()),
			cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(a.order, b.order))
	})
	var stack []placed
	for _, p := range all {
		for len(stack) > 0 && !stack[len(stack)-1].prefix.Contains(p.prefix.Addr()) {
			stack = stack[:len(stack)-1]
		}
		for _, other := range slices.Backward(stack) {
			if other.nic != p.nic {
				k.overlap(other, p)
				break
			}
		}
		// Of equal subnets the first stays. Another NIC's has just been refused.
		if len(stack) == 0 || stack[len(stack)-1].prefix.Masked() != p.prefix.Masked() {
			stack = append(stack, p)
		}
	}
}

func (k *checker) overlap(a, b placed) {
	if a.order > b.order {
		a, b = b, a
	}
	k.refuse(b.at(b.field), Problem{Found: b.prefix.String(),
		Message: fmt.Sprintf("the subnet %s overlaps with %s of %s (%s), so that the host could not tell through which of the two a neighbor is reached: choose subnets that are apart",
			b.prefix.Masked(), a.prefix.Masked(), a.Name, a.at(a.field).path)})
}
