package server

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/agent/lldp"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// filler puts a value of its own into every field, so that each can be found again.
type filler struct {
	numbers int
	texts   []string
}

func (f *filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(f.next())
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.number()))
	case reflect.Uint64:
		v.SetUint(uint64(f.number()))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("the test does not know how to fill a " + v.Type().String())
	}
}

func (f *filler) number() int {
	f.numbers++
	f.texts = append(f.texts, fmt.Sprint(1000000+f.numbers))
	return 1000000 + f.numbers
}

func (f *filler) next() string {
	f.numbers++
	f.texts = append(f.texts, fmt.Sprintf("text%dend", f.numbers))
	return f.texts[len(f.texts)-1]
}

// Every field of a configuration gets to the client. What does not is named here.
func TestConfigToProtoLosesNothing(t *testing.T) {
	var f filler
	var c netcfg.Config
	f.fill(reflect.ValueOf(&c).Elem())
	lost := map[string]bool{}
	for i := range c.HostNics {
		for _, o := range c.HostNics[i].Bonding.Options {
			lost[o.Type] = true // the display text is for XML
		}
	}
	got := configToProto(c)
	text := jsonOf(t, got)
	for _, want := range f.texts {
		if !lost[want] && !strings.Contains(text, want) {
			t.Errorf("%s is lost in\n%s", want, text)
		}
	}
	// And the other way: of what can be configured, nothing stays empty.
	for _, n := range got.GetHostNics() {
		wantFilled(t, n.ProtoReflect(), func(fd protoreflect.FieldDescriptor) bool { return fd.Number() < 20 })
	}
	for _, m := range []proto.Message{got, got.GetNetworks()[0], got.GetRoutes()[0], got.GetDns()} {
		wantFilled(t, m.ProtoReflect(), nil)
	}
}

