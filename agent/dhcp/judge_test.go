package dhcp

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/hostnic/hostnic/netcfg"
)

// machineFor is a machine on a link that is up, with nothing going on.
func machineFor(_ testing.TB, c Config) *Machine {
	m := NewMachine(c, rand.New(rand.NewPCG(1, 2)))
	m.link = upLink
	return m
}

// lent is what comes of an ACK with these options.
func lent(t *testing.T, c Config, around Around, o ...dhcpv4.Option) *netcfg.Lease {
	t.Helper()
	r, err := ParseReply(ack(o...))
	if err != nil {
		t.Fatal(err)
	}
	m := machineFor(t, c)
	m.around = around
	if why := m.judge(r); why != "" {
		t.Fatal(why)
	}
	return m.lend(r)
}

func TestFault_E6(t *testing.T) {
	// Lease, T1 and T2 as sent, then as taken, in seconds.
	for _, test := range []struct{ lease, t1, t2, wantT1, wantT2, want uint32 }{
		{3600, 0, 0, 1800, 3150, 3600},
		{3600, 600, 3000, 600, 3000, 3600},
		{3600, 600, 0, 600, 3150, 3600},
		{3600, 0, 2800, 1600, 2800, 3600},
		{3600, 3000, 600, 1800, 3150, 3600},
		{3600, 3600, 3601, 1800, 3150, 3600},
		{3600, 7200, 9000, 1800, 3150, 3600},
		{3600, 600, infinite, 1800, 3150, 3600},
		{0, 0, 0, 15, 26, 30},
		{1, 0, 0, 15, 26, 30},
		{29, 10, 20, 10, 20, 30},
		{infinite - 1, 0, 0, (infinite - 1) / 2, (infinite - 1) / 8 * 7, infinite - 1},
	} {
		l := lent(t, quick, Around{}, seconds(dhcpv4.OptionIPAddressLeaseTime, test.lease), seconds(dhcpv4.OptionRenewTimeValue, test.t1), seconds(dhcpv4.OptionRebindingTimeValue, test.t2))
		near := func(what string, got time.Duration, want uint32) {
			t.Helper()
			d := time.Duration(want) * time.Second
			within(t, what, got, d-d/16, d+d/16)
		}
		near("T1", l.RenewAt, test.wantT1)
		near("T2", l.RebindAt, test.wantT2)
		same(t, "lease", l.Expires, time.Duration(test.want)*time.Second)
		if !(0 < l.RenewAt && l.RenewAt <= l.RebindAt && l.RebindAt < l.Expires) {
			t.Errorf("%+v: T1 %s, T2 %s, end %s", test, l.RenewAt, l.RebindAt, l.Expires)
		}
	}
	l := lent(t, quick, Around{}, seconds(dhcpv4.OptionIPAddressLeaseTime, infinite), seconds(dhcpv4.OptionRenewTimeValue, 10), seconds(dhcpv4.OptionRebindingTimeValue, 20))
	same(t, "for ever", []time.Duration{l.RenewAt, l.RebindAt, l.Expires}, []time.Duration{never, never, never})
}

// With an infinite lease there is nothing left to do, ever.
func TestInfiniteLease(t *testing.T) {
	s := newServer("192.0.2.1", "192.0.2.100")
	s.lease = infinite
	inLab(t, func(t *testing.T, l *lab) {
		l.begin(quick)
		l.bound("192.0.2.100/24", time.Second)
		l.forgetSent()
		l.sleep(100 * 365 * 24 * time.Hour)
		same(t, "messages in a century", l.messages(), "[]")
		l.bound("192.0.2.100/24", 0)
		if err := l.Renew(t.Context(), "eth0"); err != nil {
			t.Fatal(err)
		}
		l.bound("192.0.2.100/24", time.Second)
		same(t, "messages", kinds(s.seen), "[DISCOVER REQUEST REQUEST]")
	}, s)
}

