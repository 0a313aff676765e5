package dhcp

import (
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A year of renewals: the address is never away, and the times are those of RFC 2131
// §4.4.5.
func TestScenario_D10(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		first := l.bound("192.0.2.100/24", time.Second)
		l.sleep(365 * 24 * time.Hour)
		same(t, "told", l.leases(), "[- 192.0.2.100/24]")
		lease := l.status().Lease
		if lease.Expires <= first.Expires || !lease.Valid(l.now()) {
			t.Errorf("lease until %s at %s", lease.Expires, l.now())
		}
		sent := l.messages(dhcpv4.MessageTypeRequest)
		for i := 2; i < len(sent); i++ {
			within(t, "T1", sent[i].at-sent[i-1].at, 1800*95/100*time.Second, 1800*105/100*time.Second+time.Second)
			if !sent[i].Unicast || sent[i].From.String() != "192.0.2.100" || sent[i].To != s.id ||
				!sent[i].ClientIPAddr.Equal([]byte{192, 0, 2, 100}) || requested(sent[i].DHCPv4).IsValid() || serverOf(sent[i].DHCPv4).IsValid() {
				t.Fatalf("a renewal of another form: %+v", sent[i])
			}
			if sent[i].TransactionID == sent[i-1].TransactionID {
				t.Fatal("the same transaction again")
			}
		}
		if n := len(sent); n < 365*48*95/100 || n > 365*48*105/100+1 {
			t.Errorf("%d renewals in a year", n)
		}
	}, s)
}

// Nothing grows with renewals.
func TestManyRenewals(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(careful)
		l.bound("192.0.2.100/24", 10*time.Second)
		measure := func() (goroutines int, heap uint64) {
			var m runtime.MemStats
			l.forgetSent()
			l.mu.Lock()
			s.seen = nil
			l.mu.Unlock()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return runtime.NumGoroutine(), m.HeapAlloc
		}
		l.sleep(100 * time.Hour)
		goroutines, heap := measure()
		l.sleep(5100 * time.Hour) // at least 10,000 renewals
		same(t, "renewals", len(s.seen) >= 9800, true)
		after, then := measure()
		same(t, "goroutines", after, goroutines)
		if then > heap+256<<10 {
			t.Errorf("the heap has grown from %d to %d bytes", heap, then)
		}
	}, s)
}

// T1 to the end without an answer: RENEWING by unicast, REBINDING to everybody, and
// then no address any more.
func TestFault_E11(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		lease := l.bound("192.0.2.100/24", time.Second)
		s.silent = true
		l.forgetSent()
		l.sleep(lease.RebindAt - l.now() - time.Millisecond)
		same(t, "state before T2", l.status().State, Renewing)
		l.sleep(lease.Expires - l.now() - time.Millisecond)
		same(t, "state before the end", l.status().State, Rebinding)
		same(t, "lease before the end", l.status().Lease != nil, true)
		l.sleep(time.Millisecond)
		same(t, "lease at the end", l.status().Lease == nil, true)
		same(t, "told", l.leases(), "[192.0.2.100/24 -]")
		var last message
		for i, m := range l.messages(dhcpv4.MessageTypeRequest) {
			end := lease.RebindAt
			if !m.Unicast {
				end = lease.Expires
			}
			if i > 0 && m.Unicast == last.Unicast {
				// Half of what was left then, a minute at least.
				want := max(time.Minute, (end-last.at)/2)
				within(t, "retry", m.at-last.at, want*9/10, want*11/10)
			}
			if !m.Unicast {
				same(t, "rebinding from", m.From, "192.0.2.100")
			}
			last = m
		}
		same(t, "state after the end", l.status().State, Selecting)
		discover := l.messages(dhcpv4.MessageTypeDiscover)[0]
		same(t, "asks for the same", requested(discover.DHCPv4), "192.0.2.100")
		s.silent = false
		l.bound("192.0.2.100/24", time.Minute)
	}, s)
	t.Run("another server at T2", func(t *testing.T) {
		first, second := newServer("192.0.2.1", "192.0.2.100"), newServer("192.0.2.2", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			second.silent = true
			l.begin(quick)
			lease := l.bound("192.0.2.100/24", time.Second)
			first.silent, second.silent = true, false
			l.sleep(lease.RebindAt + time.Second - l.now())
			l.bound("192.0.2.100/24", 0)
			same(t, "server", l.status().Server, second.id)
			same(t, "told", l.leases(), "[- 192.0.2.100/24]")
		}, first, second)
	})
}

