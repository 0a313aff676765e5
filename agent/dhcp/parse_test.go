package dhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

// ack is the payload of a good one, with more options, or others.
func ack(o ...dhcpv4.Option) []byte { return ackOf(o...).ToBytes() }

func ackOf(o ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	s := newServer("192.0.2.1", "192.0.2.100").option(o...)
	m := NewMachine(quick, nil)
	m.link = upLink
	return s.reply(m.message(dhcpv4.MessageTypeRequest), dhcpv4.MessageTypeAck, s.first)
}

// cut takes the end option, and what is behind it, off.
func cut(b []byte) []byte { return slices.Clone(b[:bytes.LastIndexByte(b, 255)]) }

// overloaded puts options into the fields file and sname.
func overloaded(which byte, file, sname []byte) []byte {
	b := ack(raw(52, which))
	clear(b[44:236])
	copy(b[44:], sname)
	copy(b[108:], file)
	return b
}

func TestFault_E1(t *testing.T) { // and TestScenario_D23
	good := ack()
	malformed := map[string][]byte{
		"nothing":               nil,
		"zeros":                 make([]byte, 300),
		"short":                 good[:239],
		"no options":            good[:240],
		"no end":                cut(good),
		"option cut off":        append(slices.Clone(good[:240]), 53, 9, 5),
		"option without length": append(slices.Clone(good[:240]), 53),
		"other cookie":          append(append(slices.Clone(good[:236]), 1, 2, 3, 4), good[240:]...),
		"a request":             append([]byte{1}, good[1:]...),
		"other hardware":        append([]byte{2, 32}, good[2:]...),
		"short MAC":             append([]byte{2, 1, 5}, good[3:]...),
		"long MAC":              append([]byte{2, 1, 16}, good[3:]...),
		"type of two bytes":     ack(raw(53, 5, 5)),
		"type of none":          ack(raw(53)),
		"a type of clients":     ack(raw(53, 3)),
		"short server":          ack(raw(54, 1, 2, 3)),
		"server 0.0.0.0":        ack(raw(54, 0, 0, 0, 0)),
		"server 255.255.255":    ack(raw(54, 255, 255, 255, 255)),
		"server twice":          append(cut(good), 54, 4, 192, 0, 2, 1, 255),
		"short lease":           ack(raw(51, 0, 14, 16)),
		"long lease":            ack(raw(51, 0, 0, 0, 14, 16)),
		"short T1":              ack(raw(58, 1)),
		"long T2":               ack(raw(59, 0, 0, 0, 0, 1)),
		"short mask":            ack(raw(1, 255, 255)),
		"mask with holes":       ack(raw(1, 255, 0, 255, 0)),
		"mask ff00ff00":         ack(raw(1, 0xff, 0, 0xff, 0)),
		"mask of nothing":       ack(raw(1, 0, 0, 0, 0)),
		"mask /7":               ack(raw(1, 254, 0, 0, 0)),
		"routers":               ack(raw(3, 192, 0, 2, 1, 192)),
		"no routers":            ack(raw(3)),
		"DNS":                   ack(raw(6, 1, 2, 3)),
		"NTP":                   ack(raw(42, 1, 2, 3, 4, 5)),
		"broadcast":             ack(raw(28, 192, 0, 2)),
		"MTU":                   ack(raw(26, 5)),
		"overload of 0":         ack(raw(52, 0)),
		"overload of 4":         ack(raw(52, 4)),
		"overload of 2 bytes":   ack(raw(52, 1, 1)),
		"overload without end":  overloaded(1, bytes.Repeat([]byte{0}, 128), nil),
		"overload cut off":      overloaded(1, append(bytes.Repeat([]byte{0}, 126), 6, 255), nil),
		"overload with holes":   overloaded(2, nil, []byte{1, 4, 255, 0, 255, 0, 255}),
	}
	noLease := ackOf()
	noLease.DeleteOption(dhcpv4.OptionIPAddressLeaseTime)
	malformed["no lease"] = noLease.ToBytes()
	for name, b := range malformed {
		if r, err := ParseReply(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
	if _, err := ParseReply(good); err != nil {
		t.Errorf("a good one: %v", err)
	}

	// What is dropped is counted, and the client goes on.
	s := newServer("192.0.2.1", "192.0.2.100").option(raw(1, 255, 0, 255, 0))
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.sleep(3e9)
		same(t, "state", l.status().State, Selecting)
		same(t, "malformed", l.status().Malformed, len(s.seen))
		s.options = nil
		l.bound("192.0.2.100/24", 10e9)
	}, s)
}

