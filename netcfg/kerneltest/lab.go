package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// lab is a host with the words in which the contract speaks of it.
type lab struct {
	testing.TB
	Host
	// indexes of the links by name, which last as long as the lab even where the
	// link does not. New links get the next one.
	indexes map[string]int
	next    int
	// macs are those with which the NICs came.
	macs map[string]string
}

func newLab(t testing.TB, h Host) *lab {
	return &lab{TB: t, Host: h, indexes: map[string]int{}, next: 1000, macs: map[string]string{}}
}

// nics adds NICs.
func (l *lab) nics(names ...string) {
	l.Helper()
	for _, name := range names {
		l.AddNIC(name)
	}
	s := l.look()
	for _, name := range names {
		link := s.ByName(name)
		l.indexes[name], l.macs[name] = link.Index, link.MAC
	}
}

func (l *lab) look() state.Snapshot {
	l.Helper()
	s, err := l.Snapshot(context.Background())
	if err != nil {
		l.Fatal(err)
	}
	return s
}

// index of a link that is there, or was, or is going to be.
func (l *lab) index(name string) int {
	if i := l.indexes[name]; i != 0 {
		return i
	}
	l.next++
	l.indexes[name] = l.next
	return l.next
}

// with is one word more in an operation.
type with func(*plan.Op)

var (
	yes, no = true, false

	up   with = func(o *plan.Op) { o.Up = &yes }
	down with = func(o *plan.Op) { o.Up = &no }
	free with = func(o *plan.Op) { o.Master = new(0) }
	none with = func(o *plan.Op) { o.AddrGenModeNone = &yes }
	eui  with = func(o *plan.Op) { o.AddrGenModeNone = &no }
)

func mtu(n int) with      { return func(o *plan.Op) { o.MTU = n } }
func mac(s string) with   { return func(o *plan.Op) { o.MAC = s } }
func group(g uint32) with { return func(o *plan.Op) { o.Group = g } }

// opt is a list of options: mode=802.3ad min_links=2.
func opt(words string) with {
	return func(o *plan.Op) {
		for w := range strings.FieldsSeq(words) {
			name, value, _ := strings.Cut(w, "=")
			o.Options = append(o.Options, plan.Option{Name: name, Value: value})
		}
	}
}

func (l *lab) primary(name string) with {
	return func(o *plan.Op) {
		o.Options = append(o.Options, plan.Option{Name: "primary", Value: name})
		if name != "" {
			o.PrimaryIndex = l.index(name)
		}
	}
}

func (l *lab) master(name string) with {
	return func(o *plan.Op) { o.Master, o.MasterName = new(l.index(name)), name }
}

func (l *lab) op(a plan.Action, name string, ws []with) plan.Op {
	o := plan.Op{Action: a, Name: name, Index: l.index(name)}
	for _, w := range ws {
		w(&o)
	}
	return o
}

func (l *lab) bond(name string, ws ...with) plan.Op {
	o := l.op(plan.LinkAdd, name, ws)
	o.Kind = kindBond
	return o
}

func (l *lab) vlan(name, parent string, id int, ws ...with) plan.Op {
	o := l.op(plan.LinkAdd, name, ws)
	o.Kind, o.Parent, o.ParentName, o.VLANID = kindVLAN, l.index(parent), parent, id
	return o
}

func (l *lab) set(name string, ws ...with) plan.Op { return l.op(plan.LinkSet, name, ws) }
func (l *lab) del(name string) plan.Op             { return l.op(plan.LinkDel, name, nil) }

func (l *lab) delGroup(g uint32) plan.Op { return plan.Op{Action: plan.GroupDel, Group: g} }

// addr is an address as iproute2 writes it: 2001:db8::1/64 nodad.
func (l *lab) addr(name, words string) plan.Op { return l.address(plan.AddrAdd, name, words) }

func (l *lab) delAddr(name, words string) plan.Op { return l.address(plan.AddrDel, name, words) }

func (l *lab) address(a plan.Action, name, words string) plan.Op {
	l.Helper()
	f := strings.Fields(words)
	p, err := netip.ParsePrefix(f[0])
	if err != nil {
		l.Fatal(err)
	}
	o := plan.Op{Action: a, Name: name, Index: l.index(name)}
	o.Address = state.Address{Link: o.Index, Prefix: p, Valid: state.Forever, Preferred: state.Forever}
	for _, w := range f[1:] {
		switch w {
		case "nodad":
			o.Address.Flags |= state.FlagNoDAD
		default:
			l.Fatalf("no such word: %s", w)
		}
	}
	return o
}

