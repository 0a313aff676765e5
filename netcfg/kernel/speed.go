package kernel

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// medium is how fast a link is, as far as known.
type medium struct {
	index  int
	speed  *int64
	duplex string
	// autoneg is nil where the driver does not tell.
	autoneg *bool
}

// hardware fills in what only the drivers know of the links. A driver that does not
// answer leaves its links unknown and no others.
func (k *Kernel) hardware(ctx context.Context, links []state.Link, what What) error {
	if what.Speeds {
		if err := k.speeds(ctx, links); err != nil {
			return err
		}
	}
	if what.Drivers {
		return k.drivers.talk(ctx, func(*socket) error {
			for i := range links {
				if links[i].Kind == "" {
					links[i].Driver, links[i].Firmware = driverOf(k.ioctls, links[i].Name)
				}
			}
			return nil
		})
	}
	return nil
}

// speeds asks once for all links, or for one. The ioctl is for kernels before 5.6,
// and for when a driver in trouble has ended the dump before its time
// (ethnl_default_dumpit in net/ethtool/netlink.c gives up at the first error).
func (k *Kernel) speeds(ctx context.Context, links []state.Link) error {
	known := make(map[int]medium, len(links))
	err := k.drivers.talk(ctx, func(conn *socket) error {
		err := k.linkModes(ctx, conn, links, known)
		if err == nil || errors.Is(err, unix.EOPNOTSUPP) {
			return nil
		}
		for _, l := range links {
			if _, ok := known[l.Index]; !ok {
				known[l.Index] = mediumOf(k.ioctls, l)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range links {
		m := known[links[i].Index]
		links[i].Speed, links[i].Duplex, links[i].Autoneg = m.speed, m.duplex, m.autoneg
	}
	return nil
}

var errNoEthtool = errors.New("this kernel has no ethtool in netlink")

// linkModes asks ethtool in netlink. What it learned before an error is in known.
func (k *Kernel) linkModes(ctx context.Context, conn *socket, links []state.Link, known map[int]medium) error {
	family, err := k.ethtoolFamily(conn)
	if err != nil {
		return err
	}
	if len(links) == 1 {
		body, err := conn.get(linkModesRequest(family, links[0].Index))
		if err != nil {
			return err
		}
		m, err := decodeLinkModes(body)
		known[m.index] = m
		return err
	}
	for b := newBudget(ctx); ; {
		err := conn.dump(linkModesRequest(family, 0), func(body []byte) error {
			m, err := decodeLinkModes(body)
			known[m.index] = m
			return err
		})
		if !errors.Is(err, errOnce) || !b.again() {
			return err
		}
	}
}

// ethtoolFamily finds out, once, which number generic netlink has given to ethtool.
func (k *Kernel) ethtoolFamily(conn *socket) (uint16, error) {
	switch f := k.family.Load(); {
	case f > 0:
		return uint16(f), nil
	case f < 0:
		return 0, errNoEthtool
	}
	body := appendText(genlHeader(unix.CTRL_CMD_GETFAMILY), unix.CTRL_ATTR_FAMILY_NAME, unix.ETHTOOL_GENL_NAME)
	answer, err := conn.get(request{typ: unix.GENL_ID_CTRL, body: body})
	if errors.Is(err, unix.ENOENT) {
		k.family.Store(-1)
		return 0, errNoEthtool
	}
	if err != nil {
		return 0, err
	}
	f := u16(attribute(answer[min(genlHeaderSize, len(answer)):], unix.CTRL_ATTR_FAMILY_ID))
	if f == 0 {
		return 0, errTorn
	}
	k.family.Store(int32(f))
	return f, nil
}

const genlHeaderSize = 4

// genlHeader is struct genlmsghdr: the command and a version, 1.
func genlHeader(command uint8) []byte { return []byte{command, 1, 0, 0} }

// linkModesRequest asks for ETHTOOL_MSG_LINKMODES_GET of one link, or with index 0
// of all. Compact bit sets leave out the names of all link modes.
func linkModesRequest(family uint16, index int) request {
	body := appendNested(genlHeader(unix.ETHTOOL_MSG_LINKMODES_GET), unix.ETHTOOL_A_LINKMODES_HEADER|attrNested, func(b []byte) []byte {
		if index != 0 {
			b = appendU32(b, unix.ETHTOOL_A_HEADER_DEV_INDEX, uint32(index))
		}
		return appendU32(b, unix.ETHTOOL_A_HEADER_FLAGS, unix.ETHTOOL_FLAG_COMPACT_BITSETS)
	})
	return request{typ: family, body: body}
}

// decodeLinkModes reads an ETHTOOL_MSG_LINKMODES_GET_REPLY.
func decodeLinkModes(body []byte) (medium, error) {
	if len(body) < genlHeaderSize {
		return medium{}, errTorn
	}
	var m medium
	var megabits uint32
	var duplex uint8
	for t, v := range attributes(body[genlHeaderSize:]) {
		switch t {
		case unix.ETHTOOL_A_LINKMODES_HEADER:
			m.index = int(u32(attribute(v, unix.ETHTOOL_A_HEADER_DEV_INDEX)))
		case unix.ETHTOOL_A_LINKMODES_SPEED:
			megabits = u32(v)
		case unix.ETHTOOL_A_LINKMODES_DUPLEX:
			duplex = u8(v)
		case unix.ETHTOOL_A_LINKMODES_AUTONEG:
			m.autoneg = readAutoneg(u8(v))
		}
	}
	m.speed, m.duplex = readMedium(megabits, duplex)
	return m, nil
}

// readAutoneg is AUTONEG_DISABLE or AUTONEG_ENABLE; anything else is not known.
func readAutoneg(v uint8) *bool {
	if v > 1 {
		return nil
	}
	return new(v == 1)
}

// readMedium sorts out what drivers say of a link that has no speed: 0, -1
// (SPEED_UNKNOWN), the -1 of a time when there were 16 bits for it, and half duplex
// beside any of them.
func readMedium(megabits uint32, duplex uint8) (*int64, string) {
	switch megabits {
	case 0, 0xffff, 0xffffffff:
		return nil, ""
	}
	word := ""
	switch duplex {
	case 0: // DUPLEX_HALF
		word = "half"
	case 1: // DUPLEX_FULL
		word = "full"
	}
	return new(int64(megabits) * 1e6), word
}
