package kernel

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// words for the outcomes in the table of TestVerdict.
var outcomes = map[string]plan.ErrorKind{
	"refused": plan.Refused, "absent": plan.Absent, "present": plan.Present, "busy": plan.Busy,
	"unsupported": plan.Unsupported, "forbidden": plan.NotPermitted, "hung": plan.Hung,
}

// TestVerdict is the whole table: an error number in a line, an action in a column,
// in the order of plan's actions. "done" is success.
func TestVerdict(t *testing.T) {
	const header = "LinkAdd LinkSet LinkDel GroupDel AddrAdd AddrDel RouteAdd RouteReplace RouteDel"
	table := map[syscall.Errno]string{
		0:                      "done done done done done done done done done",
		unix.ENODEV:            "absent absent done done absent done absent absent done",
		unix.ESRCH:             "absent absent done done absent done absent absent done",
		unix.ENOENT:            "absent absent done done absent done absent absent done",
		unix.EADDRNOTAVAIL:     "refused refused refused refused refused done refused refused refused",
		unix.ENXIO:             "refused refused refused refused refused done refused refused refused",
		unix.EEXIST:            "present present present present present present present present present",
		unix.EBUSY:             "present busy busy busy busy busy busy busy busy",
		unix.EAGAIN:            "busy busy busy busy busy busy busy busy busy",
		unix.ENOBUFS:           "busy busy busy busy busy busy busy busy busy",
		unix.EINTR:             "busy busy busy busy busy busy busy busy busy",
		unix.ENOMEM:            "busy busy busy busy busy busy busy busy busy",
		unix.EOPNOTSUPP:        "unsupported unsupported unsupported unsupported unsupported unsupported unsupported unsupported unsupported",
		unix.EAFNOSUPPORT:      "unsupported unsupported unsupported unsupported unsupported unsupported unsupported unsupported unsupported",
		unix.EPROTONOSUPPORT:   "unsupported unsupported unsupported unsupported unsupported unsupported unsupported unsupported unsupported",
		unix.EPERM:             "forbidden forbidden forbidden forbidden forbidden forbidden forbidden forbidden forbidden",
		unix.EACCES:            "forbidden forbidden forbidden forbidden forbidden forbidden forbidden forbidden forbidden",
		unix.ETIMEDOUT:         "hung hung hung hung hung hung hung hung hung",
		unix.EINVAL:            "refused refused refused refused refused refused refused refused refused",
		unix.ERANGE:            "refused refused refused refused refused refused refused refused refused",
		unix.ENOTEMPTY:         "refused refused refused refused refused refused refused refused refused",
		unix.ENETDOWN:          "refused refused refused refused refused refused refused refused refused",
		unix.ENETUNREACH:       "refused refused refused refused refused refused refused refused refused",
		unix.EHOSTUNREACH:      "refused refused refused refused refused refused refused refused refused",
		unix.EMSGSIZE:          "refused refused refused refused refused refused refused refused refused",
		unix.EIO:               "refused refused refused refused refused refused refused refused refused",
		syscall.Errno(1 << 31): "refused refused refused refused refused refused refused refused refused",
	}
	for errno, line := range table {
		for action, want := range strings.Fields(line) {
			kind, done := verdict(plan.Action(action), answer{errno: errno}, func() bool { return false })
			if done != (want == "done") || !done && kind != outcomes[want] {
				t.Errorf("%v, %s: got %d (done: %v), want %s", errno, strings.Fields(header)[action], kind, done, want)
			}
		}
	}
}

// TestVerdictByCircumstance has the answers that mean one thing or another.
func TestVerdictByCircumstance(t *testing.T) {
	tests := []struct {
		name      string
		a         answer
		permitted bool
		want      plan.ErrorKind
	}{
		{"EPERM with a text", answer{unix.EPERM, "Device can not be enslaved while up"}, false, plan.Refused},
		{"EPERM without, permitted", answer{errno: unix.EPERM}, true, plan.Refused},
		{"EACCES with a text", answer{unix.EACCES, "option not supported in mode"}, false, plan.Refused},
		{"EACCES without, permitted", answer{errno: unix.EACCES}, true, plan.Refused},
		{"EBUSY with a text", answer{unix.EBUSY, "unable to set option because the bond is up"}, true, plan.Refused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := false
			kind, done := verdict(plan.LinkSet, test.a, func() bool { asked = true; return test.permitted })
			if kind != test.want || done || asked && test.a.text != "" {
				t.Errorf("got %d (done: %v), asked %v", kind, done, asked)
			}
		})
	}
}

// TestForbidden asks the kernel, once the answer leaves it open, and not before.
func TestForbidden(t *testing.T) {
	for _, permitted := range []bool{true, false} {
		asked := 0
		s := &script{answer: func(m message, tell func(...any)) {
			if indexOf(m) == 0 { // whether anything is permitted
				asked++
				if permitted {
					tell(refused(m, unix.EINVAL, ""))
					return
				}
			}
			tell(refused(m, unix.EPERM, ""))
		}}
		k := scripted(t, Options{}, nil, s)
		err := k.Apply(t.Context(), linkOps(1))
		e, ok := errors.AsType[*plan.OpError](err)
		if !ok || (e.Kind == plan.Refused) != permitted || (e.Kind == plan.NotPermitted) == permitted || asked != 1 || k.Writes() != 1 {
			t.Errorf("permitted %v: %v, asked %d times, %d writes", permitted, err, asked, k.Writes())
		}
	}
}
