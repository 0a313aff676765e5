package dhcp

import (
	"fmt"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// flap takes the link away and gives it back, at once or so that others can see it.
func (l *lab) flap(seen bool) {
	l.Helper()
	away, back := upLink, upLink
	away.Ready = false
	l.Link("eth0", away)
	if seen {
		l.sleep(3 * time.Second)
	}
	l.Link("eth0", back)
	l.sleep(0)
}

// The link goes and comes back in every state, also so fast that nobody has seen it
// away. The client goes on, and a valid lease stays.
func TestFault_E12(t *testing.T) {
	silence := func(s *server) { s.silent = true }
	for _, test := range []struct {
		name  string
		state State
		lease bool
		get   func(l *lab, s *server)
	}{
		{"selecting", Selecting, false, func(l *lab, s *server) {
			silence(s)
			l.begin(careful)
			l.sleep(30 * time.Second)
		}},
		{"requesting", Requesting, false, func(l *lab, s *server) {
			s.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
				if p.MessageType() != dhcpv4.MessageTypeOffer {
					return nil
				}
				return p
			}
			l.begin(careful)
			l.sleep(5 * time.Second)
		}},
		{"probing", Probing, false, func(l *lab, _ *server) {
			l.begin(careful)
			l.sleep(2 * time.Second)
		}},
		{"bound", Bound, true, func(l *lab, _ *server) {
			l.begin(careful)
			l.sleep(10 * time.Second)
		}},
		{"renewing", Renewing, true, func(l *lab, s *server) {
			l.begin(careful)
			lease := l.bound("192.0.2.100/24", 10*time.Second)
			silence(s)
			l.sleep(lease.RenewAt - l.now() + time.Second)
		}},
		{"rebinding", Rebinding, true, func(l *lab, s *server) {
			l.begin(careful)
			lease := l.bound("192.0.2.100/24", 10*time.Second)
			silence(s)
			l.sleep(lease.RebindAt - l.now() + time.Second)
		}},
		{"rebooting", Rebooting, false, func(l *lab, s *server) {
			l.begin(careful)
			l.bound("192.0.2.100/24", 10*time.Second)
			l.reboot()
			silence(s)
			l.begin(careful)
			l.sleep(time.Second)
		}},
		{"init after a DECLINE", Init, false, func(l *lab, _ *server) {
			l.begin(careful)
			l.sleep(2 * time.Second)
			l.say(ARP{Sender: MAC{2, 9}, SenderIP: testAddress, TargetIP: testAddress})
		}},
	} {
		for _, seen := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, seen %t", test.name, seen), func(t *testing.T) {
				s := newServer("192.0.2.1", "192.0.2.100")
				inLab(t, func(t *testing.T, l *lab) {
					test.get(l, s)
					same(t, "state", l.status().State, test.state)
					l.forgetSent()
					s.silent, s.mangle = false, nil
					at := l.now()
					l.flap(seen)
					s := l.until(Bound, 25*time.Second)
					if s.Lease.Address.Addr() != testAddress && test.state != Init {
						t.Errorf("lease %s", s.Lease.Address)
					}
					if test.lease {
						same(t, "told", l.leases(), "[192.0.2.100/24]")
						m := l.messages()[0]
						same(t, "made sure", m.MessageType(), dhcpv4.MessageTypeRequest)
						same(t, "of the address", requested(m.DHCPv4), testAddress)
					}
					if test.state == Init {
						return // the pause is older than the link
					}
					if first := l.messages()[0]; first.at-at > 3*time.Second+time.Millisecond {
						t.Errorf("the first message came after %s", first.at-at)
					}
				}, s)
			})
		}
	}
	t.Run("nobody answers", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			lease := l.bound("192.0.2.100/24", time.Second)
			silence(s)
			l.flap(true)
			same(t, "state", l.status().State, Rebooting)
			l.sleep(time.Minute)
			l.bound("192.0.2.100/24", 0)
			same(t, "told", l.leases(), "[- 192.0.2.100/24]")
			l.sleep(lease.Expires - l.now())
			same(t, "at the end", l.leases(), "[- 192.0.2.100/24 -]")
		}, s)
	})
	t.Run("away at the end of the lease", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			lease := l.bound("192.0.2.100/24", time.Second)
			away := upLink
			away.Ready = false
			l.Link("eth0", away)
			l.sleep(lease.Expires - l.now() - time.Millisecond)
			same(t, "lease", l.status().Lease != nil, true)
			n := len(s.seen)
			l.sleep(time.Millisecond)
			same(t, "lease", l.status().Lease == nil, true)
			same(t, "state", l.status().State, Waiting)
			l.sleep(24 * time.Hour)
			same(t, "messages while the link is away", len(s.seen), n)
			l.flap(false)
			l.bound("192.0.2.100/24", time.Second)
		}, s)
	})
}

