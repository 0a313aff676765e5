package kernel

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/state"
)

// What a look takes in beyond what planning needs.
type What struct {
	// Counters fills in the counters of links.
	Counters bool
	// Speeds fills in speed, duplex and autonegotiation, as the drivers tell them.
	Speeds bool
	// Drivers fills in driver and firmware of hardware links.
	Drivers bool
}

// Snapshot looks at everything but counters, speeds and drivers. Each of its dumps
// is as the kernel has it at one moment, and what one refers to is in the others;
// else it is looked again, 25 times or for a second, and then the error wraps
// ErrInterrupted. It may be called from many goroutines, which take turns, and while
// Apply is under way.
func (k *Kernel) Snapshot(ctx context.Context) (state.Snapshot, error) {
	return k.SnapshotWith(ctx, What{})
}

// SnapshotWith is Snapshot with more to it.
func (k *Kernel) SnapshotWith(ctx context.Context, what What) (state.Snapshot, error) {
	var s state.Snapshot
	err := k.reader.talk(ctx, func(conn *socket) (err error) {
		s, err = look(conn, newBudget(ctx), what)
		return err
	})
	if err != nil {
		return state.Snapshot{}, fmt.Errorf("look at the network: %w", err)
	}
	k.links.Store(int64(len(s.Links)))
	if err := k.hardware(ctx, s.Links, what); err != nil {
		return state.Snapshot{}, fmt.Errorf("look at the network: %w", err)
	}
	return s, nil
}

// look dumps until all the dumps fit together.
func look(conn *socket, b *budget, what What) (state.Snapshot, error) {
	for {
		s, err := lookOnce(conn, b, what)
		if err != nil || whole(&s) {
			return s, err
		}
		if !b.again() {
			return state.Snapshot{}, b.spent()
		}
	}
}

func lookOnce(conn *socket, b *budget, what What) (s state.Snapshot, err error) {
	if s.Links, err = dumpLinks(conn, b, what); err != nil {
		return s, fmt.Errorf("links: %w", err)
	}
	if s.Addresses, err = dumpAddresses(conn, b, 0); err != nil {
		return s, fmt.Errorf("addresses: %w", err)
	}
	if s.Routes, err = dumpAllRoutes(conn, b); err != nil {
		return s, fmt.Errorf("routes: %w", err)
	}
	return s, nil
}

func dumpAllRoutes(conn *socket, b *budget) ([]state.Route, error) {
	var all []state.Route
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		routes, err := dumpRoutes(conn, b, family)
		if err != nil {
			return nil, err
		}
		all = append(all, routes...)
	}
	return all, nil
}

// whole is false when an address or a route is on a link, or a link below one, that
// was not there yet when the links were dumped.
func whole(s *state.Snapshot) bool {
	there := make(map[int]bool, len(s.Links)+1)
	there[0] = true
	for _, l := range s.Links {
		there[l.Index] = true
	}
	return !slices.ContainsFunc(s.Links, func(l state.Link) bool { return !there[l.Master] || !there[l.Parent] }) &&
		!slices.ContainsFunc(s.Addresses, func(a state.Address) bool { return !there[a.Link] }) &&
		!slices.ContainsFunc(s.Routes, func(r state.Route) bool { return !there[r.Link] })
}

// skipStats is RTEXT_FILTER_SKIP_STATS of include/uapi/linux/rtnetlink.h.
const skipStats = 1 << 3

// linkRequest asks for one link, or with index 0 for all.
func linkRequest(index int, what What) request {
	body := appendIfInfo(nil, index, 0, 0)
	if !what.Counters {
		body = appendU32(body, unix.IFLA_EXT_MASK, skipStats)
	}
	return request{typ: unix.RTM_GETLINK, body: body}
}

// seenLink is a link with the index of its primary slave, which may come later in
// the same dump.
type seenLink struct {
	state.Link
	primary int
}

