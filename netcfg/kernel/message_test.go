package kernel

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDecodeAnswer(t *testing.T) {
	whole := refusal(unix.EINVAL, "text behind the request")
	// The request of 16 + 5 bytes comes along whole, filled up to 24, and before the
	// attributes.
	whole.flags &^= unix.NLM_F_CAPPED
	copyOf := append([]byte(nil), whole.body[:20]...)
	copyOf[4] = 16 + 5
	whole.body = append(append(copyOf, make([]byte, 8)...), whole.body[20:]...)
	tests := []struct {
		name string
		r    request
		want answer
	}{
		{"yes", refusal(0, ""), answer{}},
		{"yes, but", refusal(0, "a warning"), answer{text: "a warning"}},
		{"no", refusal(unix.EPERM, ""), answer{errno: unix.EPERM}},
		{"no, since", refusal(unix.EPERM, "Device can not be enslaved while up"), answer{unix.EPERM, "Device can not be enslaved while up"}},
		{"with the request inside", whole, answer{unix.EINVAL, "text behind the request"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for m := range messages(appendMessage(nil, test.r, 0, 5)) {
				got, err := decodeAnswer(m)
				if err != nil || got != test.want || m.seq != 5 || m.typ != unix.NLMSG_ERROR {
					t.Errorf("%+v, %v", got, err)
				}
			}
		})
	}
	if _, err := decodeAnswer(message{body: make([]byte, 19)}); err == nil {
		t.Error("19 bytes are no answer")
	}
}

func TestAnswerIsAnError(t *testing.T) {
	for want, a := range map[string]answer{
		"kernel: no such device":              {errno: unix.ENODEV},
		"kernel: a reason (invalid argument)": {unix.EINVAL, "a reason"},
	} {
		if a.Error() != want || !errors.Is(a, a.errno) {
			t.Errorf("got %q, want %q", a.Error(), want)
		}
	}
}

func TestMessages(t *testing.T) {
	var b []byte
	for i := range 3 {
		b = appendMessage(b, request{typ: uint16(20 + i), body: make([]byte, i)}, unix.NLM_F_ACK, uint32(i))
	}
	n := 0
	for m := range messages(b) {
		if int(m.typ) != 20+n || int(m.seq) != n || len(m.body) != n || m.flags != unix.NLM_F_REQUEST|unix.NLM_F_ACK {
			t.Errorf("message %d: %+v", n, m)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d messages", n)
	}
	for _, length := range []byte{0, 5, 15} { // less than its own header
		for m := range messages([]byte{length, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}) {
			t.Errorf("length %d: %+v", length, m)
		}
	}
	for cut := range b {
		for m := range messages(b[:cut:cut]) {
			_ = m.body
		}
	}
}

func TestDone(t *testing.T) {
	for _, test := range []struct {
		body []byte
		want syscall.Errno
	}{
		{nil, 0},
		{[]byte{0, 0, 0, 0}, 0},
		{[]byte{0x10, 0, 0, 0}, 0},
		{[]byte{0xff, 0xff, 0xff, 0xff}, unix.EPERM},
	} {
		if got := decodeDone(message{body: test.body}); got.errno != test.want {
			t.Errorf("%v: %v", test.body, got)
		}
	}
}