func TestFault_E9(t *testing.T) {
	around := Around{
		Subnets:      []netip.Prefix{netip.MustParsePrefix("198.51.100.0/25")},
		ControlPlane: []netip.Addr{netip.MustParseAddr("203.0.113.9")},
	}
	for name, test := range map[string]struct {
		address string
		options []dhcpv4.Option
		want    string
	}{
		"gateway":             {"192.0.2.1", nil, "gateway"},
		"gateway by 121":      {"192.0.2.9", []dhcpv4.Option{raw(121, 8, 10, 192, 0, 2, 9)}, "gateway"},
		"network":             {"192.0.2.0", nil, "network or broadcast"},
		"broadcast":           {"192.0.2.255", nil, "network or broadcast"},
		"broadcast by option": {"192.0.2.77", []dhcpv4.Option{raw(28, 192, 0, 2, 77)}, "broadcast"},
		"everybody":           {"255.255.255.255", nil, "cannot be"},
		"multicast":           {"224.0.0.5", nil, "cannot be"},
		"reserved":            {"240.0.0.5", nil, "cannot be"},
		"loopback":            {"127.0.0.1", nil, "cannot be"},
		"nobody":              {"0.0.0.0", nil, "cannot be"},
		"this network":        {"0.0.0.7", nil, "cannot be"},
		"server":              {"192.0.2.254", nil, "server's own"},
		"control plane":       {"203.0.113.9", nil, "control plane"},
		"other NIC's subnet":  {"198.51.100.200", nil, "on another NIC"}, // its /24 covers the /25
		"fine":                {"192.0.2.5", nil, ""},
		"/31":                 {"192.0.2.5", []dhcpv4.Option{raw(1, 255, 255, 255, 254)}, ""},
		"/32":                 {"192.0.2.5", []dhcpv4.Option{raw(1, 255, 255, 255, 255)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			address := netip.MustParseAddr(test.address)
			rogue := newServer("192.0.2.254", "192.0.2.100").option(test.options...)
			rogue.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
				if p.MessageType() == dhcpv4.MessageTypeOffer {
					p.YourIPAddr = address.AsSlice()
				}
				return p
			}
			if test.want == "" {
				rogue.leases[string(quick.ClientID)] = address
			}
			inLab(t, func(t *testing.T, l *lab) {
				l.Host(Host{Subnets: map[string][]netip.Prefix{"eth1": around.Subnets}, ControlPlane: around.ControlPlane})
				l.begin(quick)
				l.sleep(3 * time.Second)
				s := l.status()
				if test.want == "" {
					if s.State != Bound {
						t.Errorf("state %s, %+v", s.State, s.Refusal)
					}
					return
				}
				// An offer commits nobody, so there is nothing to decline yet.
				same(t, "messages", kinds(rogue.seen), "[DISCOVER DISCOVER]")
				if s.Refusal == nil || !strings.Contains(s.Refusal.Reason, test.want) || s.Refusal.Server != rogue.id {
					t.Errorf("refusal %+v", s.Refusal)
				}
			}, rogue)
		})
	}
	t.Run("in an ACK", func(t *testing.T) {
		// A good offer, and an ACK that makes the same address the gateway's.
		rogue := newServer("192.0.2.254", "192.0.2.100")
		rogue.mangle = func(p *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
			if p.MessageType() == dhcpv4.MessageTypeAck {
				p.UpdateOption(dhcpv4.OptRouter(p.YourIPAddr))
			}
			return p
		}
		inLab(t, func(t *testing.T, l *lab) {
			l.begin(quick)
			l.sleep(5 * time.Second)
			same(t, "messages", kinds(rogue.seen), "[DISCOVER REQUEST DECLINE]")
			same(t, "leases", l.leases(), "[-]")
			l.sleep(7 * time.Second)
			same(t, "after the pause", len(rogue.seen), 6)
		}, rogue)
	})
	t.Run("overlap allowed", func(t *testing.T) {
		s := newServer("198.51.100.1", "198.51.100.100")
		inLab(t, func(t *testing.T, l *lab) {
			l.Host(Host{Subnets: map[string][]netip.Prefix{"eth1": around.Subnets}})
			c := quick
			c.AllowOverlap = true
			l.begin(c)
			l.bound("198.51.100.100/24", time.Second)
		}, s)
	})
}

