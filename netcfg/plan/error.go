package plan

import (
	"fmt"
	"syscall"
)

// ErrorKind folds the kernel's error numbers into the few kinds on which anybody
// decides.
type ErrorKind int

// The kinds.
const (
	Refused      ErrorKind = iota // the kernel does not want it: the request or the state is wrong
	Absent                        // the link, address or route is not there (ENODEV, EADDRNOTAVAIL, ESRCH, ENOENT)
	Present                       // it is there already (EEXIST)
	Busy                          // worth another try (EBUSY, EAGAIN, ENOBUFS, EINTR)
	Unsupported                   // the kernel lacks the module or the option (EOPNOTSUPP)
	NotPermitted                  // the process may not (EPERM without an ext-ack text, EACCES)
	Hung                          // no answer within the time limit
)

// OpError is the kernel's refusal of one operation.
type OpError struct {
	Op    Op
	Kind  ErrorKind
	Errno syscall.Errno
	// Message is the kernel's extended-ack text; empty when it gave none.
	Message string
}

// Error names the operation in iproute2's words and gives the kernel's own.
func (e *OpError) Error() string {
	if e.Message != "" {
		return fmt.Sprintf("%s: kernel: %s (%v)", e.Op, e.Message, e.Errno)
	}
	if e.Kind == Hung {
		return fmt.Sprintf("%s: kernel: no answer in time", e.Op)
	}
	return fmt.Sprintf("%s: kernel: %v", e.Op, e.Errno)
}

// Unwrap gives the error number, for errors.Is.
func (e *OpError) Unwrap() error { return e.Errno }
