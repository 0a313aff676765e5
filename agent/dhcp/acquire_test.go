package dhcp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
)

func TestAcquire(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		lease := l.bound("192.0.2.100/24", time.Second)
		sent := l.messages()
		same(t, "messages", kinds(s.seen), "[DISCOVER REQUEST]")
		within(t, "bound", l.now(), 0, 20*time.Millisecond)
		d, r := sent[0], sent[1]
		same(t, "same transaction", d.TransactionID, r.TransactionID)
		same(t, "same secs", d.NumSeconds, r.NumSeconds)
		same(t, "MAC", d.ClientHWAddr, testMAC)
		same(t, "client id", d.Options.Get(dhcpv4.OptionClientIdentifier), quick.ClientID)
		same(t, "asked for", d.Options.Get(dhcpv4.OptionParameterRequestList), DefaultRequest())
		same(t, "requested", requested(r.DHCPv4), "192.0.2.100")
		same(t, "server", serverOf(r.DHCPv4), "192.0.2.1")
		same(t, "gateways", lease.Gateways, "[192.0.2.1]")
		within(t, "T1", lease.RenewAt-lease.Obtained, 1800*95/100*time.Second, 1800*105/100*time.Second)
		within(t, "T2", lease.RebindAt-lease.Obtained, 3150*95/100*time.Second, 3150*time.Second)
		same(t, "expiry", lease.Expires-lease.Obtained, time.Hour)
		same(t, "no ARP", l.arp(), "[]")
		same(t, "told", l.leases(), "[- 192.0.2.100/24]")
		same(t, "on record", l.records.By["eth0"].Lease.Address, "192.0.2.100/24")
	}, s)
}

// What is not an answer to us is not heard.
func TestFault_E3(t *testing.T) {
	for name, mangle := range map[string]func(*dhcpv4.DHCPv4){
		"xid":       func(p *dhcpv4.DHCPv4) { p.TransactionID[0]++ },
		"chaddr":    func(p *dhcpv4.DHCPv4) { p.ClientHWAddr[5]++ },
		"client id": func(p *dhcpv4.DHCPv4) { p.UpdateOption(raw(61, 255, 9, 9, 9)) },
		"server id": func(p *dhcpv4.DHCPv4) { p.UpdateOption(raw(54, 192, 0, 2, 9)) },
		"address":   func(p *dhcpv4.DHCPv4) { p.YourIPAddr = []byte{192, 0, 2, 9} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer("192.0.2.1", "192.0.2.100")
			s.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
				if p.MessageType() == dhcpv4.MessageTypeAck {
					mangle(p)
				}
				return p
			}
			inLab(t, func(t *testing.T, l *lab) {
				l.begin(quick)
				l.sleep(10 * time.Second)
				same(t, "state", l.status().State, Requesting)
				s.mangle = nil
				l.bound("192.0.2.100/24", 10*time.Second)
			}, s)
		})
	}
	for name, mangle := range map[string]func(*dhcpv4.DHCPv4){
		"xid":    func(p *dhcpv4.DHCPv4) { p.TransactionID[0]++ },
		"chaddr": func(p *dhcpv4.DHCPv4) { p.ClientHWAddr[5]++ },
	} {
		t.Run("renewing, "+name, func(t *testing.T) { // by a socket without a filter
			s := newServer("192.0.2.1", "192.0.2.100")
			inLab(t, func(t *testing.T, l *lab) {
				l.begin(quick)
				lease := l.bound("192.0.2.100/24", time.Second)
				s.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { mangle(p); return p }
				l.sleep(lease.RenewAt - l.now() + time.Second)
				same(t, "state", l.status().State, Renewing)
				same(t, "ignored", l.status().Ignored, 1)
			}, s)
		})
	}
	t.Run("no client id", func(t *testing.T) { // who has sent none has none to compare
		s := newServer("192.0.2.1", "192.0.2.100").option(raw(61, 1, 2, 3))
		c := quick
		c.ClientID = nil
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(c)
			l.bound("192.0.2.100/24", time.Second)
		}, s)
	})
}

