package dhcp6

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

func TestAcquire(t *testing.T) {
	s := newServer(1, "2001:db8::100").option(raw(dhcpv6.OptionDNSRecursiveNameServer, netip.MustParseAddr("2001:db8::53").AsSlice()))
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		same(t, "state before", l.status().State, Init)
		lease := l.bound("2001:db8::100", 2*time.Second)
		same(t, "messages", l.told(), "[SOLICIT REQUEST]")
		sent := l.messages()
		within(t, "first", sent[0].at, 0, firstDelay)
		within(t, "offers are compared", sent[1].at-sent[0].at, time.Second, 1100*time.Millisecond)
		for _, m := range sent {
			same(t, "client", clientOf(m.Message), testDUID)
			same(t, "elapsed", optionOf(m.Message, dhcpv6.OptionElapsedTime), []byte{0, 0})
			same(t, "IAID", m.Options.OneIANA().IaId, [4]byte{0, 0, 0, 7})
			same(t, "asked for", optionOf(m.Message, dhcpv6.OptionORO), []byte{0, 23, 0, 24, 0, 56, 0, 82})
		}
		if sent[0].TransactionID == sent[1].TransactionID {
			t.Error("one transaction for two exchanges")
		}
		same(t, "server", serverOf(sent[1].Message), s.duid)
		same(t, "requested", asked(sent[1].Message), "[2001:db8::100]")
		same(t, "T1", lease.RenewAt-lease.Obtained, 900*time.Second)
		same(t, "T2", lease.RebindAt-lease.Obtained, 1440*time.Second)
		same(t, "preferred", lease.Addresses[0].Preferred-lease.Obtained, 1800*time.Second)
		same(t, "expiry", lease.Addresses[0].Expires-lease.Obtained, time.Hour)
		same(t, "from", lease.Server, s.from)
		same(t, "DNS", lease.DNS, "[2001:db8::53]")
		same(t, "told", l.leases(), "[- 2001:db8::100]")
		same(t, "on record", l.records.By["eth0"].Lease.Addresses[0].Address, "2001:db8::100")
		same(t, "socket", l.listens("eth0"), false)
	}, s)
}

// Two messages are enough for a server that can do it, and its answer is at once.
func TestRapidCommit(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	s.rapid = true
	c := plain
	c.RapidCommit = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(c)
		l.bound("2001:db8::100", firstDelay+10*time.Millisecond)
		same(t, "messages", l.told(), "[SOLICIT]")
	}, s)
	inLab(t, func(t *testing.T, l *lab) { // nobody has asked for it
		s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message {
			p.MessageType = dhcpv6.MessageTypeReply
			p.AddOption(raw(dhcpv6.OptionRapidCommit, nil))
			return p
		}
		l.begin(plain)
		l.sleep(10 * time.Second)
		same(t, "state", l.status().State, Soliciting)
	}, s)
}

// A server with preference 255 is not compared with others; otherwise the highest wins,
// then the one from before, and one that fails us is the last.
func TestFault_E7(t *testing.T) {
	a, b := newServer(1, "2001:db8::100"), newServer(2, "2001:db8::200")
	b.latency, b.preference = 300*time.Millisecond, decided
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.bound("2001:db8::200", firstDelay+700*time.Millisecond)
	}, a, b)

	b.preference = 3
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.bound("2001:db8::200", 2*time.Second)
		if err := l.Release(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		b.preference = 0
		l.until(Stopped, time.Second)
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.bound("2001:db8::100", 2*time.Second) // released, so nothing is preferred but the first
	}, a, b)

	inLab(t, func(t *testing.T, l *lab) { // the previous server's offer is later, and taken
		a.silent = true
		l.begin(plain)
		l.bound("2001:db8::200", 2*time.Second)
		a.silent, b.silent = false, true
		l.sleep(3700 * time.Second)
		b.silent = false
		l.bound("2001:db8::100", 10*time.Minute) // b has come back later than a has answered
	}, a, b)

	inLab(t, func(t *testing.T, l *lab) { // it offers, and does not keep it
		a.preference = 9
		a.mangle = func(p *dhcpv6.Message) *dhcpv6.Message {
			if p.MessageType == dhcpv6.MessageTypeReply {
				return nil
			}
			return p
		}
		l.begin(plain)
		l.bound("2001:db8::200", 5*time.Minute)
		same(t, "refusal", l.status().Refusal.Server, a.from)
		same(t, "requests", len(l.messages(dhcpv6.MessageTypeRequest)), 11)
	}, a, b)
}