// A NAK ends the lease in every state in which one can be had.
func TestFault_E4(t *testing.T) {
	for name, test := range map[string]struct {
		state State
		get   func(l *lab, s *server) // into the state, with nobody answering
	}{
		"requesting": {Requesting, func(l *lab, s *server) {
			s.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
				if p.MessageType() != dhcpv4.MessageTypeOffer {
					return nil
				}
				return p
			}
			l.begin(quick)
		}},
		"renewing": {Renewing, func(l *lab, s *server) {
			l.begin(quick)
			lease := l.bound("192.0.2.100/24", time.Second)
			s.silent = true
			l.sleep(lease.RenewAt - l.now() + time.Second)
		}},
		"rebinding": {Rebinding, func(l *lab, s *server) {
			l.begin(quick)
			lease := l.bound("192.0.2.100/24", time.Second)
			s.silent = true
			l.sleep(lease.RebindAt - l.now() + time.Second)
		}},
		"rebooting": {Rebooting, func(l *lab, s *server) {
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			l.reboot()
			s.silent = true
			l.begin(quick)
		}},
		"making sure": {Rebooting, func(l *lab, s *server) {
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			s.silent = true
			flap := upLink
			flap.Ups = 2
			l.Link("eth0", flap)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer("192.0.2.1", "192.0.2.100")
			inLab(t, func(t *testing.T, l *lab) {
				test.get(l, s)
				l.until(test.state, 30*time.Millisecond)
				all := l.messages()
				last := all[len(all)-1].DHCPv4
				// Not ours: another transaction, another server where one is asked.
				stray := s.reply(last, dhcpv4.MessageTypeNak, anyHost)
				stray.TransactionID[2]++
				l.inject("eth0", stray, s.id, true)
				if test.state == Requesting {
					other := s.reply(last, dhcpv4.MessageTypeNak, anyHost)
					other.UpdateOption(raw(54, 192, 0, 2, 66))
					l.inject("eth0", other, s.id, true)
				}
				l.sleep(time.Second)
				same(t, "state after a stray NAK", l.status().State, test.state)
				l.inject("eth0", s.reply(last, dhcpv4.MessageTypeNak, anyHost), s.id, true)
				l.sleep(nakGrace)
				same(t, "lease", l.status().Lease == nil, true)
				if r := l.status().Refusal; r == nil || !strings.Contains(r.Reason, "wrong network") {
					t.Errorf("refusal %+v", r)
				}
				same(t, "on record", len(l.records.By), 0)
				all = l.messages()
				last = all[len(all)-1].DHCPv4
				same(t, "starts over", last.MessageType(), dhcpv4.MessageTypeDiscover)
				same(t, "with another address", requested(last).IsValid(), false)
				s.silent, s.mangle = false, nil
				l.bound("192.0.2.100/24", 5*time.Second)
			}, s)
		})
	}
}

// A NAK that comes just before the client would have gone on without an answer counts.
func TestLateNAK(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
		s.silent = true
		l.flap(true)
		for l.status().Tries < requestTries {
			l.sleep(time.Second)
		}
		l.sleep(l.status().NextTry - l.now() - nakGrace/2)
		all := l.messages()
		l.inject("eth0", s.reply(all[len(all)-1].DHCPv4, dhcpv4.MessageTypeNak, anyHost), s.id, false)
		l.sleep(nakGrace)
		same(t, "lease", l.status().Lease == nil, true)
	}, s)
}

// Every REQUEST gets a NAK, for ever: restarts are 10 s apart and more.
func TestFault_E5(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	s.nak = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.sleep(time.Hour)
		sent := l.messages(dhcpv4.MessageTypeRequest)
		for i := 2; i < len(sent); i++ {
			within(t, "restart", sent[i].at-sent[i-1].at, 10*time.Second, 66*time.Second)
		}
		if n := len(sent); n < 50 || n > 65 {
			t.Errorf("%d restarts in an hour", n)
		}
		s.nak = false
		l.bound("192.0.2.100/24", 67*time.Second)
		// In BOUND there is nothing to refuse.
		all := l.messages()
		for range 10000 {
			l.inject("eth0", s.reply(all[len(all)-1].DHCPv4, dhcpv4.MessageTypeNak, anyHost), s.id, true)
		}
		l.sleep(time.Minute)
		l.bound("192.0.2.100/24", 0)
	}, s)
	t.Run("only from the bound server", func(t *testing.T) {
		good, rogue := newServer("192.0.2.1", "192.0.2.100"), newServer("192.0.2.66", "192.0.2.200")
		good.latency = 2 * nakGrace
		c := quick
		c.BoundServerNAK = true
		inLab(t, func(t *testing.T, l *lab) {
			rogue.silent, rogue.nak = true, true
			l.begin(c)
			l.bound("192.0.2.100/24", 2*time.Second)
			rogue.silent = false
			flap := upLink
			flap.Ups = 2
			l.Link("eth0", flap)
			l.sleep(time.Minute)
			same(t, "told", l.leases(), "[- 192.0.2.100/24]")
		}, good, rogue)
	})
}

