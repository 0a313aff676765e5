package dhcp6

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// down and up, seen as it happens or only by the count.
func (l *lab) flap(seen bool) {
	link := upLink
	link.Ups++
	if seen {
		link.Ready = false
		l.Link("eth0", link)
		l.rest()
		link.Ready = true
	}
	l.Link("eth0", link)
	l.rest()
}

func TestFault_E12(t *testing.T) {
	for _, seen := range []bool{true, false} {
		t.Run(fmt.Sprint("seen ", seen), func(t *testing.T) { flapInEachState(t, seen) })
	}
}

func flapInEachState(t *testing.T, seen bool) {
	s := newServer(1, "2001:db8::100")
	lease := func(l *lab) { l.bound("2001:db8::100", 2*time.Second) }
	for name, into := range map[State]func(l *lab){
		Init:       func(*lab) {},
		Soliciting: func(l *lab) { s.silent = true; l.sleep(10 * time.Second) },
		Requesting: func(l *lab) {
			s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message {
				s.silent = true
				return p
			}
			l.sleep(5 * time.Second)
		},
		Bound: lease,
		Renewing: func(l *lab) {
			lease(l)
			s.silent = true
			l.sleep(905 * time.Second)
		},
		Rebinding: func(l *lab) {
			lease(l)
			s.silent = true
			l.sleep(1445 * time.Second)
		},
		Confirming: func(l *lab) {
			lease(l)
			s.silent = true
			l.flap(true)
			l.sleep(time.Second)
		},
		Declining: func(l *lab) {
			lease(l)
			s.silent = true
			if err := l.Decline(l.Context(), "eth0", s.first); err != nil {
				l.Fatal(err)
			}
		},
	} {
		*s = *newServer(1, "2001:db8::100")
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(plain)
			into(l)
			same(t, "state", l.status().State, name)
			held := l.status().Lease
			s.silent, s.mangle = false, nil
			l.forgetSent()
			if name == Confirming {
				l.Link("eth0", Link{})
			}
			l.flap(seen)
			if text(l.status().Lease) != text(held) {
				t.Errorf("%s: %s, before %s", name, text(l.status().Lease), text(held))
			}
			l.until(Bound, 15*time.Second)
			if held != nil {
				same(t, "in "+string(name), l.told()[0], "CONFIRM")
				same(t, "about", asked(l.messages()[0].Message), "[2001:db8::100]")
			}
		}, s)
	}
}

// The link comes back as another one: its servers know that the addresses are not
// theirs. One that errs is overruled by one that knows.
func TestFlapToAnotherLink(t *testing.T) {
	here, there := newServer(1, "2001:db8::100"), newServer(2, "2001:db8:1::100")
	inLab(t, func(t *testing.T, l *lab) {
		there.silent = true
		l.begin(plain)
		l.bound("2001:db8::100", 2*time.Second)
		here.silent, there.silent = true, false
		l.forgetSent()
		l.flap(true)
		l.sleep(3 * time.Second)
		l.bound("2001:db8:1::100", time.Second)
		same(t, "messages", l.told(), "[CONFIRM SOLICIT REQUEST]")
		same(t, "told", l.leases(), "[2001:db8::100 - 2001:db8:1::100]")

		here.silent, there.latency = false, 200*time.Millisecond
		l.forgetSent()
		link := upLink
		link.Ups = 9
		l.Link("eth0", link)
		l.sleep(time.Second)
		l.bound("2001:db8:1::100", time.Second)
		same(t, "messages", l.told(), "[CONFIRM]")
	}, here, there)
}

// Nobody confirms: the addresses are used until their end (RFC 8415 §18.2.3).
func TestConfirmedByNobody(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.bound("2001:db8::100", 2*time.Second)
		s.silent = true
		l.forgetSent()
		l.flap(true)
		l.until(Bound, confirmLasts+time.Second)
		if n := len(l.messages()); n < 4 || n > 5 {
			t.Errorf("%d messages in 10 s", n)
		}
		same(t, "told", l.leases(), "[2001:db8::100]")
	}, s)
}

// A restart costs no packet, while the lease lasts.
func TestFault_E22(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		lease := l.bound("2001:db8::100", 2*time.Second)
		l.forgetSent()
		l.restart()
		l.begin(plain)
		l.sleep(time.Minute)
		l.bound("2001:db8::100", time.Second)
		same(t, "messages", l.told(), "[]")
		l.sleep(lease.RenewAt - l.now() + time.Second)
		same(t, "at T1", l.told(), "[RENEW]")

		c := plain // so does another configuration
		c.RapidCommit = true
		l.forgetSent()
		l.begin(c)
		l.sleep(time.Second)
		same(t, "messages", l.told(), "[]")

		s.silent = true // but not an end that has come meanwhile
		l.off()
		l.clock.Boot = l.clock.Boot.Add(-2 * time.Hour)
		l.on()
		l.begin(plain)
		l.sleep(time.Second)
		same(t, "lease", text(l.status().Lease), "-")
		same(t, "asked for", asked(l.messages()[0].Message), "[2001:db8::100]")
	}, s)
}

