//go:build kernel

package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// byHand does something on a thread within the host, behind the agent's back.
func (h *host) byHand(what string, do func() error) {
	h.t.Helper()
	var err error
	h.ns.Do(func() { err = do() })
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
}

// enslave puts a NIC into a bond or a bridge, the way people do it by hand.
func (h hand) enslave(master string, slaves ...string) {
	h.t.Helper()
	for _, s := range slaves {
		h.must(s, h.LinkSetDown(h.link(s)))
		h.must(s, h.LinkSetMaster(h.link(s), h.link(master)))
	}
}

// rollback goes back to what is committed.
func (h *host) rollback() engine.Operation {
	h.t.Helper()
	op, err := h.Do(h.t.Context(), engine.Request{Kind: engine.Rollback, Author: "test"}, func(s engine.Step) { h.t.Log(s.Phase, s.Text) })
	if err != nil || op.State != engine.Done {
		h.t.Fatalf("rollback: %v, state %s, %v", err, op.State, op.Err)
	}
	return op
}

// idle wants the document to find nothing to do.
func (h *host) idle(doc string) {
	h.t.Helper()
	if op := h.apply(doc); op.Writes != 0 {
		h.t.Errorf("%d requests were written where nothing differs", op.Writes)
	}
}

// unchanged wants the links to be what they were, to the flag and the option.
func unchanged(t *testing.T, before, after state.Snapshot, names ...string) {
	t.Helper()
	for _, name := range names {
		was, is := before.ByName(name), after.ByName(name)
		if was == nil || is == nil {
			t.Errorf("%s: was there before: %v, is there now: %v", name, was != nil, is != nil)
			continue
		}
		same(t, name, looks(*is), looks(*was))
		same(t, "addresses of "+name, prefixes(after.AddressesOf(is.Index)), prefixes(before.AddressesOf(was.Index)))
	}
}

// looks is what of a link does not change by itself, printed.
func looks(l state.Link) string {
	bond := ""
	if l.Bond != nil {
		bond = fmt.Sprint(l.Bond.Options)
	}
	return fmt.Sprint(l.Index, l.Kind, l.MAC, l.MTU, l.AdminUp, l.Master, l.Parent, l.VLANID, l.Group, l.AddrGenModeNone, bond)
}

// prefixes are addresses that somebody has given.
func prefixes(list []state.Address) []string {
	var out []string
	for _, a := range list {
		if !a.LinkLocal() {
			out = append(out, a.Prefix.String())
		}
	}
	return out
}

// free wants NICs to be as they were before they were enslaved: on their own, with
// their MAC, MTU and state.
func (h *host) free(before state.Snapshot, names ...string) {
	h.t.Helper()
	unchanged(h.t, before, h.look(), names...)
}

// mac is the hardware address of a link.
func (h *host) mac(name string) string {
	h.t.Helper()
	return h.link(name).MAC
}

// oper waits for a link's operational state.
func (h *host) oper(name, want string) {
	h.t.Helper()
	eventually(h.t, name+" "+want, func() bool { return h.link(name).OperState == want })
}

// running is a NIC of the running configuration.
func (h *host) running(name string) netcfg.HostNic {
	h.t.Helper()
	c := h.View().Running
	n := c.Nic(name)
	if n == nil {
		h.t.Fatalf("%s is not in the running configuration", name)
	}
	return *n
}

// drifts are the fields that differ from what is running.
func (h *host) drifts() []string {
	h.t.Helper()
	var out []string
	for _, d := range h.Drift(h.look()) {
		out = append(out, d.Field)
	}
	return out
}

// waits are the NICs that wait.
func (h *host) waits() []string {
	var out []string
	for _, w := range h.View().Waiting {
		out = append(out, w.Nic)
	}
	slices.Sort(out)
	return out
}

// inSysfs does something where /sys/class/net is the host's.
func (h *host) inSysfs(do func() error) {
	h.t.Helper()
	h.byHand("sysfs", func() error {
		// The thread ends after this, and its mounts with it.
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
			return err
		}
		return do()
	})
}

// sysfs reads files of /sys/class/net as the host sees it.
func (h *host) sysfs(paths ...string) map[string]string {
	h.t.Helper()
	values := map[string]string{}
	h.inSysfs(func() error {
		for _, p := range paths {
			b, err := os.ReadFile(filepath.Join("/sys/class/net", p))
			if err != nil {
				return err
			}
			values[p] = strings.TrimSpace(string(b))
		}
		return nil
	})
	return values
}