// dumpLinks returns the links by index: the kernel dumps them as its hash table has
// them.
func dumpLinks(conn *socket, b *budget, what What) ([]state.Link, error) {
	seen, err := collect(conn, b, linkRequest(0, what), func(body []byte) (*seenLink, bool, error) {
		l, primary, err := decodeLink(body)
		return &seenLink{without(l, what), primary}, err == nil, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(seen, func(a, b *seenLink) int { return cmp.Compare(a.Index, b.Index) })
	s := state.Snapshot{Links: make([]state.Link, 0, len(seen))}
	for _, l := range seen {
		s.Links = append(s.Links, l.Link)
	}
	for _, l := range seen {
		if l.primary != 0 {
			l.Bond.Options["primary"] = s.Name(l.primary)
		}
	}
	return s.Links, nil
}

// without takes out what nobody asked for, from a kernel that tells it all the same.
func without(l state.Link, what What) state.Link {
	if !what.Counters {
		l.Counters = nil
	}
	return l
}

// dumpAddresses returns the addresses of one link, or with index 0 of all links,
// link by link.
func dumpAddresses(conn *socket, b *budget, index int) ([]state.Address, error) {
	header := binary.NativeEndian.AppendUint32(make([]byte, 4), uint32(index))
	addresses, err := collect(conn, b, request{typ: unix.RTM_GETADDR, body: header},
		func(body []byte) (*state.Address, bool, error) {
			a, ok, err := decodeAddress(body)
			return &a, ok && (index == 0 || a.Link == index), err
		})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(addresses, func(a, b *state.Address) int { return cmp.Compare(a.Link, b.Link) })
	sorted := make([]state.Address, 0, len(addresses))
	for _, a := range addresses {
		sorted = append(sorted, *a)
	}
	return sorted, nil
}

// dumpRoutes returns the routes of a family. Without IPv6 the kernel dumps those of
// all families instead (rtnetlink_rcv_msg in net/core/rtnetlink.c).
func dumpRoutes(conn *socket, b *budget, family uint8) ([]state.Route, error) {
	header := make([]byte, unix.SizeofRtMsg)
	header[0] = family
	return collect(conn, b, request{typ: unix.RTM_GETROUTE, body: header}, func(body []byte) (state.Route, bool, error) {
		r, ok, err := decodeRoute(body)
		return r, ok && body[0] == family, err
	})
}

// Routes looks at the routes of all tables but local.
func (k *Kernel) Routes(ctx context.Context) ([]state.Route, error) {
	var routes []state.Route
	err := k.single.talk(ctx, func(conn *socket) (err error) {
		routes, err = dumpAllRoutes(conn, newBudget(ctx))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look at the routes: %w", err)
	}
	return routes, nil
}

// Link looks at one link and its addresses. The link is nil when there is none of
// that index.
func (k *Kernel) Link(ctx context.Context, index int, what What) (*state.Link, []state.Address, error) {
	var link *state.Link
	var addresses []state.Address
	err := k.single.talk(ctx, func(conn *socket) (err error) {
		if link, err = getLink(conn, index, what); err != nil || link == nil {
			return err
		}
		addresses, err = dumpAddresses(conn, newBudget(ctx), index)
		if errors.Is(err, unix.ENODEV) { // gone meanwhile
			link, err = nil, nil
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("look at link %d: %w", index, err)
	}
	if link == nil {
		return nil, nil, nil
	}
	one := []state.Link{*link}
	if err := k.hardware(ctx, one, what); err != nil {
		return nil, nil, fmt.Errorf("look at link %d: %w", index, err)
	}
	return &one[0], addresses, nil
}

func getLink(conn *socket, index int, what What) (*state.Link, error) {
	body, err := conn.get(linkRequest(index, what))
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, primary, err := decodeLink(body)
	if err != nil {
		return nil, err
	}
	l = without(l, what)
	if primary != 0 {
		slave, err := getLink(conn, primary, What{})
		if err != nil {
			return nil, err
		}
		if slave != nil {
			l.Bond.Options["primary"] = slave.Name
		}
	}
	return &l, nil
}
