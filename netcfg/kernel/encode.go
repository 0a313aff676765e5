package kernel

import (
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// encode turns an operation into the one request that performs it. It fails only
// for operations that nobody should have planned, such as an option that does not
// exist.
func encode(op plan.Op) (request, error) {
	switch op.Action {
	case plan.LinkAdd, plan.LinkSet:
		return encodeLink(op)
	case plan.LinkDel:
		return request{typ: unix.RTM_DELLINK, body: appendIfInfo(nil, op.Index, 0, 0)}, nil
	case plan.GroupDel:
		// Only without an index and a name does it take the group (rtnl_dellink in
		// net/core/rtnetlink.c). Group 0, where everybody is, the kernel refuses.
		body := appendIfInfo(nil, 0, 0, 0)
		return request{typ: unix.RTM_DELLINK, body: appendU32(body, unix.IFLA_GROUP, op.Group)}, nil
	case plan.AddrAdd:
		return request{typ: unix.RTM_NEWADDR, flags: unix.NLM_F_CREATE, body: appendAddress(nil, op.Index, op.Address, true)}, nil
	case plan.AddrReplace:
		return request{typ: unix.RTM_NEWADDR, flags: unix.NLM_F_CREATE | unix.NLM_F_REPLACE, body: appendAddress(nil, op.Index, op.Address, true)}, nil
	case plan.AddrDel:
		return request{typ: unix.RTM_DELADDR, body: appendAddress(nil, op.Index, op.Address, false)}, nil
	case plan.RouteAdd:
		return request{typ: unix.RTM_NEWROUTE, flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, body: appendRoute(nil, op.Route)}, nil
	case plan.RouteReplace:
		return request{typ: unix.RTM_NEWROUTE, flags: unix.NLM_F_CREATE | unix.NLM_F_REPLACE, body: appendRoute(nil, op.Route)}, nil
	case plan.RouteDel:
		return request{typ: unix.RTM_DELROUTE, body: appendRouteKey(nil, op.Route)}, nil
	}
	return request{}, fmt.Errorf("no such action: %d", op.Action)
}

// usualMessage is about what a request takes, usualBody room for a VLAN with all that
// it is made with.
const (
	usualMessage = 100
	usualBody    = 128
)

// appendIfInfo appends struct ifinfomsg. Of flags only those in change are looked
// at.
func appendIfInfo(b []byte, index int, flags, change uint32) []byte {
	b = append(b, unix.AF_UNSPEC, 0, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b = binary.NativeEndian.AppendUint32(b, flags)
	return binary.NativeEndian.AppendUint32(b, change)
}

// encodeLink makes a link with all that it is to have, or changes one by its
// index. Bond options go through RTM_NEWLINK, as RTM_SETLINK does not look at
// IFLA_LINKINFO; without NLM_F_CREATE that changes what is there and makes nothing
// (rtnl_newlink in net/core/rtnetlink.c). A name is sent with a new link only: with
// an index it would be a wish for another name.
func encodeLink(op plan.Op) (request, error) {
	r := request{typ: unix.RTM_SETLINK}
	var flags, change uint32
	if op.Up != nil {
		change = unix.IFF_UP
		if *op.Up {
			flags = unix.IFF_UP
		}
	}
	r.body = appendIfInfo(make([]byte, 0, usualBody), op.Index, flags, change)
	if op.Action == plan.LinkAdd {
		r.typ, r.flags = unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL
		r.body = appendText(r.body, unix.IFLA_IFNAME, op.Name)
		if op.Parent != 0 {
			r.body = appendU32(r.body, unix.IFLA_LINK, uint32(op.Parent))
		}
	}
	if op.MAC != "" {
		mac, err := net.ParseMAC(op.MAC)
		if err != nil {
			return request{}, err
		}
		r.body = appendAttr(r.body, unix.IFLA_ADDRESS, mac)
	}
	r.body = appendLinkAttributes(r.body, op)
	kind := ""
	switch {
	case op.Action == plan.LinkAdd:
		kind = op.Kind
	case len(op.Options) > 0:
		r.typ, kind = unix.RTM_NEWLINK, "bond"
	}
	if kind == "" {
		return r, nil
	}
	data, err := linkData(op, kind)
	if err != nil {
		return request{}, err
	}
	r.body = appendNested(r.body, unix.IFLA_LINKINFO, func(b []byte) []byte {
		b = appendText(b, unix.IFLA_INFO_KIND, kind)
		if data != nil {
			b = appendAttr(b, unix.IFLA_INFO_DATA, data)
		}
		return b
	})
	return r, nil
}

func appendLinkAttributes(b []byte, op plan.Op) []byte {
	if op.MTU != 0 {
		b = appendU32(b, unix.IFLA_MTU, uint32(op.MTU))
	}
	if op.Group != 0 {
		b = appendU32(b, unix.IFLA_GROUP, op.Group)
	}
	if op.Master != nil {
		b = appendU32(b, unix.IFLA_MASTER, uint32(*op.Master))
	}
	if op.AddrGenModeNone != nil {
		mode := uint8(genModeEUI)
		if *op.AddrGenModeNone {
			mode = genModeNone
		}
		b = appendNested(b, unix.IFLA_AF_SPEC, func(b []byte) []byte {
			return appendNested(b, unix.AF_INET6, func(b []byte) []byte {
				return appendU8(b, unix.IFLA_INET6_ADDR_GEN_MODE, mode)
			})
		})
	}
	return b
}

// linkData is what goes into IFLA_INFO_DATA; nil for kinds that need none.
func linkData(op plan.Op, kind string) ([]byte, error) {
	switch kind {
	case "vlan":
		return appendU16(nil, unix.IFLA_VLAN_ID, uint16(op.VLANID)), nil
	case "bond":
		var data []byte
		var err error
		for _, o := range op.Options {
			if data, err = appendOption(data, o, op.PrimaryIndex); err != nil {
				return nil, err
			}
		}
		return data, nil
	}
	return nil, nil
}