// A DISCOVER is out, the link goes and comes back: another at once, not when the old
// back-off is over.
func TestScenario_D26(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	s.silent = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.sleep(10 * time.Minute)
		s.silent = false
		l.flap(true)
		l.bound("192.0.2.100/24", 100*time.Millisecond)
	}, s)
}

// Without a link there is no packet; with it, all goes on by itself.
func TestWaitsForTheLink(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.beginOn(quick, Link{Index: 7, MAC: testMAC, MTU: 1500})
		l.sleep(time.Hour)
		same(t, "state", l.status().State, Waiting)
		same(t, "messages", len(s.seen), 0)
		l.Link("eth0", upLink)
		l.bound("192.0.2.100/24", 100*time.Millisecond)
	}, s)
}

func TestFault_E22(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(careful)
		lease := l.bound("192.0.2.100/24", 10*time.Second)
		l.sleep(10 * time.Minute)
		n := len(s.seen)
		l.restart()
		l.forgetSent()
		l.begin(careful)
		again := l.bound("192.0.2.100/24", 0)
		same(t, "facts", again.SameFacts(lease), true)
		same(t, "times", []any{again.Obtained, again.RenewAt, again.RebindAt, again.Expires},
			[]any{lease.Obtained, lease.RenewAt, lease.RebindAt, lease.Expires})
		same(t, "messages", len(s.seen), n)
		same(t, "ARP", len(l.arp()), 0)
		same(t, "told", l.leases(), "[192.0.2.100/24]")
		l.sleep(again.RenewAt - l.now() + time.Second)
		same(t, "renewed", kinds(s.seen[n:]), "[REQUEST]")

		// The agent comes back after T1, after T2, and after the end.
		for _, test := range []struct {
			late func() time.Duration
			want string
			told string
		}{
			{func() time.Duration { return l.status().Lease.RenewAt }, "[REQUEST]", "[192.0.2.100/24]"},
			{func() time.Duration { return l.status().Lease.RebindAt }, "[REQUEST]", "[192.0.2.100/24]"},
			{func() time.Duration { return l.status().Lease.Expires }, "[DISCOVER REQUEST]", "[- 192.0.2.100/24]"},
		} {
			at := test.late()
			l.off()
			l.sleep(at - l.now() + time.Second)
			n := len(s.seen)
			l.seen = nil
			l.on()
			l.begin(careful)
			l.bound("192.0.2.100/24", 10*time.Second)
			same(t, "messages", kinds(s.seen[n:]), test.want)
			same(t, "told", l.leases(), test.told)
		}
	}, s)
	t.Run("another configuration", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			c := quick
			c.Trusted = true
			l.begin(c)
			l.bound("192.0.2.100/24", 0)
			same(t, "messages", len(s.seen), 2)
		}, s)
	})
	t.Run("the record is unreadable", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			l.restart()
			l.records.Fail = fmt.Errorf("damaged")
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
		}, s)
	})
}

func TestFault_E23(t *testing.T) {
	here, there := newServer("192.0.2.1", "192.0.2.100"), newServer("198.51.100.1", "198.51.100.100")
	inLab(t, func(t *testing.T, l *lab) {
		there.silent = true
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
		t.Log("the same network: asked for again, and had")
		l.reboot()
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
		same(t, "messages", kinds(here.seen[2:]), "[REQUEST]")
		again := here.seen[2]
		same(t, "form", []any{requested(again), serverOf(again).IsValid(), again.ClientIPAddr}, []any{"192.0.2.100", false, "0.0.0.0"})

		t.Log("another network, whose server says NAK")
		l.reboot()
		here.silent, there.silent = true, false
		l.begin(quick)
		at := l.now()
		l.bound("198.51.100.100/24", 5*time.Second)
		within(t, "back", l.now()-at, 0, 2*time.Second)

		t.Log("another network, whose server says nothing of foreign addresses")
		l.reboot()
		here.silent, there.silent = false, true
		here.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
			if p.MessageType() == dhcpv4.MessageTypeNak {
				return nil
			}
			return p
		}
		l.begin(quick)
		l.bound("192.0.2.100/24", 8*time.Second)

		t.Log("long after: the lease has run out, but the address is worth asking for")
		l.off()
		l.sleep(48 * time.Hour)
		l.reboot()
		n := len(here.seen)
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
		same(t, "messages", kinds(here.seen[n:]), "[DISCOVER REQUEST]")
		same(t, "asked for", requested(here.seen[n]), "192.0.2.100")
	}, here, there)
	t.Run("the link comes later", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			l.reboot()
			l.beginOn(quick, Link{Index: 7, MAC: testMAC})
			same(t, "state", l.status().State, InitReboot)
			same(t, "lease", l.status().Lease == nil, true)
			l.sleep(time.Minute)
			l.Link("eth0", upLink)
			l.bound("192.0.2.100/24", time.Second)
			same(t, "messages", kinds(s.seen[2:]), "[REQUEST]")
		}, s)
	})
}

