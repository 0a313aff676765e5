package dhcp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/agent/dhcp/drive/drivetest"
)

// world is a machine among servers that do as they like. What they say goes through
// the parsers; time goes from event to event.
type world struct {
	*rapid.T
	drivetest.Course
	m       *Machine
	config  Config
	link    Link
	servers []*server
	record  *Record
	boot    int

	// granted are the addresses that were in an ACK.
	granted map[netip.Addr]bool
}

func (w *world) begin() {
	w.m = NewMachine(w.config, rand.New(rand.NewPCG(rapid.Uint64().Draw(w.T, "seed"), 0)))
	w.Lose()
	w.step(Start{Link: w.link, Record: w.record, Boot: fmt.Sprint(w.boot), Wall: time.Unix(0, 0).Add(w.Now)})
}

func (w *world) step(e Event) {
	for _, a := range w.m.Step(w.Now, e) {
		switch a := a.(type) {
		case Send:
			w.receive(a)
		case SendARP:
			w.mayNotSendWithout(w.link.Ready)
		case Save:
			w.record = &Record{Lease: *a.Lease, Boot: fmt.Sprint(w.boot)}
			if a.Lease.Expires != never {
				w.record.Expires = time.Unix(0, 0).Add(a.Lease.Expires)
			}
		case Forget:
			w.record = nil
		}
	}
	w.check()
}

func (w *world) mayNotSendWithout(link bool) {
	if !link {
		w.Fatalf("%s: %s sends without a link", w.Now, w.m.state)
	}
}

// receive is the servers' side.
func (w *world) receive(s Send) {
	w.mayNotSendWithout(w.link.Ready)
	needs := w.m.Needs()
	p, err := dhcpv4.FromBytes(s.Payload)
	if err != nil {
		w.Fatal(err)
	}
	if answered := p.MessageType() == dhcpv4.MessageTypeDiscover || p.MessageType() == dhcpv4.MessageTypeRequest; answered && !needs.Packet && !needs.UDP {
		w.Fatalf("%s: %s sends %s and does not listen", w.Now, w.m.state, p.MessageType())
	}
	w.Send()
	for _, srv := range w.servers {
		if s.Unicast && s.To != srv.id {
			continue
		}
		reply := srv.handle(p)
		if reply == nil {
			continue
		}
		if a, ok := netip.AddrFromSlice(reply.YourIPAddr.To4()); ok && reply.MessageType() == dhcpv4.MessageTypeAck {
			w.granted[a] = true
		}
		latency := time.Duration(rapid.IntRange(1, 900).Draw(w.T, "latency")) * time.Millisecond
		w.Arrive(latency, drive.Inbound{Source: bySocket, Data: frame(reply.ToBytes(), srv.id)})
	}
}

// check is what holds after every step.
func (w *world) check() {
	m := w.m
	if m.lease != nil {
		l := m.lease
		if w.Now >= l.Expires {
			w.Fatalf("%s: %s is in use since %s, and has ended at %s", w.Now, l.Address, l.Obtained, l.Expires)
		}
		if !w.granted[l.Address.Addr()] {
			w.Fatalf("%s: nobody has granted %s", w.Now, l.Address)
		}
		if l.RenewAt > l.RebindAt || l.RebindAt > l.Expires || l.Obtained > w.Now {
			w.Fatalf("%s: times %s %s %s", w.Now, l.RenewAt, l.RebindAt, l.Expires)
		}
		if m.Wake() > l.Expires {
			w.Fatalf("%s: %s wakes at %s, after the lease", w.Now, m.state, m.Wake())
		}
	}
	if m.lease == nil && slices.Contains([]State{Bound, Renewing, Rebinding}, m.state) {
		w.Fatalf("%s: %s without a lease", w.Now, m.state)
	}
	if (m.pending != nil) != (m.state == Probing) {
		w.Fatalf("%s: %s with %v to probe", w.Now, m.state, m.pending)
	}
	// Always on the way to something, and never far from it.
	if m.link.Ready && m.state != Stopped && m.lease == nil {
		most := longestDelay + time.Second
		if m.state == IPv6Only {
			most = leastV6OnlyWait * time.Second
		}
		if m.Wake() > w.Now+most {
			w.Fatalf("%s: %s has nothing to do until %s", w.Now, m.state, m.Wake())
		}
	}
}

// run lets time go on.
func (w *world) run(d time.Duration) {
	w.Run(w, d, w.m.Wake, func(in *drive.Inbound) {
		if in == nil {
			w.step(Tick{})
		} else if e, err := parse(*in); err == nil && w.link.Ready {
			w.step(e)
		}
	})
}