// Options in other fields (RFC 2132 §9.3), in pieces (RFC 3396), padded, and unknown.
func TestOptionsElsewhere(t *testing.T) {
	b := overloaded(3, []byte{6, 4, 10, 0, 0, 1, 255}, []byte{6, 4, 10, 0, 0, 2, 0, 42, 4, 10, 0, 0, 3, 255})
	r, err := ParseReply(b)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "DNS from both", r.Terms.dns, "[10.0.0.1 10.0.0.2]")
	same(t, "NTP", r.Terms.ntp, "[10.0.0.3]")
	b = append(cut(ack()), 0, 0, 224, 3, 1, 2, 3, 6, 2, 10, 1, 0, 6, 2, 0, 1, 255, 9, 9)
	if r, err = ParseReply(b); err != nil {
		t.Fatal(err)
	}
	same(t, "DNS in pieces", r.Terms.dns, "[10.1.0.1]")
	noMask := ackOf()
	noMask.DeleteOption(dhcpv4.OptionSubnetMask)
	if r, err = ParseReply(noMask.ToBytes()); err != nil || r.Terms.bits != 24 {
		t.Errorf("no mask: %d, %v; want that of class C", r.Terms.bits, err)
	}
}

// corrupt changes a frame.
func corrupt(b []byte, change func(b []byte)) []byte {
	b = slices.Clone(b)
	change(b)
	binary.BigEndian.PutUint16(b[10:], 0)
	if header := int(b[0]&0xf) * 4; header <= len(b) {
		binary.BigEndian.PutUint16(b[10:], checksum(b[:header]))
	}
	return b
}

func TestFault_E2(t *testing.T) {
	from := netip.MustParseAddr("192.0.2.1")
	good := frame(ack(), from)
	// The codec's client once panicked on a frame whose IP payload is shorter than a
	// UDP header (insomniacslk/dhcp#583).
	short := corrupt(good[:27], func(b []byte) { binary.BigEndian.PutUint16(b[2:], 27) })
	bad := map[string][]byte{
		"#583": short, "#583 with padding": append(slices.Clone(short), make([]byte, 30)...),
		"nothing": nil, "half a header": good[:19], "only a header": good[:20],
		"IPv6": corrupt(good, func(b []byte) { b[0] = 0x65 }),
		"IHL 4": corrupt(good, func(b []byte) { // with which the addresses are ports
			b[0] = 0x44
			copy(b[16:], []byte{0, 67, 0, 68, 1, 0, 0, 0})
		}),
		"IHL 15":           corrupt(good[:40], func(b []byte) { b[0] = 0x4f }),
		"TCP":              corrupt(good, func(b []byte) { b[9] = 6 }),
		"more fragments":   corrupt(good, func(b []byte) { b[6] = 0x20 }),
		"last fragment":    corrupt(good, func(b []byte) { b[7] = 1 }),
		"longer than read": corrupt(good, func(b []byte) { b[2]++ }),
		"length 0":         corrupt(good, func(b []byte) { b[2], b[3] = 0, 0 }),
		"UDP too long":     corrupt(good, func(b []byte) { b[24] = 0xff }),
		"UDP of 7":         corrupt(good, func(b []byte) { b[24], b[25] = 0, 7 }),
		"other port":       corrupt(good, func(b []byte) { b[23] = 67 }),
		"IPv4 checksum":    append(append(slices.Clone(good[:10]), good[10]+1), good[11:]...),
		"UDP checksum":     corrupt(good, func(b []byte) { b[40]++ }),
		"other source":     corrupt(good, func(b []byte) { b[12]++ }), // the UDP checksum covers it
	}
	for name, b := range bad {
		if payload, _, err := parseUDP(b, false); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %d bytes", name, err, len(payload))
		}
	}
	fine := map[string][]byte{
		"good": good, "padded": append(slices.Clone(good), make([]byte, 18)...),
		"no UDP checksum": corrupt(good, func(b []byte) { b[26], b[27] = 0, 0 }),
		"do not fragment": corrupt(good, func(b []byte) { b[6] = 0x40 }),
		"with options": corrupt(slices.Concat(good[:20], []byte{1, 1, 1, 0}, good[20:]), func(b []byte) {
			b[0] = 0x46
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		}),
	}
	for name, b := range fine {
		if payload, src, err := parseUDP(b, false); err != nil || !bytes.Equal(payload, ack()) || src != from {
			t.Errorf("%s: %v from %s", name, err, src)
		}
	}
	unfilled := corrupt(good, func(b []byte) { b[26], b[27] = 0x12, 0x34 })
	if _, _, err := parseUDP(unfilled, true); err != nil {
		t.Errorf("a checksum that the sender's kernel has left to a NIC: %v", err)
	}
	if _, err := parseARP(make([]byte, 27)); !errors.Is(err, ErrMalformed) {
		t.Errorf("short ARP: %v", err)
	}
}

