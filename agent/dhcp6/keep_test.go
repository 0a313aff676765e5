package dhcp6

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// T1 asks the server of the lease, T2 any, and at the end there is nothing (RFC 8415
// §18.2.4, §18.2.5).
func TestFault_E11(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		first := l.bound("2001:db8::100", 2*time.Second)
		s.silent = true
		l.forgetSent()
		l.sleep(first.Addresses[0].Expires - l.now() + 500*time.Millisecond)
		renews, rebinds := l.messages(dhcpv6.MessageTypeRenew), l.messages(dhcpv6.MessageTypeRebind)
		within(t, "T1", renews[0].at-first.RenewAt, 0, 10*time.Millisecond)
		within(t, "T2", rebinds[0].at-first.RebindAt, 0, 10*time.Millisecond)
		within(t, "second RENEW", renews[1].at-renews[0].at, 9*time.Second, 11*time.Second)
		within(t, "second REBIND", rebinds[1].at-rebinds[0].at, 9*time.Second, 11*time.Second)
		same(t, "asked of one", serverOf(renews[0].Message), s.duid)
		same(t, "asked of all", serverOf(rebinds[0].Message) == nil, true)
		same(t, "about", asked(rebinds[0].Message), "[2001:db8::100]")
		if n := len(renews) + len(rebinds); n < 8 || n > 16 {
			t.Errorf("%d messages between T1 and the end", n)
		}
		same(t, "after the end", l.status().State, Soliciting)
		same(t, "told", l.leases(), "[2001:db8::100 -]")
		s.silent = false
		l.bound("2001:db8::100", time.Hour+time.Minute)
	}, s)
}

// Renewed by one server for years, 10,000 times, a client is as it was.
func TestManyRenewals(t *testing.T) {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	s := newServer(1, "2001:db8::100")
	s.preferred, s.valid = 2*86400, 4*86400
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.bound("2001:db8::100", 2*time.Second)
		l.sleep(30 * day)
		var before, after runtime.MemStats
		goroutines := runtime.NumGoroutine()
		measure := func(m *runtime.MemStats) {
			s.seen = nil
			l.forgetSent()
			runtime.GC()
			runtime.ReadMemStats(m)
		}
		measure(&before)
		for range 28 {
			l.sleep(year)
			within(t, "renewals", time.Duration(len(l.messages())), 364, 366)
			measure(&after)
		}
		if n := runtime.NumGoroutine(); n > goroutines { // fewer where another test's were still ending
			t.Errorf("%d goroutines, before %d", n, goroutines)
		}
		if after.HeapAlloc > before.HeapAlloc+1<<20 {
			t.Errorf("%d bytes more", after.HeapAlloc-before.HeapAlloc)
		}
		same(t, "told of another address", len(l.leases()) <= 1, true)
	}, s)
}

// Another server takes over at T2.
func TestRebindToAnother(t *testing.T) {
	a, b := newServer(1, "2001:db8::100"), newServer(2, "2001:db8::100")
	b.silent = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		l.bound("2001:db8::100", 2*time.Second)
		a.silent, b.silent = true, false
		b.leases = a.leases
		l.sleep(1450 * time.Second)
		s := l.status()
		same(t, "state", s.State, Bound)
		same(t, "server", s.Lease.Server, b.from)
		same(t, "told", l.leases(), "[- 2001:db8::100]")
	}, a, b)
}

// A server that has forgotten is asked anew, and the address stays if it agrees; who
// refuses then takes it away.
func TestFault_E4(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		lease := l.bound("2001:db8::100", 2*time.Second)
		clear(s.leases)
		l.forgetSent()
		l.sleep(lease.RenewAt - l.now() + time.Second)
		same(t, "messages", l.told(), "[RENEW REQUEST]")
		same(t, "requested", asked(l.messages()[1].Message), "[2001:db8::100]")
		l.bound("2001:db8::100", time.Second)
		same(t, "told", l.leases(), "[2001:db8::100]")

		s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message {
			if p.MessageType == dhcpv6.MessageTypeReply && p.Options.OneIANA().Options.Status() == nil {
				p.Options.OneIANA().Options.Options = dhcpv6.Options{statusOf(iana.StatusNoAddrsAvail)}
			}
			return p
		}
		clear(s.leases)
		lease = l.status().Lease
		l.sleep(lease.RenewAt - l.now() + 100*time.Millisecond)
		same(t, "state", l.status().State, Soliciting)
		same(t, "told", l.leases(), "[2001:db8::100 -]")
		same(t, "on record", len(l.records.By), 0)
		l.forgetSent()
		l.sleep(10 * time.Minute) // and is not asked more than now and then
		if n := len(l.messages()); n > 60 {
			t.Errorf("%d messages in 10 minutes", n)
		}
		s.mangle = nil
		l.bound("2001:db8::100", 2*time.Minute)
	}, s)
	inLab(t, func(t *testing.T, l *lab) { // not of this link any more
		l.begin(plain)
		lease := l.bound("2001:db8::100", 2*time.Second)
		clear(s.leases)
		s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message {
			if ia := p.Options.OneIANA(); p.MessageType == dhcpv6.MessageTypeReply && ia != nil && ia.Options.Status() == nil {
				p.AddOption(statusOf(iana.StatusNotOnLink))
			}
			return p
		}
		l.sleep(lease.RenewAt - l.now() + 100*time.Millisecond)
		same(t, "told", l.leases(), "[- 2001:db8::100 -]")
	}, s)
}

