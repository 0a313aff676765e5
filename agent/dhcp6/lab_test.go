package dhcp6

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/agent/dhcp/drive/drivetest"
	"github.com/hostnic/hostnic/netcfg"
)

// same and within are short, since there are many.
var same, within = drivetest.Same, drivetest.Within

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a manager whose NICs end at scripted servers, in a bubble of synctest: all of
// the client but its socket, and time costs nothing.
type lab struct {
	*testing.T
	*Manager
	clock   drivetest.Clock
	servers []*server
	records drivetest.Records[netcfg.Lease6]
	boot    string
	off     func()

	mu     sync.Mutex
	cables map[string]*cable
	sent   []message
	seen   []Status
}

// message is what a client has sent.
type message struct {
	at  time.Duration
	nic string
	*dhcpv6.Message
}

// inLab runs the test in a bubble.
func inLab(t *testing.T, test func(t *testing.T, l *lab), servers ...*server) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{T: t, clock: drivetest.Clock{Boot: time.Now()}, servers: servers, boot: "boot 1", cables: map[string]*cable{}}
		l.on()
		defer func() { l.off() }()
		test(t, l)
	})
}

// on starts the agent, off ends it.
func (l *lab) on() {
	l.Manager = New(context.Background(), Options{
		Boot: l.boot, Store: &l.records, Log: slog.New(slog.NewTextHandler(l.Output(), nil)),
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
	l.off()
	l.on()
}

func (l *lab) reboot() {
	l.off()
	l.boot += "+"
	l.clock.Boot = time.Now()
	l.on()
}

func (l *lab) now() time.Duration { return l.clock.Now() }

// sleep lets time go on, and then waits until nothing moves any more without it.
func (l *lab) sleep(d time.Duration) { drivetest.Sleep(d, &l.mu, &l.records.Mu) }

func (l *lab) rest() { drivetest.Rest(&l.mu, &l.records.Mu) }

var testDUID = []byte{0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

var upLink = Link{Index: 7, Ready: true, Ups: 1, MAC: MAC{2, 0, 0, 0, 0, 1}, Local: netip.MustParseAddr("fe80::1:1")}

var plain = Config{NIC: "eth0", DUID: testDUID, IAID: 7}

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
	for end := time.Now().Add(most); ; l.sleep(max(10*time.Millisecond, most/500)) {
		if s := l.status(); s.State == want {
			return s
		} else if time.Now().After(end) {
			l.Fatalf("%s: want %s after %s, got %+v", l.now(), want, most, s)
		}
	}
}

// bound waits for a lease of the addresses.
func (l *lab) bound(addresses string, most time.Duration) *netcfg.Lease6 {
	l.Helper()
	s := l.until(Bound, most)
	if got := text(s.Lease); got != addresses {
		l.Fatalf("%s: want %s, got %s", l.now(), addresses, got)
	}
	return s.Lease
}

// text are the addresses of a lease, "-" for none.
func text(lease *netcfg.Lease6) string {
	if lease == nil {
		return "-"
	}
	var out []string
	for _, a := range lease.Addresses {
		out = append(out, a.Address.String())
	}
	return strings.Join(out, " ")
}

// messages sent so far, of the kinds given or of all.
func (l *lab) messages(kinds ...dhcpv6.MessageType) []message {
	l.rest()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []message
	for _, m := range l.sent {
		if len(kinds) == 0 || slices.Contains(kinds, m.MessageType) {
			out = append(out, m)
		}
	}
	return out
}

// told are the messages sent, in short.
func (l *lab) told() []string {
	var out []string
	for _, m := range l.messages() {
		out = append(out, m.MessageType.String())
	}
	return out
}

func (l *lab) forgetSent() {
	l.rest()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent, l.seen = nil, nil
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

// listens is true while the NIC has a socket.
func (l *lab) listens(nic string) bool {
	l.rest()
	l.mu.Lock()
	c := l.cables[nic]
	l.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listens
}

// inject delivers a message as if it came from the link, if somebody listens.
func (l *lab) inject(nic string, b []byte, from netip.Addr) {
	l.rest()
	l.mu.Lock()
	c := l.cables[nic]
	l.mu.Unlock()
	c.deliver(drive.Inbound{Data: b, From: from})
	l.rest()
}

// cable is the wire of one NIC of a lab.
type cable struct {
	lab *lab
	nic string
	in  chan drive.Inbound

	mu      sync.Mutex
	listens bool
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
func (c *cable) close()                         { c.trim(false) }

// drop leaves the client deaf until it opens the socket again.
func (c *cable) drop(drive.Inbound) { c.trim(false) }

func (c *cable) open(listens bool, _ Link) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if listens && c.fail != nil {
		return c.fail
	}
	c.listens = c.listens || listens
	return nil
}

func (c *cable) trim(listens bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listens = c.listens && listens
}

func (c *cable) deliver(in drive.Inbound) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.listens {
		return
	}
	select {
	case c.in <- in:
	default:
	}
}

func (c *cable) send(s Send) error {
	c.mu.Lock()
	listens := c.listens
	c.mu.Unlock()
	lab := c.lab
	if !listens {
		return errors.New("no socket")
	}
	p, err := dhcpv6.MessageFromBytes(s.Payload)
	if err != nil {
		lab.Errorf("sent a message that is none: %v", err)
		return nil
	}
	lab.mu.Lock()
	defer lab.mu.Unlock()
	lab.sent = append(lab.sent, message{lab.now(), c.nic, p})
	for _, srv := range lab.servers {
		if reply := srv.handle(p); reply != nil {
			time.AfterFunc(srv.latency, func() { c.deliver(drive.Inbound{Data: reply.ToBytes(), From: srv.from}) })
		}
	}
	return nil
}