func TestFault_E16(t *testing.T) {
	long := strings.Repeat("a", 63)
	names := map[string]string{
		"host7": "host7", "Host7.Example.ORG.": "host7.example.org", "a_b-c.d": "a_b-c.d", "name\x00\x00": "name",
		long + ".x": long + ".x",
		"":          "", "$(reboot)": "", "a;reboot": "", "a`id`": "", "a b": "", "a\nb": "", "a\x1b[2Jb": "", "a\x00b": "",
		"..": "", ".": "", "a..b": "", "-a": "", "a-": "", "a/b": "", "a\"b": "", "ä": "", long + "a": "",
		strings.Repeat("a.", 127) + "aa": "", "localhost": "",
	}
	for in, want := range names {
		r, err := ParseReply(ack(raw(12, []byte(in)...)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "name "+in, r.Terms.hostName, want)
		if refused := len(r.Terms.ignored) > 0; refused != (want == "") {
			t.Errorf("%q: ignored %q", in, r.Terms.ignored)
		}
	}
	r, err := ParseReply(ack(raw(15, []byte("example.org; rm -rf /")...)))
	if err != nil || r.Terms.domain != "" {
		t.Errorf("domain %q, %v", r.Terms.domain, err)
	}

	many := bytes.Repeat([]byte{1, 'a', 0}, 80)
	searches := map[string]struct {
		in   []byte
		want string
	}{
		"two":            {[]byte("\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"), "[eng.apple.com marketing.apple.com]"}, // RFC 3397 §2
		"none":           {nil, "[]"},
		"to itself":      {[]byte{0xc0, 0}, "[]"},
		"loop":           {[]byte{1, 'a', 0xc0, 0}, "[]"},
		"forwards":       {[]byte{0xc0, 2, 1, 'a', 0}, "[]"},
		"outside":        {[]byte{1, 'a', 0, 0xc0, 99}, "[]"},
		"half a pointer": {[]byte{1, 'a', 0, 0xc0}, "[]"},
		"no end":         {[]byte{1, 'a'}, "[]"},
		"cut off":        {[]byte{9, 'a', 0}, "[]"},
		"reserved":       {[]byte{0x80, 'a', 0}, "[]"},
		"not a name":     {[]byte("\x04a;id\x00\x01b\x00"), "[b]"},
		"root":           {[]byte{0, 1, 'b', 0}, "[b]"},
		"too long":       {append(bytes.Repeat([]byte("\x3f"+long), 5), 0), "[]"},
		"too many":       {many[:240], "[" + strings.TrimSpace(strings.Repeat("a ", drive.MostSearch)) + "]"},
	}
	for name, test := range searches {
		r, err := ParseReply(ack(raw(119, test.in...)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same(t, name, r.Terms.search, test.want)
	}

	nak := ackOf(raw(53, byte(dhcpv4.MessageTypeNak)), raw(56, []byte("no\x1b[31m\nlease"+strings.Repeat("x", 200))...))
	if r, err = ParseReply(nak.ToBytes()); err != nil || r.Text != "no?[31m?lease"+strings.Repeat("x", 128-13) {
		t.Errorf("text of a NAK: %q, %v", r.Text, err)
	}
}

// FuzzReply: no input makes the parser panic, and what it lets through is fit to be
// judged and made a lease of.
func FuzzReply(f *testing.F) {
	for _, b := range [][]byte{
		ack(), ack(raw(119, 0xc0, 0)), ack(raw(121, 24, 10, 1, 2, 192, 0, 2, 1)), ack(raw(108, 0, 0, 0, 1), raw(80)),
		overloaded(3, []byte{6, 4, 10, 0, 0, 1, 255}, []byte{6, 4, 10, 0, 0, 2, 255}), cut(ack()),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReply(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("another error: %v", err)
			}
			return
		}
		m := machineFor(t, quick)
		if m.judge(r) != "" {
			return
		}
		l := m.lend(r)
		if !isHost(l.Address.Addr()) || l.Address.Bits() < 8 || l.Expires <= l.Obtained || l.RenewAt > l.RebindAt || l.RebindAt > l.Expires ||
			len(l.Routes) > mostRoutes || len(l.Search) > drive.MostSearch || l.MTU > upLink.MTU || l.MTU != 0 && l.MTU < 576 {
			t.Errorf("a lease that is none: %+v", l)
		}
		for _, name := range append(l.Search, l.Domain, l.HostName) {
			if name != "" && drive.CleanName([]byte(name)) != name {
				t.Errorf("a name that is none: %q", name)
			}
		}
	})
}

func FuzzPacket(f *testing.F) {
	good := frame(ack(), netip.MustParseAddr("192.0.2.1"))
	f.Add(good, false)
	f.Add(good[:27], true)
	f.Add(ARP{Sender: testMAC, SenderIP: anyHost, TargetIP: everyHost}.build(), true)
	f.Fuzz(func(t *testing.T, b []byte, partial bool) {
		payload, _, err := parseUDP(b, partial)
		if err != nil && !errors.Is(err, ErrMalformed) || err == nil && len(payload) > len(b)-ipHeader-udpHeader {
			t.Errorf("%v, %d of %d bytes", err, len(payload), len(b))
		}
		if a, err := parseARP(b); err == nil && !a.Reply && !bytes.Equal(a.build()[:18], b[:18]) {
			t.Errorf("%+v is not what was read", a)
		}
	})
}

// The corpus is part of the tests: whoever empties it by accident shall know.
func TestCorpusIsThere(t *testing.T) {
	for _, target := range []string{"FuzzReply", "FuzzPacket"} {
		files, err := os.ReadDir(filepath.Join("testdata", "fuzz", target))
		if err != nil || len(files) < 5 {
			t.Errorf("%s: %d files, %v", target, len(files), err)
		}
	}
}