func TestFault_E14(t *testing.T) {
	control := Around{ControlPlane: []netip.Addr{netip.MustParseAddr("203.0.113.9")}}
	control.Subnets = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	trusting, overlapping := quick, quick
	trusting.Trusted, overlapping.AllowOverlap = true, true
	many := []byte{}
	for i := range 100 {
		many = append(many, 24, 10, 1, byte(i), 192, 0, 2, 1)
	}
	for name, test := range map[string]struct {
		config   Config
		option   []byte
		gateways string
		routes   string
	}{
		"none":                        {quick, nil, "[192.0.2.1]", "[]"},
		"instead of option 3":         {quick, []byte{16, 10, 9, 192, 0, 2, 2}, "[]", "[{10.9.0.0/16 192.0.2.2}]"},
		"on the link":                 {quick, []byte{32, 10, 9, 8, 7, 0, 0, 0, 0}, "[]", "[{10.9.8.7/32 invalid IP}]"},
		"host bits":                   {quick, []byte{20, 10, 9, 0xff, 192, 0, 2, 2}, "[]", "[{10.9.240.0/20 192.0.2.2}]"},
		"0/0 as in option 3":          {quick, []byte{0, 192, 0, 2, 1}, "[192.0.2.1]", "[]"},
		"0/0 elsewhere":               {quick, []byte{0, 192, 0, 2, 66}, "[]", "[]"},
		"0/0 elsewhere, trusted":      {trusting, []byte{0, 192, 0, 2, 66}, "[192.0.2.66]", "[]"},
		"0/0 to nobody":               {trusting, []byte{0, 0, 0, 0, 0}, "[]", "[]"},
		"half of the world":           {quick, []byte{1, 0, 192, 0, 2, 66, 1, 128, 192, 0, 2, 66}, "[]", "[]"},
		"half of the world, trusted":  {trusting, []byte{1, 0, 192, 0, 2, 66}, "[]", "[{0.0.0.0/1 192.0.2.66}]"},
		"over the control plane":      {quick, []byte{24, 203, 0, 113, 192, 0, 2, 66, 16, 10, 9, 192, 0, 2, 2}, "[]", "[{10.9.0.0/16 192.0.2.2}]"},
		"over it, trusted":            {trusting, []byte{24, 203, 0, 113, 192, 0, 2, 66}, "[]", "[{203.0.113.0/24 192.0.2.66}]"},
		"into another NIC's subnet":   {quick, []byte{32, 198, 51, 100, 7, 192, 0, 2, 66, 25, 198, 51, 100, 0, 192, 0, 2, 66}, "[]", "[]"},
		"equal to it":                 {quick, []byte{24, 198, 51, 100, 192, 0, 2, 66}, "[]", "[]"},
		"wider than it":               {quick, []byte{16, 198, 51, 192, 0, 2, 66}, "[]", "[{198.51.0.0/16 192.0.2.66}]"},
		"into it, trusted":            {trusting, []byte{32, 198, 51, 100, 7, 192, 0, 2, 66}, "[]", "[{198.51.100.7/32 192.0.2.66}]"},
		"into it, overlap allowed":    {overlapping, []byte{32, 198, 51, 100, 7, 192, 0, 2, 66}, "[]", "[{198.51.100.7/32 192.0.2.66}]"},
		"loopback":                    {trusting, []byte{8, 127, 192, 0, 2, 2}, "[]", "[]"},
		"multicast":                   {trusting, []byte{4, 224, 192, 0, 2, 2}, "[]", "[]"},
		"by a gateway that is none":   {trusting, []byte{16, 10, 9, 224, 0, 0, 1}, "[]", "[]"},
		"/33 makes all of it invalid": {quick, []byte{16, 10, 9, 192, 0, 2, 2, 33, 1, 2, 3, 4, 5, 192, 0, 2, 1}, "[192.0.2.1]", "[]"},
		"cut off":                     {quick, []byte{16, 10, 9, 192, 0, 2}, "[192.0.2.1]", "[]"},
		"empty":                       {quick, []byte{}, "[192.0.2.1]", "[]"},
	} {
		var o []dhcpv4.Option
		if test.option != nil {
			o = append(o, raw(121, test.option...))
		}
		l := lent(t, test.config, control, o...)
		same(t, name+": gateways", l.Gateways, test.gateways)
		same(t, name+": routes", l.Routes, test.routes)
	}
	same(t, "routes of a hundred", len(lent(t, quick, control, raw(121, many...)).Routes), 64)
}