// A server that has a trouble is asked again, as one that says nothing is.
func TestUnspecFail(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		lease := l.bound("2001:db8::100", 2*time.Second)
		l.forgetSent()
		for _, code := range []iana.StatusCode{iana.StatusUnspecFail, iana.StatusUseMulticast} {
			s.status = code
			l.sleep(lease.RenewAt - l.now() + 100*time.Second)
			same(t, "state", l.status().State, Renewing)
			s.status = 0
			lease = l.bound("2001:db8::100", 3*time.Minute)
		}
		same(t, "told", l.leases(), "[2001:db8::100]")
		if n := len(l.messages()); n > 14 {
			t.Errorf("%d messages", n)
		}
	}, s)
}

// In a lease of several addresses each has an end of its own: one that the server gives
// no time goes at once, one that it does not name goes when its time has come.
func TestSeveralAddresses(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	s.many = 3
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		lease := l.bound("2001:db8::100 2001:db8::101 2001:db8::102", 2*time.Second)
		end := lease.Addresses[1].Expires
		s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message {
			if ia := p.Options.OneIANA(); ia != nil {
				all := ia.Options.Addresses()
				all[2].PreferredLifetime, all[2].ValidLifetime = 0, 0
				ia.Options.Options = dhcpv6.Options{all[0], all[2]}
			}
			return p
		}
		l.sleep(lease.RenewAt - l.now() + time.Second)
		lease = l.bound("2001:db8::100 2001:db8::101", time.Second)
		same(t, "its end", lease.Addresses[1].Expires, end)
		l.sleep(end - l.now() - time.Millisecond)
		l.bound("2001:db8::100 2001:db8::101", time.Second)
		l.sleep(time.Second)
		l.bound("2001:db8::100", time.Second)
		same(t, "on record", len(l.records.By["eth0"].Lease.Addresses), 1)

		s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message { // all are taken back
			if ia := p.Options.OneIANA(); ia != nil && p.MessageType == dhcpv6.MessageTypeReply {
				for _, a := range ia.Options.Addresses() {
					a.PreferredLifetime, a.ValidLifetime = 0, 0
				}
			}
			return p
		}
		l.sleep(20 * time.Minute)
		same(t, "lease", text(l.status().Lease), "-")
		same(t, "told", l.leases(), "[- 2001:db8::100 2001:db8::101 2001:db8::102 2001:db8::100 2001:db8::101 2001:db8::100 -]")
	}, s)
}

// Somebody else has the address: the server hears of it and gives another, not at once
// (RFC 8415 §18.2.8).
func TestFault_E8(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(plain)
		lease := l.bound("2001:db8::100", 2*time.Second)
		l.forgetSent()
		at := l.now()
		if err := l.Decline(t.Context(), "eth0", lease.Addresses[0].Address); err != nil {
			t.Fatal(err)
		}
		l.bound("2001:db8::101", 15*time.Second)
		same(t, "messages", l.told(), "[DECLINE SOLICIT REQUEST]")
		sent := l.messages()
		same(t, "declined", asked(sent[0].Message), "[2001:db8::100]")
		same(t, "server", serverOf(sent[0].Message), s.duid)
		within(t, "pause", sent[1].at-at, setbackPause, setbackPause+time.Second)
		same(t, "told", l.leases(), "[- 2001:db8::101]")
		same(t, "refusal", l.status().Refusal.Reason, "somebody else has 2001:db8::100")
		if err := l.Decline(t.Context(), "eth0", lease.Addresses[0].Address); err != nil {
			t.Fatal(err)
		}
		same(t, "an address that is not ours", l.status().State, Bound)

		last := time.Duration(0)
		for range 6 { // again and again: less and less often
			l.forgetSent()
			at := l.now()
			if err := l.Decline(t.Context(), "eth0", l.status().Lease.Addresses[0].Address); err != nil {
				t.Fatal(err)
			}
			l.until(Bound, longestPause+3*time.Second)
			pause := l.messages(dhcpv6.MessageTypeSolicit)[0].at - at
			within(t, "pause", pause, last, longestPause+time.Second)
			last = pause - 100*time.Millisecond
		}
		within(t, "longest", last, longestPause-time.Second, longestPause)
	}, s)

	s = newServer(1, "2001:db8::100")
	s.many = 2
	inLab(t, func(t *testing.T, l *lab) { // the other address stays
		l.begin(plain)
		lease := l.bound("2001:db8::100 2001:db8::101", 2*time.Second)
		s.silent = true
		for _, a := range lease.Addresses[:1] {
			if err := l.Decline(t.Context(), "eth0", a.Address); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "state", l.status().State, Declining)
		l.bound("2001:db8::101", 20*time.Second)
		same(t, "tries", len(l.messages(dhcpv6.MessageTypeDecline)), 4)
		same(t, "told", l.leases(), "[- 2001:db8::100 2001:db8::101 2001:db8::101]")
	}, s)
}

