package dhcp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/agent/dhcp/drive/drivetest"
	"github.com/hostnic/hostnic/netcfg"
)

type records = drivetest.Records[netcfg.Lease]

// same and within are short, since there are many.
var same, within = drivetest.Same, drivetest.Within

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a manager whose NICs end at scripted servers, in a bubble of synctest: all
// of the client but its sockets, and time costs nothing.
type lab struct {
	*testing.T
	*Manager
	clock   drivetest.Clock
	servers []*server
	records *records
	boot    string
	off     func()

	mu     sync.Mutex
	cables map[string]*cable
	// holders have addresses on the link, and answer for them.
	holders map[netip.Addr]MAC
	sent    []message
	arps    []arpSent
	seen    []Status
}

// message is what a client has sent.
type message struct {
	at  time.Duration
	nic string
	*dhcpv4.DHCPv4
	Send
}

type arpSent struct {
	at time.Duration
	ARP
}

// inLab runs the test in a bubble.
func inLab(t *testing.T, test func(t *testing.T, l *lab), servers ...*server) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{
			T: t, clock: drivetest.Clock{Boot: time.Now()}, servers: servers, records: &records{}, boot: "boot 1",
			cables: map[string]*cable{}, holders: map[netip.Addr]MAC{},
		}
		l.on()
		defer func() { l.off() }()
		test(t, l)
	})
}

// on starts the agent, off ends it.
func (l *lab) on() {
	l.Manager = New(context.Background(), Options{
		Boot: l.boot, Store: l.records, Log: slog.New(slog.NewTextHandler(l.Output(), nil)),
		clock: &l.clock, wires: l.cable,
	})
	l.off = drivetest.Consume(l.Manager, func(s Status) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen = append(l.seen, s)
	})
}

// restart is the agent's; reboot is the machine's, which sets the clock back.
func (l *lab) restart() {
	l.Helper()
	l.off()
	l.on()
}

func (l *lab) reboot() {
	l.Helper()
	l.off()
	l.boot += "+"
	l.clock.Boot = time.Now()
	l.on()
}

func (l *lab) now() time.Duration { return l.clock.Now() }

// sleep lets time go on, and then waits until nothing moves any more without it.
func (l *lab) sleep(d time.Duration) { drivetest.Sleep(d, &l.mu, &l.records.Mu) }

func (l *lab) rest() { drivetest.Rest(&l.mu, &l.records.Mu) }

var testMAC = MAC{2, 0, 0, 0, 0, 1}

var upLink = Link{Index: 7, Ready: true, Ups: 1, MAC: testMAC, MTU: 1500}

// quick is a client that leaves RFC 5227 out.
var quick = Config{NIC: "eth0", ClientID: []byte{255, 1, 2, 3}, NoConflictDetection: true}

var careful = Config{NIC: "eth0", ClientID: []byte{255, 1, 2, 3}}

func (l *lab) begin(c Config) { l.beginOn(c, upLink) }

func (l *lab) beginOn(c Config, link Link) {
	l.Helper()
	if err := l.Start(c, link); err != nil {
		l.Fatal(err)
	}
	l.rest()
}

func (l *lab) status() Status {
	l.Helper()
	l.rest()
	s, _ := l.Status("eth0")
	return s
}

// until waits for a state, at most so long.
func (l *lab) until(want State, most time.Duration) Status {
	l.Helper()
	for end := time.Now().Add(most); ; l.sleep(10 * time.Millisecond) {
		if s := l.status(); s.State == want {
			return s
		} else if time.Now().After(end) {
			l.Fatalf("%s: want %s after %s, got %+v", l.now(), want, most, s)
		}
	}
}

// bound waits for a lease of the address.
func (l *lab) bound(address string, most time.Duration) *netcfg.Lease {
	l.Helper()
	s := l.until(Bound, most)
	if s.Lease == nil || s.Lease.Address.String() != address {
		l.Fatalf("%s: want %s, got %+v", l.now(), address, s.Lease)
	}
	return s.Lease
}

// messages sent so far, of the kinds given or of all.
func (l *lab) messages(kinds ...dhcpv4.MessageType) []message {
	l.rest()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []message
	for _, m := range l.sent {
		if len(kinds) == 0 || slices.Contains(kinds, m.MessageType()) {
			out = append(out, m)
		}
	}
	return out
}

func (l *lab) forgetSent() {
	l.rest()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent, l.arps, l.seen = nil, nil, nil
}

// probes and claims so far.
func (l *lab) arp() []arpSent {
	l.rest()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.arps)
}

// leases are the addresses that the consumer was told of, "-" for none, each change once.
func (l *lab) leases() []string {
	l.rest()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, s := range l.seen {
		out = append(out, text(s.Lease))
	}
	return slices.Compact(out)
}