func TestFault_E7(t *testing.T) {
	// The rogue answers first, and is another network.
	newPair := func() (good, rogue *server) {
		good, rogue = newServer("192.0.2.1", "192.0.2.100"), newServer("198.51.100.66", "198.51.100.100")
		good.latency = 50 * time.Millisecond
		return good, rogue
	}
	t.Run("allow-list", func(t *testing.T) {
		good, rogue := newPair()
		c := quick
		c.Servers = []netip.Addr{good.id}
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(c)
			l.bound("192.0.2.100/24", time.Second)
			s := l.status()
			if s.Refusal == nil || s.Refusal.Server != rogue.id {
				t.Errorf("refusal %+v", s.Refusal)
			}
		}, good, rogue)
	})
	t.Run("previous server", func(t *testing.T) {
		good, rogue := newPair()
		rogue.silent = true
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			rogue.silent = false
			l.sleep(10 * time.Hour)
			l.bound("192.0.2.100/24", 0)
			l.Stop("eth0")
			l.sleep(2 * time.Hour) // the lease runs out
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
		}, good, rogue)
	})
	t.Run("many rogues", func(t *testing.T) {
		good, _ := newPair()
		all := []*server{good}
		for i := range byte(2 * mostOffers) {
			rogue := newServer("198.51.100.66", "198.51.100.100")
			rogue.id = netip.AddrFrom4([4]byte{198, 51, 100, 10 + i})
			all = append(all, rogue)
		}
		silent := func(is bool) {
			for _, rogue := range all[1:] {
				rogue.silent = is
			}
		}
		inLab(t, func(t *testing.T, l *lab) {
			silent(true)
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			silent(false)
			l.Stop("eth0")
			l.sleep(2 * time.Hour) // the lease runs out
			l.begin(quick)
			l.bound("192.0.2.100/24", 2*time.Second)
		}, all...)
	})
	t.Run("only another", func(t *testing.T) {
		good, rogue := newPair()
		inLab(t, func(t *testing.T, l *lab) {
			rogue.silent = true
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Second)
			l.Stop("eth0")
			rogue.silent, good.silent = false, true
			l.sleep(2 * time.Hour) // the lease runs out
			at := l.now()
			l.begin(quick)
			l.bound("198.51.100.100/24", 2*time.Second)
			within(t, "waited for the familiar server", l.now()-at, collect, collect+50*time.Millisecond)
		}, good, rogue)
	})
	t.Run("does not keep its offer", func(t *testing.T) {
		good, rogue := newPair()
		rogue.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
			if p.MessageType() == dhcpv4.MessageTypeOffer {
				return p
			}
			return nil
		}
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			l.bound("192.0.2.100/24", time.Minute)
		}, good, rogue)
	})
}

func TestFault_E8(t *testing.T) {
	taken, other := netip.MustParseAddr("192.0.2.100"), MAC{2, 9, 9, 9, 9, 9}
	t.Run("in use", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.holders[taken] = other
			l.begin(careful)
			l.until(Init, 3*time.Second)
			declined := l.messages(dhcpv4.MessageTypeDecline)
			if len(declined) != 1 || requested(declined[0].DHCPv4) != taken || serverOf(declined[0].DHCPv4) != s.id {
				t.Fatalf("DECLINE: %v", declined)
			}
			lease := l.bound("192.0.2.101/24", time.Minute)
			discovers := l.messages(dhcpv4.MessageTypeDiscover)
			within(t, "pause", discovers[1].at-declined[0].at, 10*time.Second, 11*time.Second)
			same(t, "asked for again", requested(discovers[1].DHCPv4).IsValid(), false)
			if s := l.status(); s.Refusal == nil || !strings.Contains(s.Refusal.Reason, other.String()) {
				t.Errorf("refusal: %+v", s.Refusal)
			}
			same(t, "told", l.leases(), "[- "+lease.Address.String()+"]")
		}, s)
	})
	t.Run("own NIC", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.holders[taken] = other
			l.Host(Host{MACs: []MAC{testMAC, other}})
			l.begin(careful)
			l.bound("192.0.2.100/24", 8*time.Second)
		}, s)
	})
	t.Run("two probe at once", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(careful)
			l.until(Probing, time.Second)
			l.say(ARP{Sender: other, SenderIP: anyHost, TargetIP: taken})
			same(t, "state", l.status().State, Init)
		}, newServer("192.0.2.1", "192.0.2.100"))
	})
	t.Run("another's address", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(careful)
			l.until(Probing, time.Second)
			l.say(ARP{Sender: other, SenderIP: taken.Next(), TargetIP: taken})
			l.bound("192.0.2.100/24", 8*time.Second)
		}, newServer("192.0.2.1", "192.0.2.100"))
	})
	t.Run("all of them", func(t *testing.T) {
		s := newServer("192.0.2.1", "192.0.2.100")
		inLab(t, func(t *testing.T, l *lab) {
			for i, a := 0, taken; i < 100; i, a = i+1, a.Next() {
				l.holders[a] = other
			}
			l.begin(careful)
			l.sleep(time.Hour)
			at := l.messages(dhcpv4.MessageTypeDecline)
			for i := 1; i < len(at); i++ {
				least := declinePause
				if i > maxConflicts {
					least = rateLimit
				}
				within(t, "pause", at[i].at-at[i-1].at, least, least+5*time.Second)
			}
			if len(at) < 50 {
				t.Errorf("gave up after %d", len(at))
			}
		}, s)
	})
}