// What an operator may want at any time.
func TestOperator(t *testing.T) {
	s := newServer(1, "2001:db8::100")
	inLab(t, func(t *testing.T, l *lab) {
		for _, err := range []error{l.Renew(t.Context(), "eth0"), l.Release(t.Context(), "eth0"), l.Decline(t.Context(), "eth0", s.first)} {
			if !errors.Is(err, ErrNoClient) {
				t.Errorf("without a client: %v", err)
			}
		}
		l.begin(plain)
		lease := l.bound("2001:db8::100", 2*time.Second)
		l.sleep(time.Minute)
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.until(Bound, time.Second)
		within(t, "obtained", l.status().Lease.Obtained-lease.Obtained, time.Minute, 2*time.Minute)

		s.silent = true // it may be in vain, and then nothing is lost
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.sleep(30 * time.Second)
		l.bound("2001:db8::100", time.Second)
		same(t, "refusal", l.status().Refusal.Reason, "it does not answer")

		l.forgetSent()
		if err := l.Release(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		same(t, "lease", text(l.status().Lease), "-")
		same(t, "state", l.status().State, Releasing)
		l.until(Stopped, 20*time.Second)
		same(t, "messages", l.told(), "[RELEASE RELEASE RELEASE RELEASE]")
		same(t, "released", asked(l.messages()[0].Message), "[2001:db8::100]")
		same(t, "on record", len(l.records.By), 0)
		s.silent = false
		l.sleep(time.Hour)
		same(t, "rests", l.status().State, Stopped)
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.bound("2001:db8::100", 2*time.Second)
		if err := l.Release(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.until(Stopped, 100*time.Millisecond)
		same(t, "the server knows", len(s.leases), 0)
	}, s)
}

// Information without addresses (RFC 8415 §18.2.6).
func TestStateless(t *testing.T) {
	s := newServer(1, "2001:db8::100").option(raw(dhcpv6.OptionDNSRecursiveNameServer, make([]byte, 15)))
	c := plain
	c.Stateless = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(c)
		l.sleep(10 * time.Second)
		same(t, "malformed", l.status().State, Informing)
		s.options = []dhcpv6.Option{raw(dhcpv6.OptionDNSRecursiveNameServer, s.first.AsSlice())}
		lease := l.until(Informed, time.Minute).Lease
		same(t, "DNS", lease.DNS, "[2001:db8::100]")
		same(t, "again", lease.RenewAt-lease.Obtained, 24*time.Hour)
		same(t, "asked", optionOf(l.messages()[0].Message, dhcpv6.OptionORO), []byte{0, 23, 0, 24, 0, 56, 0, 32, 0, 83})
		same(t, "socket", l.listens("eth0"), false)
		l.forgetSent()
		l.restart()
		l.begin(c)
		l.sleep(time.Hour)
		same(t, "after a restart", l.told(), "[]")
		same(t, "state", l.status().State, Informed)

		for refresh, want := range map[uint32]time.Duration{1: 600 * time.Second, 7200: 2 * time.Hour, infinite: never} {
			s.options = []dhcpv6.Option{number(dhcpv6.OptionInformationRefreshTime, refresh)}
			if err := l.Renew(t.Context(), "eth0"); err != nil {
				t.Fatal(err)
			}
			lease := l.until(Informed, time.Minute).Lease
			if want != never {
				want += lease.Obtained
			}
			same(t, "refresh", lease.RenewAt, want)
		}
		s.options = []dhcpv6.Option{number(dhcpv6.OptionInformationRefreshTime, 600)}
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.until(Informed, time.Minute)
		l.forgetSent()
		l.sleep(35 * time.Minute)
		same(t, "asked again", l.told(), "[INFORMATION-REQUEST INFORMATION-REQUEST INFORMATION-REQUEST]")
		link := upLink
		link.Ups++
		l.Link("eth0", link)
		l.sleep(time.Second)
		same(t, "another link perhaps", len(l.messages()), 4)
		l.reboot()
		l.begin(c)
		l.until(Informed, time.Second)
	}, s)
}
