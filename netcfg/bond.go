package netcfg

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// BondModes are the kernel's bonding modes; a mode's number is its index
// (include/uapi/linux/if_bonding.h).
var BondModes = []string{
	"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb",
}

// The mode names that the code speaks of.
const (
	ModeRoundRobin   = "balance-rr"
	ModeActiveBackup = "active-backup"
	ModeXOR          = "balance-xor"
	ModeBroadcast    = "broadcast"
	Mode8023AD       = "802.3ad"
	ModeTLB          = "balance-tlb"
	ModeALB          = "balance-alb"
)

// OptionClass is what changing an option costs a bond that is in use.
type OptionClass int

// The classes, from cheap to dear.
const (
	ClassLive      OptionClass = iota // on a running bond, nothing is lost
	ClassDown                         // the bond must be down; its slaves may stay
	ClassSlavesOut                    // no slave may be enslaved
)

// OptionType is how the value of an option is written.
type OptionType int

// The types of value.
const (
	TypeEnum  OptionType = iota // a word or its number
	TypeInt                     // a decimal number within Min and Max
	TypeIPv4s                   // up to 16 IPv4 addresses, comma separated
	TypeIPv6s                   // up to 16 IPv6 addresses, comma separated
	TypeSlave                   // the name or id of a slave, or empty
	TypeMAC                     // a unicast hardware address, or all zeros
)

// OptionSpec describes one option of the kernel's bonding driver. The source is
// Documentation/networking/bonding.rst and drivers/net/bonding/bond_options.c;
// which change is refused when was measured on Linux 6.1.
type OptionSpec struct {
	Name string
	Type OptionType
	// Words are the words of an enum; a word's number is its index.
	Words    []string
	Min, Max int
	// Default is the kernel's default in canonical form.
	Default string
	// Modes are the modes in which the kernel takes the option; nil means all.
	Modes []string
	// Acts are the modes in which the option does something; nil means Modes.
	Acts  []string
	Class OptionClass
	Unit  string
	// NeedsMiimon marks the delays, which the kernel refuses while miimon is 0.
	NeedsMiimon bool
}

const maxInt = 1<<31 - 1

var (
	arpModes    = []string{ModeRoundRobin, ModeActiveBackup, ModeXOR, ModeBroadcast}
	activeModes = []string{ModeActiveBackup, ModeTLB, ModeALB}
	lacpOnly    = []string{Mode8023AD}
	dynamicLB   = []string{ModeTLB, ModeALB}
	hashModes   = []string{ModeXOR, Mode8023AD, ModeTLB}
)