// A host that was powered on just now waits before its first probe, for a time that is
// drawn at random (RFC 5227 §2.1.1); another does not.
func TestFirstProbe(t *testing.T) {
	for up, most := range map[time.Duration]time.Duration{0: probeWait, powerOn - time.Second: probeWait, powerOn: 0} {
		t.Run(up.String(), func(t *testing.T) {
			longest := time.Duration(0)
			for range 20 {
				inLab(t, func(t *testing.T, l *lab) {
					l.sleep(up)
					l.begin(careful)
					granted := l.now()
					l.bound("192.0.2.100/24", 8*time.Second)
					longest = max(longest, l.arp()[0].at-granted)
				}, newServer("192.0.2.1", "192.0.2.100"))
			}
			within(t, "longest wait", longest, most/4, most+20*time.Millisecond)
		})
	}
}

// The times of RFC 5227 §1.1.
func TestProbesAndAnnouncements(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(careful)
		granted := l.now()
		l.bound("192.0.2.100/24", 8*time.Second)
		bound := l.now()
		l.sleep(10 * time.Second)
		arps := l.arp()
		if len(arps) != probeNum+announceNum {
			t.Fatalf("ARP: %v", arps)
		}
		address := netip.MustParseAddr("192.0.2.100")
		for i, a := range arps {
			probe := i < probeNum
			same(t, "sender", a.SenderIP.IsUnspecified(), probe)
			same(t, "about", []any{a.Sender, a.TargetIP}, []any{testMAC, address})
			if i == 0 {
				within(t, "first", a.at-granted, 0, probeWait+20*time.Millisecond)
			} else if probe {
				within(t, "between probes", a.at-arps[i-1].at, probeLeast, probeMost)
			}
		}
		within(t, "after the last probe", bound-arps[2].at, announceWait, announceWait+10*time.Millisecond)
		within(t, "between announcements", arps[4].at-arps[3].at, announceInterval, announceInterval+time.Millisecond)
	}, newServer("192.0.2.1", "192.0.2.100"))
}

// A claim is answered once; the second within 10 s gets the address, or not.
func TestDefence(t *testing.T) {
	other := MAC{2, 9, 9, 9, 9, 9}
	claim := ARP{Sender: other, SenderIP: netip.MustParseAddr("192.0.2.100"), TargetIP: netip.MustParseAddr("192.0.2.100"), Reply: true}
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(careful)
		l.bound("192.0.2.100/24", 8*time.Second)
		l.sleep(10 * time.Second)
		for range 3 {
			l.forgetSent()
			l.say(claim)
			same(t, "defended", len(l.arp()), 1)
			l.sleep(11 * time.Second)
		}
		l.bound("192.0.2.100/24", 0)
		l.say(claim)
		l.sleep(5 * time.Second)
		l.forgetSent()
		l.say(claim)
		same(t, "state", l.status().State, Init)
		same(t, "lease", l.status().Lease == nil, true)
		same(t, "declined", len(l.messages(dhcpv4.MessageTypeDecline)), 1)
	}, newServer("192.0.2.1", "192.0.2.100"))
	inLab(t, func(t *testing.T, l *lab) {
		c := careful
		c.KeepAddress = true
		l.begin(c)
		l.bound("192.0.2.100/24", 8*time.Second)
		l.sleep(10 * time.Second)
		l.forgetSent()
		for range 100 {
			l.say(claim)
			l.sleep(time.Second)
		}
		if n := len(l.arp()); n < 9 || n > 11 {
			t.Errorf("defended %d times in 100 s", n)
		}
		l.bound("192.0.2.100/24", 0)
	}, newServer("192.0.2.1", "192.0.2.100"))
}

// RFC 2131 §4.1, with the early one before it.
func TestFault_E10(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	s.silent = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.sleep(24 * time.Hour)
		sent := l.messages()
		within(t, "early", sent[1].at-sent[0].at, 250*time.Millisecond, 500*time.Millisecond)
		for i := 2; i < len(sent); i++ {
			d := min(4*time.Second<<min(i-2, 10), 64*time.Second)
			within(t, "delay", sent[i].at-sent[i-1].at, d-time.Second, d+time.Second)
		}
		if n := len(sent); n < 86400/65 || n > 86400/63+10 {
			t.Errorf("%d messages in a day", n)
		}
		same(t, "secs", sent[len(sent)-1].NumSeconds, 0xffff)
		same(t, "secs of the first", sent[0].NumSeconds, 1)
		same(t, "next try", l.status().NextTry > l.now(), true)
		s.silent = false
		l.bound("192.0.2.100/24", 66*time.Second)
	}, s)
}

