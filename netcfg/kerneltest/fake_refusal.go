package kerneltest

import (
	"syscall"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// refusal is the kernel's answer to one request; nil is success.
type refusal struct {
	errno syscall.Errno
	// message is the extended acknowledgement, empty where the kernel gives none.
	message string
}

func refuse(errno syscall.Errno, message string) *refusal { return &refusal{errno, message} }

// opError is the refusal as the real door reports it. What counts as done
// already is no refusal: see converge.Kernel.
func (r *refusal) opError(op plan.Op) error {
	if r == nil || done(op.Action, r.errno) {
		return nil
	}
	return &plan.OpError{Op: op, Kind: kindOf(op.Action, r), Errno: r.errno, Message: r.message}
}

// done is true of an answer that says that there is nothing left to do.
func done(a plan.Action, errno syscall.Errno) bool {
	switch a {
	case plan.LinkDel, plan.GroupDel, plan.AddrDel, plan.RouteDel:
	default:
		return false
	}
	switch errno {
	case syscall.ENODEV, syscall.ESRCH, syscall.ENOENT:
		return true
	case syscall.EADDRNOTAVAIL, syscall.ENXIO:
		// ENXIO: the link has no IPv6 at all, because its MTU is below 1280.
		return a == plan.AddrDel
	}
	return false
}

// kindOf folds the errors as the real door does. The contract holds the two
// together.
func kindOf(a plan.Action, r *refusal) plan.ErrorKind {
	switch r.errno {
	case syscall.ENODEV, syscall.ESRCH, syscall.ENOENT:
		return plan.Absent
	case syscall.EEXIST:
		return plan.Present
	case syscall.EBUSY:
		switch {
		case a == plan.LinkAdd:
			return plan.Present
		case r.message != "":
			return plan.Refused
		}
		return plan.Busy
	case syscall.EAGAIN, syscall.ENOBUFS, syscall.EINTR, syscall.ENOMEM:
		return plan.Busy
	case syscall.EOPNOTSUPP, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT:
		return plan.Unsupported
	case syscall.ETIMEDOUT:
		return plan.Hung
	}
	return plan.Refused
}