// BondOptions are all options that a document may set, in the order in which
// the kernel applies them within one request (bond_changelink in
// drivers/net/bonding/bond_netlink.c).
var BondOptions = []OptionSpec{
	{Name: "mode", Type: TypeEnum, Words: BondModes, Default: ModeRoundRobin, Class: ClassSlavesOut},
	{Name: "miimon", Type: TypeInt, Max: maxInt, Default: "0", Unit: "ms"},
	{Name: "updelay", Type: TypeInt, Max: maxInt, Default: "0", Unit: "ms", NeedsMiimon: true},
	{Name: "downdelay", Type: TypeInt, Max: maxInt, Default: "0", Unit: "ms", NeedsMiimon: true},
	{Name: "peer_notif_delay", Type: TypeInt, Max: 300000, Default: "0", Unit: "ms", NeedsMiimon: true},
	{Name: "use_carrier", Type: TypeEnum, Words: []string{"off", "on"}, Default: "on"},
	{Name: "arp_interval", Type: TypeInt, Max: maxInt, Default: "0", Modes: arpModes, Unit: "ms"},
	{Name: "arp_ip_target", Type: TypeIPv4s, Acts: arpModes},
	{Name: "ns_ip6_target", Type: TypeIPv6s, Acts: arpModes},
	{Name: "arp_validate", Type: TypeEnum, Default: "none", Modes: arpModes,
		Words: []string{"none", "active", "backup", "all", "filter", "filter_active", "filter_backup"}},
	{Name: "arp_all_targets", Type: TypeEnum, Words: []string{"any", "all"}, Default: "any", Acts: []string{ModeActiveBackup}},
	{Name: "primary", Type: TypeSlave, Modes: activeModes},
	{Name: "primary_reselect", Type: TypeEnum, Words: []string{"always", "better", "failure"}, Default: "always", Acts: activeModes},
	{Name: "fail_over_mac", Type: TypeEnum, Words: []string{"none", "active", "follow"}, Default: "none",
		Acts: []string{ModeActiveBackup}, Class: ClassSlavesOut},
	{Name: "xmit_hash_policy", Type: TypeEnum, Default: "layer2", Acts: hashModes,
		Words: []string{"layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"}},
	{Name: "resend_igmp", Type: TypeInt, Max: 255, Default: "1"},
	{Name: "num_grat_arp", Type: TypeInt, Max: 255, Default: "1"},
	{Name: "all_slaves_active", Type: TypeEnum, Words: []string{"off", "on"}, Default: "off"},
	{Name: "min_links", Type: TypeInt, Max: maxInt, Default: "0", Acts: lacpOnly},
	{Name: "lp_interval", Type: TypeInt, Min: 1, Max: maxInt, Default: "1", Unit: "s", Acts: dynamicLB},
	{Name: "packets_per_slave", Type: TypeInt, Max: 65535, Default: "1", Modes: []string{ModeRoundRobin}},
	{Name: "lacp_active", Type: TypeEnum, Words: []string{"off", "on"}, Default: "on", Modes: lacpOnly, Class: ClassDown},
	{Name: "lacp_rate", Type: TypeEnum, Words: []string{"slow", "fast"}, Default: "slow", Modes: lacpOnly, Class: ClassDown},
	{Name: "ad_select", Type: TypeEnum, Words: []string{"stable", "bandwidth", "count"}, Default: "stable", Acts: lacpOnly, Class: ClassDown},
	{Name: "ad_actor_sys_prio", Type: TypeInt, Min: 1, Max: 65535, Default: "65535", Modes: lacpOnly},
	{Name: "ad_user_port_key", Type: TypeInt, Max: 1023, Default: "0", Modes: lacpOnly, Class: ClassDown},
	{Name: "ad_actor_system", Type: TypeMAC, Default: "00:00:00:00:00:00", Modes: lacpOnly},
	{Name: "tlb_dynamic_lb", Type: TypeEnum, Words: []string{"off", "on"}, Default: "on", Modes: dynamicLB, Class: ClassDown},
	{Name: "arp_missed_max", Type: TypeInt, Min: 1, Max: 255, Default: "2", Modes: arpModes},
}

// optionAliases are other names of the same option. The kernel has one counter
// under two sysfs names.
var optionAliases = map[string]string{"num_unsol_na": "num_grat_arp", "num_peer_notif": "num_grat_arp"}

// BondOptionSpec finds an option by its name or by an alias.
func BondOptionSpec(name string) (OptionSpec, bool) {
	if a, ok := optionAliases[name]; ok {
		name = a
	}
	for _, s := range BondOptions {
		if s.Name == name {
			return s, true
		}
	}
	return OptionSpec{}, false
}

// ValidIn reports whether the kernel takes the option in the mode.
func (s OptionSpec) ValidIn(mode string) bool {
	return s.Modes == nil || slices.Contains(s.Modes, mode)
}

// Allowed says in words what the option takes.
func (s OptionSpec) Allowed() string {
	unit := s.Unit
	if unit != "" {
		unit = " " + unit
	}
	switch s.Type {
	case TypeEnum:
		return strings.Join(s.Words, ", ") + fmt.Sprintf(" (or 0 to %d)", len(s.Words)-1)
	case TypeInt:
		return fmt.Sprintf("%d to %d%s", s.Min, s.Max, unit)
	case TypeIPv4s:
		return "up to 16 unicast IPv4 addresses, comma separated"
	case TypeIPv6s:
		return "up to 16 unicast IPv6 addresses, comma separated"
	case TypeSlave:
		return "one of the bond's slaves, or empty"
	case TypeMAC:
		return "a unicast MAC, or 00:00:00:00:00:00 for the bond's own"
	}
	return ""
}

