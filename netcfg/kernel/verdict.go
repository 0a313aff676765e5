package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// verdict folds the kernel's answer to an operation into a kind. It is the only
// place that decides by error number, and it never decides by text. done is true
// where the refusal says that the operation's purpose is fulfilled already.
//
// permitted tells whether this process may change the network at all; it is asked
// only where the answer leaves that open.
func verdict(action plan.Action, a answer, permitted func() bool) (kind plan.ErrorKind, done bool) {
	switch a.errno {
	case 0:
		return 0, true
	case unix.ENODEV, unix.ESRCH, unix.ENOENT:
		return plan.Absent, deletes(action)
	case unix.EADDRNOTAVAIL, unix.ENXIO:
		// ENXIO comes from a link without any IPv6, such as a slave (inet6_addr_del
		// in net/ipv6/addrconf.c). From others than AddrDel the first means an
		// address that nobody may have, such as a multicast MAC.
		if action == plan.AddrDel {
			return plan.Absent, true
		}
		return plan.Refused, false
	case unix.EEXIST:
		return plan.Present, false
	case unix.EBUSY:
		return busy(action, a), false
	case unix.EAGAIN, unix.ENOBUFS, unix.EINTR, unix.ENOMEM:
		return plan.Busy, false
	case unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT:
		return plan.Unsupported, false
	case unix.EPERM, unix.EACCES:
		// rtnetlink_rcv_msg refuses those who may not without a word, but so does
		// bonding when it is given a delay and no miimon.
		if a.text == "" && !permitted() {
			return plan.NotPermitted, false
		}
		return plan.Refused, false
	case unix.ETIMEDOUT:
		return plan.Hung, false
	}
	return plan.Refused, false
}

func deletes(action plan.Action) bool {
	switch action {
	case plan.LinkDel, plan.GroupDel, plan.AddrDel, plan.RouteDel:
		return true
	}
	return false
}

// busy tells apart what the kernel calls busy. The chosen index of a new link may
// be taken (dev_index_reserve in net/core/dev.c); what comes with a text, such as
// "unable to set option because the bond is up", will be the same the next time.
func busy(action plan.Action, a answer) plan.ErrorKind {
	switch {
	case action == plan.LinkAdd:
		return plan.Present
	case a.text != "":
		return plan.Refused
	}
	return plan.Busy
}

// opError is the error of an operation that was not done.
func opError(op plan.Op, kind plan.ErrorKind, a answer) *plan.OpError {
	return &plan.OpError{Op: op, Kind: kind, Errno: a.errno, Message: a.text}
}