// After a reboot somebody has to say that this is still the link; then the server is
// asked at once how long the lease still is.
func TestFault_E23(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.bound("2001:db8::100", 2*time.Second)
		l.sleep(5 * time.Minute)
		l.reboot()
		l.forgetSent()
		l.begin(plain)
		same(t, "lease before", text(l.status().Lease), "-")
		l.bound("2001:db8::100", 200*time.Millisecond)
		l.sleep(time.Second)
		same(t, "messages", l.told(), "[CONFIRM RENEW]")
		lease := l.status().Lease
		same(t, "lifetime", lease.Addresses[0].Expires-lease.Obtained, time.Hour)

		s.silent = true // nobody says anything
		l.reboot()
		l.begin(plain)
		l.sleep(confirmLasts + time.Second)
		lease = l.status().Lease
		same(t, "lease", text(lease), "2001:db8::100")
		within(t, "its end", lease.Expires()-l.now(), 59*time.Minute, time.Hour-confirmLasts)

		for _, r := range l.records.By { // a clock that was set back makes nothing longer
			r.Expires = r.Expires.Add(1000 * time.Hour)
			l.records.By["eth0"] = r
		}
		l.reboot()
		l.begin(plain)
		l.sleep(confirmLasts + time.Second)
		within(t, "its end", l.status().Lease.Expires()-l.now(), 59*time.Minute, time.Hour-confirmLasts)

		l.off() // it has ended while the machine was off
		time.Sleep(2 * time.Hour)
		l.reboot()
		l.forgetSent()
		l.begin(plain)
		l.sleep(time.Second)
		same(t, "messages", l.told(), "[SOLICIT]")
	}, s)
	inLab(t, func(t *testing.T, l *lab) { // another network
		*s = *newServer(1, "2001:db8::100")
		l.begin(plain)
		l.bound("2001:db8::100", 2*time.Second)
		*s = *newServer(2, "2001:db8:1::100")
		l.reboot()
		l.forgetSent()
		l.begin(plain)
		l.bound("2001:db8:1::100", 5*time.Second)
		same(t, "messages", l.told(), "[CONFIRM SOLICIT REQUEST]")
	}, s)
}

// Who has given a lease back does not ask for it on the next link, and what one link's
// server says of back-off is not for the next.
func TestFlapForgets(t *testing.T) {
	s := newServer(1, "2001:db8::100").option(number(dhcpv6.OptionSolMaxRT, 60))
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.bound("2001:db8::100", 2*time.Second)
		s.silent = true
		if err := l.Release(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.Link("eth0", Link{})
		same(t, "state", l.status().State, Stopped)
		l.Link("eth0", upLink)
		l.sleep(time.Minute)
		same(t, "messages", l.told(), "[SOLICIT REQUEST RELEASE]")

		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.flap(true)
		l.forgetSent()
		l.sleep(4 * time.Hour)
		if n := len(l.messages()); n > 25 {
			t.Errorf("%d messages in 4 hours", n)
		}
	}, s)
}

// Without a link-local address there is nothing to send from, whatever else is ready.
func TestWaitsForTheLink(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		link := upLink
		link.Local = netip.Addr{}
		l.beginOn(plain, link)
		l.sleep(time.Hour)
		same(t, "state", l.status().State, Waiting)
		same(t, "messages", l.told(), "[]")
		if err := l.Renew(t.Context(), "eth0"); err == nil {
			t.Error("renewed without a link")
		}
		l.Link("eth0", upLink)
		l.bound("2001:db8::100", 2*time.Second)
	}, s)
}

// The address that the client sends from changes: it asks again from the new one.
func TestLocalAddressChanges(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	s.silent = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.sleep(30 * time.Second)
		l.forgetSent()
		link := upLink
		link.Local = link.Local.Next()
		l.Link("eth0", link)
		same(t, "messages", l.told(), "[SOLICIT]")
	}, s)
}

// Hundreds of clients at once; each has addresses of its own.
func TestManyClients(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	const many = 200
	inLab(t, func(t *testing.T, l *lab) {
		for i := range many {
			c := plain
			c.NIC, c.DUID = fmt.Sprint("eth", i), []byte{0, 2, 0, 0, 0, 1, byte(i >> 8), byte(i)}
			if err := l.Start(c, upLink); err != nil {
				t.Fatal(err)
			}
		}
		l.sleep(3 * time.Second)
		seen := map[string]bool{}
		for i := range many {
			s, _ := l.Status(fmt.Sprint("eth", i))
			seen[text(s.Lease)] = true
		}
		same(t, "leases", len(seen), many)
		l.Stop("eth0")
		if _, ok := l.Status("eth0"); ok {
			t.Error("a client that was stopped")
		}
	}, s)
}
