//go:build kernel

package eyes

import (
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hostnic/hostnic/test/need"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// zeros are the fields whose zero says something: none has been counted, nobody waits.
var zeros = []protoreflect.Name{
	"carrier_ups", "carrier_downs", "link_failures", // counted since the link was made
	"data_current_rx", "data_current_tx", "data_current_rx_bps", "data_current_tx_bps", "packets_current_rx", "packets_current_tx", // nothing was sent
}

// told are the fields of a NIC that are told, or the reason why they are not.
var told = []protoreflect.Name{"speed", "duplex", "carrier", "permanent_mac", "autonegotiation"}

// A host with every kind of NIC, up, down, without a cable, waiting and in a bond without
// a partner: no message has a number that nobody has measured.
func TestNoMadeUpZero(t *testing.T) {
	t.Parallel()
	need.Kernel(t, need.TUN, need.LACP)
	h := newHost(t, "eth0", "eth1", "eth2", "eth3", "eth9")
	newTap(t, h.NS, "tap0")
	h.NS.Dummy(t, "dummy0")
	h.NS.Bridge(t, "br0", "dummy0")
	h.start()
	h.commit(`host_nics:
- {name: bond0, bonding: {options: {mode: 802.3ad}, slaves: [eth0, eth1]}, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}}
- {name: bond0.7, base_interface: bond0, vlan: {id: 7}}
- {name: eth2, mtu: 1400}
- {name: eth9, ip: {address: 198.51.100.1, netmask: '24'}}`)
	h.NS.IP(t, "link", "del", "eth9")
	h.Far.Down(t, "p-eth1")
	h.NS.IP(t, "link", "set", "eth2", "mtu", "1300")
	h.stage(`host_nics: [{name: bond1, bonding: {slaves: [eth3]}}]`)
	h.eventually("a slave is lost, and drift is seen", func() bool { return h.nic("eth1").GetMiiStatus() == "down" && len(h.nic("eth2").GetDrift()) > 0 })

	messages := h.everything()
	fields := 0
	for _, m := range messages {
		fields += walk(t, m.ProtoReflect(), m.ProtoReflect().Descriptor().Name())
	}
	if fields < 500 {
		t.Errorf("only %d fields were looked at", fields)
	}
	list := messages[0].(*hostnicv1.ListHostNicsResponse)
	if len(list.GetHostNics()) != 10 {
		t.Errorf("%d NICs", len(list.GetHostNics()))
	}
	for _, n := range list.GetHostNics() {
		r := n.ProtoReflect()
		for _, name := range told {
			if !r.Has(r.Descriptor().Fields().ByName(name)) && n.GetAbsentReasons()[string(name)] == "" && (n.Index != nil || name == "speed") {
				t.Errorf("%s: no %s, and no reason", n.GetName(), name)
			}
		}
		for field := range n.GetAbsentReasons() {
			if d := r.Descriptor().Fields().ByName(protoreflect.Name(field)); d == nil || r.Has(d) {
				t.Errorf("%s: a reason for the lack of %s, which is told or is none", n.GetName(), field)
			}
		}
	}
}

// everything asks whatever can be asked without changing anything.
func (h *host) everything() []proto.Message {
	h.T.Helper()
	ctx := h.T.Context()
	nics, config, caps, doctor := h.nics(), h.config(), hostnicv1.NewCapabilitiesServiceClient(h.conn), hostnicv1.NewDoctorServiceClient(h.conn)
	var out []proto.Message
	add := func(m proto.Message, err error) {
		h.T.Helper()
		if err != nil {
			h.T.Fatal(err)
		}
		out = append(out, m)
	}
	list, err := nics.ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{})
	add(list, err)
	nic, err := nics.GetHostNic(ctx, &hostnicv1.GetHostNicRequest{Nic: "bond0", Statistics: true})
	add(nic, err)
	stats, err := nics.GetStatistics(ctx, &hostnicv1.GetStatisticsRequest{Interval: durationpb.New(time.Second)})
	add(stats, err)
	neighbours, err := nics.ListLldpNeighbours(ctx, &hostnicv1.ListLldpNeighboursRequest{})
	add(neighbours, err)
	where, err := config.GetStatus(ctx, &hostnicv1.GetStatusRequest{})
	add(where, err)
	for _, source := range []hostnicv1.ConfigSource{1, 2, 3} {
		c, err := config.GetConfig(ctx, &hostnicv1.GetConfigRequest{Config: &hostnicv1.ConfigSelector{Source: source}})
		add(c, err)
	}
	plan, err := config.Plan(ctx, &hostnicv1.PlanRequest{})
	add(plan, err)
	operations, err := config.ListOperations(ctx, &hostnicv1.ListOperationsRequest{})
	add(operations, err)
	revisions, err := config.ListRevisions(ctx, &hostnicv1.ListRevisionsRequest{})
	add(revisions, err)
	can, err := caps.GetCapabilities(ctx, &hostnicv1.GetCapabilitiesRequest{})
	add(can, err)
	found, err := doctor.Examine(ctx, &hostnicv1.ExamineRequest{})
	add(found, err)
	return out
}

// walk looks at every field that is set, and counts them.
func walk(t *testing.T, m protoreflect.Message, path protoreflect.Name) (n int) {
	t.Helper()
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		here := path + "." + f.Name()
		n++
		switch {
		case f.IsMap():
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				n += walk(t, v.List().Get(i).Message(), here)
			}
		case f.IsList():
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			if at := time.Unix(v.Message().Get(f.Message().Fields().ByName("seconds")).Int(), 0); at.Year() < 2020 || time.Until(at) > time.Hour {
				t.Errorf("%s is %v", here, at)
			}
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Duration":
		case f.Message() != nil:
			n += walk(t, v.Message(), here)
		default:
			scalar(t, f, v, here)
		}
		return true
	})
	return n
}

// scalar wants of a number that it is none of those that stand for an unknown one, and of
// one that could be absent that it is not zero.
func scalar(t *testing.T, f protoreflect.FieldDescriptor, v protoreflect.Value, here protoreflect.Name) {
	t.Helper()
	var number float64
	switch f.Kind() {
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		number = float64(v.Int())
	case protoreflect.DoubleKind:
		number = v.Float()
	case protoreflect.StringKind:
		if f.HasPresence() && v.String() == "" || slices.Contains([]string{"00:00:00:00:00:00", "0.0.0.0", "::", "unknown", "N/A"}, v.String()) && f.Name() != "oper_state" && f.Name() != "default_value" {
			t.Errorf("%s is %q", here, v.String())
		}
		return
	default:
		return
	}
	if slices.Contains([]float64{-1, 65535, math.MaxInt32, math.MaxUint32, math.MaxInt64, 4294967295e6, 65535e6}, number) || number < 0 || math.IsNaN(number) {
		t.Errorf("%s is %v, which stands for unknown", here, number)
	}
	if f.HasPresence() && number == 0 && !slices.Contains(zeros, f.Name()) {
		t.Errorf("%s is 0, and could be absent", here)
	}
}