// What is not an answer to us is not heard (RFC 8415 §16).
func TestFault_E3(t *testing.T) {
	for name, mangle := range map[string]func(*dhcpv6.Message){
		"xid":          func(p *dhcpv6.Message) { p.TransactionID[0]++ },
		"client id":    func(p *dhcpv6.Message) { p.UpdateOption(raw(dhcpv6.OptionClientID, []byte{0, 4, 9})) },
		"no client id": func(p *dhcpv6.Message) { p.Options.Del(dhcpv6.OptionClientID) },
		"server id":    func(p *dhcpv6.Message) { p.UpdateOption(raw(dhcpv6.OptionServerID, []byte{0, 4, 9})) },
		"advertise":    func(p *dhcpv6.Message) { p.MessageType = dhcpv6.MessageTypeAdvertise },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(1, "2001:db8::100")
			s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message {
				if p.MessageType == dhcpv6.MessageTypeReply {
					mangle(p)
				}
				return p
			}
			inLab(t, func(t *testing.T, l *lab) {
				l.begin(plain)
				l.sleep(10 * time.Second)
				same(t, "state", l.status().State, Requesting)
				if n := l.status().Ignored; n < 3 {
					t.Errorf("ignored %d", n)
				}
				s.mangle = nil
				lease := l.bound("2001:db8::100", 20*time.Second)
				s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message { mangle(p); return p }
				l.sleep(lease.RenewAt - l.now() + time.Second)
				same(t, "state at T1", l.status().State, Renewing)
			}, s)
		})
	}
}

// RECONFIGURE of somebody who has no keys is not heard, nor is a message of a client.
func TestFault_E17(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	s.silent = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.until(Soliciting, time.Second)
		sent := l.messages()[0]
		for i, kind := range []dhcpv6.MessageType{dhcpv6.MessageTypeReconfigure, dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRelayReply} {
			r := s.reply(sent.Message, kind, number(19, 5))
			l.inject("eth0", r.ToBytes(), s.from)
			same(t, "malformed", l.status().Malformed, i+1)
		}
		same(t, "state", l.status().State, Soliciting)
	}, s)
}

// A silent network is asked ever less often, by the rules of RFC 8415 §15, and for ever.
func TestFault_E10(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.sleep(48 * time.Hour)
		sent := l.messages()
		same(t, "state", l.status().State, Soliciting)
		if len(sent) < 50 || len(sent) > 70 {
			t.Errorf("%d messages in two days", len(sent))
		}
		last, odd := time.Duration(0), 0
		for i := 1; i < len(sent); i++ {
			rt := sent[i].at - sent[i-1].at
			switch {
			case i == 1:
				within(t, "first", rt, time.Second, 1100*time.Millisecond)
			case last*19/10 <= maxRT*9/10:
				within(t, "next", rt, min(last*19/10, maxRT*9/10), last*21/10)
			default:
				within(t, "longest", rt, maxRT*9/10, maxRT*11/10)
			}
			if d := rt - 2*last; d.Abs() > 10*time.Millisecond {
				odd++
			}
			last = rt
			same(t, "transaction", sent[i].TransactionID, sent[0].TransactionID)
			elapsed := optionOf(sent[i].Message, dhcpv6.OptionElapsedTime)
			want := min((sent[i].at-sent[0].at+5*time.Millisecond)/(10*time.Millisecond), 0xffff)
			same(t, "elapsed", int(elapsed[0])<<8|int(elapsed[1]), int(want))
		}
		if odd < 8 { // hosts that started together do not stay together
			t.Errorf("%d of the pauses are not just doubled", odd)
		}
	})
	bounded := newServer(1, "2001:db8::100").option(number(dhcpv6.OptionSolMaxRT, 60))
	bounded.status = iana.StatusNoAddrsAvail
	for _, bound := range []uint32{60, 59, 86401} {
		bounded.options = []dhcpv6.Option{number(dhcpv6.OptionSolMaxRT, bound)}
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(plain)
			l.sleep(3 * time.Hour)
			sent := l.messages()
			most := sent[len(sent)-1].at - sent[len(sent)-2].at
			if (most < 67*time.Second) != (bound == 60) {
				t.Errorf("SOL_MAX_RT %d: %s", bound, most)
			}
			for _, again := range []func(context.Context, string) error{l.Renew, l.Release} {
				l.sleep(3 * time.Hour)
				same(t, "refusal", l.status().Refusal.Reason, "it has no addresses to offer: NoAddrsAvail: because")
				if err := again(t.Context(), "eth0"); err != nil {
					t.Fatal(err)
				}
				if r := l.status().Refusal; r != nil {
					t.Errorf("refusal of before: %+v", r)
				}
			}
		}, bounded)
	}
}

// A socket that cannot be had, or that breaks, is opened again.
func TestSocketFails(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.cables["eth0"] = nil
		c := l.cable("eth0").(*cable)
		c.fail = errNoSocket
		l.options.wires = func(string) wire { return c }
		l.begin(plain)
		l.sleep(5 * time.Hour)
		same(t, "trouble", l.status().Trouble != "", true)
		c.mu.Lock()
		c.fail = nil
		c.mu.Unlock()
		l.bound("2001:db8::100", 2*longestPause)
		same(t, "trouble", l.status().Trouble, "")
	}, s)
}

// A client that has no DUID has one of its MAC.
func TestLinkDUID(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(Config{NIC: "eth0"})
		l.bound("2001:db8::100", 2*time.Second)
		same(t, "client", clientOf(l.messages()[0].Message), []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1})
	}, s)
}
