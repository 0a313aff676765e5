package kernel

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// decodeBond reads the IFLA_INFO_DATA of a bond (bond_fill_info in
// drivers/net/bonding/bond_netlink.c). The options are complete but for primary,
// of which there is only the index, 0 when the bond has none.
func decodeBond(data []byte) (b *state.Bond, primary int) {
	b = &state.Bond{Options: map[string]string{
		// The kernel leaves empty lists out.
		"arp_ip_target": "",
		"ns_ip6_target": "",
	}}
	for t, v := range attributes(data) {
		switch t {
		case unix.IFLA_BOND_ACTIVE_SLAVE:
			b.ActiveSlave = int(u32(v))
		case unix.IFLA_BOND_PRIMARY:
			primary = int(u32(v))
		case unix.IFLA_BOND_AD_INFO:
			b.AD = decodeAggregator(v)
		default:
			if spec, ok := bondOptionOf[t]; ok {
				b.Options[spec.Name] = optionValue(spec, v)
			}
		}
	}
	if spec, _ := netcfg.BondOptionSpec("primary"); primary != 0 || spec.ValidIn(b.Options["mode"]) {
		b.Options["primary"] = ""
	}
	return b, primary
}

func decodeAggregator(v []byte) *state.AggregatorInfo {
	number := func(t uint16) int { return int(u16(attribute(v, t))) }
	return &state.AggregatorInfo{
		ID:         number(unix.IFLA_BOND_AD_INFO_AGGREGATOR),
		NumPorts:   number(unix.IFLA_BOND_AD_INFO_NUM_PORTS),
		ActorKey:   number(unix.IFLA_BOND_AD_INFO_ACTOR_KEY),
		PartnerKey: number(unix.IFLA_BOND_AD_INFO_PARTNER_KEY),
		PartnerMAC: net.HardwareAddr(attribute(v, unix.IFLA_BOND_AD_INFO_PARTNER_MAC)).String(),
	}
}

// The words for a slave, by number: BOND_STATE_* and BOND_LINK_* of
// include/uapi/linux/if_bonding.h, spelled as in sysfs.
var (
	slaveStates = []string{"active", "backup"}
	miiStates   = []string{"up", "fail", "down", "back"}
)

// decodeSlave reads the IFLA_INFO_SLAVE_DATA of a bond's slave
// (bond_fill_slave_info).
func decodeSlave(data []byte) *state.Slave {
	s := &state.Slave{}
	for t, v := range attributes(data) {
		switch t {
		case unix.IFLA_BOND_SLAVE_STATE:
			s.State = word(slaveStates, v)
		case unix.IFLA_BOND_SLAVE_MII_STATUS:
			s.MIIStatus = word(miiStates, v)
		case unix.IFLA_BOND_SLAVE_LINK_FAILURE_COUNT:
			s.LinkFailures = u32(v)
		case unix.IFLA_BOND_SLAVE_PERM_HWADDR:
			s.PermMAC = hardwareAddress(v)
		case unix.IFLA_BOND_SLAVE_QUEUE_ID:
			s.QueueID = int(u16(v))
		case unix.IFLA_BOND_SLAVE_AD_AGGREGATOR_ID:
			s.AggregatorID = new(int(u16(v)))
		case unix.IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE:
			s.ActorPortState = new(int(u8(v)))
		case unix.IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE:
			s.PartnerPortState = new(int(u16(v)))
		}
	}
	return s
}

func word(words []string, v []byte) string {
	if n := int(u8(v)); n < len(words) {
		return words[n]
	}
	return ""
}
