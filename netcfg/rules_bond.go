package netcfg

import (
	"fmt"
	"slices"
	"strings"
)

// eachOption calls visit for the options of every bond that can be read.
func (k *checker) eachOption(visit func(b *bond, o *option)) {
	for _, b := range k.bonds {
		for i := range b.options {
			if o := &b.options[i]; o.known && o.err == nil {
				visit(b, o)
			}
		}
	}
}

func checkOptionKnown(k *checker) {
	for _, b := range k.bonds {
		for i := range b.options {
			o := &b.options[i]
			switch {
			case o.known:
			case o.Name == "active_slave":
				k.refuse(b.optionAt(o), Problem{Found: o.Name, Allowed: "primary",
					Message: "active_slave is what the bond does at the moment and not configuration: say primary to prefer a slave"})
			default:
				hint := "agentctl capabilities lists the options"
				if near := nearestOption(o.Name); near != "" {
					hint = "did you mean " + near + "?"
				}
				k.refuse(b.optionAt(o), Problem{Found: o.Name, Message: "this is no option of a bond: " + hint})
			}
		}
	}
}

// nearestOption is the option that was probably meant, or nothing.
func nearestOption(name string) string {
	if len(name) > 2*maxNameLen {
		return ""
	}
	name = strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(name))
	best, least := "", min(3, len(name)/2+1)
	for _, s := range BondOptions {
		if d := editDistance(name, s.Name); d < least {
			best, least = s.Name, d
		}
	}
	return best
}

// editDistance is Levenshtein's: single letters put in, taken out or replaced.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, replace)
		}
	}
	return row[len(b)]
}

func checkOptionTwice(k *checker) {
	for _, b := range k.bonds {
		first := make(map[string]string, len(b.options))
		for i := range b.options {
			o := &b.options[i]
			name := o.Name
			if o.known {
				name = o.spec.Name
			}
			if f, twice := first[name]; twice {
				k.refuse(b.optionAt(o), Problem{Found: o.Name, Message: sayTwice(f, o.Name)})
				continue
			}
			first[name] = o.Name
		}
	}
}

// sayTwice is Merge's message, too, which sees what it puts together.
func sayTwice(first, second string) string {
	if first == second {
		return first + " is given twice: keep one of the two"
	}
	return fmt.Sprintf("%s and %s are two names of one option: keep one of the two", first, second)
}

func checkOptionValue(k *checker) {
	for _, b := range k.bonds {
		for i := range b.options {
			if o := &b.options[i]; o.known && o.err != nil {
				k.refuse(b.optionAt(o), Problem{Found: o.Value, Allowed: o.spec.Allowed(),
					Message: o.Name + " does not take this value: choose one that is allowed"})
			}
		}
	}
}

// checkOptionMode is strict about defaults, too: the kernel answers EACCES before
// it looks at the value.
func checkOptionMode(k *checker) {
	k.eachOption(func(b *bond, o *option) {
		if !b.modeRead || o.spec.ValidIn(b.mode) {
			return
		}
		k.refuse(b.optionAt(o), Problem{Found: o.Name, Allowed: "in mode " + joinWords(o.spec.Modes, "or"),
			Message: fmt.Sprintf("%s is not for mode %s: take the option out, or change the mode", o.Name, b.mode)})
	})
}

func checkOptionIdle(k *checker) {
	k.eachOption(func(b *bond, o *option) {
		if !b.modeRead || o.spec.Acts == nil || slices.Contains(o.spec.Acts, b.mode) || o.value == o.spec.Default || !o.spec.ValidIn(b.mode) {
			return
		}
		k.warn(b.optionAt(o), Problem{Found: o.Value,
			Message: fmt.Sprintf("%s does nothing in mode %s: it works in %s", o.Name, b.mode, joinWords(o.spec.Acts, "and"))})
	})
}

// monitors are the two intervals that watch the links, 0 where not given. ARP
// monitoring in a mode that has none has been refused and does not count.
func (b *bond) monitors() (mii, arp int) {
	if o := b.option("arp_interval"); o != nil && o.spec.ValidIn(b.mode) {
		arp = b.number("arp_interval")
	}
	return b.number("miimon"), arp
}

func checkTwoMonitors(k *checker) {
	for _, b := range k.bonds {
		if mii, arp := b.monitors(); mii > 0 && arp > 0 {
			k.refuse(b.optionAt(b.option("arp_interval")), Problem{Found: b.option("arp_interval").Value, Allowed: "0 beside miimon",
				Message: "miimon and arp_interval are both set, but the kernel watches links in one way only: unset one of the two"})
		}
	}
}