// partner puts the far ends of these NICs into an LACP bond of the other side.
func (h *host) partner(nics ...string) {
	h.t.Helper()
	far := h.farHand()
	b := netlink.NewLinkBond(netlink.LinkAttrs{Name: "partner"})
	b.Mode, b.Miimon, b.LacpRate = netlink.BOND_MODE_802_3AD, 50, netlink.BOND_LACP_RATE_FAST
	far.must("partner", far.LinkAdd(b))
	for _, n := range nics {
		far.enslave("partner", "p-"+n)
	}
	far.up("partner")
}

// ports is how many slaves the active aggregator of a bond has.
func (h *host) ports(bond string) int {
	h.t.Helper()
	if ad := h.link(bond).Bond.AD; ad != nil && ad.PartnerMAC != "00:00:00:00:00:00" {
		return ad.NumPorts
	}
	return 0
}

// linkLog is the kernel's own account of what happens to links, from when it was
// opened.
type linkLog struct {
	h      *host
	socket *nl.NetlinkSocket
	links  map[string]state.Link
}

// linkEvent is one announcement.
type linkEvent struct {
	name              string
	gone, up, carrier bool
	master            int
}

// watchLinks opens the log.
func (h *host) watchLinks() *linkLog {
	h.t.Helper()
	log := &linkLog{h: h, links: map[string]state.Link{}}
	for _, l := range h.look().Links {
		log.links[l.Name] = l
	}
	h.byHand("watch links", func() (err error) {
		if log.socket, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK); err != nil {
			return err
		}
		if err := log.socket.SetReceiveTimeout(&unix.Timeval{Sec: 5}); err != nil {
			return err
		}
		return log.socket.SetReceiveBufferSize(4<<20, true)
	})
	h.t.Cleanup(func() { _ = log.socket.Close() })
	return log
}

// events are those so far. What comes after a change of the loopback's alias came
// after all that was done before it: announcements keep their order.
func (log *linkLog) events() []linkEvent {
	log.h.t.Helper()
	mark := time.Now().Format(time.RFC3339Nano)
	log.h.byHand("mark", func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetAlias(lo, mark)
	})
	var out []linkEvent
	for {
		messages, _, err := log.socket.Receive()
		if err != nil {
			log.h.t.Fatalf("the log of links: %v", err)
		}
		for _, m := range messages {
			e, alias, ok := decodeLink(m.Header.Type, m.Data)
			if alias == mark {
				return out
			}
			if ok {
				out = append(out, e)
			}
		}
	}
}

func decodeLink(typ uint16, data []byte) (e linkEvent, alias string, ok bool) {
	info := nl.DeserializeIfInfomsg(data)
	attributes, err := nl.ParseRouteAttr(data[info.Len():])
	if err != nil || info.Family != unix.AF_UNSPEC {
		return e, "", false
	}
	e.gone = typ == unix.RTM_DELLINK
	e.up, e.carrier = info.Flags&unix.IFF_UP != 0, info.Flags&unix.IFF_LOWER_UP != 0
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			e.name = string(a.Value[:len(a.Value)-1])
		case unix.IFLA_IFALIAS:
			alias = strings.TrimRight(string(a.Value), "\x00")
		case unix.IFLA_MASTER:
			e.master = int(nl.NativeEndian().Uint32(a.Value))
		}
	}
	return e, alias, true
}

// undisturbed wants these links never to have been down, without carrier, released
// or made anew since the log was opened, and the counters of that not to have moved.
func (log *linkLog) undisturbed(names ...string) {
	log.h.t.Helper()
	for _, e := range log.events() {
		if was := log.links[e.name]; slices.Contains(names, e.name) && (e.gone || !e.up || !e.carrier || e.master != was.Master) {
			log.h.t.Errorf("disturbed: %+v, master was %d", e, was.Master)
		}
	}
	for _, name := range names {
		was, is := log.links[name], log.h.link(name)
		same(log.h.t, "carrier downs of "+name, is.CarrierDowns, was.CarrierDowns)
		same(log.h.t, "index of "+name, is.Index, was.Index)
		if was.Slave != nil {
			same(log.h.t, "link failures of "+name, is.Slave.LinkFailures, was.Slave.LinkFailures)
		}
	}
}
