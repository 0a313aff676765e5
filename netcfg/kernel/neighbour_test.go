package kernel

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestNeighbourAsk has every state of an entry, before and after the question.
func TestNeighbourAsk(t *testing.T) {
	const wait, settled, doubt, use = "wait", "settled", "doubt", "use"
	for _, c := range []struct {
		nud           uint16
		first, second string
	}{
		{unix.NUD_NONE, use, use}, // flushed meanwhile
		{unix.NUD_FAILED, use, settled},
		{unix.NUD_INCOMPLETE, wait, wait},
		{unix.NUD_REACHABLE, doubt, settled},
		{unix.NUD_STALE, doubt, doubt},
		{unix.NUD_DELAY, doubt, doubt},
		{unix.NUD_PROBE, wait, wait},
		{unix.NUD_PERMANENT, settled, settled},
		{unix.NUD_NOARP, settled, settled},
	} {
		n := neighbour{nud: c.nud, flags: unix.NTF_EXT_LEARNED | unix.NTF_ROUTER, extended: []byte{1, 0, 0, 0}}
		for i, want := range []string{c.first, c.second} {
			got := wait
			switch r := n.ask(i == 1); {
			case n.settled(i == 1):
				got = settled
			case r != nil && r.flags == unix.NLM_F_CREATE && r.body[10]&unix.NTF_USE != 0:
				got = use
			case r != nil && u16(r.body[8:]) == unix.NUD_PROBE && r.body[10] == unix.NTF_EXT_LEARNED:
				got = doubt
			}
			if got != want {
				t.Errorf("state %#x, asked %v: %s, want %s", c.nud, i == 1, got, want)
			}
			if r := n.ask(i == 1); r != nil && attribute(r.body[unix.SizeofNdMsg:], ndaFlagsExt) == nil {
				t.Errorf("state %#x: the flags are not repeated", c.nud)
			}
		}
	}
}