// moods are what a server may do to each of its messages.
var moods = map[string]func(w *world, s *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4{
	"good": nil,
	"loses half": func(w *world, _ *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if rapid.Bool().Draw(w.T, "lost") {
			return nil
		}
		return p
	},
	"another transaction": func(_ *world, _ *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		p.TransactionID[1]++
		return p
	},
	"another server's": func(_ *world, _ *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		p.UpdateOption(raw(54, 203, 0, 113, 1))
		return p
	},
	"another address": func(w *world, _ *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		p.YourIPAddr = testAddressPlus(rapid.Byte().Draw(w.T, "address")).AsSlice()
		return p
	},
	"strange times": func(w *world, _ *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionIPAddressLeaseTime, dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue} {
			p.UpdateOption(seconds(code, rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 200)).Draw(w.T, "time")))
		}
		return p
	},
	"refuses": func(_ *world, s *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		p.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
		return p
	},
	"without IPv4": func(_ *world, _ *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		p.UpdateOption(raw(108, 0, 0, 0, 9))
		return p
	},
	"malformed": func(w *world, _ *server, p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		p.UpdateOption(raw(rapid.Byte().Draw(w.T, "option"), rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(w.T, "bytes")...))
		return p
	},
}

func (w *world) mood(s *server, name string) {
	s.silent, s.mangle = name == "silent", nil
	if change := moods[name]; change != nil {
		s.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { return change(w, s, p) }
	}
}

// disturb is somebody from outside: a cable, an operator, another host, the servers.
func (w *world) disturb() {
	w.Disturb()
	s := w.servers[rapid.IntRange(0, len(w.servers)-1).Draw(w.T, "server")]
	switch rapid.IntRange(0, 13).Draw(w.T, "what") {
	case 0:
		w.link.Ready = !w.link.Ready
		w.step(w.link)
	case 1:
		w.link.Ups++
		w.step(w.link)
	case 2:
		w.link.MAC[5]++
		w.step(w.link)
	case 3:
		w.step(Renew{})
	case 4:
		w.step(Release{})
	case 5:
		w.begin() // the agent is started again
	case 6:
		w.boot++
		w.begin()
	case 7:
		claimed := testAddressPlus(rapid.ByteRange(0, 5).Draw(w.T, "claimed"))
		w.step(ARP{Sender: MAC{2, 9}, SenderIP: claimed, TargetIP: claimed, Reply: true})
	case 8:
		s.lease = rapid.OneOf(rapid.Uint32Range(30, 300), rapid.Uint32Range(300, 1<<20), rapid.Just[uint32](infinite)).Draw(w.T, "lease")
	case 9:
		s.leases = map[string]netip.Addr{}
	default:
		names := append(slices.Sorted(keys(moods)), "silent")
		w.mood(s, rapid.SampledFrom(names).Draw(w.T, "mood"))
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Whatever servers, cables, operators and other hosts do, for months: the address in
// use is one that was granted and has not ended, the client is on its way to the next
// thing, and it has a lease soon after one server is good.
func TestRandomServers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{
			T: rt, Course: drivetest.Course{Burst: 12}, link: upLink, granted: map[netip.Addr]bool{},
			servers: []*server{newServer("192.0.2.1", "192.0.2.100"), newServer("192.0.2.2", "192.0.2.103"), newServer("198.51.100.1", "198.51.100.100")},
			config: Config{
				NIC: "eth0", ClientID: []byte{255, 1}, RapidCommit: rapid.Bool().Draw(rt, "rapid commit"),
				NoConflictDetection: rapid.Bool().Draw(rt, "no conflict detection"), KeepAddress: rapid.Bool().Draw(rt, "keep"),
				IPv6Only: rapid.Bool().Draw(rt, "IPv6 only"), BoundServerNAK: rapid.Bool().Draw(rt, "bound server's NAK"),
			},
		}
		w.begin()
		for range rapid.IntRange(1, 40).Draw(rt, "disturbances") {
			w.disturb()
			longest := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 10 * 24 * time.Hour}).Draw(rt, "scale")
			w.run(time.Duration(rapid.Int64Range(0, int64(longest)).Draw(rt, "time")))
		}
		for _, s := range w.servers {
			w.mood(s, "silent")
			s.declined = nil
		}
		good := w.servers[0]
		w.mood(good, "good")
		w.Lose()
		w.step(Release{}) // what there is may be anybody's
		w.step(Renew{})
		w.link.Ready = true
		w.step(w.link)
		w.run(5*time.Minute + leastV6OnlyWait*time.Second)
		if w.m.lease == nil || w.m.lease.Server != good.id {
			w.Fatalf("%s: %s, %+v, %+v, 10 minutes after there was a good server", w.Now, w.m.state, w.m.lease, w.m.refusal)
		}
	})
}