func checkNoMonitor(k *checker) {
	for _, b := range k.bonds {
		if mii, arp := b.monitors(); b.option("miimon") != nil && mii == 0 && arp == 0 {
			k.refuse(b.optionAt(b.option("miimon")), Problem{Found: "0", Allowed: "1 or more, 100 being usual",
				Message: "with miimon 0 and no arp_interval nobody watches the links, and a dead slave goes on being used: unset miimon or set one of the two"})
		}
	}
}

func checkARPTargets(k *checker) {
	for _, b := range k.bonds {
		if _, arp := b.monitors(); arp == 0 || b.broken("arp_ip_target") || b.broken("ns_ip6_target") {
			continue
		}
		if v4, v6 := b.option("arp_ip_target"), b.option("ns_ip6_target"); (v4 == nil || v4.value == "") && (v6 == nil || v6.value == "") {
			k.refuse(b.optionAt(b.option("arp_interval")), Problem{Found: b.option("arp_interval").Value,
				Message: "arp_interval is set, but there is nobody to ask: give arp_ip_target, such as the gateway's address"})
		}
	}
}

// broken is true of an option whose value has been refused.
func (b *bond) broken(name string) bool {
	return slices.ContainsFunc(b.options, func(o option) bool { return o.spec.Name == name && o.err != nil })
}

func checkARPValidate(k *checker) {
	for _, b := range k.bonds {
		o := b.option("arp_validate")
		if o == nil || o.value == "none" || !o.spec.ValidIn(b.mode) || b.broken("arp_interval") {
			continue
		}
		if _, arp := b.monitors(); arp == 0 {
			k.refuse(b.optionAt(o), Problem{Found: o.Value, Allowed: "none without arp_interval",
				Message: "arp_validate is about ARP monitoring, which is off: set arp_interval and arp_ip_target, or take arp_validate out"})
		}
	}
}

// checkDelays refuses what the kernel answers with EPERM, for the value 0, too.
func checkDelays(k *checker) {
	k.eachOption(func(b *bond, o *option) {
		mii, arp := b.monitors()
		off := arp > 0 || b.option("miimon") != nil
		if o.spec.NeedsMiimon && mii == 0 && off && !b.broken("miimon") {
			k.refuse(b.optionAt(o), Problem{Found: o.Value,
				Message: o.Name + " is counted in steps of miimon, which is off: take it out, or watch the links with miimon"})
		}
	})
}

func checkPrimary(k *checker) {
	for _, b := range k.bonds {
		o := b.option("primary")
		if o == nil || o.value == "" || slices.Contains(b.Bonding.Slaves, o.value) {
			continue
		}
		k.refuse(b.optionAt(o), Problem{Found: o.Value, Allowed: joinWords(b.Bonding.Slaves, "or"),
			Message: fmt.Sprintf("%s is not a slave of %s, and the primary is one of them: choose another, or add it to the slaves", o.value, b.Name)})
	}
}

// checkBondMAC: the kernel answers success to a MAC set on such a bond and does
// nothing (bond_set_mac_address in drivers/net/bonding/bond_main.c).
func checkBondMAC(k *checker) {
	for _, b := range k.bonds {
		o := b.option("fail_over_mac")
		if o != nil && o.value == "active" && b.MAC != nil && b.modeRead && b.mode == ModeActiveBackup {
			k.refuse(b.at("mac"), Problem{Found: b.MAC.Address,
				Message: "with fail_over_mac=active the bond takes the hardware address of its active slave: unset the mac, or choose another fail_over_mac"})
		}
	}
}

// checkBridgedMode knows only networks that the document describes as bridged.
// The modes are those that send one address through several ports, which a bridge
// would learn at the wrong one.
func checkBridgedMode(k *checker) {
	bridged := map[Reference]bool{}
	for _, n := range k.config.Networks {
		if n.Bridged != nil && *n.Bridged {
			bridged[Reference{ID: n.ID}], bridged[Reference{Name: n.Name}] = true, true
		}
	}
	delete(bridged, Reference{})
	bonds := make(map[string]*bond, len(k.bonds))
	for _, b := range k.bonds {
		bonds[b.Name] = b
	}
	for _, n := range k.nics {
		if n.Network == nil || !bridged[Reference{ID: n.Network.ID}] && !bridged[Reference{Name: n.Network.Name}] {
			continue
		}
		name := n.Name
		if n.isVLAN() {
			name = n.BaseInterface
		}
		b := bonds[name]
		if b == nil || !b.modeRead || !slices.Contains([]string{ModeRoundRobin, ModeTLB, ModeALB}, b.mode) {
			continue
		}
		k.refuse(b.at("bonding.options.mode"), Problem{Found: b.mode, Allowed: "active-backup, balance-xor, broadcast or 802.3ad",
			Message: fmt.Sprintf("the bridged network %s on %s does not work over a bond in this mode: change the mode, or detach the network", orWords(n.Network.Name, n.Network.ID), n.Name)})
	}
}
