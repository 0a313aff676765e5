package kernel

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// width is how a bond option travels.
type width int

const (
	wide8 width = iota
	wide16
	wide32
	wideIPv4s // a nest of 4-byte addresses, each under its place in the list
	wideIPv6s
	wideMAC
	wideLink // an index
)

// bondAttr is the attribute of a bond option.
type bondAttr struct {
	typ   uint16
	width width
}

// bondAttrs are the attributes of all options in netcfg.BondOptions: the numbers
// of include/uapi/linux/if_link.h, the widths of bond_policy in
// drivers/net/bonding/bond_netlink.c. The kernel refuses what is too short and
// takes the first bytes of what is too long.
var bondAttrs = map[string]bondAttr{
	"mode":              {unix.IFLA_BOND_MODE, wide8},
	"miimon":            {unix.IFLA_BOND_MIIMON, wide32},
	"updelay":           {unix.IFLA_BOND_UPDELAY, wide32},
	"downdelay":         {unix.IFLA_BOND_DOWNDELAY, wide32},
	"peer_notif_delay":  {unix.IFLA_BOND_PEER_NOTIF_DELAY, wide32},
	"use_carrier":       {unix.IFLA_BOND_USE_CARRIER, wide8},
	"arp_interval":      {unix.IFLA_BOND_ARP_INTERVAL, wide32},
	"arp_ip_target":     {unix.IFLA_BOND_ARP_IP_TARGET, wideIPv4s},
	"ns_ip6_target":     {unix.IFLA_BOND_NS_IP6_TARGET, wideIPv6s},
	"arp_validate":      {unix.IFLA_BOND_ARP_VALIDATE, wide32},
	"arp_all_targets":   {unix.IFLA_BOND_ARP_ALL_TARGETS, wide32},
	"primary":           {unix.IFLA_BOND_PRIMARY, wideLink},
	"primary_reselect":  {unix.IFLA_BOND_PRIMARY_RESELECT, wide8},
	"fail_over_mac":     {unix.IFLA_BOND_FAIL_OVER_MAC, wide8},
	"xmit_hash_policy":  {unix.IFLA_BOND_XMIT_HASH_POLICY, wide8},
	"resend_igmp":       {unix.IFLA_BOND_RESEND_IGMP, wide32},
	"num_grat_arp":      {unix.IFLA_BOND_NUM_PEER_NOTIF, wide8},
	"all_slaves_active": {unix.IFLA_BOND_ALL_SLAVES_ACTIVE, wide8},
	"min_links":         {unix.IFLA_BOND_MIN_LINKS, wide32},
	"lp_interval":       {unix.IFLA_BOND_LP_INTERVAL, wide32},
	"packets_per_slave": {unix.IFLA_BOND_PACKETS_PER_SLAVE, wide32},
	"lacp_active":       {unix.IFLA_BOND_AD_LACP_ACTIVE, wide8},
	"lacp_rate":         {unix.IFLA_BOND_AD_LACP_RATE, wide8},
	"ad_select":         {unix.IFLA_BOND_AD_SELECT, wide8},
	"ad_actor_sys_prio": {unix.IFLA_BOND_AD_ACTOR_SYS_PRIO, wide16},
	"ad_user_port_key":  {unix.IFLA_BOND_AD_USER_PORT_KEY, wide16},
	"ad_actor_system":   {unix.IFLA_BOND_AD_ACTOR_SYSTEM, wideMAC},
	"tlb_dynamic_lb":    {unix.IFLA_BOND_TLB_DYNAMIC_LB, wide8},
	"arp_missed_max":    {unix.IFLA_BOND_MISSED_MAX, wide8},
}

// bondOptionOf finds the option of an attribute.
var bondOptionOf = func() map[uint16]netcfg.OptionSpec {
	m := map[uint16]netcfg.OptionSpec{}
	for _, s := range netcfg.BondOptions {
		if a, ok := bondAttrs[s.Name]; ok {
			m[a.typ] = s
		}
	}
	return m
}()

// appendOption appends the attribute of one option. The value of primary is a
// name for people; the kernel wants the index beside it.
func appendOption(b []byte, o plan.Option, primary int) ([]byte, error) {
	spec, known := netcfg.BondOptionSpec(o.Name)
	attr, ok := bondAttrs[spec.Name]
	if !known || !ok {
		return nil, fmt.Errorf("no bond option %q", o.Name)
	}
	switch attr.width {
	case wideLink:
		if o.Value == "" {
			primary = 0
		}
		return appendU32(b, attr.typ, uint32(primary)), nil
	case wideIPv4s, wideIPv6s:
		return appendTargets(b, attr, o)
	case wideMAC:
		mac, err := net.ParseMAC(o.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name, err)
		}
		return appendAttr(b, attr.typ, mac), nil
	}
	n, err := optionNumber(spec, o.Value)
	if err != nil {
		return nil, err
	}
	switch attr.width {
	case wide8:
		return appendU8(b, attr.typ, uint8(n)), nil
	case wide16:
		return appendU16(b, attr.typ, uint16(n)), nil
	default:
		return appendU32(b, attr.typ, uint32(n)), nil
	}
}

// optionNumber is the number behind a value: an enum's word stands for its place.
// The range is checked, since the number must not be cut to its width.
func optionNumber(spec netcfg.OptionSpec, value string) (int, error) {
	value, err := spec.Canonical(value)
	if err != nil {
		return 0, err
	}
	if i := slices.Index(spec.Words, value); i >= 0 {
		return i, nil
	}
	return strconv.Atoi(value)
}

// appendTargets appends the whole list, which takes the place of the old one.
func appendTargets(b []byte, attr bondAttr, o plan.Option) ([]byte, error) {
	var targets []netip.Addr
	for s := range strings.SplitSeq(o.Value, ",") {
		if s == "" {
			continue
		}
		a, err := netip.ParseAddr(s)
		if err != nil || a.Is4() != (attr.width == wideIPv4s) {
			return nil, fmt.Errorf("%s: %q is not an address for it", o.Name, s)
		}
		targets = append(targets, a)
	}
	return appendNested(b, attr.typ, func(b []byte) []byte {
		for i, a := range targets {
			b = appendAttr(b, uint16(i), a.AsSlice())
		}
		return b
	}), nil
}

// optionValue reads the value of an option into canonical form. A number that
// has no word, of a kernel newer than the table, stays a number.
func optionValue(spec netcfg.OptionSpec, v []byte) string {
	var n uint64
	switch bondAttrs[spec.Name].width {
	case wideMAC:
		return net.HardwareAddr(v).String()
	case wideIPv4s, wideIPv6s:
		return optionTargets(v)
	case wide8:
		n = uint64(u8(v))
	case wide16:
		n = uint64(u16(v))
	default:
		n = uint64(u32(v))
	}
	value := strconv.FormatUint(n, 10)
	if c, err := spec.Canonical(value); err == nil {
		return c
	}
	return value
}

func optionTargets(v []byte) string {
	var out []string
	for _, t := range attributes(v) {
		if a := ipAddress(t); a.IsValid() {
			out = append(out, a.String())
		}
	}
	return strings.Join(out, ",")
}