// route is a route as iproute2 writes it; protocol 104 unless it says so.
func (l *lab) route(words string) plan.Op    { return l.routeOp(plan.RouteAdd, words) }
func (l *lab) replace(words string) plan.Op  { return l.routeOp(plan.RouteReplace, words) }
func (l *lab) delRoute(words string) plan.Op { return l.routeOp(plan.RouteDel, words) }

func (l *lab) routeOp(a plan.Action, words string) plan.Op {
	l.Helper()
	r := state.Route{Table: state.MainTable, Type: typeUnicast, Protocol: state.ProtocolHostnic}
	o := plan.Op{Action: a}
	f := strings.Fields(words)
	switch f[0] {
	case "default":
		r.Dst = netip.MustParsePrefix("0.0.0.0/0")
	case "default6":
		r.Dst = netip.MustParsePrefix("::/0")
	default:
		r.Dst = netip.MustParsePrefix(f[0])
	}
	for i := 1; i < len(f); i += 2 {
		switch f[i] {
		case "via":
			r.Gateway = netip.MustParseAddr(f[i+1])
		case "dev":
			o.Name, o.Index = f[i+1], l.index(f[i+1])
			r.Link = o.Index
		case "src":
			r.Source = netip.MustParseAddr(f[i+1])
		case "metric":
			_, _ = fmt.Sscan(f[i+1], &r.Metric)
		case "table":
			_, _ = fmt.Sscan(f[i+1], &r.Table)
		case "proto":
			_, _ = fmt.Sscan(f[i+1], &r.Protocol)
		case "onlink":
			r.Flags |= plan.FlagOnlink
			i--
		default:
			l.Fatalf("no such word: %s", f[i])
		}
	}
	o.Route = r
	return o
}

// do performs operations that must succeed.
func (l *lab) do(ops ...plan.Op) {
	l.Helper()
	if err := l.Apply(context.Background(), ops); err != nil {
		l.Fatal(err)
	}
}

// refused performs operations of which just one must be refused, as said.
func (l *lab) refused(want syscall.Errno, kind plan.ErrorKind, ops ...plan.Op) {
	l.Helper()
	err := l.Apply(context.Background(), ops)
	all := refusals(err)
	if len(all) != 1 {
		l.Fatalf("got %d refusals, want one with %q: %v", len(all), want, err)
	}
	if e := all[0]; e.Errno != want || e.Kind != kind {
		l.Errorf("got %q (kind %d), want %q (kind %d): %v", e.Errno, e.Kind, want, kind, e)
	}
}

// refusals takes a joined error apart.
func refusals(err error) []*plan.OpError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*plan.OpError
		for _, e := range joined.Unwrap() {
			out = append(out, refusals(e)...)
		}
		return out
	}
	var one *plan.OpError
	if errors.As(err, &one) {
		return []*plan.OpError{one}
	}
	return nil
}

// want waits until all facts are so, and fails when that takes too long. A fact is
// LINK.WHAT=VALUE or LINK.WHAT!=VALUE; @nic is the MAC with which a NIC came, and
// a link's name after = in a mac fact is its present MAC.
func (l *lab) want(facts ...string) {
	l.Helper()
	for end := time.Now().Add(l.Patience()); ; time.Sleep(10 * time.Millisecond) {
		s := l.look()
		var wrong []string
		for _, f := range facts {
			if got, ok := l.holds(&s, f); !ok {
				wrong = append(wrong, fmt.Sprintf("%s: it is %q", f, got))
			}
		}
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(end) {
			l.Fatalf("not as wanted:\n%s", strings.Join(wrong, "\n"))
		}
	}
}

func (l *lab) holds(s *state.Snapshot, f string) (got string, ok bool) {
	path, want, found := strings.Cut(f, "=")
	if !found {
		return "no value", false
	}
	path, not := strings.CutSuffix(path, "!")
	got = fact(s, path)
	if strings.HasSuffix(path, "mac") {
		if nic, came := strings.CutPrefix(want, "@"); came {
			want = l.macs[nic]
		} else if other := s.ByName(want); other != nil {
			want = other.MAC
		}
	}
	for alternative := range strings.SplitSeq(want, "|") {
		if got == alternative {
			return got, !not
		}
	}
	return got, not
}
