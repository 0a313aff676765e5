package drive

import (
	"bytes"
	"strings"
)

// Bounds of what is taken from one message; a server that sends more is not in its
// right mind.
const (
	// MostServers are of one kind, such as DNS.
	MostServers = 8
	// MostSearch are the domains to look in.
	MostSearch  = 32
	longestName = 253
	longestText = 128
)

// CleanName is the name if it is one (RFC 1123 §2.1), and "" otherwise. Some servers
// send a NUL or a dot behind it. A name goes into files and to programs that other
// people wrote, so there is no such thing as repairing one.
func CleanName(b []byte) string {
	s := strings.TrimSuffix(string(bytes.TrimRight(b, "\x00")), ".")
	if len(s) == 0 || len(s) > longestName {
		return ""
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return ""
		}
	}
	return strings.ToLower(s)
}

// isLabel also takes the underscore, which names of real domains have.
func isLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// CleanText makes text of a server printable, for people to read.
func CleanText(b []byte) string {
	b = bytes.TrimRight(b, "\x00")
	if len(b) > longestText {
		b = b[:longestText]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(b))
}

// ParseSearch reads a search list (RFC 3397, RFC 3646 §4): names in the wire format of
// RFC 1035 §4.1.4, compressed within the option. A pointer must point backwards, and what it leads to
// makes the name longer, so no loop is longer than a name may be. Names that are none
// are left out and counted; ok is false where the form is broken.
func ParseSearch(b []byte) (names []string, dropped int, ok bool) {
	for at := 0; at < len(b); {
		name, next := readName(b, at)
		if next < 0 {
			return nil, 0, false
		}
		at = next
		if clean := CleanName(name); clean != "" && len(names) < MostSearch {
			names = append(names, clean)
		} else {
			dropped++
		}
	}
	return names, dropped, true
}

// readName reads the name at the offset, with dots between its labels, and gives the
// offset behind it; a negative one says that it is malformed. A dot within a label
// makes the name too long, or another name that is as good as any.
func readName(b []byte, at int) (name []byte, next int) {
	next = -1
	for at < len(b) && len(name) <= longestName {
		length := int(b[at])
		switch {
		case length == 0:
			if next < 0 {
				next = at + 1
			}
			return name, next
		case length&0xc0 == 0xc0:
			if at+1 >= len(b) {
				return nil, -1
			}
			to := length&0x3f<<8 | int(b[at+1])
			if to >= at {
				return nil, -1
			}
			if next < 0 {
				next = at + 2
			}
			at = to
		case length > 63 || at+1+length > len(b):
			return nil, -1
		default:
			if len(name) > 0 {
				name = append(name, '.')
			}
			name = append(name, b[at+1:at+1+length]...)
			at += 1 + length
		}
	}
	return nil, -1
}