// Two servers, one says NAK and is the faster one.
func TestScenario_D14(t *testing.T) {
	good, other := newServer("192.0.2.1", "192.0.2.100"), newServer("192.0.2.2", "192.0.2.200")
	good.latency = 100 * time.Millisecond
	inLab(t, func(t *testing.T, l *lab) {
		other.silent, other.nak = true, true
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
		other.silent = false
		flap := upLink
		flap.Ups = 2
		l.Link("eth0", flap)
		l.sleep(time.Second)
		same(t, "told", l.leases(), "[- 192.0.2.100/24]")
		same(t, "state", l.status().State, Bound)
		l.reboot()
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
	}, good, other)
}

// A FORCERENEW that nobody has signed (CVE-2020-13529) does nothing.
func TestFault_E17(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		lease := l.bound("192.0.2.100/24", time.Second)
		force := s.reply(s.seen[1], 9, s.first)
		if _, err := ParseReply(force.ToBytes()); !errors.Is(err, ErrMalformed) {
			t.Errorf("parsed: %v", err)
		}
		l.inject("eth0", force, s.id, true)
		l.sleep(time.Second)
		same(t, "messages", len(s.seen), 2)
		s.silent = true
		l.sleep(lease.RenewAt - l.now() + time.Second)
		l.inject("eth0", force, s.id, true)
		l.sleep(time.Second)
		same(t, "dropped", l.status().Malformed, 1)
		same(t, "messages", len(s.seen), 3)
	}, s)
}

// A renewal that gives another address: the old one stays until the new one is known
// to be free, and goes when it is taken.
func TestScenario_D18(t *testing.T) {
	for _, c := range []Config{quick, careful} {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(c)
			lease := l.bound("192.0.2.100/24", 10*time.Second)
			s.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
				p.YourIPAddr = []byte{192, 0, 2, 150}
				return p
			}
			l.sleep(lease.RenewAt - l.now() + 10*time.Second)
			l.bound("192.0.2.150/24", 0)
			same(t, "told", l.leases(), "[- 192.0.2.100/24 192.0.2.150/24]")
		}, s)
	}
}

// A renewal that has news: facts are replaced together with the times.
func TestRenewalWithNews(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		lease := l.bound("192.0.2.100/24", time.Second)
		s.option(raw(6, 192, 0, 2, 53))
		l.sleep(lease.RenewAt - l.now() + time.Second)
		renewed := l.bound("192.0.2.100/24", 0)
		same(t, "DNS", renewed.DNS, []netip.Addr{netip.MustParseAddr("192.0.2.53")})
		same(t, "same facts", renewed.SameFacts(lease), false)
		same(t, "the old one is as it was", len(lease.DNS), 0)
		same(t, "on record", l.records.By["eth0"].Lease.DNS, "[192.0.2.53]")
	}, s)
}

func TestOperator(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		if err := l.Renew(t.Context(), "eth0"); !errors.Is(err, ErrNoClient) {
			t.Errorf("renew without a client: %v", err)
		}
		l.begin(quick)
		first := l.bound("192.0.2.100/24", time.Second)
		l.sleep(time.Minute)
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		if renewed := l.bound("192.0.2.100/24", time.Second); renewed.Expires < first.Expires+time.Minute {
			t.Errorf("not renewed: %+v", renewed)
		}

		// A server that does not answer does no harm.
		s.silent = true
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		same(t, "state", l.status().State, Renewing)
		l.sleep(time.Minute)
		l.bound("192.0.2.100/24", 0)
		same(t, "told", l.leases(), "[- 192.0.2.100/24]")
		s.silent = false

		if err := l.Release(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		last := s.seen[len(s.seen)-1]
		same(t, "last message", last.MessageType(), dhcpv4.MessageTypeRelease)
		same(t, "of", []any{last.ClientIPAddr, serverOf(last)}, []any{"192.0.2.100", s.id})
		same(t, "state", l.status().State, Stopped)
		same(t, "told", l.leases(), "[- 192.0.2.100/24 -]")
		same(t, "on record", len(l.records.By), 0)
		n := len(s.seen)
		l.begin(quick) // the same wish again is not another wish
		l.sleep(24 * time.Hour)
		same(t, "messages", len(s.seen), n)
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.bound("192.0.2.100/24", time.Second)

		down := upLink
		down.Ready = false
		l.Link("eth0", down)
		l.sleep(0)
		var notReady *NotReadyError
		if err := l.Renew(t.Context(), "eth0"); !errors.As(err, &notReady) {
			t.Errorf("renew without a link: %v", err)
		}
	}, s)
}

// The disk is full: the lease is used all the same, and the trouble is told.
func TestRecordCannotBeWritten(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.records.Fail = errors.New("no space left on device")
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
		if s := l.status(); !strings.Contains(s.Trouble, "no space left") {
			t.Errorf("trouble %q", s.Trouble)
		}
	}, newServer("192.0.2.1", "192.0.2.100"))
}
