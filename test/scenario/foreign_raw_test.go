//go:build kernel

package scenario

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dump is what the kernel tells of some links and of all that is on them, message by
// message and byte by byte but for what counts or runs by itself: addresses with the
// times at which they were made and changed, routes of all tables, neighbours and
// forwarding entries that were put there, and the rules of the whole namespace.
func (h *host) dump(names ...string) []string {
	h.t.Helper()
	var out []string
	index := map[uint32]string{}
	for _, n := range names {
		index[uint32(h.link(n).Index)] = n
	}
	h.ns.Do(func() {
		for _, d := range dumps {
			out = append(out, d.take(h.t, index)...)
		}
	})
	return out
}

// settledDump waits until what was just made is as it will be: carriers are told, and
// addresses are known to be nobody else's.
func (h *host) settledDump(names ...string) []string {
	h.t.Helper()
	dump, since := h.dump(names...), time.Now()
	eventually(h.t, "dumps are the same for two seconds", func() bool {
		if now := h.dump(names...); !slices.Equal(now, dump) {
			dump, since = now, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
	return dump
}

// dumping is one kind of dump.
type dumping struct {
	name      string
	ask, get  uint16
	family    uint8
	header    int // bytes before the attributes
	link      func(message []byte, attrs map[uint16][]byte) uint32
	runs      []uint16 // attributes that count, or change by themselves
	permanent bool     // neighbours only: leave out what was learnt
}

// at gives the number of a link that stands in the header.
func at(offset int) func([]byte, map[uint16][]byte) uint32 {
	return func(m []byte, _ map[uint16][]byte) uint32 { return nl.NativeEndian().Uint32(m[offset:]) }
}

func outgoing(_ []byte, attrs map[uint16][]byte) uint32 {
	if v := attrs[unix.RTA_OIF]; len(v) == 4 {
		return nl.NativeEndian().Uint32(v)
	}
	return 0
}

var dumps = []dumping{
	{name: "link", ask: unix.RTM_GETLINK, get: unix.RTM_NEWLINK, header: unix.SizeofIfInfomsg, link: at(4),
		// What counts within AF_SPEC and LINKINFO is taken out by flatten; padding depends on
		// where in the answer a message stands.
		runs: []uint16{unix.IFLA_PAD, unix.IFLA_STATS, unix.IFLA_STATS64, unix.IFLA_CARRIER_CHANGES, unix.IFLA_CARRIER_UP_COUNT, unix.IFLA_CARRIER_DOWN_COUNT}},
	{name: "address", ask: unix.RTM_GETADDR, get: unix.RTM_NEWADDR, header: unix.SizeofIfAddrmsg, link: at(4)},
	{name: "route", ask: unix.RTM_GETROUTE, get: unix.RTM_NEWROUTE, family: unix.AF_INET, header: unix.SizeofRtMsg, link: outgoing},
	{name: "route", ask: unix.RTM_GETROUTE, get: unix.RTM_NEWROUTE, family: unix.AF_INET6, header: unix.SizeofRtMsg, link: outgoing, runs: []uint16{unix.RTA_CACHEINFO}},
	{name: "neighbour", ask: unix.RTM_GETNEIGH, get: unix.RTM_NEWNEIGH, header: sizeofNdMsg, link: at(4), runs: []uint16{unix.NDA_CACHEINFO}, permanent: true},
	{name: "forwarding", ask: unix.RTM_GETNEIGH, get: unix.RTM_NEWNEIGH, family: unix.AF_BRIDGE, header: sizeofNdMsg, link: at(4), runs: []uint16{unix.NDA_CACHEINFO}, permanent: true},
	{name: "rule", ask: unix.RTM_GETRULE, get: unix.RTM_NEWRULE, header: unix.SizeofRtMsg},
}

const sizeofNdMsg = 12

func (d dumping) once() ([][]byte, error) {
	req := nl.NewNetlinkRequest(int(d.ask), unix.NLM_F_DUMP)
	header := make([]byte, d.header)
	header[0] = d.family
	req.AddRawData(header)
	return req.Execute(unix.NETLINK_ROUTE, d.get)
}

func (d dumping) take(t *testing.T, of map[uint32]string) (out []string) {
	t.Helper()
	messages, err := d.once()
	for try := 0; errors.Is(err, nl.ErrDumpInterrupted) && try < 50; try++ { // something has changed meanwhile
		time.Sleep(5 * time.Millisecond)
		messages, err = d.once()
	}
	if err != nil {
		t.Fatalf("dump of each %s: %v", d.name, err)
	}
	for _, m := range messages {
		list, err := nl.ParseRouteAttr(m[d.header:])
		if err != nil {
			t.Fatalf("dump of each %s: %v", d.name, err)
		}
		attrs := map[uint16][]byte{}
		for _, a := range list {
			attrs[a.Attr.Type] = a.Value
		}
		name := "all"
		if d.link != nil {
			if name = of[d.link(m, attrs)]; name == "" {
				continue
			}
		}
		const state, noarp = 8, unix.NUD_NOARP // of struct ndmsg
		if d.permanent && (nl.NativeEndian().Uint16(m[state:])&unix.NUD_PERMANENT == 0 || nl.NativeEndian().Uint16(m[state:])&noarp != 0) {
			continue
		}
		line := fmt.Sprintf("%s %s %s", d.name, name, hex.EncodeToString(m[:d.header]))
		for _, a := range list {
			if !slices.Contains(d.runs, a.Attr.Type) {
				line += fmt.Sprintf(" %d:%s", a.Attr.Type, d.flatten(a.Attr.Type, a.Value))
			}
		}
		out = append(out, line)
	}
	return out
}

// flatten prints an attribute without what runs in those within it: the timers of a
// bridge and of its ports, and the counters of IPv6.
func (d dumping) flatten(kind uint16, value []byte) string {
	const infoSlaveData = 5
	timers := map[string][]uint16{
		"bridge":      {nl.IFLA_BR_HELLO_TIMER, nl.IFLA_BR_TCN_TIMER, nl.IFLA_BR_TOPOLOGY_CHANGE_TIMER, nl.IFLA_BR_GC_TIMER},
		"bridge port": {nl.IFLA_BRPORT_MESSAGE_AGE_TIMER, nl.IFLA_BRPORT_FORWARD_DELAY_TIMER, nl.IFLA_BRPORT_HOLD_TIMER},
		"inet6":       {3, 5, 6}, // IFLA_INET6_STATS, IFLA_INET6_CACHEINFO, IFLA_INET6_ICMP6STATS
	}
	nested := func(value []byte, leave []uint16) string {
		list, err := nl.ParseRouteAttr(value)
		if err != nil {
			return hex.EncodeToString(value)
		}
		var parts []string
		for _, a := range list {
			if !slices.Contains(leave, a.Attr.Type) {
				parts = append(parts, fmt.Sprintf("%d=%s", a.Attr.Type, hex.EncodeToString(a.Value)))
			}
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	if d.name != "link" || kind != unix.IFLA_LINKINFO && kind != unix.IFLA_AF_SPEC {
		return hex.EncodeToString(value)
	}
	list, err := nl.ParseRouteAttr(value)
	if err != nil {
		return hex.EncodeToString(value)
	}
	out := ""
	for _, a := range list {
		switch {
		case kind == unix.IFLA_AF_SPEC && a.Attr.Type == unix.AF_INET6:
			out += fmt.Sprintf("(%d %s)", a.Attr.Type, nested(a.Value, timers["inet6"]))
		case kind == unix.IFLA_LINKINFO && a.Attr.Type == unix.IFLA_INFO_DATA:
			out += fmt.Sprintf("(%d %s)", a.Attr.Type, nested(a.Value, timers["bridge"]))
		case kind == unix.IFLA_LINKINFO && a.Attr.Type == infoSlaveData:
			out += fmt.Sprintf("(%d %s)", a.Attr.Type, nested(a.Value, timers["bridge port"]))
		default:
			out += fmt.Sprintf("(%d %s)", a.Attr.Type, hex.EncodeToString(a.Value))
		}
	}
	return out
}

// untouched wants dumps to be the same.
func untouched(t *testing.T, before, after []string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what is others' was touched (-before +after):\n%s", diff)
	}
}