func TestRapidCommit(t *testing.T) {
	c := quick
	c.RapidCommit = true
	s := newServer("192.0.2.1", "192.0.2.100")
	s.rapid = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(c)
		l.bound("192.0.2.100/24", time.Second)
		same(t, "messages", kinds(s.seen), "[DISCOVER]")
	}, s)
	// Nobody has asked for it: an ACK to a DISCOVER is no answer.
	s = newServer("192.0.2.1", "192.0.2.100")
	s.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		p.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeAck))
		p.UpdateOption(raw(80))
		return p
	}
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.sleep(10 * time.Second)
		same(t, "state", l.status().State, Selecting)
	}, s)
}

// RFC 8925.
func TestIPv6OnlyPreferred(t *testing.T) {
	c := quick
	c.IPv6Only = true
	s := newServer("192.0.2.1", "192.0.2.100").option(raw(108, 0, 0, 7, 8)) // 1,800 s
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(c)
		l.until(IPv6Only, time.Second)
		l.sleep(1799 * time.Second)
		same(t, "messages", kinds(s.seen), "[DISCOVER]")
		same(t, "asked for", s.seen[0].Options.Get(dhcpv4.OptionParameterRequestList)[13], 108)
		l.sleep(2 * time.Second)
		same(t, "messages", kinds(s.seen), "[DISCOVER DISCOVER]")
		// Another network may think otherwise.
		s.options = nil
		away, back := upLink, upLink
		away.Ready, back.Ups = false, 2
		l.Link("eth0", away)
		l.Link("eth0", back)
		l.bound("192.0.2.100/24", time.Second)
	}, s)
	s = newServer("192.0.2.1", "192.0.2.100").option(raw(108, 0, 0, 0, 1))
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(c)
		l.sleep(299 * time.Second)
		same(t, "state before 300 s", l.status().State, IPv6Only)
		same(t, "messages before 300 s", len(s.seen), 1)
	}, s)
	inLab(t, func(t *testing.T, l *lab) { // who has not asked for it does not care
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
	}, s)
}

// Sockets that cannot be had are tried again.
func TestNoSockets(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		broken := errors.New("no buffer space")
		wires := l.Manager.options.wires
		l.Manager.options.wires = func(nic string) wire {
			w := wires(nic)
			w.(*cable).fail = broken
			return w
		}
		l.begin(quick)
		l.sleep(time.Minute)
		same(t, "state", l.status().State, Selecting)
		if !strings.Contains(l.status().Trouble, broken.Error()) {
			t.Errorf("trouble %q", l.status().Trouble)
		}
		c := l.cables["eth0"]
		c.mu.Lock()
		c.fail = nil
		c.mu.Unlock()
		l.bound("192.0.2.100/24", 70*time.Second)
		same(t, "trouble", l.status().Trouble, "")
	}, newServer("192.0.2.1", "192.0.2.100"))
}

// A socket that has failed is opened again, and soon.
func TestSocketFails(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	s.silent = true
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.sleep(10 * time.Minute)
		c := l.cables["eth0"]
		c.in <- drive.Inbound{Source: bySocket, Err: errors.New("the ceiling fell down")}
		l.sleep(0)
		if !strings.Contains(l.status().Trouble, "ceiling") {
			t.Errorf("trouble %q", l.status().Trouble)
		}
		l.sleep(time.Second)
		same(t, "trouble", l.status().Trouble, "")
		s.silent = false
		l.bound("192.0.2.100/24", 65*time.Second)
	}, s)
}

// What the configuration says is in what is sent.
func TestMessages(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	c := quick
	c.HostName, c.Broadcast, c.Request, c.ClientID = "host7", true, []uint8{1, 3}, nil
	small := upLink
	small.MTU = 1000
	inLab(t, func(t *testing.T, l *lab) {
		l.beginOn(c, small)
		l.bound("192.0.2.100/24", time.Second)
		for _, p := range s.seen {
			same(t, "host name", p.HostName(), "host7")
			same(t, "broadcast", p.IsBroadcast(), true)
			same(t, "request", p.Options.Get(dhcpv4.OptionParameterRequestList), []byte{1, 3})
			same(t, "client id", p.Options.Has(dhcpv4.OptionClientIdentifier), false)
			size, err := p.MaxMessageSize()
			same(t, "largest message", []any{size, err}, []any{972, nil})
		}
		lease := l.status().Lease
		l.sleep(lease.RenewAt - l.now() + time.Second)
		same(t, "a renewal is answered by unicast", s.seen[2].IsBroadcast(), false)
	}, s)
}