// The bond fails over to a slave with another MAC, in the middle of an exchange and
// with a lease in use: the client id stays, chaddr is the MAC of now.
func TestFault_E25(t *testing.T) {
	moved := upLink
	moved.MAC = MAC{2, 0, 0, 0, 0, 2}
	s := newServer("192.0.2.1", "192.0.2.100")
	s.latency = 100 * time.Millisecond
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(careful)
		l.sleep(50 * time.Millisecond) // the offer is on its way, to the old MAC
		l.Link("eth0", moved)
		l.bound("192.0.2.100/24", 10*time.Second)
		var macs []string
		for _, p := range s.seen {
			macs = append(macs, p.ClientHWAddr.String())
			same(t, "client id", p.Options.Get(dhcpv4.OptionClientIdentifier), careful.ClientID)
		}
		same(t, "MACs", macs, []any{testMAC, moved.MAC, moved.MAC})
		l.sleep(10 * time.Second)
		l.forgetSent()
		l.Link("eth0", upLink)
		l.sleep(10 * time.Second)
		arps := l.arp()
		same(t, "announced again", len(arps), announceNum)
		same(t, "with the new MAC", arps[0].Sender, testMAC)
		l.bound("192.0.2.100/24", 0)
		same(t, "told", len(l.leases()), 0)
	}, s)
}

// Two NICs in one network: each answers for the other's address, and both get one.
func TestFault_E24(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		second := upLink
		second.Index, second.MAC = 8, MAC{2, 0, 0, 0, 0, 2}
		l.Host(Host{MACs: []MAC{testMAC, second.MAC}})
		for i := range byte(5) {
			l.holders[testAddressPlus(i)] = second.MAC
		}
		l.begin(careful)
		other := careful
		other.NIC, other.ClientID = "eth1", []byte{255, 9, 9, 9}
		l.beginOn(other, second)
		l.sleep(10 * time.Second)
		var got []string
		for _, nic := range []string{"eth0", "eth1"} {
			st, _ := l.Status(nic)
			got = append(got, fmt.Sprint(st.State, " ", st.Lease.Address))
		}
		same(t, "leases", got, "[bound 192.0.2.100/24 bound 192.0.2.101/24]")
		same(t, "DECLINEs", len(l.messages(dhcpv4.MessageTypeDecline)), 0)
	}, s)
}

// 500 clients at once.
func TestManyClients(t *testing.T) {
	s := newServer("10.0.0.1", "10.0.0.100")
	s.bits = 8
	inLab(t, func(t *testing.T, l *lab) {
		for i := range 500 {
			link := upLink
			link.Index, link.MAC = i+1, MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
			c := Config{NIC: fmt.Sprintf("eth%d", i), ClientID: []byte{255, byte(i >> 8), byte(i)}}
			l.beginOn(c, link)
		}
		l.sleep(15 * time.Second)
		seen := map[string]bool{}
		for i := range 500 {
			st, ok := l.Status(fmt.Sprintf("eth%d", i))
			if !ok || st.State != Bound || seen[st.Lease.Address.String()] {
				t.Fatalf("eth%d: %+v", i, st)
			}
			seen[st.Lease.Address.String()] = true
		}
		for i := range 500 {
			l.Stop(fmt.Sprintf("eth%d", i))
		}
		_, ok := l.Status("eth7")
		same(t, "status after stop", ok, false)
	}, s)
}