// text is the address of a lease, "-" for none.
func text(lease *netcfg.Lease) string {
	if lease == nil {
		return "-"
	}
	return lease.Address.String()
}

// inject delivers a message as if it came from the link, if somebody listens.
func (l *lab) inject(nic string, p *dhcpv4.DHCPv4, from netip.Addr, unicast bool) {
	l.mu.Lock()
	c := l.cables[nic]
	l.mu.Unlock()
	if unicast {
		c.deliver(drive.Inbound{Source: byUDP, Data: p.ToBytes()})
	}
	c.deliver(drive.Inbound{Source: bySocket, Data: frame(p.ToBytes(), from)})
}

// say broadcasts an ARP packet on the link.
func (l *lab) say(a ARP) {
	l.mu.Lock()
	cables := slices.Collect(maps.Values(l.cables))
	l.mu.Unlock()
	b := a.build()
	if a.Reply {
		b[7] = 2
	}
	for _, c := range cables {
		c.deliver(drive.Inbound{Source: byARP, Data: b})
	}
	l.rest()
}

// cable is the wire of one NIC of a lab.
type cable struct {
	lab *lab
	nic string
	in  chan drive.Inbound

	mu    sync.Mutex
	needs Needs
	link  Link
	// fail is what open says.
	fail error
}

func (l *lab) cable(nic string) wire {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &cable{lab: l, nic: nic, in: make(chan drive.Inbound, 1000)}
	l.cables[nic] = c
	return c
}

func (c *cable) received() <-chan drive.Inbound { return c.in }
func (c *cable) close()                         { c.trim(Needs{}) }

// drop leaves the client deaf until it opens sockets again.
func (c *cable) drop(drive.Inbound) { c.trim(Needs{}) }

func (c *cable) open(n Needs, l Link) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	c.link = l
	c.needs.Packet, c.needs.UDP = c.needs.Packet || n.Packet, c.needs.UDP || n.UDP
	if n.ARP.IsValid() {
		c.needs.ARP, c.needs.Probing = n.ARP, n.Probing
	}
	return nil
}

func (c *cable) trim(n Needs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail == nil {
		c.needs = n
	}
}

// deliver drops what no socket is open for, and what a filter would not let through.
func (c *cable) deliver(in drive.Inbound) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch in.Source {
	case bySocket:
		if !c.needs.Packet || len(in.Data) > 70 && !bytes.Equal(in.Data[56:62], c.link.MAC[:]) {
			return
		}
	case byUDP:
		if !c.needs.UDP {
			return
		}
	case byARP:
		a, err := parseARP(in.Data)
		if err != nil || !c.needs.ARP.IsValid() || a.Sender == c.link.MAC ||
			a.SenderIP != c.needs.ARP && (!c.needs.Probing || !claims(a, c.needs.ARP)) {
			return
		}
	}
	select {
	case c.in <- in:
	default:
	}
}

func (c *cable) send(s Send, l Link) error {
	if !l.Ready {
		return fmt.Errorf("%s: the link is down", c.nic)
	}
	lab := c.lab
	p, err := dhcpv4.FromBytes(s.Payload)
	if err != nil {
		lab.Errorf("sent a message that is none: %v", err)
		return nil
	}
	lab.mu.Lock()
	defer lab.mu.Unlock()
	lab.sent = append(lab.sent, message{lab.now(), c.nic, p, s})
	for _, srv := range lab.servers {
		if s.Unicast && s.To != srv.id {
			continue
		}
		reply := srv.handle(p)
		if reply == nil {
			continue
		}
		time.AfterFunc(srv.latency, func() {
			if s.Unicast || !s.From.IsUnspecified() {
				c.deliver(drive.Inbound{Source: byUDP, Data: reply.ToBytes()})
				return
			}
			c.deliver(drive.Inbound{Source: bySocket, Data: frame(reply.ToBytes(), srv.id)})
		})
	}
	return nil
}

func (c *cable) sendARP(a ARP, _ Link) error {
	lab := c.lab
	lab.mu.Lock()
	defer lab.mu.Unlock()
	lab.arps = append(lab.arps, arpSent{lab.now(), a})
	if mac, ok := lab.holders[a.TargetIP]; ok {
		answer := ARP{Sender: mac, SenderIP: a.TargetIP, TargetIP: a.SenderIP}
		b := answer.build()
		b[7] = 2
		time.AfterFunc(time.Millisecond, func() { c.deliver(drive.Inbound{Source: byARP, Data: b}) })
	}
	return nil
}

var testAddress = netip.MustParseAddr("192.0.2.100")

func testAddressPlus(n byte) netip.Addr {
	b := testAddress.As4()
	b[3] += n
	return netip.AddrFrom4(b)
}
