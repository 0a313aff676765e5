package kernel

import (
	"encoding/binary"
	"errors"
	"iter"
	"syscall"

	"golang.org/x/sys/unix"
)

// request is a netlink message yet without its header.
type request struct {
	typ, flags uint16
	body       []byte
}

// message is a netlink message received.
type message struct {
	typ, flags uint16
	seq        uint32
	body       []byte
}

const messageHeader = unix.SizeofNlMsghdr

// appendMessage appends struct nlmsghdr and the body. The port is left 0: the
// kernel knows whose socket it is.
func appendMessage(b []byte, r request, flags uint16, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(messageHeader+len(r.body)))
	b = binary.NativeEndian.AppendUint16(b, r.typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|r.flags|flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return appendPadded(b, r.body)
}

// messages walks over the messages of one datagram and stops at the first that
// does not fit. The bodies are parts of b.
func messages(b []byte) iter.Seq[message] {
	return func(yield func(message) bool) {
		for len(b) >= messageHeader {
			n := int(binary.NativeEndian.Uint32(b))
			if n < messageHeader || n > len(b) {
				return
			}
			m := message{
				typ:   binary.NativeEndian.Uint16(b[4:]),
				flags: binary.NativeEndian.Uint16(b[6:]),
				seq:   binary.NativeEndian.Uint32(b[8:]),
				body:  b[messageHeader:n:n],
			}
			if !yield(m) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// errTorn is an answer that is too short to be one.
var errTorn = errors.New("netlink: malformed answer")

// answer is what the kernel says of one request.
type answer struct {
	errno syscall.Errno // 0 is yes
	text  string        // of the extended acknowledgment
}

// decodeAnswer reads struct nlmsgerr of an NLMSG_ERROR message: the error number,
// the header of the request, the rest of the request unless NLM_F_CAPPED says
// that it was left out, and attributes where NLM_F_ACK_TLVS says so (netlink_ack
// in net/netlink/af_netlink.c).
func decodeAnswer(m message) (answer, error) {
	const fixed = 4 + messageHeader
	if len(m.body) < fixed {
		return answer{}, errTorn
	}
	a := answer{errno: negated(m.body)}
	if m.flags&unix.NLM_F_ACK_TLVS != 0 {
		start := fixed
		if m.flags&unix.NLM_F_CAPPED == 0 {
			start = 4 + align(int(u32(m.body[4:])))
		}
		if start >= fixed && start <= len(m.body) {
			a.text = text(attribute(m.body[start:], unix.NLMSGERR_ATTR_MSG))
		}
	}
	return a, nil
}

// decodeDone reads the end of a dump, NLMSG_DONE: an error number since Linux 4.16,
// with attributes behind it (netlink_dump_done).
func decodeDone(m message) answer {
	if len(m.body) < 4 {
		return answer{}
	}
	a := answer{errno: negated(m.body)}
	if m.flags&unix.NLM_F_ACK_TLVS != 0 {
		a.text = text(attribute(m.body[4:], unix.NLMSGERR_ATTR_MSG))
	}
	return a
}

// negated reads an error number, which the kernel gives as a negative int. A dump
// may end with a positive one, the length of something, which is no error.
func negated(b []byte) syscall.Errno {
	if n := int32(u32(b)); n < 0 {
		return syscall.Errno(-n)
	}
	return 0
}