// Canonical brings a value into the form that is compared and printed: words for
// enums, plain decimals, canonical addresses. It takes a number, a word, and the
// "word number" form in which sysfs prints. The error says what is allowed.
func (s OptionSpec) Canonical(value string) (string, error) {
	v := strings.TrimSpace(value)
	switch s.Type {
	case TypeEnum:
		return s.canonicalEnum(v)
	case TypeInt:
		n, err := strconv.Atoi(v)
		if err != nil || n < s.Min || n > s.Max || strconv.Itoa(n) != v {
			return "", fmt.Errorf("%s takes %s", s.Name, s.Allowed())
		}
		return v, nil
	case TypeIPv4s, TypeIPv6s:
		return s.canonicalAddresses(v)
	case TypeMAC:
		m, err := ParseMAC(v)
		if err != nil || m[0]&1 != 0 {
			return "", fmt.Errorf("%s takes %s", s.Name, s.Allowed())
		}
		return m.String(), nil
	}
	return v, nil
}

func (s OptionSpec) canonicalEnum(v string) (string, error) {
	word, number, _ := strings.Cut(v, " ")
	if i := slices.Index(s.Words, strings.ToLower(word)); i >= 0 && (number == "" || number == strconv.Itoa(i)) {
		return s.Words[i], nil
	}
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n < len(s.Words) && strconv.Itoa(n) == v {
		return s.Words[n], nil
	}
	return "", fmt.Errorf("%s takes %s", s.Name, s.Allowed())
}

func (s OptionSpec) canonicalAddresses(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	var out []string
	for f := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		a, err := netip.ParseAddr(f)
		if err != nil || a.Is4() != (s.Type == TypeIPv4s) || !targetOK(a) {
			return "", fmt.Errorf("%s takes %s", s.Name, s.Allowed())
		}
		if !slices.Contains(out, a.String()) {
			out = append(out, a.String())
		}
	}
	if len(out) > 16 {
		return "", fmt.Errorf("%s takes %s", s.Name, s.Allowed())
	}
	return strings.Join(out, ","), nil
}

// targetOK is what the kernel asks of a target, bond_is_ip_target_ok and
// bond_is_ip6_target_ok in include/net/bonding.h, and that one host can answer.
func targetOK(a netip.Addr) bool {
	switch {
	case a.Zone() != "", a.Is4In6(), a.IsUnspecified(), a.IsMulticast(), a.IsLoopback():
		return false
	case a.Is4():
		return a.As4()[0] != 0 && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	return true
}

// Mode is the canonical mode of the bond; an absent or wrong one reads as the
// kernel's default.
func (b *Bonding) Mode() string {
	if o, ok := b.Option("mode"); ok {
		if m, err := BondOptions[0].Canonical(o.Value); err == nil {
			return m
		}
	}
	return ModeRoundRobin
}

// Effective is the full set of option values that the bond is to have, in
// canonical form and by kernel name: what the document gives, the agent's
// defaults (miimon 100 where nothing else watches the links, layer2+3 hashing
// with LACP), and the kernel's default for every other option that is valid in
// the mode. Wrong values, which Validate refuses, read as the default.
func (b *Bonding) Effective() map[string]string {
	mode := b.Mode()
	out := make(map[string]string, len(BondOptions))
	for _, s := range BondOptions {
		if s.ValidIn(mode) {
			out[s.Name] = s.Default
		}
	}
	if mode == Mode8023AD {
		out["xmit_hash_policy"] = "layer2+3"
	}
	given := map[string]bool{}
	for _, o := range b.Options {
		s, ok := BondOptionSpec(o.Name)
		if !ok || !s.ValidIn(mode) {
			continue
		}
		if v, err := s.Canonical(o.Value); err == nil {
			out[s.Name], given[s.Name] = v, true
		}
	}
	if arp := out["arp_interval"]; !given["miimon"] && (arp == "" || arp == "0") {
		out["miimon"] = "100"
	}
	roundDelays(out)
	return out
}

// roundDelays does what the kernel does to the delays: they are kept as a
// multiple of miimon, rounded down (bond_option_updelay_set). Comparing the wish
// with what is read would report drift for ever.
func roundDelays(opts map[string]string) {
	mii, _ := strconv.Atoi(opts["miimon"])
	for _, s := range BondOptions {
		if !s.NeedsMiimon {
			continue
		}
		if mii == 0 {
			delete(opts, s.Name)
			continue
		}
		d, _ := strconv.Atoi(opts[s.Name])
		opts[s.Name] = strconv.Itoa(d - d%mii)
	}
}