// Who has mended a server and asks again is told how it is now.
func TestRefusalForgotten(t *testing.T) {
	good, rogue := newServer("192.0.2.1", "192.0.2.100"), newServer("198.51.100.66", "198.51.100.100")
	good.silent = true
	c := quick
	c.Servers = []netip.Addr{good.id}
	inLab(t, func(t *testing.T, l *lab) {
		for _, again := range []func(context.Context, string) error{l.Renew, l.Release} {
			rogue.silent = false
			l.begin(c)
			l.sleep(3 * time.Second)
			if s := l.status(); s.Refusal == nil {
				t.Fatalf("nothing was refused: %+v", s)
			}
			rogue.silent = true
			if err := again(t.Context(), "eth0"); err != nil {
				t.Fatal(err)
			}
			if s := l.status(); s.Refusal != nil {
				t.Errorf("refusal of before: %+v", s.Refusal)
			}
			l.Stop("eth0")
		}
	}, good, rogue)
}

func TestFault_E15(t *testing.T) {
	for sent, want := range map[uint16]int{0: 0, 60: 0, 575: 0, 576: 576, 1400: 1400, 1500: 1500, 1501: 1500, 65535: 1500} {
		same(t, "MTU", lent(t, quick, Around{}, raw(26, byte(sent>>8), byte(sent))).MTU, want)
	}
}

// The facts of a lease are cleaned: hosts are hosts, each once, and not too many.
func TestHostsOfOptions(t *testing.T) {
	l := lent(t, quick, Around{},
		raw(6, 192, 0, 2, 53, 0, 0, 0, 0, 127, 0, 0, 1, 192, 0, 2, 53, 192, 0, 2, 54, 224, 0, 0, 1),
		raw(42, 255, 255, 255, 255), raw(3, 192, 0, 2, 1, 192, 0, 2, 2), raw(28, 192, 0, 3, 255))
	same(t, "DNS", l.DNS, "[192.0.2.53 192.0.2.54]")
	same(t, "NTP", l.NTP, "[]")
	same(t, "gateways", l.Gateways, "[192.0.2.1 192.0.2.2]")
	same(t, "broadcast of another subnet", l.Broadcast.IsValid(), false)
	same(t, "broadcast", lent(t, quick, Around{}, raw(28, 192, 0, 2, 255)).Broadcast, "192.0.2.255")
}

func TestClientID(t *testing.T) {
	const host = "12345678-9abc-def0-1234-56789abcdef0"
	id := ClientID(host, "eth0", 0)
	same(t, "length", len(id), 1+4+2+16)
	same(t, "form", []byte{id[0], id[5], id[6], id[7], id[22]}, []byte{255, 0, 4, 0x12, 0xf0})
	same(t, "again", ClientID(host, "eth0", 0), id)
	same(t, "no UUID", ClientID("host 7", "eth0", 0) == nil, true)
	seen := map[string]string{}
	for _, base := range []string{"eth0", "eth1", "bond0", "bond1", "enp130s0f1np1"} {
		for vlan := range 4095 {
			key := string(ClientID(host, base, vlan))
			if other, ok := seen[key]; ok {
				t.Fatalf("%s.%d has the client id of %s", base, vlan, other)
			}
			seen[key] = base
		}
	}
}