// Absent stays absent: zero is a wish, and nothing is none.
func TestConfigToProtoKeepsAbsence(t *testing.T) {
	zero := 0
	got := configToProto(netcfg.Config{HostNics: []netcfg.HostNic{{Name: "eth0"}, {Name: "eth1", MTU: &zero, VLAN: &netcfg.VLAN{ID: &zero}}}})
	if got, want := strings.ReplaceAll(jsonOf(t, got), " ", ""), `{"host_nics":[{"name":"eth0"},{"name":"eth1","mtu":0,"vlan":{"id":0}}]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := configToProto(netcfg.Config{}); proto.Size(got) != 0 {
		t.Errorf("empty: %v", got)
	}
}

func TestBondingToProto(t *testing.T) {
	got := bondingToProto(&netcfg.Bonding{Options: []netcfg.BondOption{{Name: "mode", Value: "4"}, {Name: "num_unsol_na", Value: "3"}, {Name: "mystery", Value: "X"}, {Name: "primary", Value: ""}}})
	want := map[string]string{"mode": "802.3ad", "num_grat_arp": "3", "mystery": "X", "primary": ""}
	if !reflect.DeepEqual(got.GetOptions(), want) {
		t.Errorf("%v, want %v", got.GetOptions(), want)
	}
}

// Every fact of the inventory gets to the client, and every field of the API has
// somebody who fills it in.
func TestNicToProtoLosesNothing(t *testing.T) {
	var f filler
	var n inventory.Nic
	f.fill(reflect.ValueOf(&n).Elem())
	lost := map[string]bool{}
	for _, o := range n.Bonding.Options {
		lost[o.Type] = true
	}
	got := nicToProto(&n, time.Unix(1, 0))
	s := &Server{Options: Options{Neighbours: func() []lldp.Neighbour { return []lldp.Neighbour{{Index: n.Index, SystemName: "leaf3"}} }}}
	got.Lldp = s.neighboursOf(&n)
	got.Statistics = statisticsToProto(&inventory.Statistics{
		Nic: "eth0", ID: "id", At: time.Unix(2, 0), Resets: 1, ResetAt: time.Unix(1, 0), Rates: &inventory.Rates{RxBytes: 1, TxBytes: 1, RxPackets: 1, TxPackets: 1, Over: time.Second},
		Totals: state.Counters{RxBytes: 1, TxBytes: 1, RxPackets: 1, TxPackets: 1, RxErrors: 1, TxErrors: 1, RxDropped: 1, TxDropped: 1, Multicast: 1},
	})
	text := jsonOf(t, got)
	for _, want := range f.texts {
		if !lost[want] && !strings.Contains(text, want) {
			t.Errorf("%s is lost in\n%s", want, text)
		}
	}
	wantFilled(t, got.ProtoReflect(), nil)
}

func TestOperationToProtoLosesNothing(t *testing.T) {
	op := engine.Operation{ID: "id", Kind: engine.Commit, State: engine.Incomplete, Author: "me", Started: time.Unix(1, 0), Duration: time.Second, Writes: 7,
		Revision: 3, Window: time.Minute, RevertedBy: "another", Err: errors.New("first\nsecond \x1b"), Remaining: []plan.Drift{{Field: "f"}}, Waiting: []plan.Waiting{{Nic: "n"}},
		Warnings: netcfg.Problems{{Path: "p"}}, Disrupted: []plan.Forecast{{Nic: "n"}}, Probes: []engine.Probe{{Name: "n", State: engine.ProbeFailed, Detail: "d"}},
		Healed: []plan.Drift{{Field: "f"}}, Caller: "uid 0", Changes: []string{"ip link set dev eth0 up"}, Unlisted: 3}
	for i := range reflect.TypeOf(op).NumField() {
		if f := reflect.TypeOf(op).Field(i); reflect.ValueOf(op).Field(i).IsZero() {
			t.Fatalf("the test does not fill %s: put it there, and into the API", f.Name)
		}
	}
	got := operationToProto(&op)
	wantFilled(t, got.ProtoReflect(), nil)
	if got.GetError() != "first\nsecond \\x1b" {
		t.Errorf("error %q", got.GetError())
	}
	left := incompleteToProto(&engine.IncompleteRollback{ID: "id", Remaining: op.Remaining, Err: op.Err, Attempts: 3, Next: time.Hour}, time.Minute)
	wantFilled(t, left.ProtoReflect(), nil)
	if left.GetNext().AsDuration() != 59*time.Minute || left.GetError() != got.GetError() {
		t.Errorf("%v", left)
	}
	if running := operationToProto(&engine.Operation{State: engine.Running}); running.GetDone() || running.Revision != nil {
		t.Errorf("%v", running)
	}
}

func wantFilled(t *testing.T, m protoreflect.Message, which func(protoreflect.FieldDescriptor) bool) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); (which == nil || which(fd)) && !m.Has(fd) {
			t.Errorf("%s is not filled in", fd.FullName())
		}
	}
}

func jsonOf(t *testing.T, m proto.Message) string {
	t.Helper()
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Text that is not UTF-8 cannot travel: it would fail the whole answer.
func TestHostileText(t *testing.T) {
	bad := "a\xff\x1b"
	p := plan.Plan{Phases: []plan.Phase{{Ops: []plan.Op{{Name: bad, Why: bad}}}}, Forecast: []plan.Forecast{{Nic: bad, Reason: bad}}}
	for name, m := range map[string]proto.Message{
		"plan":     planToProto(engine.PlanResult{Plan: p, Waiting: []plan.Waiting{{Nic: bad, Reason: bad}}, Warnings: netcfg.Problems{{Path: bad, Message: bad, Found: bad, Allowed: bad}}}),
		"step":     stepToProto(engine.Step{Text: bad}),
		"revision": revisionToProto(&engine.Revision{Comment: bad}),
		"drift":    &hostnicv1.HostNic{Drift: driftToProto([]plan.Drift{{Field: bad, Wanted: bad, Actual: bad}})},
	} {
		if _, err := proto.Marshal(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
