package dhcp6

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"pgregory.net/rapid"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/agent/dhcp/drive/drivetest"
)

// world is a machine among servers that do as they like. What they say goes through
// the parser; time goes from event to event.
type world struct {
	*rapid.T
	drivetest.Course
	m       *Machine
	config  Config
	link    Link
	servers []*server
	record  *Record
	boot    int

	// granted are the addresses that were in a REPLY.
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
		case Save:
			w.record = &Record{Lease: *a.Lease, Boot: fmt.Sprint(w.boot)}
			if end := a.Lease.Expires(); end != never {
				w.record.Expires = time.Unix(0, 0).Add(end)
			}
		case Forget:
			w.record = nil
		}
	}
	w.check()
}

// receive is the servers' side.
func (w *world) receive(s Send) {
	p, err := dhcpv6.MessageFromBytes(s.Payload)
	if err != nil {
		w.Fatal(err)
	}
	switch {
	case !w.link.ready():
		w.Fatalf("%s: %s sends without a link", w.Now, w.m.state)
	case !w.m.Listens():
		w.Fatalf("%s: %s sends and does not listen", w.Now, w.m.state)
	case p.TransactionID != w.m.xid:
		w.Fatalf("%s: %s has two exchanges", w.Now, w.m.state)
	}
	w.Send()
	for _, srv := range w.servers {
		reply := srv.handle(p)
		if reply == nil {
			continue
		}
		if r, err := ParseReply(reply.ToBytes(), srv.from); err == nil && r.Kind == dhcpv6.MessageTypeReply {
			for _, a := range r.ias {
				for _, l := range a.addresses {
					w.granted[l.address] = true
				}
			}
		}
		latency := time.Duration(rapid.IntRange(1, 1500).Draw(w.T, "latency")) * time.Millisecond
		w.Arrive(latency, drive.Inbound{Data: reply.ToBytes(), From: srv.from})
	}
}

// check is what holds after every step.
func (w *world) check() {
	m := w.m
	fit(w, m)
	if l := m.lease; l != nil {
		for _, a := range l.Addresses {
			if !w.granted[a.Address] {
				w.Fatalf("%s: nobody has granted %s", w.Now, a.Address)
			}
			if m.Wake() > a.Expires {
				w.Fatalf("%s: %s wakes at %s, after %s has ended", w.Now, m.state, m.Wake(), a.Address)
			}
		}
		if l.Obtained > w.Now {
			w.Fatalf("%s: obtained at %s", w.Now, l.Obtained)
		}
	}
	holds := m.lease != nil && (len(m.lease.Addresses) > 0) != w.config.Stateless
	if !holds && slices.Contains([]State{Bound, Renewing, Rebinding, Informed}, m.state) {
		w.Fatalf("%s: %s with %+v", w.Now, m.state, m.lease)
	}
	if m.lease != nil && slices.Contains([]State{Stopped, Waiting, Init, Soliciting, Releasing}, m.state) {
		w.Fatalf("%s: %s with a lease", w.Now, m.state)
	}
	// Always on the way to something, and never further from it than the RFC has it.
	if m.link.ready() && m.state != Stopped && m.lease == nil {
		if most := max(m.solMaxRT, m.infMaxRT) * 11 / 10; m.Wake() > w.Now+most {
			w.Fatalf("%s: %s has nothing to do until %s", w.Now, m.state, m.Wake())
		}
	}
	if m.link.ready() && m.state == Bound && m.Wake() > min(m.lease.RenewAt, m.lease.Expires()) {
		w.Fatalf("%s: T1 is at %s, and it wakes at %s", w.Now, m.lease.RenewAt, m.Wake())
	}
}

// mostMessages bounds what a case takes of memory: all that was drawn is kept, and so is
// all that a server has heard.
const mostMessages = 5000

// run lets time go on, but for no more than so many messages.
func (w *world) run(d time.Duration) {
	w.Run(w, d, w.m.Wake, func(in *drive.Inbound) {
		if in == nil {
			w.step(Tick{})
		} else if e, err := ParseReply(in.Data, in.From); err == nil && w.m.Listens() {
			w.step(e)
		}
	})
}

