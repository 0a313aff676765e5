package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// The pauses between two looks at an entry that is being asked about.
const (
	firstPause   = 2 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

// Neighbour asks the neighbour of that address on the link, by ARP or ND, and
// returns what is known when it has answered, when the kernel has given up after its
// tries (3, a second apart, by default), or when ctx ends. What was answered before
// the call does not count. Nobody is asked where the entry is permanent, or the link
// does without. The error is that it cannot be asked: no such link, no CAP_NET_ADMIN,
// or a kernel before 5.0.
//
// It is the kernel that asks, for its own table of neighbours; see doc.go.
func (k *Kernel) Neighbour(ctx context.Context, link int, address netip.Addr) (state.Neighbour, error) {
	var n neighbour
	asked := false
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := k.reader.talk(ctx, func(conn *socket) (err error) {
			if n, err = getNeighbour(conn, link, address.WithZone("")); err != nil {
				return err
			}
			if r := n.ask(asked); r != nil {
				return tell(conn, *r)
			}
			return nil
		})
		if err != nil {
			return state.Neighbour{}, fmt.Errorf("ask %s: %w", address, err)
		}
		if n.settled(asked) {
			return n.known(), nil
		}
		asked = true
		select {
		case <-ctx.Done():
			return n.known(), nil
		case <-time.After(pause):
		}
	}
}

// neighbour is an entry of the table; nud is 0 where there is none.
type neighbour struct {
	link    int
	address netip.Addr
	mac     string
	nud     uint16
	// flags and extended are what the kernel takes for a wish that it be off where a
	// change does not repeat it (neigh_update_flags in net/core/neighbour.c).
	flags    uint8
	extended []byte
}

// unasked are the states in which the kernel asks nobody.
const unasked = unix.NUD_PERMANENT | unix.NUD_NOARP

// ask is the request that makes the kernel ask, nil where it does already or never
// will. An entry with a hardware address is brought into doubt: that address is
// asked, and only its answer makes the entry reachable again. For one without,
// everybody is asked. A permanent entry is left alone: NTF_USE would make it an
// ordinary one (__neigh_update).
func (n neighbour) ask(asked bool) *request {
	switch {
	case n.nud&(unasked|unix.NUD_INCOMPLETE|unix.NUD_PROBE) != 0:
		return nil
	case asked && n.nud&(unix.NUD_REACHABLE|unix.NUD_FAILED) != 0:
		return nil
	case n.nud&(unix.NUD_REACHABLE|unix.NUD_STALE|unix.NUD_DELAY) != 0:
		return n.request(unix.NUD_PROBE, 0, 0)
	}
	return n.request(0, unix.NTF_USE, unix.NLM_F_CREATE)
}

// settled is true when there is nothing more to wait for.
func (n neighbour) settled(asked bool) bool {
	return n.nud&unasked != 0 || asked && n.nud&(unix.NUD_REACHABLE|unix.NUD_FAILED) != 0
}

func (n neighbour) known() state.Neighbour {
	out := state.Neighbour{MAC: n.mac}
	switch {
	case n.nud&unasked != 0:
		out.Permanent = true
	case n.nud&unix.NUD_REACHABLE != 0:
		out.Answered = true
	}
	return out
}

// request changes the entry, or makes it.
func (n neighbour) request(nud uint16, flags uint8, how uint16) *request {
	body := appendNdMsg(nil, n.link, n.address, nud, flags|n.flags&unix.NTF_EXT_LEARNED)
	if n.extended != nil {
		body = appendAttr(body, ndaFlagsExt, n.extended)
	}
	return &request{typ: unix.RTM_NEWNEIGH, flags: how, body: body}
}

// ndaFlagsExt is NDA_FLAGS_EXT of include/uapi/linux/neighbour.h.
const ndaFlagsExt = 15

// appendNdMsg appends struct ndmsg and the address.
func appendNdMsg(b []byte, link int, address netip.Addr, nud uint16, flags uint8) []byte {
	b = append(b, uint8(familyOf(address)), 0, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(link))
	b = binary.NativeEndian.AppendUint16(b, nud)
	b = append(b, flags, 0)
	return appendAttr(b, unix.NDA_DST, address.AsSlice())
}

// getNeighbour reads the entry.
func getNeighbour(conn *socket, link int, address netip.Addr) (neighbour, error) {
	n := neighbour{link: link, address: address}
	body, err := conn.get(request{typ: unix.RTM_GETNEIGH, body: appendNdMsg(nil, link, address, 0, 0)})
	switch {
	case errors.Is(err, unix.ENOENT):
		return n, nil
	case err != nil:
		return n, err
	case len(body) < unix.SizeofNdMsg:
		return n, errTorn
	}
	n.nud, n.flags = u16(body[8:]), body[10]
	for t, v := range attributes(body[unix.SizeofNdMsg:]) {
		switch t {
		case unix.NDA_LLADDR:
			n.mac = hardwareAddress(v)
		case ndaFlagsExt:
			n.extended = append([]byte(nil), v...)
		}
	}
	return n, nil
}

// tell sends a request to which the kernel says no more than yes or no.
func tell(conn *socket, r request) error {
	r.flags |= unix.NLM_F_ACK
	_, err := conn.get(r)
	var a answer
	if errors.As(err, &a) && a.errno == 0 {
		return nil
	}
	return err
}