// moods are what a server may do to each of its messages.
var moods = map[string]func(w *world, s *server, p *dhcpv6.Message) *dhcpv6.Message{
	"good": nil,
	"loses half": func(w *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		if rapid.Bool().Draw(w.T, "lost") {
			return nil
		}
		return p
	},
	"another transaction": func(_ *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		p.TransactionID[1]++
		return p
	},
	"another server's": func(_ *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		p.UpdateOption(raw(dhcpv6.OptionServerID, []byte{0, 3, 0, 1, 9}))
		return p
	},
	"another client's": func(_ *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		p.UpdateOption(raw(dhcpv6.OptionClientID, []byte{0, 3, 0, 1, 9}))
		return p
	},
	"other addresses": func(w *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		if ia := p.Options.OneIANA(); ia != nil {
			for _, a := range ia.Options.Addresses() {
				a.IPv6Addr[15] = rapid.Byte().Draw(w.T, "address")
			}
		}
		return p
	},
	"strange times": func(w *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		draw := func() time.Duration {
			return seconds(rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 200), rapid.Just[uint32](infinite)).Draw(w.T, "time"))
		}
		if ia := p.Options.OneIANA(); ia != nil {
			ia.T1, ia.T2 = draw(), draw()
			for _, a := range ia.Options.Addresses() {
				a.PreferredLifetime, a.ValidLifetime = draw(), draw()
			}
		}
		p.UpdateOption(number(dhcpv6.OptionInformationRefreshTime, rapid.Uint32().Draw(w.T, "refresh")))
		p.UpdateOption(number(dhcpv6.OptionSolMaxRT, rapid.Uint32().Draw(w.T, "bound")))
		return p
	},
	"takes back": func(_ *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		if ia := p.Options.OneIANA(); ia != nil {
			for _, a := range ia.Options.Addresses() {
				a.PreferredLifetime, a.ValidLifetime = 0, 0
			}
		}
		return p
	},
	"forgets the addresses": func(_ *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		if ia := p.Options.OneIANA(); ia != nil {
			ia.Options.Options = nil
		}
		return p
	},
	"refuses": func(w *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		status := statusOf(iana.StatusCode(rapid.Uint16Range(1, 7).Draw(w.T, "status")))
		if ia := p.Options.OneIANA(); ia != nil && rapid.Bool().Draw(w.T, "inside") {
			ia.Options.Options = dhcpv6.Options{status}
		} else {
			p.UpdateOption(status)
		}
		return p
	},
	"prefers itself": func(_ *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		p.UpdateOption(raw(dhcpv6.OptionPreference, []byte{decided}))
		return p
	},
	"malformed": func(w *world, _ *server, p *dhcpv6.Message) *dhcpv6.Message {
		p.AddOption(raw(dhcpv6.OptionCode(rapid.Uint16Range(0, 90).Draw(w.T, "option")), rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(w.T, "bytes")))
		return p
	},
}

func (w *world) mood(s *server, name string) {
	s.silent, s.mangle = name == "silent", nil
	if change := moods[name]; change != nil {
		s.mangle = func(p *dhcpv6.Message) *dhcpv6.Message { return change(w, s, p) }
	}
}

// disturb is somebody from outside: a cable, an operator, another host, the servers.
func (w *world) disturb() {
	w.Disturb()
	s := w.servers[rapid.IntRange(0, len(w.servers)-1).Draw(w.T, "server")]
	switch rapid.IntRange(0, 14).Draw(w.T, "what") {
	case 0:
		w.link.Ready = !w.link.Ready
		w.step(w.link)
	case 1:
		w.link.Ups++
		w.step(w.link)
	case 2:
		w.link.Local = w.link.Local.Next()
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
		if l := w.m.lease; l != nil && len(l.Addresses) > 0 {
			w.step(Decline{l.Addresses[rapid.IntRange(0, len(l.Addresses)-1).Draw(w.T, "taken")].Address})
		}
	case 8:
		s.valid = rapid.OneOf(rapid.Uint32Range(30, 300), rapid.Uint32Range(300, 1<<20), rapid.Just[uint32](infinite)).Draw(w.T, "valid")
		s.preferred = s.valid / 2
		s.many = rapid.IntRange(1, 20).Draw(w.T, "many")
	case 9:
		clear(s.leases)
	default:
		names := append(slices.Sorted(maps.Keys(moods)), "silent")
		w.mood(s, rapid.SampledFrom(names).Draw(w.T, "mood"))
	}
}

// Whatever servers, cables, operators and other hosts do, for months: the addresses in
// use are ones that were granted and have not ended, the client is on its way to the next
// thing, and it has a lease soon after one server is good.
func TestRandomServers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{
			T: rt, Course: drivetest.Course{Burst: 14, Most: mostMessages}, link: upLink, granted: map[netip.Addr]bool{},
			servers: []*server{newServer(1, "2001:db8::100"), newServer(2, "2001:db8::103"), newServer(3, "2001:db8:1::100")},
			config: Config{
				NIC: "eth0", DUID: testDUID, IAID: 7, RapidCommit: rapid.Bool().Draw(rt, "rapid commit"),
				Stateless: rapid.IntRange(0, 5).Draw(rt, "stateless") == 0,
			},
		}
		for _, s := range w.servers {
			s.rapid = rapid.Bool().Draw(rt, "rapid")
		}
		w.begin()
		for range rapid.IntRange(1, 40).Draw(rt, "disturbances") {
			if w.Messages > mostMessages {
				break
			}
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
		w.link.Ready = true
		w.step(w.link)
		w.step(Release{}) // what there is may be anybody's
		w.step(Renew{})
		w.run(2 * time.Minute)
		if w.m.lease == nil || w.m.lease.Server != good.from {
			w.Fatalf("%s: %s, %+v, %+v, 2 minutes after there was a good server", w.Now, w.m.state, w.m.lease, w.m.refusal)
		}
	})
}
